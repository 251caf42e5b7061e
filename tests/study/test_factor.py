# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Factors of compute between curves that are known."""

import math

import numpy as np
import pytest

from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.factor import compute_factor

BUDGETS = (1, 2, 4, 8, 16, 32, 64)


def curve(name, accuracy, budgets=BUDGETS, noise=None, flops=1.0):
    """A curve whose questions are all alike, or apart from the accuracy by `noise` f64[K, Q]."""
    points = []
    for i, n in enumerate(budgets):
        right = np.full(50, float(accuracy(n))) if noise is None else accuracy(n) + noise[i]
        cost = np.full(50, flops * n)
        points.append(Measured(f"best_of_n(N={n})", "best", float(n), right, cost, "r"))
    return Curve(name, tuple(points))


def rising(scale):
    """Accuracy linear in the logarithm of the budget, with `scale` times the budget."""
    return lambda n: 0.1 + 0.05 * math.log2(n * scale)


def factor(first, second, at, **settings):
    return compute_factor(first, second, at, n_resamples=400, **settings)


@pytest.mark.parametrize("at", [4, 8, 11.3, 64])
def test_a_curve_shifted_by_four_needs_four_times_less(at):
    slow, fast = curve("slow", rising(1)), curve("fast", rising(4))
    found = factor(fast, slow, at)
    assert found.mean == pytest.approx(4) and found.censored == ""
    assert (found.low, found.high) == pytest.approx((4, 4))
    assert found.claims and found.at == at and found.n == 50
    assert found.accuracy == pytest.approx(rising(1)(at))


def test_the_factor_the_other_way_round_is_its_inverse():
    slow, fast = curve("slow", rising(1)), curve("fast", rising(2.5))
    forth, back = factor(fast, slow, 32), factor(slow, fast, 32 / 2.5)
    assert forth.mean * back.mean == pytest.approx(1)
    assert forth.low * back.high == pytest.approx(1) and back.claims


def test_a_curve_against_itself_is_one_even_on_a_plateau():
    flat = curve("flat", lambda n: min(rising(1)(n), 0.25))
    noisy = curve("noisy", rising(1), noise=np.random.default_rng(0).normal(0, 0.2, (7, 50)))
    for own in (flat, noisy):
        for at in BUDGETS:
            found = factor(own, own, at)
            assert (found.mean, found.low, found.high) == pytest.approx((1, 1, 1))
            assert not found.claims and found.censored == ""


def test_a_curve_that_falls_is_taken_at_its_maximum():
    # The second never needs more than 8 of its budget: what it has at 64 it had there.
    falling = curve("falling", lambda n: rising(1)(n) if n <= 8 else 0.1)
    found = factor(curve("fast", rising(2)), falling, 64)
    assert found.accuracy == pytest.approx(rising(1)(8)) and found.mean == pytest.approx(2)


def test_better_from_the_start_is_at_least_what_was_measured():
    found = factor(curve("fast", rising(64)), curve("slow", rising(1)), 16)
    assert found.censored == "at least" and found.mean == 16
    assert found.low == 16 and found.high == math.inf and found.claims


def test_never_as_good_is_at_most_what_was_measured():
    found = factor(curve("slow", rising(1)), curve("fast", rising(64)), 16)
    assert found.censored == "at most" and found.mean == 16 / 64
    assert found.low == 0 and found.high == 16 / 64 and found.claims


def test_resamples_beyond_a_curve_open_the_interval():
    one, other = np.random.default_rng(1).normal(0, 0.9, (2, 50))
    first = curve("first", rising(4), noise=np.stack([one - one.mean()] * 7))
    second = curve("second", rising(1), noise=np.stack([other - other.mean()] * 7))
    found = factor(first, second, 8)
    assert found.mean == pytest.approx(4) and found.censored == ""
    assert found.low == 0 and found.high == math.inf and not found.claims


def test_what_all_questions_share_cancels_out():
    shared = np.stack([np.random.default_rng(2).normal(0, 0.4, 50)] * 7)
    found = factor(curve("a", rising(4), noise=shared), curve("b", rising(1), noise=shared), 16)
    assert (found.low, found.mean, found.high) == pytest.approx((4, 4, 4))


def test_in_flops_the_cost_of_each_curve_counts():
    # Four times fewer generations, each of them three times as dear.
    found = factor(
        curve("dear", rising(4), flops=3e9), curve("cheap", rising(1), flops=1e9), 16, unit="flops"
    )
    assert found.mean == pytest.approx(4 / 3)


def test_the_cost_in_flops_is_resampled_with_the_questions():
    flops = np.linspace(1.0, 9.0, 50)
    points = {}
    for name, scale in (("a", 4), ("b", 1)):
        cost = flops if name == "a" else np.ones(50)
        points[name] = Curve(name, tuple(
            Measured("s", "best", float(n), np.full(50, rising(scale)(n)), n * cost, "r")
            for n in BUDGETS
        ))  # fmt: skip
    found = factor(points["a"], points["b"], 16, unit="flops")
    assert found.mean == pytest.approx(4 / 5)  # the mean cost is 5
    means = np.random.default_rng(0).choice(flops, (20_000, 50)).mean(axis=1)
    expected = tuple(4 / np.quantile(means, [0.975, 0.025]))
    assert (found.low, found.high) == pytest.approx(expected, rel=0.03)


def test_curves_of_one_point():
    one, other = (curve(name, rising(1), budgets=(4,)) for name in "ab")
    assert factor(one, other, 4).mean == 1
    with pytest.raises(ValueError, match="from 4 to 4, not at 8"):
        factor(one, other, 8)


def test_bad_arguments():
    one = curve("one", rising(1))
    short = Curve("short", tuple(
        Measured("s", "best", p.budget, p.right[:9], p.flops[:9], "r") for p in one.points
    ))  # fmt: skip
    with pytest.raises(ValueError, match=r"differ in questions: \[9, 50\]"):
        factor(one, short, 4)
    with pytest.raises(ValueError, match="no points"):
        factor(one, Curve("empty", ()), 4)
    with pytest.raises(ValueError, match="no unit 'seconds'"):
        factor(one, one, 4, unit="seconds")
    with pytest.raises(ValueError, match="costs must be positive"):
        factor(curve("free", rising(1), flops=0.0), one, 4, unit="flops")
