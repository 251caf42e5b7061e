# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of verifiers against counting pairs, enumerating draws and cases worked by hand."""

import itertools
import math
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttc_jax.learn.metrics import (
    Bin,
    auc,
    auc_within,
    bce,
    best_of_n,
    ece,
    entropy,
    reliability,
    step_metrics,
)

# Few values, so that ties are common.
GRID = st.integers(0, 8).map(lambda i: i / 8)
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), GRID, GRID, st.booleans()),
    min_size=1,
    max_size=30,
)


def counted(pairs):
    """The share of concordant pairs among (label, score) entries, by looking at every pair."""
    wins = [
        1.0 if good > bad else 0.5 if good == bad else 0.0
        for (y, good), (z, bad) in itertools.product(pairs, pairs)
        if y > 0.5 >= z
    ]
    return wins


# --- loss and calibration


def test_loss_by_hand():
    labels, scores = [1.0, 0.0, 0.25], [0.5, 0.25, 0.75]
    expected = [
        math.log(2),
        -math.log(0.75),
        -(0.25 * math.log(0.75) + 0.75 * math.log(0.25)),
    ]
    assert bce(labels, scores) == pytest.approx(mean(expected), rel=1e-15)
    floor = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / 3
    assert entropy(labels) == pytest.approx(floor, rel=1e-15)
    assert math.copysign(1, bce([1.0, 0.0], [1.0, 0.0])) == 1 and bce([1.0, 0.0], [1.0, 0.0]) == 0
    # A saturated score costs as much as float32 can say, and not infinity.
    assert bce([0.0], [1.0]) == bce([1.0], [0.0]) == pytest.approx(24 * math.log(2))


@given(st.lists(st.tuples(GRID, GRID), min_size=1))
def test_no_scores_beat_the_labels_themselves(pairs):
    labels, scores = np.array(pairs).T
    assert bce(labels, scores) >= entropy(labels) - 1e-6
    assert 0 <= entropy(labels) <= math.log(2) + 1e-12


def test_reliability_by_hand():
    scores = [0.0, 0.3, 0.35, 0.3999, 0.7, 1.0, 0.95]
    labels = [0.0, 1.0, 0.5, 0.0, 1.0, 1.0, 0.5]
    table = reliability(labels, scores)
    assert [(b.low, b.high, b.n) for b in table] == [
        (0.0, 0.1, 1), (0.3, 0.4, 3), (0.7, 0.8, 1), (0.9, 1.0, 2)
    ]  # fmt: skip
    assert table[1].score == pytest.approx((0.3 + 0.35 + 0.3999) / 3)
    assert table[1].label == pytest.approx(0.5)
    assert table[3] == Bin(0.9, 1.0, 2, pytest.approx(0.975), pytest.approx(0.75))
    gaps = [0, 3 * abs(1.0499 / 3 - 0.5), 0.3, 2 * (0.975 - 0.75)]
    assert ece(labels, scores) == pytest.approx(sum(gaps) / 7)
    assert ece(labels, scores, bins=1) == pytest.approx(abs(np.mean(scores) - np.mean(labels)))


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1), st.integers(1, 30))
def test_scores_that_hold_what_they_promise_have_no_calibration_error(groups, bins):
    """In each group so many of n labels are 1, and the score is their share."""
    labels, scores = [], []
    for right, n in groups:
        right = min(right, n)
        labels += [1.0] * right + [0.0] * (n - right)
        scores += [right / n] * n
    assert ece(labels, scores, bins) == pytest.approx(0, abs=1e-12)
    assert ece(scores, scores, bins) == 0


@given(st.lists(st.tuples(GRID, GRID), min_size=1), st.integers(1, 12))
def test_bins_hold_every_score_once(pairs, bins):
    labels, scores = np.array(pairs).T
    table = reliability(labels, scores, bins)
    assert sum(b.n for b in table) == len(pairs)
    assert sum(b.n * b.label for b in table) == pytest.approx(labels.sum())
    for b in table:
        inside = (scores >= b.low) & ((scores < b.high) | (b.high == 1))
        assert inside.sum() == b.n and scores[inside].mean() == b.score
    assert abs(scores.mean() - labels.mean()) - 1e-12 <= ece(labels, scores, bins) <= 1


# --- ranking


@given(st.lists(st.tuples(GRID, GRID), min_size=1))
def test_auc_is_the_share_of_concordant_pairs(pairs):
    labels, scores = np.array(pairs).T
    wins = counted(pairs)
    assert auc(labels, scores) == (mean(wins) if wins else None)


def test_auc_by_hand():
    assert auc([1, 1, 0, 0], [0.9, 0.8, 0.7, 0.1]) == 1.0
    assert auc([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]) == 0.0
    assert auc([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5]) == 0.5
    assert auc([1, 0, 1, 0], [0.8, 0.8, 0.6, 0.7]) == (0.5 + 1 + 0 + 0) / 4
    assert auc([0.6, 0.5], [0.2, 0.1]) == 1.0  # one half is not more than one half
    assert auc([0.4, 0.5], [0.2, 0.1]) is None


@given(st.lists(st.tuples(GRID, GRID), min_size=2))
def test_auc_does_not_change_under_increasing_maps_and_turns_with_decreasing_ones(pairs):
    labels, scores = np.array(pairs).T
    value = auc(labels, scores)
    assert auc(labels, scores**3) == auc(labels, (1 + np.tanh(scores)) / 2) == value
    if value is not None:
        assert auc(labels, 1 - scores) == pytest.approx(1 - value)
        assert auc((labels <= 0.5).astype(float), scores) == pytest.approx(1 - value)


@given(STEPS, st.booleans())
def test_auc_within_compares_steps_of_one_question_only(steps, by_depth):
    questions, depths, labels, scores, _ = map(np.array, zip(*steps, strict=True))
    shares = []
    for question in "abc":
        wins = []
        for depth in range(3) if by_depth else [None]:
            wins += counted(
                [(y, s) for q, d, y, s, _ in steps if q == question and depth in (None, d)]
            )
        if wins:
            shares.append(mean(wins))
    got = auc_within(questions, labels, scores, depths if by_depth else None)
    assert got == ((pytest.approx(mean(shares)), len(shares)) if shares else None)


def test_telling_hard_questions_from_easy_ones_is_worth_nothing_within():
    questions = ["easy"] * 4 + ["hard"] * 4 + ["impossible"] * 2
    labels = [1, 1, 1, 0, 0, 0, 0, 1, 0, 0]
    scores = [0.9] * 4 + [0.1] * 4 + [0.0] * 2
    assert auc(labels, scores) > 0.7
    assert auc_within(questions, labels, scores) == (0.5, 2)


@given(STEPS)
def test_step_metrics_are_the_functions_by_name(steps):
    questions, depths, labels, scores, last = (list(column) for column in zip(*steps, strict=True))
    got = dict(step_metrics(questions, labels, scores, depths=depths, last=last))
    final = [step for step in steps if step[4]]
    solutions = final and auc_within(
        [s[0] for s in final], [s[2] for s in final], [s[3] for s in final]
    )
    expected = {
        "bce": bce(labels, scores),
        "entropy": entropy(labels),
        "excess": bce(labels, scores) - entropy(labels),
        "ece": ece(labels, scores),
    }
    if auc(labels, scores) is not None:
        expected["auc"] = auc(labels, scores)
    if solutions:
        expected |= zip(("auc_within", "auc_within_questions"), solutions, strict=True)
    steps_within = auc_within(questions, labels, scores, depths)
    if steps_within:
        names = ("auc_within_steps", "auc_within_steps_questions")
        expected |= zip(names, steps_within, strict=True)
    assert got == expected and list(got) == list(expected)
    assert np.isfinite(list(got.values())).all()


# --- best-of-N


def test_best_of_all_by_hand():
    """The majority errs on q, the best score does not; r has no answer at all."""
    solutions = [
        ("q", 0, False, 0.3, 1),
        ("q", 0, False, 0.2, 2),
        ("q", 1, True, 0.9, 1),
        ("r", None, False, 0.8, 3),
        ("s", 0, True, 0.1, 4),
        ("s", 1, False, 0.3, 1),
    ]
    questions, classes, correct, scores, counts = zip(*solutions, strict=True)
    got = dict(best_of_n(questions, classes, correct, scores, 16, counts=counts))
    assert got == pytest.approx(
        {
            "pass@1": (1 / 4 + 0 + 4 / 5) / 3,
            "coverage@16": 2 / 3,
            "majority@16": 1 / 3,
            "best@16": 1 / 3,
            "weighted@16": 2 / 3,
        }
    )
    unfolded = [(*solution[:4], 1) for solution in solutions for _ in range(solution[4])]
    questions, classes, correct, scores, counts = zip(*unfolded, strict=True)
    assert dict(best_of_n(questions, classes, correct, scores, 16)) == pytest.approx(got)


def rules(sample):
    """Coverage, majority, best and weighted of (class, correct, score) without equal totals."""
    totals, votes = {}, {}
    for c, _, score in sample:
        if c is not None:
            totals[c] = totals.get(c, 0) + score
            votes[c] = votes.get(c, 0) + 1
    right = {c: ok for c, ok, _ in sample}
    answered = [s for s in sample if s[0] is not None]
    by_votes = [right[c] for c in votes if votes[c] == max(votes.values())]
    return (
        any(ok for _, ok, _ in sample),
        mean(by_votes) if by_votes else 0,  # ties fall to whichever was drawn first
        bool(answered) and max(answered, key=lambda s: s[2])[1],
        bool(answered) and right[max(totals, key=totals.get)],
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_draws_approach_the_mean_over_all_subsets(n):
    pool = [(0, True, 0.61), (1, False, 0.5), (1, False, 0.23), (None, False, 0.99), (0, True, 0.1)]
    subsets = [rules(sample) for sample in itertools.combinations(pool, n)]
    expected = np.mean(subsets, axis=0)
    classes, correct, scores = zip(*pool, strict=True)
    got = dict(best_of_n([7] * 5, classes, correct, scores, n, resamples=4000, seed=1))
    assert got.pop("pass@1") == pytest.approx(0.4)
    assert list(got) == [f"{name}@{n}" for name in ("coverage", "majority", "best", "weighted")]
    # Four standard errors of a share over 4,000 draws.
    np.testing.assert_allclose(list(got.values()), expected, rtol=0, atol=0.032)


def test_draws_of_a_question_do_not_depend_on_the_others():
    rng = np.random.default_rng(0)
    pools = {
        q: (rng.integers(0, 3, 12).tolist(), rng.random(12) < 0.5, rng.random(12)) for q in "abcd"
    }

    def figures(names):
        columns = [np.concatenate([pools[q][i] for q in names]) for i in range(3)]
        got = best_of_n(np.repeat(list(names), 12), *columns, 4, resamples=20, seed=3)
        return np.array([value for _, value in got])

    alone = {q: figures(q) for q in pools}
    np.testing.assert_allclose(figures("dbca"), np.mean(list(alone.values()), axis=0))
    np.testing.assert_allclose(figures("ca"), (alone["a"] + alone["c"]) / 2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), GRID), min_size=1))
def test_no_rule_beats_coverage_and_true_scores_reach_it(solutions):
    questions, classes, scores = zip(*solutions, strict=True)
    correct = [c == 0 for c in classes]
    got = dict(best_of_n(questions, classes, correct, scores, 3, resamples=5))
    assert all(got[f"{rule}@3"] <= got["coverage@3"] for rule in ("majority", "best", "weighted"))
    oracle = [float(right) for right in correct]
    got = dict(best_of_n(questions, classes, correct, oracle, 3, resamples=5))
    assert got["best@3"] == got["weighted@3"] == got["coverage@3"]


# --- refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bce([0.5], [1.5]), r"score 1.5 of entry 0 lies outside \[0, 1\]"),
        (lambda: bce([0.5, math.nan], [0.5, 0.5]), "label nan of entry 1"),
        (lambda: bce([0.5, 0.5], [0.5]), "not 2 labels, 1 scores"),
        (lambda: bce([0.5, 0.5], [[0.5], [0.5]]), r"one score per entry, not shape \(2, 1\)"),
        (lambda: auc([], []), "not 0 labels, 0 scores"),
        (lambda: reliability([0.5], [0.5], 0), "bins must be at least 1"),
        (lambda: auc_within(["q"], [0.5, 1], [0.5, 1]), "not 1 questions, 2 labels"),
        (lambda: [*step_metrics(["q"], [1], [1], depths=[0, 1], last=[True])], "2 depths"),
        (lambda: [*best_of_n([], [], [], [], 1)], "not 0 questions"),
        (lambda: [*best_of_n(["q"], [0], [True], [0.5], 0)], "n = 0.*at least 1"),
        (lambda: [*best_of_n(["q"], [0], [True], [0.5], 1, counts=[0])], "least: 0"),
        (lambda: [*best_of_n(["q"], [0], [True], [math.inf], 1)], "score of solution 0"),
    ],
)
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()
