# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Curves from pools, against every subset of them and against runs that are over."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from study.synthetic_runs import ORM, write_run

from ttc_jax.search.names import parse
from ttc_jax.study.curves import (
    VERIFIER_PHASES,
    Measured,
    best_of_n_curve,
    check_rule,
    curve_of,
    in_order,
    powers_of_two,
    recorded,
)
from ttc_jax.study.pool import Pool, number_answers, read_pools, split
from ttc_jax.study.runs import find_runs
from ttc_jax.verify import vote

ALL = 100_000


def pool(question, classes, right, values=None, *, timeouts=0, chain=0) -> Pool:
    """A pool in which candidate i costs 10 + i to sample and 1 to verify, and the prompt 100."""
    n = len(classes)
    own = {"decode": 10.0 + np.arange(n), "verify": np.ones(n), "prefill": np.zeros(n),
           "verifier_prefill": np.zeros(n)}  # fmt: skip
    flops = {phase: cost.sum() for phase, cost in own.items()}
    return Pool(
        question=question,
        classes=np.array(classes, np.int32),
        right=np.array(right, bool),
        values=np.full(n, np.nan) if values is None else np.array(values, float),
        steps=((),) * n,
        chain=chain,
        tokens=np.full(n, 3),
        logprobs=np.full(n, -1.0),
        own=own,
        flops=flops | {"prefill": 100.0, "verifier_prefill": 50.0},
        discarded={},
        timeouts=timeouts,
    )


def run_of(strategy, name="run"):
    """As much of a run as curves are made with."""
    return SimpleNamespace(name=name, strategy=parse(strategy))


RUN = run_of("best_of_n(N=4)")
POOLS = {
    "a": pool("a", [0, 1, 0, 1], [1, 0, 1, 0], [0.1, 0.9, 0.2, 0.3]),
    "b": pool("b", [1, -1, 0, 0], [0, 0, 1, 1], [0.5, 0.5, 0.4, 0.3]),
}


def all_subsets(rule, pool, k):
    """The share of subsets of k in which the rule selects a right candidate."""
    found = []
    for chosen in itertools.combinations(range(len(pool)), k):
        classes = [None if pool.classes[i] < 0 else int(pool.classes[i]) for i in chosen]
        winner = vote.by_rule(classes, [float(pool.values[i]) for i in chosen])[rule]
        found.append(winner is not None and pool.right[chosen[winner]])
    return np.mean(found)


@pytest.mark.parametrize("rule", ["majority", "best", "weighted"])
def test_best_of_n_at_every_power_of_two(rule):
    curve = best_of_n_curve(RUN, POOLS, ["a", "b"], rule, name="own name", draws=ALL)
    assert curve.name == "own name"
    assert [p.strategy for p in curve.points] == [f"best_of_n(N={n})" for n in (1, 2, 4)]
    for point in curve.points:
        assert (point.rule, point.source) == (rule, "run")
        expected = [all_subsets(rule, POOLS[q], int(point.budget)) for q in ("a", "b")]
        assert point.right == pytest.approx(expected)
        # The prompt once, and each candidate at the mean of 11.5; scores cost 1 each, and 50 once.
        cost = 100 + 11.5 * point.budget + (50 + point.budget) * (rule != "majority")
        assert point.flops.tolist() == [cost, cost]


def test_the_order_is_that_of_the_questions():
    forth = best_of_n_curve(RUN, POOLS, ["a", "b"], "best").points[0].right
    back = best_of_n_curve(RUN, POOLS, ["b", "a"], "best").points[0].right
    assert forth.tolist() == back[::-1].tolist() == [0.5, 0.5]
    assert best_of_n_curve(RUN, POOLS, ["b"], "coverage").points[2].right.tolist() == [1.0]


def test_a_late_candidate_does_not_shorten_the_curve():
    late = pool("b", [1, 0, 0], [0, 1, 1], [0.5, 0.4, 0.3], timeouts=1)
    curve = best_of_n_curve(RUN, POOLS | {"b": late}, ["a", "b"], "best")
    assert [point.budget for point in curve.points] == [1, 2, 4]
    assert curve.points[2].right[1] == 0  # all three
    assert curve.points[2].flops[1] == 150 + 4 * (11 + 1)


def test_budgets_can_be_chosen():
    curve = best_of_n_curve(RUN, POOLS, ["a"], "majority", budgets=[3])
    assert [point.budget for point in curve.points] == [3]
    with pytest.raises(ValueError, match="run has 4 candidates for each question, not 5"):
        best_of_n_curve(RUN, POOLS, ["a"], "majority", budgets=[3, 5])


def test_the_rest_of_a_pool_makes_a_shorter_curve():
    parts = {name: split(own, 1)[1] for name, own in POOLS.items()}
    curve = best_of_n_curve(RUN, parts, ["a", "b"], "majority")
    assert [point.budget for point in curve.points] == [1, 2]
    assert curve.points[0].right == pytest.approx([1 / 3, 2 / 3])
    assert curve.points[1].flops.tolist() == [100 + 2 * 12] * 2


def test_a_recorded_search_is_taken_as_it_is():
    beam = run_of("beam(N=4,M=4)", "beams")
    for rule, right in (("weighted", [0, 1]), ("best", [0, 0]), ("coverage", [1, 1])):
        found = recorded(beam, POOLS, ["a", "b"], rule)
        assert (found.strategy, found.budget, found.source) == ("beam(N=4,M=4)", 4, "beams")
        assert found.right.tolist() == right
        # A beam search cannot do without the verifier, whatever selects in the end.
        assert found.flops.tolist() == [46 + 4 + 150] * 2
    lookahead = recorded(run_of("lookahead(N=4,k=1)"), POOLS, ["a"], "best")
    assert lookahead.budget == 8
    plain = recorded(RUN, POOLS, ["a"], "majority")
    assert plain.flops.tolist() == [46 + 100]


def test_chains_are_taken_as_they_are():
    run = run_of("revise(s=2,p=2)")
    pools = {
        "a": pool("a", [0, 1, 1, 0], [1, 0, 0, 1], [0.6, 0.5, 0.5, 0.4], chain=2),
        "b": pool("b", [-1, -1, -1, 0], [0, 0, 0, 1], [0.6, 0.5, 0.5, 0.4], chain=2),
    }
    # In "a" the chains stand for answer 0 with 0.6 and answer 1 with 0.5; votes are even.
    assert recorded(run, pools, ["a", "b"], "hierarchical").right.tolist() == [1, 1]
    assert recorded(run, pools, ["a", "b"], "majority").right.tolist() == [1, 1]
    flipped = {"a": replace(pools["a"], values=np.array([0.4, 0.5, 0.7, 0.4]))}
    assert recorded(run, flipped, ["a"], "hierarchical").right.tolist() == [0]


def test_a_whole_pool_agrees_with_what_was_recorded(tmp_path):
    write_run(tmp_path / "a", "best_of_n(N=8)", questions=10)
    write_run(tmp_path / "b", "best_of_n(N=8)", questions=10, verifier=ORM)
    runs = find_runs([tmp_path])
    classes, ids = number_answers(runs), [f"q{i:03d}" for i in range(10)]
    pools = [read_pools(run, ids, classes) for run in runs]
    for run, own in zip(runs, pools, strict=True):
        for rule in ("majority", "best", "weighted", "coverage"):
            whole = recorded(run, own, ids, rule)
            last = best_of_n_curve(run, own, ids, rule).points[-1]
            assert last.right.tolist() == whole.right.tolist()
            assert last.flops == pytest.approx(whole.flops)
    # The same samples, whoever judges them.
    one, other = (best_of_n_curve(r, p, ids, "majority") for r, p in zip(runs, pools, strict=True))
    assert all(
        a.right.tolist() == b.right.tolist() for a, b in zip(one.points, other.points, strict=True)
    )
    assert set(pools[0]["q000"].flops) == {"prefill", "decode", "verifier_prefill", "verify"}
    assert set(pools[0]["q000"].flops) & VERIFIER_PHASES == {"verifier_prefill", "verify"}


def measured(budget, source="run") -> Measured:
    return Measured(f"beam(N={budget})", "best", float(budget), np.ones(2), np.ones(2), source)


def test_a_curve_rises_by_budget():
    curve = curve_of("beams", [measured(16), measured(4), measured(64)])
    assert curve.name == "beams" and [p.budget for p in curve.points] == [4, 16, 64]
    with pytest.raises(ValueError, match="in one and .* in two have the same budget of 4"):
        curve_of("beams", [measured(4, "one"), measured(8), measured(4, "two")])
    with pytest.raises(ValueError, match="'beams' has no points"):
        curve_of("beams", [])


def test_powers_of_two():
    assert powers_of_two(1) == [1] and powers_of_two(8) == [1, 2, 4, 8]
    assert powers_of_two(100) == [1, 2, 4, 8, 16, 32, 64]


def test_what_is_missing_is_named():
    empty = {"c": pool("c", [], [])}
    with pytest.raises(ValueError, match="run has no graded candidate for c, d: finish the run"):
        in_order(RUN, POOLS | empty, ["a", "c", "d"])
    with pytest.raises(ValueError, match="q0, q1, q2, q3, q4 and 2 more"):
        recorded(RUN, POOLS, [f"q{i}" for i in range(7)], "majority")
    with pytest.raises(ValueError, match="no question of run"):
        in_order(RUN, POOLS, [])
    bare = {"a": pool("a", [0, 1], [1, 0])}
    assert recorded(RUN, bare, ["a"], "majority").right.tolist() == [1]
    with pytest.raises(ValueError, match="run had no verifier, whose scores 'best' reads"):
        best_of_n_curve(RUN, bare, ["a"], "best")
    with pytest.raises(ValueError, match="run has no chains"):
        check_rule(RUN, [POOLS["a"]], "hierarchical")
