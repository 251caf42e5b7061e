# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How hard each question is for a model, and what it costs to find out (paper section 3.2).

Four estimates: `oracle` from graded samples, `predicted` from a verifier's scores of as many, `few`
from a handful of either, and the probe (`probe` module) from the prompt alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Difficulty:
    """How easy Q questions are, by one estimate.

    Attributes:
      name: "oracle", "predicted", "few" or "probe".
      ease: f64[Q], higher is easier.
      spread: f64[Q], posterior standard deviation of `ease`; None where the estimate has none.
      flops: f64[Q], what estimating cost.
      samples: generations per question that it cost, 0 for the probe.
      label_free: whether it can be had for a question whose answer is not known.
    """

    name: str
    ease: np.ndarray
    spread: np.ndarray | None
    flops: np.ndarray
    samples: float
    label_free: bool

    def __post_init__(self):
        for name in ("ease", "flops", "spread"):
            value = getattr(self, name)
            if value is None:
                continue
            if value.ndim != 1 or value.shape != self.ease.shape:
                raise ValueError(
                    f"{name} of shape {value.shape} does not fit {self.ease.shape} of ease: give "
                    "one number per question"
                )
            if not np.isfinite(value).all():
                at = np.flatnonzero(~np.isfinite(value))[0]
                raise ValueError(f"{name} of question {at} (counted from 0) is {value[at]}")


@dataclass(frozen=True)
class Shrinkage:
    """What is known of all questions, to be weighed against few samples of one.

    A sample of question q is taken as ease_q + noise, with ease_q of variance `between` around
    `mean` and noise of variance `within`. The estimate from m samples of mean x is then

        ease = mean + b (x - mean),  b = between / (between + within / m),
        spread^2 = b within / m,

    which is x itself for m -> infinity. For samples that are right or wrong (0 or 1) it is also the
    posterior mean of a beta-binomial of the same two moments.
    """

    mean: float
    between: float
    within: float

    def __post_init__(self):
        for name in ("mean", "between", "within"):
            value = getattr(self, name)
            if not np.isfinite(value) or (name != "mean" and value < 0):
                raise ValueError(f"{name} is {value}: it must be finite, variances at least 0")

    def estimate(self, values: ArrayLike) -> tuple[float, float]:
        """Ease and its posterior standard deviation from the samples of one question, f64[m].

        Raises:
          ValueError: no samples, or one that is not finite.
        """
        values = np.asarray(values, np.float64)
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError(f"ease needs at least one finite value per question, not {values}")
        noise = self.within / values.size
        total = self.between + noise
        weight = self.between / total if total else 1.0
        ease = self.mean + weight * (values.mean() - self.mean)
        return float(ease), float(np.sqrt(weight * noise))


def oracle(right: ArrayLike, samples: ArrayLike, flops: ArrayLike) -> Difficulty:
    """Pass@1 of the model on each question, from `right` of `samples` graded samples.

    right, samples: i64[Q]; flops: f64[Q], what the samples cost. The spread is that of the
    posterior under a uniform prior, so that 0 of n is not taken for certain.
    Source: paper section 3.2 (2048 samples a question).

    Raises:
      ValueError: counts that do not fit each other; else as `Difficulty`.
    """
    c, n = (np.asarray(counts, np.float64) for counts in (right, samples))
    if c.shape != n.shape or (n < 1).any() or (c < 0).any() or (c > n).any():
        raise ValueError("oracle needs 0 <= right <= samples and samples >= 1 for every question")
    a, b = 1 + c, 1 + n - c
    spread = np.sqrt(a * b / (a + b + 1)) / (a + b)
    return Difficulty("oracle", c / n, spread, _floats(flops), float(n.mean()), False)


def predicted(values: Sequence[ArrayLike], flops: ArrayLike) -> Difficulty:
    """The mean final verifier value over the samples of each question (paper section 3.2).

    values: f64[n] for each question. A sample without a value (NaN: it has nothing to score)
    counts 0, as in a vote. flops: f64[Q], what samples and scores cost.

    Raises:
      ValueError: a question without samples, or no value at all; else as `Difficulty`.
    """
    rows = _rows(values)
    ease = np.array([row.mean() for row in rows])
    spread = None
    if min(row.size for row in rows) > 1:
        spread = np.array([row.std(ddof=1) / np.sqrt(row.size) for row in rows])
    return Difficulty("predicted", ease, spread, _floats(flops), _mean_size(rows), True)


def few(values: Sequence[ArrayLike], flops: ArrayLike, *, label_free: bool = True) -> Difficulty:
    """Ease from a few samples of each question, drawn towards the mean of all (see `Shrinkage`).

    values: f64[m] for each question, verifier values (`label_free`) or 1 for right and 0 for
    wrong; NaN as in `predicted`. flops: f64[Q], what the samples cost.

    Raises:
      ValueError: as `fit_shrinkage` and `Difficulty`.
    """
    known = fit_shrinkage(values)
    rows = _rows(values)
    ease, spread = np.array([known.estimate(row) for row in rows]).T
    return Difficulty("few", ease, spread, _floats(flops), _mean_size(rows), label_free)


def fit_shrinkage(values: Sequence[ArrayLike]) -> Shrinkage:
    """The two variances of `Shrinkage` from samples f64[m] of each question, by moments.

    `within` is pooled over questions: sum of squares around the mean of each, over the sum of
    m - 1. `between` is what the variance of those means exceeds the part due to noise, within times
    the mean of 1/m; it is unbiased, and set to 0 where it comes out negative.

    Raises:
      ValueError: fewer than 2 questions; no question with 2 samples; else as `predicted`.
    """
    rows = _rows(values)
    if len(rows) < 2:
        raise ValueError(f"shrinkage needs at least 2 questions, not {len(rows)}")
    free = sum(row.size - 1 for row in rows)
    if not free:
        raise ValueError(
            "shrinkage needs a question with at least 2 samples, or luck and difficulty cannot be "
            "told apart: take 2 or more samples a question"
        )
    means = np.array([row.mean() for row in rows])
    within = sum(float(((row - row.mean()) ** 2).sum()) for row in rows) / free
    noise = within * float(np.mean([1 / row.size for row in rows]))
    between = max(0.0, float(means.var(ddof=1)) - noise)
    return Shrinkage(float(means.mean()), between, within)


def _rows(values: Sequence[ArrayLike]) -> list[np.ndarray]:
    """The samples of each question with 0 for missing values."""
    rows = [np.asarray(row, np.float64) for row in values]
    for at, row in enumerate(rows):
        if row.ndim != 1 or not row.size:
            raise ValueError(f"question {at} (counted from 0) has no samples: leave it out")
    if not rows or all(np.isnan(row).all() for row in rows):
        raise ValueError("no sample has a value: score the samples with a verifier first")
    return [np.where(np.isnan(row), 0.0, row) for row in rows]


def _mean_size(rows: Sequence[np.ndarray]) -> float:
    return float(np.mean([row.size for row in rows]))


def _floats(values: ArrayLike) -> np.ndarray:
    return np.asarray(values, np.float64)
