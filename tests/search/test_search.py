# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole searches on a tiny model: the same trees as the slow way, however they are scheduled."""

from collections import Counter
from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from search import tiny_policy
from search.slow_search import SlowSearch
from search.tiny_policy import EOS, Breaks, Letters, Pairs

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode import engine as engine_module
from ttc_jax.decode.sample import Sampler
from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch
from ttc_jax.search.schedule import Scheduler, search
from ttc_jax.verify.plain_formats import Outcome
from ttc_jax.verify.verifier import Verifier

SEED = 3
QUESTIONS = tiny_policy.questions(5)
LOOKAHEAD = "lookahead(N=8,M=4,k=2)"
STRATEGIES = (
    "beam(N=8,M=4)",
    "beam(N=8,M=2,distinct=True)",
    LOOKAHEAD,
    "dvts(N=8,M=4)",
    "rebase(N=8,T=0.02)",
    "best_of_n(N=7)",
    "revise(s=3,p=4,memory=1)",
)
# Newlines come often, and two of them end a solution: the second may begin a step of its own.
USUAL = {
    "biases": {0: 3.0, EOS: -5.0, 22: -5.0},
    "sampler": Sampler(2.0),
    "ends": ("\n\n", "?"),
    "max_new": 21,
    "max_step": 7,
}
# With these sizes all strategies run the same compiled programs.
SHARED = Batch(rows=3, questions=2, pages=300, page_size=8, segment=8, seed=SEED)


class Roomy(Verifier):
    """A verifier of the same shapes for every strategy: 40 rows of 48 tokens."""

    def prepare(self, questions, room) -> None:
        super().prepare(questions, replace(room, context=21, tail=21, steps=11))

    def allocate(self, questions: int, rows: int) -> None:
        each = 40 * self.mesh.shape["data"] // questions - 2
        assert each >= rows
        super().allocate(questions, each)


_policy = cache(lambda mesh=(1, 1): tiny_policy.policy(make_mesh(*mesh), **USUAL))


@cache
def _verifier(mesh=(1, 1), pairs=False, **more) -> Verifier:
    tokenizer = Pairs() if pairs else Letters()
    more = {"pages": 600, "page_size": 8} | more
    return tiny_policy.verifier(make_mesh(*mesh), tokenizer, Roomy, **more)


def _run(name: str, batch=SHARED, policy=None, scorer=None, questions=QUESTIONS):
    """Trees by question, and the scheduler that grew them."""
    more = {"max_new": 9} if name.startswith("revise") else {}  # prompts grow, rows must not
    scheduler = Scheduler(
        parse(name), questions, policy or replace(_policy(), **more), scorer or _verifier(), batch
    )
    trees = {tree.question: tree for tree in scheduler.run()}
    assert set(trees) == {question.id for question in questions}
    for forest in (scheduler.forest, scheduler.scorer.forest):
        forest.settle()
        assert forest.check_pages() == 0
        assert all(forest.free(r) == forest.rows for r in range(forest.replicas))
    return trees, scheduler


_shared = cache(_run)


@cache
def _slow(policy, pairs=False, aggregate="last") -> SlowSearch:
    verifier = _verifier(pairs=pairs)
    return SlowSearch(policy, (verifier.model, verifier.format.tokenizer, aggregate), SEED)


def _fields(node) -> tuple:
    parent = None if node.parent is None else node.parent.number
    usage = node.usage["decode"], node.usage["lookahead"]
    return (
        node.number, parent, node.round, node.tokens.tolist(), node.text, node.finish,
        node.stopped_by, node.steps, node.ahead, usage,
    )  # fmt: skip


def _assert_same(tree, other) -> None:
    assert [_fields(node) for node in tree.nodes] == [_fields(node) for node in other.nodes]
    assert [n.number for n in tree.candidates] == [n.number for n in other.candidates]
    for one, two in zip(tree.nodes, other.nodes, strict=True):
        for name, tolerance in (("logprobs", 1e-4), ("scores", 1e-5), ("ahead_scores", 1e-5)):
            pair = getattr(one, name), getattr(two, name)
            np.testing.assert_allclose(*pair, atol=tolerance, rtol=0)
        if one.number >= 0:
            np.testing.assert_allclose(one.value, two.value, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_trees_are_those_of_the_slow_search(name):
    trees, scheduler = _shared(name)
    slow = _slow(scheduler.policy)
    for question in QUESTIONS[:3]:
        _assert_same(trees[question.id], slow.tree(parse(name), question))


def test_these_searches_have_all_that_can_happen():
    trees = [tree for name in STRATEGIES for tree in _shared(name)[0].values()]
    nodes = [node for tree in trees for node in tree.nodes if node.number >= 0]
    assert {node.finish for node in nodes} == {"step", "stop", "length"}
    assert {node.stopped_by for node in nodes} == {None, EOS, "\n", "\n\n", "?"}
    assert any(n.text == "\n" and n.stopped_by == "\n\n" for n in nodes), "begun a step before"
    assert any(n.text[:1] == "\n" and n.steps for n in nodes), "a blank line, then a step"
    assert any(n.finish == "step" and not n.stopped_by for n in nodes), "a step cut short"
    assert {len(node.ahead_scores) for node in nodes} == {0, 1, 2}
    roles = {tree.role(node) for tree in trees for node in tree.nodes}
    assert roles == {"prompt", "candidate", "expanded", "pruned"}


@pytest.mark.parametrize(
    ("mesh", "batch", "large"),
    [
        ((2, 1), Batch(rows=64, page_size=16, segment=64, seed=SEED), False),
        ((4, 1), Batch(rows=12, questions=4, page_size=8, segment=8, seed=SEED), False),
        ((1, 2), Batch(rows=4, questions=1, page_size=32, segment=5, seed=SEED), False),
        ((2, 2), Batch(rows=6, questions=2, page_size=11, segment=8, seed=SEED), True),
    ],
    ids=["many rows", "four replicas", "one question at a time", "odd pages"],
)
def test_meshes_sizes_and_groups_of_rows_do_not_matter(mesh, batch, large, monkeypatch):
    if large:  # rows read pages in groups, as of large models
        monkeypatch.setattr(engine_module, "_COMPILE_FLOPS", 0)
    scorer = tiny_policy.verifier(make_mesh(*mesh), page_size=batch.page_size)
    trees, scheduler = _run(LOOKAHEAD, batch, _policy(mesh), scorer)
    for id, tree in _shared(LOOKAHEAD)[0].items():
        _assert_same(trees[id], tree)
    assert 0 < max(tree.usage["pages"] for tree in trees.values()) <= scheduler.forest.pages


def test_a_verifier_on_another_mesh_with_another_tokenizer():
    name = "beam(N=8,M=4)"
    trees, scheduler = _run(name, scorer=_verifier((2, 1), pairs=True))
    slow = _slow(scheduler.policy, pairs=True)
    for question in QUESTIONS[:3]:
        _assert_same(trees[question.id], slow.tree(parse(name), question))
    assert trees["q0"].nodes[1].value != _shared(name)[0]["q0"].nodes[1].value
    assert [f.replicas for f in (scheduler.forest, scheduler.scorer.forest)] == [1, 2]


@pytest.mark.parametrize("aggregate", ["min", "prod", "mean"])
def test_solutions_compete_by_the_aggregate_of_their_scores(aggregate):
    name = "rebase(N=8,T=0.02)"
    trees, scheduler = _run(name, scorer=_verifier(aggregate=aggregate))
    slow = _slow(scheduler.policy, aggregate=aggregate)
    for question in QUESTIONS[:2]:
        _assert_same(trees[question.id], slow.tree(parse(name), question))
    values = [[node.value for node in t["q0"].nodes] for t in (trees, _shared(name)[0])]
    assert values[0] != values[1]


def test_an_outcome_verifier_scores_whole_solutions():
    name, scorer = "best_of_n(N=7)", copy(_verifier())
    scorer.format, scorer.outcome = Outcome(Letters()), True
    trees, _ = _run(name, scorer=scorer)
    for id, tree in _shared(name)[0].items():
        for node, other in zip(trees[id].candidates, tree.candidates, strict=True):
            assert node.text == other.text
            assert node.scores == (node.value,)
            np.testing.assert_allclose(node.value, other.value, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_trees_are_complete_and_the_counts_add_up(name):
    trees, scheduler = _shared(name)
    total, progress = Counter(), scheduler.progress
    for tree in trees.values():
        numbers = [node.number for node in tree.nodes]
        prompts = sum(number < 0 for number in numbers)
        assert numbers == [*range(-1, -1 - prompts, -1), *range(len(numbers) - prompts)]
        total.update(tree.usage)
        for node in tree.nodes:
            total.update(node.usage)
            if node.number >= 0:
                assert any(node.parent is other for other in tree.nodes)
                assert node.usage["decode"] == len(node.tokens) == len(node.logprobs) > 0
                assert len(node.scores) == len(node.steps)
                assert len(node.ahead_scores) == len(node.ahead.strip().split())
        assert all(any(node is other for other in tree.nodes) for node in tree.candidates)
        assert 0 < tree.usage["pages"] <= scheduler.forest.pages
        assert 0 < tree.usage["verifier_pages"] <= scheduler.scorer.forest.pages
    rounds = sum(len({node.round for node in tree.nodes}) for tree in trees.values())
    assert progress.rounds == rounds
    assert progress.done_questions == progress.questions == len(QUESTIONS)
    assert progress.new_tokens == total["decode"] + total["lookahead"]
    assert progress.lookahead_tokens == total["lookahead"]
    prompts = ("prefill", "revision_context", "verifier_prefill")
    assert progress.prefill_tokens == sum(total[phase] for phase in prompts)
    read = ("verify", "verify_lookahead", "verify_context")
    assert progress.verify_tokens == sum(total[phase] for phase in read)
    assert bool(total["lookahead"]) == (name == LOOKAHEAD)
    assert progress.lane_steps >= progress.new_tokens
    assert progress.live_rows == 0


def test_a_search_given_up_halfway_and_done_again():
    arguments = parse(LOOKAHEAD), QUESTIONS, _policy(), _verifier()
    halfway = search(*arguments, batch=SHARED)
    next(halfway)
    halfway.close()
    for tree in search(*arguments, batch=SHARED):
        _assert_same(tree, _shared(LOOKAHEAD)[0][tree.question])


def test_steps_that_end_at_a_blank_line():
    changes = {"delimiter": "\n\n", "ends": ("\n\n?", "ab")}
    biases = {"biases": {0: 5.0, EOS: -5.0, 22: 5.0}}
    policy = tiny_policy.policy(**USUAL | changes | biases)
    name = "beam(N=8,M=4)"
    trees, _ = _run(name, policy=policy)
    slow = _slow(policy)
    for question in QUESTIONS[:3]:
        _assert_same(trees[question.id], slow.tree(parse(name), question))
    nodes = [node for tree in trees.values() for node in tree.nodes]
    assert any(node.stopped_by == "\n\n?" and node.text[0] == "?" for node in nodes)
    assert any("\n" in step for node in nodes for step in node.steps)


def test_a_token_that_ends_a_step_and_the_solution():
    biases = {20: 3.0, EOS: -5.0, 22: -5.0}
    policy = tiny_policy.policy(**USUAL | {"tokenizer": Breaks(), "biases": biases})
    name = "beam(N=8,M=4)"
    trees, _ = _run(name, policy=policy)
    for question in QUESTIONS[:3]:
        _assert_same(trees[question.id], _slow(policy).tree(parse(name), question))
    nodes = [node for tree in trees.values() for node in tree.nodes if node.number >= 0]
    assert any(node.stopped_by == "\n\n" and node.tokens[-1] == 20 for node in nodes)
    assert any(node.stopped_by == "\n" for node in nodes)


NEVER = {0: -80.0, EOS: -80.0, 22: -80.0}  # no newline, no end of turn, no question mark


def test_the_verifier_reads_no_token_twice():
    policy = tiny_policy.policy(**USUAL | {"biases": NEVER, "max_step": 2})
    batch = replace(SHARED, questions=1)
    trees, scheduler = _run("beam(N=16,M=4,rounds=9)", batch, policy, questions=QUESTIONS[:2])
    unique, again = 0, 0
    for question in QUESTIONS[:2]:
        texts = set()
        for node in trees[question.id].nodes:
            lines = [question.text, *(step for n in node.path for step in n.steps)]
            texts.add("".join(line + "\n" for line in lines))
            again += sum(len(line) + 1 for line in lines)
        unique += len({text[:n] for text in texts for n in range(1, len(text) + 1)})
    assert {max(n.round for n in tree.nodes) for tree in trees.values()} == {8}
    read = scheduler.progress.verify_tokens
    read += sum(tree.usage["verifier_prefill"] for tree in trees.values())
    assert unique <= read <= 1.05 * unique
    assert again > 4 * read


def test_a_stop_that_never_comes():
    policy = tiny_policy.policy(**USUAL | {"biases": NEVER})
    trees, _ = _run("dvts(N=8,M=4)", policy=policy)
    for tree in trees.values():
        nodes = [node for node in tree.nodes if node.number >= 0]
        assert {len(node.tokens) for node in nodes} == {7}
        assert all(len(node.steps) == 1 and node.stopped_by is None for node in nodes)
        assert {node.finish for node in tree.candidates} == {"length"}
        assert {sum(len(n.tokens) for n in c.path) for c in tree.candidates} == {21}
