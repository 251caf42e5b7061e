# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Rollouts beside next steps: what the slow search samples, in order, unscored, no row kept."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from search import dry_programs, tiny_policy
from search.slow_search import SlowSearch
from search.tiny_policy import EOS, POLICY, Letters

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.sample import Sampler
from ttc_jax.search.cost import node_flops
from ttc_jax.search.plan import Batch
from ttc_jax.search.schedule import Scheduler
from ttc_jax.search.strategy import Grow, Load, Search, Strategy

SEED = 3
QUESTIONS = tiny_policy.questions(4)
# As in the tests of whole searches: newlines come often, and two of them end a solution.
USUAL = {
    "biases": {0: 3.0, EOS: -5.0, 22: -5.0},
    "sampler": Sampler(2.0),
    "ends": ("\n\n", "?"),
    "max_new": 21,
    "max_step": 7,
}


@dataclass(frozen=True)
class Probe(Strategy):
    """Grows and rolls out from the same nodes, from others, and then only rolls out."""

    N: int = 5

    name = "probe"
    scored = False

    @property
    def generations(self) -> int:
        return self.N

    @property
    def load(self) -> Load:
        return Load(rows=self.N + 1, paths=self.N + 1, steps=2)

    def search(self, root) -> Search:
        first = yield Grow((root,) * self.N, rollouts=(root,))
        assert [node.rollout for node in first] == [False] * self.N + [True]
        going = [node for node in first if not node.finished]
        if not going:
            return first
        one, *others = going
        parents, rolled = (*others[1:], one, one), (one, *others, one)
        second = yield Grow(parents, lookahead=1, rollouts=rolled)
        assert [node.parent for node in second] == [*parents, *rolled]
        going = [node for node in second if not node.finished]
        third = (yield Grow((), rollouts=(*going, *going))) if going else []
        return [node for node in (*first, *second, *third) if node.finished]


def _run(policy, scorer, batch, questions=QUESTIONS):
    scheduler = Scheduler(Probe(), questions, policy, scorer, batch)
    trees = {tree.question: tree for tree in scheduler.run()}
    for forest in (scheduler.forest, *([scorer.forest] if scorer else [])):
        forest.settle()
        assert forest.check_pages() == 0
        assert all(forest.free(r) == forest.rows for r in range(forest.replicas))
    return trees, scheduler


def test_rollouts_are_those_of_the_slow_search():
    policy, verifier = tiny_policy.policy(**USUAL), tiny_policy.verifier(page_size=8)
    batch = Batch(rows=3, questions=2, page_size=8, segment=8, seed=SEED)
    trees, scheduler = _run(policy, verifier, batch)
    slow = SlowSearch(policy, (verifier.model, Letters(), "last"), SEED)
    total, ends = Counter(), Counter()
    for question in QUESTIONS:
        tree, expected = trees[question.id], slow.tree(Probe(), question)
        assert len(tree.nodes) == len(expected.nodes)
        assert [n.number for n in tree.candidates] == [n.number for n in expected.candidates]
        for node, other in zip(tree.nodes, expected.nodes, strict=True):
            total.update(node.usage)
            if node.number < 0:
                continue
            assert node.parent.number == other.parent.number
            for name in ("round", "text", "finish", "steps", "ahead"):
                assert getattr(node, name) == getattr(other, name), (node.number, name)
            if node.finish == "stop":
                assert node.stopped_by == other.stopped_by
            np.testing.assert_allclose(node.scores, other.scores, atol=1e-5, rtol=0)
            if node.rollout:
                assert node.usage == {"rollout": len(node.tokens)}
                assert (node.scores, node.value) == ((), None)
                ends[node.finish, node.text.endswith("\n")] += 1
            else:
                assert node.usage["decode"] == len(node.tokens)
                assert len(node.scores) == len(node.steps)
    assert {finish for finish, _ in ends} == {"stop", "length"}
    assert ends["length", True], "one whose last token ended a step too"
    assert any(len(n.steps) > 1 for tree in trees.values() for n in tree.nodes if n.rollout)
    sampled = total["decode"] + total["lookahead"] + total["rollout"]
    assert scheduler.progress.new_tokens == sampled


def test_a_rollout_costs_what_its_tokens_do():
    tree = _run(tiny_policy.policy(**USUAL), None, Batch(page_size=8), QUESTIONS[:1])[0]["q0"]
    rollouts = [node for node in tree.nodes if node.rollout]
    assert any(len(node.path) > 1 for node in rollouts)
    for node in rollouts:
        cost = node_flops(tree, node, POLICY)
        step = replace(node, usage=Counter(decode=node.usage["rollout"]))
        assert cost == {"rollout": node_flops(tree, step, POLICY)["decode"]}


@pytest.mark.parametrize("rows", [1, 2, 3, 16])
@pytest.mark.parametrize("scored", [False, True])
def test_few_rows_are_enough(rows, scored, monkeypatch):
    for seed in range(8):
        dry_programs.install(monkeypatch, seed, np.r_[3.0, 0.0, 1.0, 1.0, [0.0] * 20, 0.2])
        verifier = tiny_policy.verifier(page_size=4) if scored else None
        batch = Batch(rows=rows, questions=1 + seed % 3, page_size=4, segment=5)
        trees, _ = _run(tiny_policy.policy(max_new=15, max_step=6), verifier, batch)
        assert len(trees) == len(QUESTIONS)


def test_rollouts_on_replicas(monkeypatch):
    dry_programs.install(monkeypatch, odds=np.r_[3.0, 0.0, 1.0, 1.0, [0.0] * 20, 0.2])
    policy, verifier = tiny_policy.policy(make_mesh(2)), tiny_policy.verifier(make_mesh(2))
    trees, _ = _run(policy, verifier, Batch(rows=4, page_size=4, segment=5))
    assert len(trees) == len(QUESTIONS)
