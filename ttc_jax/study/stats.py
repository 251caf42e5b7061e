# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates over questions: unbiased pass@k and bootstrap intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_CHUNK = 1 << 20  # resampled values held at a time


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


def bootstrap(
    values: ArrayLike, *, n_resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `values`, one per question, with a percentile bootstrap interval.

    Whole questions are resampled. One question, or equal values, give an interval of width 0:
    the bootstrap knows no other values than those it has seen.

    Raises:
      ValueError: no values, values that are not finite or not in one dimension, a level outside
        (0, 1), or no resamples.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"bootstrap needs one value per question, not shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"value {np.flatnonzero(~np.isfinite(values))[0]} is not finite")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, not {n_resamples}")
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // values.size)
    means = [
        values[rng.integers(values.size, size=(min(rows, n_resamples - at), values.size))].mean(1)
        for at in range(0, n_resamples, rows)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high), values.size)


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
