# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Verdicts from intervals, and the statistics that claims are tested by, computed by hand."""

import math

import numpy as np
import pytest

from ttc_jax.study.claim import (
    FEWER,
    FLAT,
    LEAST,
    LEVEL,
    MARGIN,
    MORE,
    MUCH,
    NO_LESS,
    NO_MORE,
    REFUTED,
    SHOWN,
    UNDECIDED,
    Claim,
    Lack,
    best_elsewhere,
    difference,
    judged,
    unmeasured,
)
from ttc_jax.study.folds import folds
from ttc_jax.study.stats import Interval

BOOT = {"n_resamples": 200, "level": 0.95}


def between(low: float, high: float, n: int = 40) -> Interval:
    return Interval((low + high) / 2, low, high, n)


@pytest.mark.parametrize(
    ("expected", "low", "high", "verdict"),
    [
        (MORE, 0.01, 0.2, SHOWN),
        (MORE, 0.0, 0.2, UNDECIDED),
        (MORE, -0.2, -0.01, REFUTED),
        (NO_MORE, -0.3, MARGIN / 2, SHOWN),
        (NO_MORE, -0.3, MARGIN, UNDECIDED),
        (NO_MORE, MARGIN / 4, MARGIN / 2, REFUTED),  # it does gain, if little
        (NO_LESS, -MARGIN / 2, 0.3, SHOWN),
        (NO_LESS, -0.1, 0.3, UNDECIDED),
        (NO_LESS, -MARGIN / 2, -MARGIN / 4, REFUTED),
        (LEVEL, -FLAT / 2, FLAT / 2, SHOWN),
        (LEVEL, 0.0, 2 * FLAT, UNDECIDED),
        (LEVEL, FLAT * 1.1, 0.5, REFUTED),
        (LEVEL, -0.5, -FLAT * 1.1, REFUTED),
        (MUCH, 0.3, 0.4, SHOWN),
        (MUCH, 0.1, 0.19, REFUTED),
        (FEWER, 1.2, math.inf, SHOWN),
        (FEWER, 0.0, math.inf, UNDECIDED),
        (FEWER, 0.0, 0.9, REFUTED),
    ],
)
def test_an_interval_has_one_verdict(expected, low, high, verdict):
    assert expected.verdict(between(low, high)) == verdict
    assert judged("it", expected, between(low, high)).verdict == verdict


def test_few_questions_decide_nothing():
    part = judged("it", MORE, between(0.1, 0.2, LEAST - 1))
    assert part.verdict == UNDECIDED and f"at least {LEAST} questions" in part.lack.what


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ((0.1, 0.2), SHOWN),
        ((0.1, None), UNDECIDED),
        ((0.1, 0.0), UNDECIDED),
        ((0.1, None, -0.1), REFUTED),
    ],
)
def test_a_claim_is_as_good_as_its_parts(parts, verdict):
    made = tuple(
        unmeasured("other", MORE, Lack("more")) if mean is None
        else judged("it", MORE, between(mean - 0.01, mean + 0.01))
        for mean in parts
    )  # fmt: skip
    claim = Claim(1, "It is so.", made)
    assert claim.verdict == verdict and claim.deciding.verdict == verdict
    assert "it: +10.0 points [+9.0, +11.0]" in claim.measured
    assert ("other: not measured" in claim.measured) == (None in parts)


def test_differences_are_of_paired_questions():
    first, second = np.array([1.0, 1.0, 0.5, 0.0] * 5), np.array([0.0, 1.0, 0.5, 0.5] * 5)
    found = difference(first, second, BOOT)
    assert found.mean == pytest.approx(0.125) and found.low < 0.125 < found.high
    assert difference(first, second, BOOT, np.arange(0, 20, 4)).mean == 1.0


def test_equal_differences_are_not_certain():
    zero = np.zeros(30)
    assert difference(zero, zero, BOOT) == Interval(0.0, -0.1, 0.1, 30)
    assert difference(zero + 1, zero, BOOT) == Interval(1.0, 0.9, 1.0, 30)


def test_the_best_row_is_chosen_on_the_other_half():
    questions = [f"q{i}" for i in range(20)]
    half = folds(questions) == 0
    # Each row is best on the half where it looks best, so it is scored on the other: 0 throughout.
    rows = [half.astype(float), (~half).astype(float)]
    assert best_elsewhere(rows, questions).tolist() == [0.0] * 20
    assert best_elsewhere([np.zeros(20), np.ones(20)], questions).tolist() == [1.0] * 20
