# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a question samples depends on its id and the seed alone, however it is scheduled."""

from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from decode.dense import Dense
from decode.tiny_model import random_model
from search import dry_programs

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.sources import Question
from ttc_jax.decode import engine as engine_module
from ttc_jax.decode.batch import question_key
from ttc_jax.decode.forest import OutOfPages
from ttc_jax.decode.sample import Sampler, row_keys
from ttc_jax.decode.stop import build
from ttc_jax.model.shape import ModelShape
from ttc_jax.search import plan as plan_module
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.schedule import Scheduler, search

TOLERANCE = 1e-4
VOCAB, SEED = 300, 5
SHAPE = ModelShape("mistral", VOCAB, 32, 2, 4, 2, 8, 48, 2048, windows=(0, 9))
# Three rows sample for two questions at a time; 64 for all 32 at once.
PROMPT, N, MAX_NEW, ROWS = 12, 2, 12, 3
# All shapes of up to eight devices; (1, 1) is what they are compared with, and (4, 2) has a test of
# its own, in which rows are refilled.
MESHES = [(1, 2), (1, 4), (1, 8), (2, 1), (2, 2), (2, 4), (4, 1), (8, 1)]


@dataclass(frozen=True)
class Bytes:
    """A tokenizer of nothing but bytes; some ids beyond 250 spell the first ones again."""

    known: int = 290
    eos: tuple[int, ...] = tuple(range(0, 290, 13))

    def token_bytes(self) -> list[bytes]:
        return [bytes([i % 251]) for i in range(self.known)]


# About one token in twelve ends a solution. The tokenizer knows ten tokens less than the model:
# those beyond stop nothing.
TOKENIZER, ENDS = Bytes(), ("\n", "ab")
PADDED = build([*TOKENIZER.token_bytes(), *[b""] * 10], TOKENIZER.eos, ENDS)
NEVER = {"tokenizer": Bytes(VOCAB, ()), "ends": ("no such text",)}


def _question(name: str, tokens) -> Question:
    """A question whose text is its prompt, token by token."""
    return Question(name, " ".join(map(str, tokens)), "")


def _prompt(question: Question, attempts=()) -> tuple[int, ...]:
    return tuple(map(int, question.text.split()))


def _questions(count: int, length: int = PROMPT) -> list[Question]:
    prompts = np.random.default_rng(length).integers(0, VOCAB, (count, length))
    return [_question(f"q{i}", prompt) for i, prompt in enumerate(prompts.tolist())]


_model = cache(lambda mesh: random_model(SHAPE, mesh))


def _policy(mesh=(1, 1), **changes) -> Policy:
    mesh = make_mesh(*mesh)
    settings = {"sampler": Sampler(1.0), "ends": ENDS, "max_new": MAX_NEW}
    return Policy(
        _model(mesh), changes.pop("tokenizer", TOKENIZER), mesh, _prompt, **(settings | changes)
    )


def _batch(**changes) -> Batch:
    return Batch(**({"rows": ROWS, "page_size": 4, "segment": 8, "seed": SEED} | changes))


def _scheduler(asked, n: int = N, policy: Policy | None = None, **changes) -> Scheduler:
    return Scheduler(BestOfN(n), asked, policy or _policy(), None, _batch(**changes))


def _sampled(trees) -> dict:
    """Everything that was sampled, by question and number."""
    sampled = {}
    for tree in trees:
        assert [node.number for node in tree.nodes] == [-1, *range(len(tree.nodes) - 1)]
        assert tree.candidates == tree.nodes[1:]
        sampled |= {(tree.question, node.number): node for node in tree.candidates}
    return sampled


def _run(*args, **kwargs) -> dict:
    return _sampled(_scheduler(*args, **kwargs).run())


def _assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, node in one.items():
        twin = other[key]
        assert node.tokens.tolist() == twin.tokens.tolist(), key
        assert (node.finish, node.stopped_by) == (twin.finish, twin.stopped_by)
        np.testing.assert_allclose(node.logprobs, twin.logprobs, atol=TOLERANCE, rtol=0)


@cache
def _batch_of_32() -> dict:
    return _run(_questions(32), rows=64)


def _oracle(questions, n: int = N, max_new: int = MAX_NEW) -> dict:
    """(tokens, logprobs, final state) by question and number, of the decoder without sharing."""
    rows = [(question, branch) for question in questions for branch in range(n)]
    longest = max(len(_prompt(question)) for question in questions) + max_new
    if longest <= PROMPT + MAX_NEW:  # the size of the batch of 32, so that this is compiled once
        rows, longest = rows + rows[:1] * (32 * N - len(rows)), PROMPT + MAX_NEW
    names = np.array([question_key(question.id) for question, _ in rows], np.uint32)
    keys = row_keys(np.uint32(SEED), names, np.array([b for _, b in rows], np.uint32))
    dense = Dense(_model(make_mesh()), len(rows), longest)
    for row, (question, _) in enumerate(rows):
        dense.extend(row, list(_prompt(question)[:-1]))
    last = [_prompt(question)[-1] for question, _ in rows]
    tokens, logprobs, states = dense.decode(last, [max_new] * len(rows), PADDED, Sampler(1.0), keys)
    return {
        (question.id, branch): (tokens[row], logprobs[row], states[row])
        for row, (question, branch) in enumerate(rows)
    }


def _assert_is_oracle(sampled: dict, questions, **settings) -> None:
    expected = _oracle(questions, **settings)
    assert sampled.keys() == expected.keys()
    spelled = [*TOKENIZER.token_bytes(), *[b""] * 10]
    for key, (tokens, logprobs, state) in expected.items():
        node = sampled[key]
        assert node.tokens.tolist() == tokens, key
        np.testing.assert_allclose(node.logprobs, logprobs, atol=TOLERANCE, rtol=0)
        assert node.stopped_by == PADDED.met(state)
        assert node.finish == ("length" if PADDED.met(state) is None else "stop")
        assert node.text == b"".join(spelled[t] for t in tokens).decode(errors="replace")
        assert node.usage == {"decode": len(tokens)}


def test_a_batch_samples_what_the_model_says():
    sampled = _batch_of_32()
    _assert_is_oracle(sampled, _questions(32))
    finishes = [node.finish for node in sampled.values()]
    assert 10 < finishes.count("stop") < 60
    assert len({tuple(node.tokens.tolist()) for node in sampled.values()}) > 50


def test_alone_is_like_in_a_batch():
    batch = _batch_of_32()
    for question in _questions(32)[::4]:
        alone = _run([question])
        _assert_same(alone, {key: batch[key] for key in alone})


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_every_mesh_samples_the_same(mesh):
    _assert_same(_run(_questions(32), policy=_policy(mesh), rows=64), _batch_of_32())


def test_rows_in_groups_sample_the_same(monkeypatch):
    monkeypatch.setattr(engine_module, "_COMPILE_FLOPS", 0)  # as of large models
    _assert_same(_run(_questions(32), rows=64), _batch_of_32())


@pytest.mark.parametrize(
    ("mesh", "changes"),
    [
        ((1, 1), {"rows": 1, "page_size": 16, "segment": 5}),
        ((1, 1), {"rows": 20, "page_size": 1, "segment": 64, "pages": 400}),
        ((4, 2), {"rows": 8, "questions": 5}),
    ],
    ids=str,
)
def test_sizes_of_the_batch_do_not_matter(mesh, changes):
    # More questions than rows: samples wait, rows are refilled.
    sampled = _run(_questions(32)[:11], policy=_policy(mesh), **changes)
    _assert_same(sampled, {key: _batch_of_32()[key] for key in sampled})
    assert len(sampled) == 11 * N


def test_the_id_and_the_seed_matter():
    question = _questions(1)[0]
    tokens = [
        [node.tokens.tolist() for node in _run([asked], seed=seed).values()]
        for seed in (SEED, SEED + 1)
        for asked in (question, replace(question, id="another"))
    ]
    assert all(one != two for one, two in combinations(tokens, 2))


def test_prompts_of_one_token():
    # As many questions, and the longest prompt as long, as in the batch of 32: no new programs.
    questions = [*_questions(31, length=1), replace(_questions(1)[0], id="longer")]
    _assert_is_oracle(_run(questions, rows=64), questions)


def test_solutions_of_one_token():
    questions = _questions(3, length=PROMPT + MAX_NEW - 1)
    sampled = _run(questions, policy=_policy(max_new=1), pages=45)
    _assert_is_oracle(sampled, questions, max_new=1)
    assert all(len(node.tokens) == 1 for node in sampled.values())


def test_a_prompt_longer_than_a_chunk():
    questions = _questions(1, length=280)
    scheduler = _scheduler(questions, policy=_policy(max_new=6), rows=2, page_size=16)
    _assert_is_oracle(_sampled(scheduler.run()), questions, max_new=6)
    assert scheduler.progress.prefill_tokens == 279


def _alike(count: int, common: int, own: int) -> list[Question]:
    """Questions that begin with the same examples, and differ right after them."""
    random = np.random.default_rng(0)
    examples = random.integers(0, VOCAB, common).tolist()
    owns = random.integers(0, VOCAB, (count, own - 1)).tolist()
    return [_question(f"q{i}", [*examples, i, *own]) for i, own in enumerate(owns)]


def test_a_common_beginning_is_encoded_once():
    questions = _alike(5, common=8, own=4)
    scheduler = _scheduler(questions)
    trees = list(scheduler.run())
    _assert_is_oracle(_sampled(trees), questions)
    # All but the last token of the first prompt, then what follows the examples in the others.
    assert scheduler.progress.prefill_tokens == 11 + 4 * 3
    prefills = sorted(tree.nodes[0].usage["prefill"] for tree in trees)
    assert prefills == [3, 3, 3, 3, 11]


def test_examples_that_end_inside_a_page_are_encoded_once_and_change_no_sample():
    questions = _alike(12, common=6, own=6)
    together = _scheduler(questions)
    sampled = _sampled(together.run())
    assert together.progress.prefill_tokens == 11 + 11 * 5
    for question in questions[::4]:
        scheduler = _scheduler([question])
        alone = _sampled(scheduler.run())
        _assert_same(alone, {key: sampled[key] for key in alone})
        assert scheduler.progress.prefill_tokens == 11


def test_rows_are_refilled_while_others_go_on():
    questions, seen = _questions(32), []
    scheduler = _scheduler(questions)
    trees = list(scheduler.run(seen.append))
    _assert_same(_sampled(trees), _batch_of_32())
    assert sorted(tree.question for tree in trees) == sorted(q.id for q in questions)
    for tree in trees:
        prompt = tree.nodes[0]
        assert (len(prompt.tokens), prompt.usage) == (PROMPT, {"prefill": PROMPT - 1})
    lengths = [len(_batch_of_32()[f"q{i}", b].tokens) for i in range(32) for b in range(N)]
    last = scheduler.progress
    assert (last.questions, last.done_questions, last.rounds) == (32, 32, 32)
    assert (last.live_rows, last.rows) == (0, ROWS)
    assert last.new_tokens == sum(lengths)
    assert (last.lookahead_tokens, last.verify_tokens) == (0, 0)
    assert last.prefill_tokens == 32 * (PROMPT - 1)
    # Waves of rows without refill would take as many steps as their longest samples.
    waves = sum(max(lengths[i : i + ROWS]) for i in range(0, len(lengths), ROWS))
    assert sum(lengths) / ROWS <= last.steps < waves
    assert last.new_tokens <= last.lane_steps <= last.steps * ROWS
    assert any(0 < p.done_questions and p.live_rows > 0 for p in seen)
    assert [p.segments for p in seen] == list(range(1, last.segments + 1))


def test_rows_are_refilled_from_one_question(monkeypatch):
    dry_programs.install(monkeypatch)
    for strategy in (BestOfN(32), BestOfN(33)):
        scheduler = Scheduler(strategy, _questions(1), _policy(), None, _batch())
        lengths = [len(node.tokens) for node in _sampled(scheduler.run()).values()]
        waves = sum(max(lengths[i : i + ROWS]) for i in range(0, len(lengths), ROWS))
        assert sum(lengths) / ROWS <= scheduler.progress.steps < waves


def test_a_run_given_up_halfway_leaves_nothing_behind():
    policy = _policy()
    next(search(BestOfN(N), _questions(32), policy, batch=_batch()))
    again = _run([_questions(32)[20]], policy=policy)
    _assert_same(again, {key: _batch_of_32()[key] for key in again})


def test_no_questions():
    assert list(search(BestOfN(N), [], _policy())) == []


# 10 cached prompt tokens fill two pages and half of a third; each of three rows comes to hold 15
# tokens, on four pages.
SMALL = _question("small", range(1, 12))
NEEDED = 2 + 3 * 2
# Planned are, not knowing where pages begin, the three that 11 tokens touch, and three for the five
# new tokens of each row and of one that may hold the prompt for samples that wait.
PLANNED = 3 + (3 + 1) * 3


def _tight(asked=(SMALL,), n: int = 3, **changes) -> Scheduler:
    return _scheduler(asked, n, _policy(max_new=5, **NEVER), **changes)


def _patched(monkeypatch, *args) -> Scheduler:
    """A scheduler for one question at a time, as if it never held more than NEEDED pages."""
    with monkeypatch.context() as patch:
        patch.setattr(plan_module, "pages_for", lambda *_, **__: NEEDED)
        return _tight(*args, questions=1)


def test_a_pool_that_is_just_big_enough(monkeypatch):
    monkeypatch.setattr("ttc_jax.decode.layout._CHEAP_POOL", 0)  # no page more than is planned
    questions, peak = [replace(SMALL, id=str(i)) for i in range(4)], []
    scheduler = _patched(monkeypatch, questions)
    assert len(list(scheduler.run(lambda p: peak.append(p.pages_used)))) == 4
    assert max(peak) == scheduler.progress.pages == NEEDED


def test_running_out_of_pages_is_an_error(monkeypatch):
    monkeypatch.setattr("ttc_jax.decode.layout._CHEAP_POOL", 0)  # no page more than is planned
    # The third page of the prompt is kept for the fourth sample.
    with pytest.raises(OutOfPages, match="8 pages per replica was 1 pages short"):
        list(_patched(monkeypatch, [SMALL], 4).run())
    assert len(list(_patched(monkeypatch, [SMALL]).run())) == 1  # and nothing of it stays


def test_pages_and_memory_limit_the_questions_in_flight(monkeypatch):
    dry_programs.install(monkeypatch)
    questions = [replace(SMALL, id=str(i)) for i in range(4)]
    # Keys and values of two layers, two heads of eight numbers each, of four bytes.
    each = PLANNED * 4 * (2 * 2 * 2 * 8 * 4)
    for limits, at_once in (
        ({"pages": PLANNED}, 1),
        ({"pages": 2 * PLANNED - 1}, 1),
        ({"pages": 2 * PLANNED}, 2),
        ({"memory": each}, 1),
        ({"memory": 2 * each}, 2),
        ({"memory": 100 * each}, 2),  # one to fill the rows, and one to follow
        ({"memory": 100 * each, "rows": 7}, 4),
        ({"memory": 100 * each, "rows": 7, "questions": 2}, 2),
    ):
        forest = _tight(questions, **limits).forest
        assert forest.rows == at_once * (3 + 1)
        assert forest.pages == limits.get("pages", at_once * PLANNED)
    with pytest.raises(ValueError, match="0.0 MiB for the verifier .* there are 0.0 MiB"):
        _tight(questions, memory=each - 1)


def test_a_pool_that_is_too_small():
    message = "prompt of 11 tokens can come to hold 15 pages of 4 tokens .*, the pool has 14"
    with pytest.raises(ValueError, match=message):
        _tight(pages=PLANNED - 1)
    # More samples than rows need no more pages than there are rows for.
    with pytest.raises(ValueError, match="hold 15 pages of 4 tokens .*, the pool has 14"):
        _tight(n=100, pages=PLANNED - 1)
    with pytest.raises(ValueError, match="hold 27 pages of 4 tokens .*, the pool has 14"):
        _tight(n=100, rows=7, pages=PLANNED - 1)


@pytest.mark.parametrize(
    ("question", "changes", "message"),
    [
        (SMALL, {"n": 0}, "N=0: give a whole number of at least 1"),
        (SMALL, {"n": -2}, "N=-2"),
        (SMALL, {"max_new": 0}, "max_new is 0"),
        (_question("small", ()), {}, "'small' has an empty prompt"),
        (_question("small", (1, 300, 2)), {}, "'small'.* 300, outside .* vocabulary of 300"),
        (_question("small", (1, -1, 2)), {}, "'small'.* token -1, outside"),
        (_question("small", (1,) * 2037), {}, "'small'.*2037 tokens.* 12 need 2049 .* reads 2048"),
        (SMALL, {"max_new": 2040}, "'q0'.* 12 tokens and max_new = 2040 need 2052 tokens"),
        (_questions(1)[0], {}, "'q0' is given 2 times"),
    ],
    ids=str,
)
def test_bad_requests_are_named(question, changes, message):
    n = changes.pop("n", N)
    with pytest.raises(ValueError, match=message):
        # The bad one is the last, and nothing has been sampled when it is found.
        _scheduler([*_questions(2), question], n, _policy(**changes))


def test_a_prompt_that_was_not_planned_for():
    asked = []

    def longer_every_time(question, attempts):
        asked.append(question.id)
        return _prompt(question) * len(asked)

    policy = replace(_policy(), prompt=longer_every_time)
    with pytest.raises(ValueError, match="'q0': a prompt of 24 tokens was not planned for"):
        list(search(BestOfN(N), _questions(1), policy, batch=_batch()))


@pytest.mark.parametrize(
    ("mesh", "changes", "message"),
    [
        ((2, 1), {"rows": 5}, "5 rows cannot be spread over 2 replicas"),
        ((1, 1), {"rows": 0}, "rows is 0"),
        ((1, 1), {"page_size": 0}, "page_size is 0"),
        ((1, 1), {"segment": 0}, "segment is 0"),
        ((1, 1), {"pages": -1}, "pages is -1"),
    ],
    ids=str,
)
def test_bad_sizes_are_named(mesh, changes, message):
    with pytest.raises(ValueError, match=message):
        _scheduler(_questions(2), policy=_policy(mesh), **changes)


def test_a_tokenizer_that_knows_more_than_the_model():
    policy = _policy(tokenizer=Bytes(VOCAB + 1))
    with pytest.raises(ValueError, match="knows 301 tokens, the model only 300"):
        _scheduler(_questions(2), policy=policy)
