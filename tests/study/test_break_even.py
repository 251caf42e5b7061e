# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace

import numpy as np
import pytest
from study.measured_points import measured

from ttc_jax.study.break_even import ALWAYS, BELOW, NEVER, break_even
from ttc_jax.study.comparison import compare
from ttc_jax.study.curves import Curve
from ttc_jax.study.matched import Pair, multiplier

PAIR = Pair.scaled(14)
SETTINGS = {"n_resamples": 400}


def small(budgets, means, n=8) -> Curve:
    points = [measured("beam", b, [m] * n) for b, m in zip(budgets, means, strict=True)]
    return Curve("small", tuple(points))


def greedy(mean, n=8):
    return measured("best_of_n", 1, [mean] * n, 14.0)


def test_by_hand():
    # 0.5 is reached half way from 16 to 256 on a log scale, at 64 generations: 39 / (64 - 14).
    curve = small((4, 16, 256), (0.1, 0.3, 0.7))
    (found,) = break_even(curve, greedy(0.5), PAIR, "arxiv", **SETTINGS)
    assert (found.bin, found.outcome) == (None, BELOW)
    assert (found.R, found.low, found.high) == pytest.approx((0.78,) * 3)
    assert found.measured == (pytest.approx(39 / 242), math.inf)
    assert multiplier(14, found.R, "arxiv") == pytest.approx(64)
    (found,) = break_even(curve, greedy(0.5), PAIR, "iclr_small", **SETTINGS)
    assert found.R == pytest.approx(19.5 / (64 - 7))
    assert found.words() == (
        "On all questions: below 0.342 inference tokens per pretraining token, think longer; "
        "above, train bigger (interval 0.342 to 0.342)."
    )


def test_always_and_never():
    curve = small((4, 16, 256), (0.1, 0.3, 0.7))
    (found,) = break_even(curve, greedy(0.2), PAIR, "arxiv", **SETTINGS)
    # 0.2 is reached at 8 generations, and 14 may be spent however many the queries.
    assert (found.outcome, found.R, found.low, found.high) == (ALWAYS, None, math.inf, math.inf)
    assert found.words() == "On all questions: think longer, at every ratio measured."
    (found,) = break_even(curve, greedy(0.75), PAIR, "arxiv", **SETTINGS)
    assert (found.outcome, found.R, found.low, found.high) == (NEVER, None, 0, 0)
    assert found.words() == (
        "On all questions: train bigger, at every ratio measured, down to 0.161 inference tokens "
        "per pretraining token."
    )


def test_always_means_within_what_was_measured():
    (found,) = break_even(small((64,), (0.3,)), greedy(0.2), PAIR, "arxiv", **SETTINGS)
    assert found.outcome == ALWAYS and found.measured == (pytest.approx(0.78),) * 2
    assert found.words().endswith("at every ratio measured up to 0.78 inference tokens per "
                                  "pretraining token.")  # fmt: skip
    (found,) = break_even(small((8,), (0.1,)), greedy(0.2), PAIR, "arxiv", **SETTINGS)
    assert found.outcome == NEVER and found.measured == (math.inf, math.inf)
    assert found.words() == "On all questions: train bigger, or think longer than was measured."


def test_equal_accuracy_is_enough():
    (found,) = break_even(small((16, 64), (0.3, 0.5)), greedy(0.5), PAIR, "arxiv", **SETTINGS)
    assert found.R == pytest.approx(0.78)
    (found,) = break_even(small((4, 64), (0.5, 0.5)), greedy(0.5), PAIR, "arxiv", **SETTINGS)
    assert found.outcome == ALWAYS


def test_a_curve_that_falls_again_need_not_be_followed():
    curve = small((16, 64, 256), (0.3, 0.5, 0.2))
    (found,) = break_even(curve, greedy(0.5), PAIR, "arxiv", **SETTINGS)
    assert found.outcome == BELOW and found.R == pytest.approx(0.78)


@pytest.mark.parametrize("convention", ["arxiv", "iclr", "iclr_small", "counted"])
def test_a_sweep_over_R_finds_the_same(convention):
    rng = np.random.default_rng(0)
    pair = Pair(2.0, 9.0, 3.0, 4.0, 1.5, 0.5)
    base = rng.random(40) * 0.3
    curve = Curve("small", tuple(
        measured("beam", 4**i, base + 0.1 * i, 6.0 * 4**i) for i in range(6)
    ))  # fmt: skip
    large = measured("best_of_n", 1, rng.random(40) * 0.3 + 0.33, 11.0)
    sweep = np.geomspace(1e-3, 1e3, 500)
    rows = compare(curve, [large], pair, sweep, convention, n_resamples=1)
    better = [row.R for row in rows if row.difference and row.difference.mean >= 0]
    (found,) = break_even(curve, large, pair, convention, **SETTINGS)
    assert found.outcome == BELOW
    assert better[-1] <= found.R < better[-1] * 1.03
    assert better == sweep[: len(better)].tolist()
    assert found.low < found.R < found.high


def test_bins_and_counted_words():
    curve = Curve("small", tuple(
        replace(measured("beam", n, [right] * 4 + [right / 2] * 4), flops=np.full(8, 3.0 * n))
        for n, right in ((1, 0.2), (16, 0.8))
    ))  # fmt: skip
    found = break_even(curve, greedy(0.4), PAIR, "counted", [0] * 4 + [2] * 4, **SETTINGS)
    assert [one.bin for one in found] == [None, 0, 2]
    assert found[2].R == pytest.approx(6 * 13 / (48 - 14))
    assert found[2].words().startswith("In bin 3: below 2.29 queries per pretraining token, think")


def test_the_interval_covers_the_true_threshold():
    # Accuracy 0.2, 0.4, 0.6 at 16, 64, 256 against 0.5: 128 generations, R = 39 / 114.
    rng = np.random.default_rng(0)
    truth = 39 / (128 - 14)
    hits = []
    for _ in range(500):
        draws = rng.random(300)
        points = [measured("beam", n, draws < p) for n, p in ((16, 0.2), (64, 0.4), (256, 0.6))]
        large = measured("best_of_n", 1, rng.random(300) < 0.5)
        (found,) = break_even(Curve("small", tuple(points)), large, PAIR, "arxiv", n_resamples=400)
        hits.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(hits) <= 0.97


def test_an_interval_may_reach_from_never_to_always():
    # Of 8 questions the large model has 4, the small one 3 at 4 generations and 5 at 256.
    points = [measured("beam", n, np.arange(8) < k) for n, k in ((4, 3), (256, 5))]
    large = measured("best_of_n", 1, np.arange(8) >= 4)
    (found,) = break_even(Curve("small", tuple(points)), large, PAIR, "arxiv", **SETTINGS)
    assert found.R == pytest.approx(39 / (32 - 14))
    assert (found.low, found.high) == (0, math.inf)
    assert found.words().endswith("(interval 0 to infinity).")
    assert break_even(Curve("small", tuple(points)), large, PAIR, "arxiv", **SETTINGS) == (found,)


@pytest.mark.parametrize("pair, change, message", [
    (Pair.scaled(1), {}, "nothing to think longer with"),
    (Pair(1, 2, 3, 1), {}, "nothing to think longer with"),
    (PAIR, {"level": 1.0}, "level must lie"),
    (PAIR, {"n_resamples": 0}, "n_resamples must be at least 1"),
    (PAIR, {"bins": [0]}, r"bins of shape \(1,\)"),
])  # fmt: skip
def test_what_has_no_break_even(pair, change, message):
    with pytest.raises(ValueError, match=message):
        break_even(small((4,), (0.5,)), greedy(0.5), pair, "arxiv", **change)
