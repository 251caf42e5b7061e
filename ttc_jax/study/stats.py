# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates over questions: unbiased pass@k and bootstrap intervals."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_CHUNK = 1 << 17  # resampled values at a time: they fit a cache


@dataclass(frozen=True)
class Interval:
    """A mean over `n` questions and the bounds of its confidence interval."""

    mean: float
    low: float
    high: float
    n: int


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, drawn without replacement, hold one of the c correct ones.

    Computed in whole numbers and rounded once, so that no cancellation occurs.
    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1.

    Raises:
      ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n, not k = {k}, n = {n}")
    if not 0 <= c <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n, not c = {c}, n = {n}")
    every = math.comb(n, k)
    return (every - math.comb(n - c, k)) / every


def resamples(n: int, n_resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    """i32[n_resamples, n]: indices of n questions, drawn with replacement.

    They depend on nothing but the arguments. All intervals below are made of them, so that equal
    questions are drawn for every curve and difference of a report.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // n)
    drawn = [
        rng.integers(n, size=(min(rows, n_resamples - at), n)).astype(np.int32)
        for at in range(0, n_resamples, rows)
    ]
    return np.concatenate(drawn)


def resampled_means(values: ArrayLike, n_resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    """Means over the questions of every resample, f64[..., n_resamples] of values [..., Q].

    Raises:
      ValueError: no values, one that is not finite, or no resamples.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.ndim or not values.size:
        raise ValueError(f"one value per question is needed, not shape {values.shape}")
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0, -1]
        raise ValueError(f"value {at} is not finite (questions are counted from 0)")
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, not {n_resamples}")
    n = values.shape[-1]
    mean = values.mean(axis=-1, keepdims=True)
    apart = (values - mean).reshape(-1, n)  # equal values stay equal to their mean to the last bit
    counts = _counts(n, n_resamples, seed)
    sums = np.empty((len(apart), n_resamples))
    rows = max(1, _CHUNK // n)
    for at in range(0, n_resamples, rows):
        some = counts[at : at + rows].astype(np.float64)
        for own, found in zip(apart, sums, strict=True):
            found[at : at + rows] = some @ own
    return mean + (sums / n).reshape(*values.shape[:-1], n_resamples)


@functools.lru_cache(maxsize=8)
def _counts(n: int, n_resamples: int, seed: int) -> np.ndarray:
    """i16[n_resamples, n]: how often each question is in each resample."""
    drawn = resamples(n, n_resamples, seed)
    counts = np.zeros(drawn.shape, np.int16)
    rows = max(1, _CHUNK // n)
    for at in range(0, n_resamples, rows):
        part = drawn[at : at + rows] + n * np.arange(len(drawn[at : at + rows]))[:, None]
        flat = np.bincount(part.ravel(), minlength=part.size)
        counts[at : at + rows] = flat.reshape(part.shape)
    return counts


def bootstrap(
    values: ArrayLike, *, n_resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `values`, one per question, with a percentile bootstrap interval.

    Whole questions are resampled. For a part of the questions, such as a bin of difficulty, give
    the values of that part. One question, or equal values, give an interval of width 0: the
    bootstrap knows no other values than those it has seen.

    Raises:
      ValueError: no values, values that are not finite or not in one dimension, a level outside
        (0, 1), or no resamples.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"bootstrap needs one value per question, not shape {values.shape}")
    low, high = percentiles(resampled_means(values, n_resamples, seed), level)
    return Interval(float(values.mean()), low, high, values.size)


def percentiles(means: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The bounds between which the middle `level` of the resamples f64[n_resamples] lies.

    Raises:
      ValueError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of `first - second` over the same questions, with its bootstrap interval.

    Raises:
      ValueError: the two differ in length; else as `bootstrap`.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"paired values of shapes {first.shape} and {second.shape} differ")
    return bootstrap(first - second, n_resamples=n_resamples, level=level, seed=seed)


def ratio_bootstrap(
    parts: ArrayLike,
    wholes: ArrayLike,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The sum of `parts` over that of `wholes`, counts of each question, with its interval.

    Resamples in which the wholes add up to nothing say nothing about the share and are left out.

    Raises:
      ValueError: the two differ in length, or the wholes add up to nothing; else as `bootstrap`.
    """
    parts, wholes = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    if parts.shape != wholes.shape or parts.ndim != 1:
        raise ValueError(f"parts and wholes of shapes {parts.shape} and {wholes.shape} do not fit")
    if not wholes.sum():
        raise ValueError("a share of nothing: the wholes of all questions are 0")
    tops, bottoms = resampled_means(np.stack([parts, wholes]), n_resamples, seed)
    some = bottoms > 0.5 * wholes[wholes > 0].min() / len(wholes)  # one of them at least is drawn
    low, high = percentiles(tops[some] / bottoms[some], level)
    return Interval(float(parts.sum() / wholes.sum()), low, high, wholes.size)
