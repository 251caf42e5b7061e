# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Shorter and fewer chains out of recorded ones, against every choice of them."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from search.recorded import RandomTree, drive
from study.synthetic_runs import HISTORY, REVISION, write_run

from ttc_jax.search.names import parse
from ttc_jax.search.revise import Revise
from ttc_jax.study.pool import LATE, Pool, number_answers, read_pools
from ttc_jax.study.revisions import lost_share, pass_at_revision, revision_grid
from ttc_jax.study.runs import find_runs
from ttc_jax.verify import vote

ALL = 100_000
RULES = ("majority", "best", "weighted", "hierarchical", "coverage")


def run_of(strategy, name="run"):
    return SimpleNamespace(name=name, strategy=parse(strategy))


def pool(classes, right, values=None, question="q") -> Pool:
    """Chains as rows; attempt i of a chain costs 10 (i + 1) and its context i, the prompt 100."""
    classes, right = np.array(classes, np.int32), np.array(right, bool)
    values = np.full(classes.shape, np.nan) if values is None else np.array(values, float)
    P, s = classes.shape
    own = {"decode": np.tile(10.0 * np.arange(1, s + 1), P), "prefill": np.zeros(P * s),
           "verify_context": np.tile(np.arange(s), P).astype(float)}  # fmt: skip
    flops = {phase: cost.sum() for phase, cost in own.items()} | {"prefill": 100.0}
    return Pool(
        question, classes.ravel(), right.ravel(), values.ravel(), ((),) * classes.size, s,
        np.ones(classes.size, int), np.zeros(classes.size), own, flops, {},
        int((classes == LATE).sum()),
    )  # fmt: skip


def random_pool(rng, P, s, question):
    classes = rng.integers(-1, 3, (P, s))
    right = (classes >= 0) & (rng.random((P, s)) < 0.4)
    return pool(classes, right, rng.choice([0.25, 0.5, 0.75, 1.0], (P, s)), question)


def by_hand(rule, pool, s, p):
    """The mean over every choice of p chains, cut to s attempts, laid out as a run stores them."""
    grid = [a.reshape(-1, pool.chain)[:, :s] for a in (pool.classes, pool.right, pool.values)]
    found = []
    for chosen in itertools.combinations(range(len(grid[0])), p):
        classes, right, values = (a[list(chosen)].ravel() for a in grid)
        if rule == "coverage":
            found.append(right.any())
            continue
        chains = [range(c * s, (c + 1) * s) for c in range(p)]
        numbers = [None if c < 0 else int(c) for c in classes]
        winner = vote.by_rule(numbers, values.tolist(), chains)[rule]
        found.append(winner is not None and right[winner])
    return np.mean(found)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_chains_holds_all_smaller_ones(seed):
    """The strategy itself, on recorded samples: chains do not see each other, nor what follows."""
    tree = RandomTree(seed)
    whole = drive(Revise(s=5, p=3, memory=2), tree).candidates
    for s, p in itertools.product((1, 2, 4), (1, 2)):
        part = [whole[c * 5 + i] for c in range(p) for i in range(s)]
        assert drive(Revise(s=s, p=p, memory=2), tree).candidates == part


@pytest.mark.parametrize("rule", RULES)
def test_every_power_of_two_in_expectation_over_chains(rule):
    rng = np.random.default_rng(0)
    pools = {name: random_pool(rng, 5, 4, name) for name in ("a", "b", "c")}
    grid = revision_grid([(run_of("revise(s=4,p=5)"), pools)], ["a", "b", "c"], rule, draws=ALL)
    assert list(grid) == [(s, p) for s in (1, 2, 4) for p in (1, 2, 4)]
    for (s, p), point in grid.items():
        assert (point.strategy, point.budget) == (f"revise(s={s},p={p})", s * p)
        assert (point.rule, point.source) == (rule, "run")
        expected = [by_hand(rule, pools[name], s, p) for name in ("a", "b", "c")]
        assert point.right == pytest.approx(expected), (s, p)
        each = sum(10 * (i + 1) for i in range(s))
        read = sum(range(s)) if rule not in ("majority", "coverage") else 0
        assert point.flops.tolist() == [100 + p * (each + read)] * 3


def test_a_run_of_exactly_that_size_is_preferred():
    right, wrong = pool([[0, 0]] * 2, [[1, 1]] * 2), pool([[1, 1]] * 4, [[0, 0]] * 4)
    long = pool([[0, 0, 0, 0]], [[1, 1, 1, 1]])
    runs = [
        (run_of("revise(s=2,p=2)", "small"), {"q": right}),
        (run_of("revise(s=2,p=4)", "wide"), {"q": wrong}),
        (run_of("revise(s=4,p=1)", "long"), {"q": long}),
    ]
    for order in (runs, runs[::-1]):
        grid = revision_grid(order, ["q"], "majority")
        assert {pair: point.source for pair, point in grid.items()} == {
            (1, 1): "wide", (1, 2): "wide", (1, 4): "wide", (2, 1): "wide", (2, 2): "small",
            (2, 4): "wide", (4, 1): "long",
        }  # fmt: skip
        assert grid[2, 2].right.tolist() == [1] and grid[2, 4].right.tolist() == [0]


def test_memory_is_kept_in_the_name_and_not_mixed():
    one = run_of("revise(s=2,p=2,memory=1)"), {"q": pool([[0, 0]] * 2, [[1, 1]] * 2)}
    assert revision_grid([one], ["q"], "majority")[2, 1].strategy == "revise(s=2,p=1,memory=1)"
    other = run_of("revise(s=2,p=2)", "other"), one[1]
    with pytest.raises(ValueError, match="run, other differ in memory"):
        revision_grid([one, other], ["q"], "majority")


def test_accuracy_and_cost_of_each_attempt():
    pools = {
        "a": pool([[0, 1, 0], [1, 1, 0]], [[1, 0, 1], [0, 0, 1]], question="a"),
        "b": pool([[LATE, 1, 0], [1, -1, 0]], [[0, 0, 1], [0, 0, 1]], question="b"),
    }
    attempts = pass_at_revision(run_of("revise(s=3,p=2)"), pools, ["a", "b"])
    assert [point.right.tolist() for point in attempts] == [[0.5, 0], [0, 0], [1, 1]]
    assert [point.budget for point in attempts] == [1, 2, 3]
    assert [point.strategy for point in attempts] == [f"revise(s={i},p=1)" for i in (1, 2, 3)]
    assert [point.flops.tolist() for point in attempts] == [[110] * 2, [130] * 2, [160] * 2]
    pools["b"] = pool([[0, LATE, 0], [1, LATE, 0]], [[1, 0, 1], [0, 0, 1]], question="b")
    with pytest.raises(ValueError, match="no attempt 2 at 'b' in run could be graded"):
        pass_at_revision(run_of("revise(s=3,p=2)"), pools, ["a", "b"])


def test_right_attempts_that_are_lost_by_the_next():
    pools = {
        # right -> wrong, wrong -> right; right -> right, right -> none; the last has no next one
        "a": pool([[0, 1, 0], [0, 0, -1]], [[1, 0, 1], [1, 1, 0]], question="a"),
        "b": pool([[0, LATE, 0], [1, 1, 1]], [[1, 0, 1], [0, 0, 0]], question="b"),
    }
    lost, followed = lost_share(run_of("revise(s=3,p=2)"), pools, ["a", "b"])
    assert lost.tolist() == [2, 0] and followed.tolist() == [3, 0]
    single = {"q": pool([[0], [0]], [[1], [1]])}
    lost, followed = lost_share(run_of("revise(s=1,p=2)"), single, ["q"])
    assert lost.tolist() == followed.tolist() == [0]


def test_from_a_work_directory(tmp_path):
    write_run(
        tmp_path / "run", "revise(s=4,p=4)", questions=10, policy=REVISION, verifier=HISTORY
    )
    (run,) = find_runs([tmp_path])
    ids = [question for question, _ in run.questions]
    pools = read_pools(run, ids, number_answers([run]))
    grid = revision_grid([(run, pools)], ids, "hierarchical", draws=ALL)
    for q, name in enumerate(ids):
        assert grid[2, 4].right[q] == pytest.approx(by_hand("hierarchical", pools[name], 2, 4))
        whole = sum(pools[name].flops.values())
        assert grid[4, 4].flops[q] == pytest.approx(whole)
        assert grid[4, 2].flops[q] < 0.6 * whole
    # A single attempt that is right is selected.
    first = pass_at_revision(run, pools, ids)[0].right
    assert first.tolist() == grid[1, 1].right.tolist() and first.any()


def test_other_searches_are_refused():
    beam = run_of("beam(N=4)", "beams")
    for call in (
        lambda: revision_grid([(beam, {})], ["q"], "best"),
        lambda: pass_at_revision(beam, {}, ["q"]),
        lambda: lost_share(beam, {}, ["q"]),
    ):
        with pytest.raises(ValueError, match=r"beams is beam\(N=4,M=2\), not chains of revisions"):
            call()
    chains = run_of("revise(s=2,p=1)")
    with pytest.raises(ValueError, match="run had no verifier"):
        revision_grid([(chains, {"q": pool([[0, 0]], [[1, 1]])})], ["q"], "hierarchical")
