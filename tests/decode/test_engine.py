# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a question samples depends on its id and the seed alone, however it is scheduled."""

from dataclasses import replace
from functools import cache, partial
from itertools import combinations

import numpy as np
import pytest
from decode.dense import Dense
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode import engine as engine_module
from ttc_jax.decode.batch import Question, Request
from ttc_jax.decode.engine import Engine, OutOfPages
from ttc_jax.decode.sample import Sampler, row_keys
from ttc_jax.decode.stop import build
from ttc_jax.model.shape import ModelShape

TOLERANCE = 1e-4
VOCAB, SEED = 300, 5
SHAPE = ModelShape("mistral", VOCAB, 32, 2, 4, 2, 8, 48, 2048, windows=(0, 9))
TOKEN_BYTES = [bytes([i % 251]) for i in range(VOCAB)]
# About one token in twelve ends a branch. The tokenizer knows ten tokens less than the model: those
# beyond stop nothing.
STOP = build(TOKEN_BYTES[:290], range(0, 290, 13), ["\n", "ab"])
PADDED = build([*TOKEN_BYTES[:290], *[b""] * 10], range(0, 290, 13), ["\n", "ab"])
NEVER = build(TOKEN_BYTES, (), ["no such text"])
# Four rows seat two questions at a time; 64 seat all 32 at once.
PROMPT, N, MAX_NEW, ROWS = 12, 2, 12, 4
MESHES = [(d, m) for d in (1, 2, 4, 8) for m in (1, 2, 4, 8) if d * m in (1, 2, 4, 8)]


def _requests(count: int, length: int = PROMPT, n: int = N, max_new: int = MAX_NEW):
    random = np.random.default_rng(length)
    prompts = random.integers(0, VOCAB, (count, length)).tolist()
    return [Request(f"q{i}", tuple(prompt), n, max_new) for i, prompt in enumerate(prompts)]


def _engine(mesh=(1, 1), **changes) -> Engine:
    mesh = make_mesh(*mesh)
    settings = {
        "rows": ROWS, "context": 32, "stop": STOP, "sampler": Sampler(1.0), "seed": SEED,
        "page_size": 4, "segment": 8,
    }  # fmt: skip
    return Engine(random_model(SHAPE, mesh), mesh=mesh, **(settings | changes))


_shared = cache(_engine)


def _sampled(completions) -> dict:
    """Everything that was sampled, by question and branch."""
    return {
        (completion.id, branch.index): branch
        for completion in completions
        for branch in completion.branches
    }


def _assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, branch in one.items():
        twin = other[key]
        assert branch.tokens.tolist() == twin.tokens.tolist(), key
        assert (branch.finish, branch.stopped_by) == (twin.finish, twin.stopped_by)
        np.testing.assert_allclose(branch.logprobs, twin.logprobs, atol=TOLERANCE, rtol=0)


@cache
def _batch_of_32() -> dict:
    return _sampled(_engine(rows=64).generate(_requests(32)))


def _oracle(requests) -> dict:
    """(tokens, logprobs, final state) by question and branch, of the decoder without sharing."""
    rows = [(request, branch) for request in requests for branch in range(request.n)]
    longest = max(len(request.tokens) + request.max_new for request in requests)
    if longest <= PROMPT + MAX_NEW:  # the size of the batch of 32, so that this is compiled once
        rows, longest = rows + rows[:1] * (32 * N - len(rows)), PROMPT + MAX_NEW
    questions = np.array([Question(request).seed for request, _ in rows], np.uint32)
    keys = row_keys(np.uint32(SEED), questions, np.array([b for _, b in rows], np.uint32))
    dense = Dense(random_model(SHAPE, make_mesh()), len(rows), longest)
    for row, (request, _) in enumerate(rows):
        dense.extend(row, list(request.tokens[:-1]))
    last = [request.tokens[-1] for request, _ in rows]
    limits = [request.max_new for request, _ in rows]
    tokens, logprobs, states = dense.decode(last, limits, PADDED, Sampler(1.0), keys)
    return {
        (request.id, branch): (tokens[row], logprobs[row], states[row])
        for row, (request, branch) in enumerate(rows)
    }


def _assert_is_oracle(sampled: dict, requests) -> None:
    expected = _oracle(requests)
    assert sampled.keys() == expected.keys()
    for key, (tokens, logprobs, state) in expected.items():
        branch = sampled[key]
        assert branch.tokens.tolist() == tokens, key
        np.testing.assert_allclose(branch.logprobs, logprobs, atol=TOLERANCE, rtol=0)
        assert branch.stopped_by == PADDED.met(state)
        assert branch.finish == ("length" if PADDED.met(state) is None else "stop")


def test_a_batch_samples_what_the_model_says():
    sampled = _batch_of_32()
    _assert_is_oracle(sampled, _requests(32))
    finishes = [branch.finish for branch in sampled.values()]
    assert 10 < finishes.count("stop") < 60
    assert len({tuple(branch.tokens.tolist()) for branch in sampled.values()}) > 50


def test_alone_is_like_in_a_batch():
    batch = _batch_of_32()
    for request in _requests(32)[::4]:
        alone = _sampled(_shared().generate([request]))
        _assert_same(alone, {key: batch[key] for key in alone})


@pytest.mark.parametrize("mesh", MESHES[1:], ids=str)
def test_every_mesh_samples_the_same(mesh):
    _assert_same(_sampled(_engine(mesh, rows=64).generate(_requests(32))), _batch_of_32())


@pytest.mark.parametrize(
    ("mesh", "changes"),
    [
        ((1, 1), {"rows": 1, "page_size": 16, "segment": 5}),
        ((1, 1), {"rows": 20, "page_size": 1, "segment": 64, "pages": 400}),
        ((4, 2), {"rows": 8}),
    ],
    ids=str,
)
def test_sizes_of_the_engine_do_not_matter(mesh, changes):
    # More questions than rows: branches wait, rows are refilled.
    sampled = _sampled(_engine(mesh, **changes).generate(_requests(32)[:11]))
    _assert_same(sampled, {key: _batch_of_32()[key] for key in sampled})
    assert len(sampled) == 11 * N


def test_the_id_and_the_seed_matter():
    request = _requests(1)[0]
    tokens = [
        [branch.tokens.tolist() for branch in _sampled(engine.generate([question])).values()]
        for engine in (_shared(), _engine(seed=SEED + 1))
        for question in (request, replace(request, id="another"))
    ]
    assert all(one != two for one, two in combinations(tokens, 2))


def test_prompts_of_one_token_and_answers_of_one_token():
    requests = [
        *_requests(3, length=1),
        *(replace(r, id="x" + r.id, max_new=1) for r in _requests(2)),
    ]
    sampled = _sampled(_shared().generate(requests))
    _assert_is_oracle(sampled, requests)
    assert all(len(sampled[f"xq{i}", b].tokens) == 1 for i in range(2) for b in range(N))


def test_a_prompt_longer_than_a_chunk():
    requests = _requests(1, length=525, n=2, max_new=6)
    engine = _engine(rows=2, context=540, page_size=16)
    sampled = _sampled(engine.generate(requests))
    assert engine.progress.prefill_tokens == 524
    _assert_is_oracle(sampled, requests)


def test_a_common_beginning_is_encoded_once():
    random = np.random.default_rng(0)
    examples = random.integers(0, VOCAB, 8).tolist()
    requests = [
        Request(f"q{i}", (*examples, *random.integers(0, VOCAB, 4).tolist()), N, MAX_NEW)
        for i in range(5)
    ]
    engine = _shared()
    sampled = _sampled(engine.generate(requests))
    _assert_is_oracle(sampled, requests)
    # All but the last token of the first prompt, then what follows the examples in the others.
    assert engine.progress.prefill_tokens == 11 + 4 * 3


def test_rows_are_refilled_while_others_go_on():
    drawn, seen = [], []
    requests = _requests(32)

    def source():
        for request in requests:
            drawn.append(request.id)
            yield request

    engine = _shared()
    done = []
    for completion in engine.generate(source(), on_segment=seen.append):
        done.append(completion.id)
        assert [branch.index for branch in completion.branches] == list(range(N))
        assert completion.prompt_tokens == PROMPT
    assert sorted(done) == sorted(request.id for request in requests)
    batch = _batch_of_32()
    last = seen[-1]
    assert (last.done_questions, last.live_rows, last.rows) == (32, 0, ROWS)
    assert last.new_tokens == sum(len(branch.tokens) for branch in batch.values())
    assert last.prefill_tokens == 32 * (PROMPT - 1)
    # Waves of rows without refill would take as many steps as their longest branches.
    lengths = [len(batch[f"q{i}", b].tokens) for i in range(32) for b in range(N)]
    waves = sum(max(lengths[i : i + ROWS]) for i in range(0, len(lengths), ROWS))
    assert sum(lengths) / ROWS <= last.steps < waves
    assert any(0 < p.done_questions and p.live_rows > 0 for p in seen)


def test_requests_are_drawn_lazily():
    drawn = []

    def source():
        for request in _requests(32):
            drawn.append(request.id)
            yield request

    next(_shared().generate(source()))
    assert 2 <= len(drawn) < 16


def test_a_run_given_up_halfway_leaves_nothing_behind():
    engine = _shared()
    next(engine.generate(_requests(32)))
    request = _requests(32)[20]
    again = _sampled(engine.generate([request]))
    _assert_same(again, {key: _batch_of_32()[key] for key in again})


# 8 cached prompt tokens fill two pages; each of three rows comes to hold 13 tokens, on four.
SMALL = Request("small", tuple(range(1, 10)), 3, 5)
NEEDED = 2 + 3 * 2


def _tight(pages: int) -> Engine:
    return _engine(stop=NEVER, pages=pages)


_just_enough = cache(partial(_tight, NEEDED))


def test_a_pool_that_is_just_big_enough():
    peak = []
    requests = [replace(SMALL, id=str(i)) for i in range(4)]
    for _ in _just_enough().generate(requests, on_segment=lambda p: peak.append(p.pages_used)):
        pass
    assert max(peak) == NEEDED


def test_a_pool_that_is_too_small():
    engine = _tight(NEEDED - 1)
    for attempt in (engine.check, lambda request: list(engine.generate([request]))):
        with pytest.raises(ValueError, match="'small' needs 8 pages of 4 tokens, the pool has 7"):
            attempt(SMALL)
    # More branches than rows need no more pages than there are rows for.
    with pytest.raises(ValueError, match="needs 10 pages of 4 tokens, the pool has 7"):
        engine.check(replace(SMALL, n=100))


def test_running_out_of_pages_is_an_error(monkeypatch):
    engine = _just_enough()
    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "pages_for", lambda *_: 0)
        with pytest.raises(OutOfPages, match="8 pages per replica was 2 pages short"):
            list(engine.generate([replace(SMALL, n=4)]))
    assert len(_sampled(engine.generate([SMALL]))) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "0 samples asked for"),
        ({"n": -2}, "-2 samples asked for"),
        ({"max_new": 0}, "max_new is 0"),
        ({"tokens": ()}, "empty prompt"),
        ({"tokens": (1, 300, 2)}, "token 300, outside the model's vocabulary of 300"),
        ({"tokens": (1, -1, 2)}, "token -1, outside"),
        ({"tokens": (1,) * 30}, "30 tokens and 5 new ones need a context of 35, .* has 32"),
        ({"max_new": 24}, "9 tokens and 24 new ones need a context of 33, .* has 32"),
    ],
    ids=str,
)
def test_bad_requests_are_named(changes, message):
    request = replace(SMALL, **changes)
    engine = _shared()
    with pytest.raises(ValueError, match=f"'small'.*{message}"):
        engine.check(request)
    with pytest.raises(ValueError, match=message):
        list(engine.generate([request]))


@pytest.mark.parametrize(
    ("mesh", "changes", "message"),
    [
        ((2, 1), {"rows": 5}, "5 rows cannot be spread over 2 replicas"),
        ((1, 1), {"rows": 0}, "0 rows"),
        ((1, 1), {"context": 2049}, "context 2049 exceeds the model's 2048"),
        ((1, 1), {"stop": build([b"a"] * 301, (0,))}, "knows 301 tokens, the model only 300"),
    ],
    ids=["rows", "no rows", "context", "tokenizer"],
)
def test_bad_sizes_are_named(mesh, changes, message):
    with pytest.raises(ValueError, match=message):
        _engine(mesh, **changes)
