# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Questions of like difficulty put together. Bin 0 is the easiest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

SMALLEST = 4  # questions in a bin: two folds of two
LIU_EDGES = (0.5, 0.1)  # Liu et al. 2025 (arXiv 2502.06703): easy, medium and hard by pass@1


@dataclass(frozen=True)
class Agreement:
    """How far two ways to bin the same questions agree.

    `equal` is the share of questions in the same bin, `spearman` the rank correlation of the bin
    numbers, None where one has a single bin.
    """

    equal: float
    spearman: float | None


def quantile_bins(ease: ArrayLike, questions: Sequence[str], n_bins: int) -> np.ndarray:
    """Bins of equal size by ease, i64[Q], 0 the easiest (paper section 3.2: five of them).

    Sizes differ by at most 1, larger bins first. Equal ease is put in the order of the question
    ids, so ties at a boundary are cut the same way every time. ease: f64[Q].

    Raises:
      ValueError: ease that is not finite or all equal (unless one bin is asked for), fewer than 4
        questions for a bin, or lengths that differ.
    """
    ease = _checked(ease)
    if len(questions) != ease.size:
        raise ValueError(f"{ease.size} values of ease do not fit {len(questions)} questions")
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}: at least one bin is needed")
    order = sorted(range(ease.size), key=lambda at: (-ease[at], questions[at]))
    bins = np.empty(ease.size, np.int64)
    for number, members in enumerate(np.array_split(np.array(order, np.int64), n_bins)):
        bins[members] = number
    check_bins(bins, n_bins)
    if n_bins > 1 and (ease == ease[0]).all():
        raise ValueError(
            f"all {ease.size} questions have the same ease {ease[0]:g}, so difficulty cannot be "
            "told: take more samples a question, another estimate, or one bin"
        )
    return bins


def absolute_bins(ease: ArrayLike, edges: Sequence[float] = LIU_EDGES) -> np.ndarray:
    """Bins by fixed thresholds of ease, i64[Q]: see `place`.

    Raises:
      ValueError: edges that do not fall, ease that is not finite, or fewer than 4 questions in a
        bin.
    """
    bins = place(_checked(ease), edges)
    check_bins(bins, len(edges) + 1)
    return bins


def place(ease: ArrayLike, edges: Sequence[float]) -> np.ndarray:
    """The bin of each value of ease: the number of `edges` that it lies below, i64 like ease.

    An ease equal to an edge is in the easier bin.

    Raises:
      ValueError: edges that are not finite or rise.
    """
    edges = np.asarray(edges, np.float64)
    if not np.isfinite(edges).all() or (np.diff(edges) > 0).any():
        raise ValueError(f"edges {edges.tolist()} must be finite and fall from easy to hard")
    return (np.asarray(ease, np.float64)[..., None] < edges).sum(-1)


def edges_of(ease: ArrayLike, bins: ArrayLike) -> tuple[float, ...]:
    """The thresholds that put a new question in a bin (with `place`), one fewer than bins.

    Each lies half way between the hardest question of a bin and the easiest of the next. Where
    a tie was cut by the ids, the new question with that ease goes to the easier bin.

    Raises:
      ValueError: bins that leave out a number, or that do not follow ease.
    """
    ease, bins = _checked(ease), np.asarray(bins, np.int64)
    numbers = np.unique(bins)
    if bins.shape != ease.shape or not np.array_equal(numbers, np.arange(numbers.size)):
        raise ValueError(f"bins {numbers.tolist()} must be numbered from 0, one per value of ease")
    lowest = [ease[bins == number].min() for number in numbers[:-1]]
    highest = [ease[bins == number].max() for number in numbers[1:]]
    for number, (low, high) in enumerate(zip(lowest, highest, strict=True)):
        if low < high:
            raise ValueError(
                f"bin {number} holds ease {low:g}, bin {number + 1} holds {high:g}: bins must be "
                "made from this ease"
            )
    return tuple(float((low + high) / 2) for low, high in zip(lowest, highest, strict=True))


def check_bins(bins: ArrayLike, n_bins: int) -> None:
    """Raises ValueError unless bins 0 .. n_bins - 1 hold at least 4 questions each."""
    for number, size in enumerate(np.bincount(np.asarray(bins, np.int64), minlength=n_bins)):
        if size < SMALLEST:
            raise ValueError(
                f"bin {number + 1} of {n_bins} has {size} questions, fewer than {SMALLEST}: use "
                "fewer bins, other edges, or more questions"
            )


def agreement(first: ArrayLike, second: ArrayLike) -> Agreement:
    """How far two binnings i64[Q] of the same questions agree.

    Raises:
      ValueError: no questions, or lengths that differ.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"binnings of shapes {first.shape} and {second.shape} do not compare")
    return Agreement(float((first == second).mean()), spearman(first, second))


def spearman(first: ArrayLike, second: ArrayLike) -> float | None:
    """The rank correlation of two series f64[Q], ties at their mean rank; None if one is flat."""
    x, y = (_ranks(np.asarray(values, np.float64)) for values in (first, second))
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _checked(ease: ArrayLike) -> np.ndarray:
    ease = np.asarray(ease, np.float64)
    if ease.ndim != 1:
        raise ValueError(f"ease of shape {ease.shape}: give one number per question")
    if not np.isfinite(ease).all():
        at = np.flatnonzero(~np.isfinite(ease))[0]
        raise ValueError(f"ease of question {at} (counted from 0) is {ease[at]}")
    return ease
