# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from study.measured_points import measured

from ttc_jax.study.comparison import (
    THINK,
    TRAIN,
    UNDECIDED,
    UNMEASURED,
    compare,
    lifetimes,
    priced,
)
from ttc_jax.study.curves import Curve
from ttc_jax.study.matched import Pair, matched_budget
from ttc_jax.study.stats import bootstrap, paired_bootstrap

PAIR = Pair.scaled(14)
RATIOS = (22, 0.79, 0.16)  # matched budgets 15.8, 63.4 and 257.8
ALL = np.ones(8, bool)
SETTINGS = {"n_resamples": 500}


def small(*points) -> Curve:
    return Curve("small", tuple(measured("beam", budget, right) for budget, right in points))


def greedy(right, flops=14.0):
    return measured("best_of_n", 1, right, flops)


def test_accuracy_between_budgets_is_interpolated_on_their_logarithm():
    curve = priced(small((4, [0.0] * 8), (16, [0.8] * 8)), PAIR, "arxiv", ALL)
    assert curve.costs.tolist() == [8, 32]  # 2 FLOPs a generation
    right, used = curve.at(16.0)
    assert right == pytest.approx([0.4] * 8) and used == 16
    assert curve.at(8 * 4**0.25)[0] == pytest.approx([0.2] * 8)
    assert curve.at(8.0)[0].tolist() == [0.0] * 8 and curve.at(32.0)[0].tolist() == [0.8] * 8
    assert curve.at(1e9)[0].tolist() == [0.8] * 8 and curve.at(1e9)[1] == 32
    assert curve.at(7.9) is None
    assert curve.at(8 - 1e-12)[1] == 8  # rounding does not leave the range


def test_the_order_of_points_does_not_matter_and_equal_costs_count_once():
    rising = small((4, [0.1] * 8), (16, [0.5] * 8))
    falling = Curve("small", rising.points[::-1])
    one, other = (priced(curve, PAIR, "arxiv", ALL) for curve in (rising, falling))
    assert np.array_equal(one.costs, other.costs) and np.array_equal(one.right, other.right)
    twice = priced(small((4, [0.1] * 8), (4, [0.3] * 8)), PAIR, "arxiv", ALL)
    assert twice.costs.tolist() == [8] and twice.right[0].tolist() == [0.3] * 8


def test_rows_by_hand():
    rng = np.random.default_rng(0)
    low, high = rng.random(8) * 0.2, 0.7 + rng.random(8) * 0.2
    curve = small((4, low), (16, low + 0.01), (256, high))
    large = greedy(rng.random(8) * 0.2 + 0.4)
    rows = compare(curve, [large], PAIR, RATIOS, "arxiv", **SETTINGS)
    assert [row.R for row in rows] == [22, 0.79, 0.16]
    assert [row.verdict for row in rows] == [TRAIN, rows[1].verdict, THINK]
    assert [row.capped for row in rows] == [False, False, True]
    first, middle, last = rows
    assert first.budget == first.used == pytest.approx(347 / 22)
    assert (last.budget, last.used, last.bin, last.large_budget) == (257.75, 256, None, 1)
    share = np.log(matched_budget(PAIR, "arxiv", R=0.79) / 16) / np.log(16)
    there = (1 - share) * (low + 0.01) + share * high
    assert middle.small.mean == pytest.approx(there.mean())
    assert last.small == bootstrap(high, **SETTINGS)
    assert last.large == bootstrap(large.right, **SETTINGS)
    assert last.difference == paired_bootstrap(high, large.right, **SETTINGS)
    assert last.relative == pytest.approx(high.mean() / large.right.mean() - 1)


def test_an_interval_that_holds_zero_decides_nothing():
    curve = small((16, [1, 0] * 4), (256, [0, 1] * 4))
    (row,) = compare(curve, [greedy([0, 1] * 4)], PAIR, [0.16], "arxiv", **SETTINGS)
    assert row.difference.mean == 0 and row.verdict == UNDECIDED
    (row,) = compare(curve, [greedy([1, 0] * 4)], PAIR, [0.16], "arxiv", **SETTINGS)
    assert row.difference.low < 0 < row.difference.high and row.verdict == UNDECIDED


def test_below_the_least_budget_nothing_is_said():
    (row,) = compare(small((16, [1] * 8)), [greedy([0] * 8)], PAIR, [22], "arxiv", **SETTINGS)
    assert row.verdict == UNMEASURED and not row.capped
    assert row.small is row.difference is row.relative is row.used is None
    assert row.budget == pytest.approx(347 / 22) and row.large.mean == 0


def test_no_relative_change_of_nothing():
    (row,) = compare(small((4, [1] * 8)), [greedy([0] * 8)], PAIR, [1], "arxiv", **SETTINGS)
    assert row.relative is None and row.verdict == THINK and row.difference.mean == 1


def test_each_bin_is_compared_by_itself():
    bins = [0] * 4 + [1] * 4
    curve = small((4, [0.5] * 8), (256, [0.9] * 4 + [0.1] * 4))
    rows = compare(curve, [greedy([0.6] * 8)], PAIR, [0.16], "iclr", bins, **SETTINGS)
    assert [(row.bin, row.verdict, row.small.n) for row in rows] == [
        (None, UNDECIDED, 8), (0, THINK, 4), (1, TRAIN, 4)
    ]  # fmt: skip


def test_counted_costs_are_those_of_the_bin():
    pair = Pair(1.0, 2.0)  # 6 FLOPs saved per query at one query per token
    cheap = replace(measured("beam", 4, [0.2] * 8), flops=np.array([2.0] * 4 + [20.0] * 4))
    dear = replace(measured("beam", 16, [0.8] * 8), flops=np.array([32.0] * 4 + [40.0] * 4))
    large = replace(greedy([0.5] * 8), flops=np.array([2.0] * 4 + [4.0] * 4))
    rows = compare(
        Curve("small", (cheap, dear)), [large], pair, [1.0], "counted",
        [0] * 4 + [1] * 4, **SETTINGS,
    )  # fmt: skip
    assert [row.budget for row in rows] == [9, 8, 10]
    assert [row.verdict for row in rows] == [UNMEASURED, UNDECIDED, UNMEASURED]
    assert rows[1].small.mean == pytest.approx(0.5)  # half way from 2 to 32 on a log scale


def test_a_large_model_that_thinks_too_is_matched_at_each_of_its_budgets():
    curve = small((4, [0.1] * 8), (1024, [0.9] * 8))
    large = [measured("best_of_n", n, [0.3 + n / 100] * 8) for n in (1, 4, 16)]
    rows = compare(curve, large, PAIR, [22], "arxiv", **SETTINGS)
    assert [row.large_budget for row in rows] == [1, 4, 16]
    assert [row.budget for row in rows] == pytest.approx([14 * n + 39 / 22 for n in (1, 4, 16)])
    assert [row.large.mean for row in rows] == pytest.approx([0.31, 0.34, 0.46])


def test_lifetimes_by_hand():
    # R = 0.5: half a query per token of pretraining; 6 M for training, 2 n M a query.
    curve = small((16, [0.4] * 8), (4, [0.2] * 8)).points
    found = lifetimes(curve, PAIR, 0.5, "arxiv", n_resamples=100)
    assert [(one.budget, one.flops) for one in found] == [(4, 6 + 4), (16, 6 + 16)]
    assert [one.right.mean for one in found] == pytest.approx([0.2, 0.4])
    half = np.array([True] * 4 + [False] * 4)
    large = greedy([1] * 4 + [0] * 4, flops=30.0)
    (one,) = lifetimes([large], PAIR, 0.5, "iclr", half, large=True, n_resamples=100)
    assert (one.flops, one.right.mean, one.right.n) == (14 * 6 + 0.5 * 4 * 14, 1, 4)
    (one,) = lifetimes([large], PAIR, 0.5, "counted", large=True, n_resamples=100)
    assert one.flops == 14 * 6 + 15


@pytest.mark.parametrize("convention", ["arxiv", "iclr", "iclr_small", "counted"])
def test_matched_points_have_lifetimes_of_equal_cost(convention):
    pair = Pair(1e9, 9e9, 2e12, 3e12, 500, 400)
    point = measured("beam", 8, [0.5] * 8, 8e12)
    large = measured("best_of_n", 2, [0.5] * 8, 1.6e13)
    (row,) = compare(Curve("small", (point,)), [large], pair, [0.2], convention, **SETTINGS)
    there = replace(point, budget=row.budget, flops=np.full(8, row.budget))
    (one,) = lifetimes([there], pair, 0.2, convention, n_resamples=10)
    (other,) = lifetimes([large], pair, 0.2, convention, large=True, n_resamples=10)
    assert one.flops == pytest.approx(other.flops)


@pytest.mark.parametrize("call, message", [
    (lambda: compare(Curve("s", ()), [greedy([0] * 8)], PAIR, [1], "arxiv"), "'s' has no points"),
    (lambda: compare(small((4, [0] * 8)), [], PAIR, [1], "arxiv"), "large model has no point"),
    (lambda: compare(small((4, [0] * 7)), [greedy([0] * 8)], PAIR, [1], "arxiv"),
     r"beam\(N=4\) with weighted \(run\) has right of shape \(7,\)"),
    (lambda: compare(small((4, [np.nan] * 8)), [greedy([0] * 8)], PAIR, [1], "arxiv"),
     r"right outside \[0, 1\]"),
    (lambda: compare(small((4, [0] * 8)), [greedy([0] * 8, 0)], PAIR, [1], "counted"),
     "best_of_n.* has no FLOPs counted"),
    (lambda: compare(small((0, [0] * 8)), [greedy([0] * 8)], PAIR, [1], "arxiv"),
     "has a budget of 0: leave it out"),
    (lambda: compare(small((4, [0] * 8)), [greedy([0] * 8)], PAIR, [0], "arxiv"), "R is 0"),
    (lambda: compare(small((4, [0] * 8)), [greedy([0] * 8)], PAIR, [1], "arxiv", [0]),
     r"bins of shape \(1,\)"),
    (lambda: compare(small((4, [0] * 8)), [greedy([0] * 8)], PAIR, [1], "x"), "convention 'x'"),
])  # fmt: skip
def test_what_cannot_be_compared(call, message):
    with pytest.raises(ValueError, match=message):
        call()
