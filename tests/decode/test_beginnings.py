# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Prompts that begin alike are encoded once, read together, and sampled as if they stood alone."""

import numpy as np
import pytest
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.batch import Grouping, Question, Request, Slot
from ttc_jax.decode.engine import Engine
from ttc_jax.decode.sample import Sampler
from ttc_jax.decode.stop import build
from ttc_jax.model.shape import ModelShape

VOCAB, PAGE, COMMON, OWN = 300, 4, 22, 7
SHAPE = ModelShape("llama", VOCAB, 32, 2, 4, 2, 8, 48, 64)
STOP = build([bytes([i % 251]) for i in range(VOCAB)], range(0, VOCAB, 13))


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    random = np.random.default_rng(3)
    examples = random.integers(0, VOCAB, COMMON).tolist()
    questions = random.integers(0, VOCAB, (6, OWN)).tolist()
    return [Request(f"q{i}", (*examples, *own), 3, 12) for i, own in enumerate(questions)]


def _engine(rows: int) -> Engine:
    mesh = make_mesh()
    return Engine(
        random_model(SHAPE, mesh), mesh=mesh, rows=rows, context=44, stop=STOP,
        sampler=Sampler(1.0), seed=1, page_size=PAGE, segment=16,
    )  # fmt: skip


def _tokens(completions) -> dict:
    return {c.id: [branch.tokens.tolist() for branch in c.branches] for c in completions}


def test_examples_are_encoded_once_and_change_no_sample(requests):
    engine = _engine(rows=32)
    together = _tokens(engine.generate(requests))
    # The first prompt whole but for its last token, and what each other one has of its own.
    assert engine.progress.prefill_tokens == COMMON + OWN - 1 + 5 * (OWN - 1)
    alone = {}
    for request in requests:
        alone |= _tokens(engine.generate([request]))
    assert engine.progress.prefill_tokens == COMMON + OWN - 1
    assert together == alone


def test_refilled_questions_begin_from_rows_in_use(requests):
    engine = _engine(rows=4)
    few_rows = _tokens(engine.generate(requests))
    assert engine.progress.prefill_tokens == COMMON + OWN - 1 + 5 * (OWN - 1)
    assert few_rows == _tokens(_engine(rows=32).generate(requests))


def _slot(cached: int, question: Question | None = None) -> Slot:
    question = question or Question(Request("q", tuple(range(cached + 1)), 4, 8))
    return Slot(question, 0, 0)


def test_the_partition_that_reads_less_is_taken():
    # Two questions of 2 rows: their first 5 pages are the same, the sixth is each question's own.
    first, second = _slot(6 * PAGE), _slot(6 * PAGE)
    slots = [first, _slot(0, first.question), second, _slot(0, second.question)]
    tables = np.array([[[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]] + [[0, 1, 2, 3, 4, 9]] * 2])
    groups = Grouping(PAGE).of([list(enumerate(slots))], 4, tables)
    assert groups.lens[0].max() == 5 * PAGE
    assert (groups.group[0] == 0).all() and sorted(groups.members[0, 0]) == [0, 1, 2, 3]
    # Nothing in common: each question reads its own six pages.
    tables = np.array([[[0, 1, 2, 3, 4, 5]] * 2 + [[6, 7, 8, 9, 10, 11]] * 2])
    groups = Grouping(PAGE).of([list(enumerate(slots))], 4, tables)
    assert groups.lens[0, :2].tolist() == [6 * PAGE] * 2
    assert groups.pages[0, 1, :6].tolist() == [6, 7, 8, 9, 10, 11]
    assert groups.group[0].tolist() == [0, 0, 1, 1] and groups.place[0].tolist() == [0, 1, 0, 1]
