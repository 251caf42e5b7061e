# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Allocation by hand, against plain loops, and in simulation on questions of known accuracy."""

from dataclasses import replace

import numpy as np
import pytest
from study.measured_points import measured

from ttc_jax.study.difficulty import Difficulty
from ttc_jax.study.folds import folds
from ttc_jax.study.policy import allocate
from ttc_jax.study.stats import bootstrap

ONE_BIN, HALVES = [0] * 4, [0, 0, 1, 1]


def estimate(n: int, samples: float = 4.0, flops: float = 2.5) -> Difficulty:
    return Difficulty("few", np.arange(n, 0, -1.0), None, np.full(n, flops), samples, True)


def test_each_half_is_given_what_is_best_on_the_other():
    a, b = measured("a", 4, [1, 1, 0, 0.5]), measured("b", 4, [0, 0, 1, 1])
    found = allocate([a, b], ONE_BIN, HALVES, [4])
    assert found.chosen.tolist() == [[1, 1, 0, 0]]
    assert found.right.tolist() == [[0, 0, 0, 0.5]]
    assert found.in_sample.tolist() == [[1, 1, 1, 1]]  # the bias at its worst
    assert found.fitted.tolist() == [[0]]
    (choice,) = found.choices()
    assert choice.candidate is a and choice.agreed == 0.5
    assert (choice.bin, choice.budget, choice.flops) == (0, 4.0, 4.0)
    assert choice.accuracy.mean == 0.125 and choice.accuracy.n == 4
    assert choice.considered == ((a, 0.625), (b, 0.5))


def test_allocation_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    bins = rng.permutation(np.repeat([0, 1, 2], 20))
    parts = folds([str(i) for i in range(60)], bins, 3)
    points = [measured(s, n, rng.random(60)) for n in (4, 16) for s in ("a", "b", "c", "d")]
    found = allocate(points, bins, parts, [4, 16])
    for at, budget in enumerate([4, 16]):
        rivals = [p for p in points if p.budget == budget]
        for q in range(60):
            others = [j for j in range(60) if bins[j] == bins[q] and parts[j] != parts[q]]
            own = [j for j in range(60) if bins[j] == bins[q] and parts[j] == parts[q]]
            best = max(rivals, key=lambda p: sum(p.right[j] for j in others))  # noqa: B023
            assert found.right[at, q] == best.right[q]
            best = max(rivals, key=lambda p: sum(p.right[j] for j in own))  # noqa: B023
            assert found.in_sample[at, q] == best.right[q]
        for number in range(3):
            best = max(rivals, key=lambda p: p.right[bins == number].sum())  # noqa: B023
            assert points[found.fitted[at, number]] is best
    assert found.flops.tolist() == [[4.0] * 60, [16.0] * 60] == found.generations.tolist()
    choices = found.choices(n_resamples=10)
    assert [(c.budget, c.bin) for c in choices] == [(n, b) for n in (4, 16) for b in range(3)]


def test_of_equals_the_cheaper_is_taken_then_the_first_by_name():
    tie = [0.1, 0.2, 0.3, 0.4]
    dear, cheap = measured("a", 4, tie, 9), measured("c", 4, tie[::-1], 3)
    named = measured("b", 4, tie[::-1], 3)
    alike = [replace(p, right=np.full(4, 0.25)) for p in (dear, cheap, named)]
    found = allocate(alike, ONE_BIN, HALVES, [4])
    assert found.chosen.tolist() == [[2] * 4] and found.fitted.tolist() == [[2]]
    # Sums of the same values in another order may differ in the last bit; the means are equal.
    assert allocate([dear, cheap], ONE_BIN, HALVES, [4]).fitted.tolist() == [[1]]


def test_budgets_in_flops_take_what_they_can_pay_for():
    small, large = measured("a", 4, [0.2] * 4, 10), measured("a", 16, [0.9] * 4, 40)
    other = measured("b", 4, [0.3] * 4, 20)
    found = allocate([small, large, other], ONE_BIN, HALVES, [10, 25, 40], unit="flops")
    assert found.fitted.ravel().tolist() == [0, 2, 1]
    assert found.flops.mean(1).tolist() == [10, 20, 40]
    assert found.generations.mean(1).tolist() == [4, 4, 16]
    last = found.choices()[-1]
    assert [c.strategy for c, _ in last.considered] == ["a(N=16)", "b(N=4)", "a(N=4)"]


def test_what_a_candidate_costs_is_looked_up_on_the_fitting_questions():
    dear = replace(measured("b", 4, [1] * 4), flops=np.array([10.0, 10.0, 30.0, 30.0]))
    found = allocate([measured("a", 4, [0] * 4, 10), dear], ONE_BIN, HALVES, [20], unit="flops")
    assert found.chosen.tolist() == [[0, 0, 1, 1]]  # too dear on the second half
    assert found.fitted.tolist() == [[1]]  # 20 on all


def test_the_estimate_of_difficulty_is_charged():
    points = [measured("a", n, [0.5] * 4) for n in (4, 8)]
    points += [measured("b", n, [0.6] * 4, 3 * n) for n in (4, 8)]
    found = allocate(points, ONE_BIN, HALVES, [4, 8], difficulty=estimate(4))
    assert found.charged_budgets.tolist() == [8, 12]
    assert found.charged_flops.tolist() == [[14.5] * 4, [26.5] * 4]
    first = found.points(charged=True)[0]
    assert (first.budget, first.flops.tolist(), first.right.tolist()) == (8, [14.5] * 4, [0.6] * 4)
    plain = found.points()
    assert [p.budget for p in plain] == [4, 8] and plain[1].flops.tolist() == [24] * 4
    assert (plain[0].strategy, plain[0].rule, plain[0].source) == (
        "compute_optimal(few)", "weighted", "run"
    )  # fmt: skip
    paid = allocate(points, ONE_BIN, HALVES, [12, 24], "flops", estimate(4))
    assert paid.charged_budgets.tolist() == [14.5, 26.5]
    with pytest.raises(ValueError, match="no difficulty to charge"):
        allocate(points, ONE_BIN, HALVES, [4]).points(charged=True)


def test_a_policy_over_rules_and_runs_names_them():
    points = [measured("a", 4, [0.5] * 4), measured("a", 4, [0.4] * 4, rule="majority")]
    points[1] = replace(points[1], source="other")
    (point,) = allocate(points, ONE_BIN, HALVES, [4]).points()
    assert (point.strategy, point.rule, point.source) == (
        "compute_optimal(bins)", "mixed", "other, run"
    )  # fmt: skip


def test_at_a_budget_of_a_single_candidate_that_is_taken():
    points = [measured("a", 1, [0.1] * 4), measured("a", 4, [0.2] * 4), measured("b", 4, [0] * 4)]
    assert allocate(points, ONE_BIN, HALVES, [1, 4]).chosen.tolist() == [[0] * 4, [1] * 4]


A, B = measured("a", 4, [0.5] * 4), measured("b", 4, [0.5] * 4)
NAN = measured("b", 4, [0.5, np.nan, 0.5, 0.5])


@pytest.mark.parametrize("candidates, change, message", [
    ([A], {}, "only a with weighted is there to choose from: add runs"),
    ([A, measured("a", 8, [1] * 4)], {}, "only a with weighted"),
    ([A, measured("a", 8, [1] * 4)], {"unit": "flops"}, "only a with weighted"),
    ([], {}, "only nothing is there"),
    ([A, measured("b", 8, [1] * 4)], {}, r"no two .* \(a with weighted: 4; b with weighted: 8\)"),
    ([A, B], {"budgets": [5]}, "no strategy has a budget of 5 generations: take one of 4"),
    ([A, B], {"budgets": [3], "unit": "flops"}, "bin 1 has no candidate within 3 FLOPs.*takes 4"),
    ([A, NAN], {}, r"b\(N=4\) with weighted \(run\) has right = nan for question 1"),
    ([A, measured("b", 4, [0, 2, 0, 0])], {}, "has right = 2.0 for question 1"),
    ([A, measured("b", 4, [0] * 3)], {}, r"right of shape \(3,\), not 4 questions"),
    ([A, measured("b", 4, [0] * 4, 0)], {"unit": "flops"}, "b.* has no FLOPs counted"),
    ([A, measured("b", 4, [0] * 4, np.nan)], {}, "b.* has no FLOPs counted"),
    ([A, A], {}, "listed twice"),
    ([A, B], {"bins": [0, 0, 0, 1]}, "bin 1 of 2 has 3 questions"),
    ([A, B], {"folds": [0] * 4}, "2 or more folds"),
    ([A, B], {"folds": [0, 1]}, r"folds of shape \(2,\)"),
    ([A, B], {"unit": "tokens"}, "unit 'tokens'"),
    ([A, B], {"budgets": []}, "give at least one"),
    ([A, B], {"budgets": [0]}, "must be positive"),
    ([A, B], {"difficulty": estimate(5)}, "difficulty of 5 questions, bins of 4"),
])  # fmt: skip
def test_what_cannot_be_allocated_is_named(candidates, change, message):
    given = {"bins": ONE_BIN, "folds": HALVES, "budgets": [4]} | change
    with pytest.raises(ValueError, match=message):
        allocate(candidates, **given)


def test_a_fold_without_questions_in_a_bin_is_named():
    points = [measured(name, 4, [0.5] * 8) for name in "ab"]
    with pytest.raises(ValueError, match="bin 2 needs questions in each"):
        allocate(points, [0] * 4 + [1] * 4, [0, 0, 1, 1, 0, 0, 0, 0], [4])


# Chance to be right by strategy and bin: in both worlds a is for easy questions, c for hard ones;
# strategies that are close are often taken for each other.
CLOSE = np.array([[0.80, 0.40, 0.10], [0.75, 0.45, 0.12], [0.60, 0.38, 0.20]])
CLEAR = np.array([[0.80, 0.20, 0.05], [0.50, 0.50, 0.05], [0.45, 0.20, 0.35]])


def drawn(rng: np.random.Generator, chance: np.ndarray, n: int):
    """n questions of a random bin each, right or wrong by chance under every strategy; folds."""
    bins = rng.integers(3, size=n)
    right = rng.random((3, n)) < chance[:, bins]
    parts = np.empty(n, int)
    for number in range(3):
        members = np.flatnonzero(bins == number)
        parts[members] = np.arange(members.size) % 2
    return bins, parts, [measured(s, 4, right[i]) for i, s in enumerate("abc")]


def test_the_best_policy_is_found_as_questions_grow():
    rng = np.random.default_rng(0)
    found = {}
    for n, sets in ((40, 60), (400, 60), (40_000, 3)):
        fits = [allocate(points, bins, parts, [4]).fitted[0]
                for bins, parts, points in (drawn(rng, CLOSE, n) for _ in range(sets))]  # fmt: skip
        found[n] = np.mean([fit == CLOSE.argmax(0) for fit in fits])
    assert found[40] < found[400] - 0.1 < found[40_000] == 1.0


def simulate(chance: np.ndarray) -> np.ndarray:
    """For each of 1,000 data sets: accuracy out of fold and in sample, truth, an interval."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(1000):
        bins, parts, points = drawn(rng, chance, 150)
        found = allocate(points, bins, parts, [4])
        # What the policies of the two folds are worth on all questions there are.
        worth = np.mean([
            chance[found.chosen[0, (bins == b) & (parts == f)][0], b]
            for b in range(3) for f in (0, 1)
        ])  # fmt: skip
        interval = bootstrap(found.right[0], n_resamples=600)
        applied = chance[found.chosen[0], bins].mean()
        in_sample = found.in_sample.mean()
        rows.append((interval.mean, in_sample, applied, worth, interval.low, interval.high))
    return np.array(rows).T


@pytest.fixture(scope="module")
def close():
    return simulate(CLOSE)


def test_cross_validated_accuracy_is_unbiased_and_in_sample_accuracy_is_not(close):
    right, in_sample, applied, *_ = close
    error = right - applied
    standard_error = error.std() / np.sqrt(error.size)
    assert abs(error.mean()) < 3 * standard_error < 0.005
    # The policy of a fold is the best there by luck as well: it is worth what `applied` says.
    bias = in_sample - applied
    assert bias.mean() > 0.03 and bias.mean() > 10 * bias.std() / np.sqrt(bias.size)


def coverage(trials: np.ndarray) -> float:
    _, _, _, worth, low, high = trials
    return np.mean((low <= worth) & (worth <= high))


def test_intervals_cover_what_the_policy_is_worth():
    assert 0.93 <= coverage(simulate(CLEAR)) <= 0.97


def test_intervals_are_a_little_narrow_where_strategies_are_close(close):
    # The questions of one fold choose for the other, which resampling them afterwards cannot see.
    assert 0.90 <= coverage(close) <= 0.95
