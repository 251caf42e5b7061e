# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Segments over jobs that draw, jobs that take the likeliest token, and rows that are set back."""

from functools import cache

import numpy as np
import pytest
from decode.dense import Dense
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode import engine as engine_module
from ttc_jax.decode.batch import Job
from ttc_jax.decode.engine import Engine
from ttc_jax.decode.forest import Forest
from ttc_jax.decode.sample import Sampler, row_keys
from ttc_jax.decode.stop import build
from ttc_jax.model.shape import ModelShape

TOLERANCE = 1e-4
VOCAB, ROWS, CONTEXT, NEW, SEED = 60, 8, 32, 12, 9
SHAPE = ModelShape("llama", VOCAB, 24, 2, 4, 2, 8, 32, 128)
STOP = build([bytes([i]) for i in range(VOCAB)], range(0, VOCAB, 20))
NEVER = build([bytes([i]) for i in range(VOCAB)], (), ["no such text"])
# All rows begin alike, end with another token each, and are followed by different ones.
BEGIN = list(range(20, 28))

_model = cache(lambda: random_model(SHAPE, make_mesh()))


@pytest.fixture(params=[0, 1 << 40], ids=["a program for each shape", "one program"])
def compiled(request, monkeypatch):
    """Segments as of large models, of rows at hand in groups, or as of small ones, all alike."""
    monkeypatch.setattr(engine_module, "_COMPILE_FLOPS", request.param)
    return request.param == 0


def _engine(stop=STOP) -> Engine:
    forest = Forest(
        _model(), mesh=make_mesh(), rows=ROWS, context=CONTEXT, pages=ROWS * 8, page_size=4
    )
    planted = forest.plant([(0, [*BEGIN, row]) for row in range(ROWS)])
    assert [place for place, _ in planted] == [(0, row) for row in range(ROWS)]
    return Engine(
        forest, stop=stop, sampler=Sampler(1.0), lanes=ROWS, segment=5, seed=SEED,
        expected=(1, ROWS, 3), rollouts=True,
    )  # fmt: skip


def _job(row: int, limit: int = NEW, **settings) -> Job:
    return Job(row, question=5, branch=row, last=30 + row, limit=limit, **settings)


@cache
def _oracle(greedy: bool) -> tuple:
    """Tokens, logprobs and states of each row: the likeliest tokens, or those drawn."""
    dense = Dense(_model(), ROWS, CONTEXT)
    for row in range(ROWS):
        dense.extend(row, [*BEGIN, row])
    rows = np.arange(ROWS, dtype=np.uint32)
    keys = row_keys(np.uint32(SEED), np.full(ROWS, 5, np.uint32), rows)
    sampler = Sampler(0.0 if greedy else 1.0)
    return dense.decode([30 + i for i in range(ROWS)], [NEW] * ROWS, STOP, sampler, keys)


def _run(engine: Engine, jobs: list[Job]) -> None:
    """Segments until all jobs are done; those that are leave the batch."""
    while jobs:
        engine.run([jobs], refill=False)
        jobs = [job for job in jobs if job.limit and engine.stop.met(job.state) is None]


def _assert_is_oracle(jobs: dict[int, Job]) -> None:
    for i, job in jobs.items():
        expected, expected_logprobs, states = _oracle(job.greedy)
        tokens, logprobs = job.sampled()
        assert tokens.tolist() == expected[i]
        np.testing.assert_allclose(logprobs, expected_logprobs[i], atol=TOLERANCE, rtol=0)
        assert (job.length, job.limit, job.last) == (len(tokens), NEW - len(tokens), tokens[-1])
        assert STOP.met(job.state) == STOP.met(states[i])


def test_greedy_jobs_beside_others(compiled):
    engine = _engine()
    jobs = {i: _job(i, greedy=i in (1, 2, 6)) for i in range(ROWS)}
    _run(engine, list(jobs.values()))
    _assert_is_oracle(jobs)
    sampled = sum(job.length for job in jobs.values())
    assert engine.sampled == sampled and 5 < engine.steps <= NEW
    assert sampled <= engine.lane_steps <= engine.steps * ROWS
    for i, job in jobs.items():
        # The last token sampled is not in the cache yet.
        assert engine.forest.lens[0, job.row] == len(BEGIN) + 1 + job.length, i
    assert any(_oracle(True)[0][i] != _oracle(False)[0][i] for i in range(ROWS))
    assert {STOP.met(job.state) is None for job in jobs.values()} == {True, False}


def test_a_row_that_is_set_back_samples_the_same_again(compiled):
    engine = _engine()
    forest = engine.forest
    ahead = {i: _job(i, greedy=True) for i in range(ROWS)}
    _run(engine, list(ahead.values()))
    _assert_is_oracle(ahead)
    for i in range(ROWS):
        forest.cut((0, i), len(BEGIN) + 1)
    jobs = {i: _job(i) for i in range(ROWS)}
    _run(engine, list(jobs.values()))
    _assert_is_oracle(jobs)


def test_what_a_job_samples_does_not_depend_on_its_row_or_its_company(compiled):
    engine = _engine()
    forest = engine.forest
    forest.release((0, 0))
    forest.release((0, 1))
    copied = forest.copy((0, 5), len(BEGIN) + 1)
    moved = Job(copied[1], question=5, branch=5, last=35, limit=NEW)
    jobs = {5: moved, 3: _job(3)}
    _run(engine, list(jobs.values()))
    _assert_is_oracle(jobs)
    # Two rows are a quarter of the lanes: no more were computed where that is worth a program.
    assert engine.lane_steps == (2 if compiled else ROWS) * engine.steps


@pytest.mark.parametrize(("refill", "steps"), [(False, 5), (True, 1)])
def test_a_segment_ends_early_only_for_lanes_that_can_be_refilled(refill, steps):
    engine = _engine(NEVER)
    jobs = [_job(i, limit=1 if i < 4 else 9) for i in range(ROWS)]
    engine.run([jobs], refill=refill)
    assert (engine.segments, engine.steps) == (1, steps)
    assert [job.length for job in jobs] == [1] * 4 + [steps] * 4


def test_a_tokenizer_that_knows_more_than_the_model():
    stop = build([b"a"] * (VOCAB + 1), (0,))
    with pytest.raises(ValueError, match="knows 61 tokens, the model only 60"):
        _engine(stop)
