# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How many times less compute one curve needs than another for the same accuracy."""

from dataclasses import dataclass

import numpy as np

from ttc_jax.study.curves import Curve
from ttc_jax.study.stats import resampled_means

UNITS = ("generations", "flops")


@dataclass(frozen=True)
class Factor:
    """`first` needs `mean` times less than `second` for what `second` reaches at the budget `at`.

    Fields:
      at: the budget of the second curve, in generations.
      accuracy: what the second curve reaches with it.
      mean, low, high: the factor, and its interval over questions; low is 0 and high infinite where
        the curves are too short to tell.
      censored: "" if the factor is known; "at least" if the first curve is better than `accuracy`
        at its smallest budget already; "at most" if it never comes so far. `mean` is then the bound
        that is known.
      n: number of questions.
    """

    at: float
    accuracy: float
    mean: float
    low: float
    high: float
    censored: str
    n: int

    @property
    def claims(self) -> bool:
        """Whether the questions tell the two apart: the interval leaves out 1."""
        return bool(self.low > 1 or self.high < 1)


def compute_factor(
    first: Curve,
    second: Curve,
    at: float,
    *,
    unit: str = "generations",
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Factor:
    """The factor between the costs at which two curves reach the accuracy of the second at `at`.

    A curve that falls is replaced by its running maximum: nobody has to spend all of a budget. Its
    cost of an accuracy is the smallest one that reaches it, for both curves, so on a plateau of the
    second curve it is that of the plateau's beginning. Between points, accuracy is linear in the
    logarithm of the cost. Questions are resampled for the interval.

    Args:
      at: a budget within the second curve, in generations whatever the unit.
      unit: what is compared, "generations" or counted "flops" (the mean over questions).

    Raises:
      ValueError: no such unit, curves of different questions or without points, a cost that is not
        positive, or an `at` outside the second curve.
    """
    if unit not in UNITS:
        raise ValueError(f"no unit {unit!r}; there are {', '.join(UNITS)}")
    budgets = np.array([point.budget for point in second.points])
    if not len(first.points) or not len(budgets):
        raise ValueError(f"{first.name!r} or {second.name!r} has no points")
    if not budgets[0] <= at <= budgets[-1]:
        raise ValueError(
            f"{second.name!r} was measured from {budgets[0]:g} to {budgets[-1]:g}, not at {at:g}"
        )
    sizes = {len(point.right) for point in (*first.points, *second.points)}
    if len(sizes) > 1:
        raise ValueError(f"{first.name!r} and {second.name!r} differ in questions: {sorted(sizes)}")

    ours, our_costs = _resampled(first, unit, n_resamples, seed)
    theirs, their_costs = _resampled(second, unit, n_resamples, seed)
    wanted = _at(budgets, theirs, at)
    paid, _ = _cost_of(wanted, theirs, their_costs)
    needed, side = _cost_of(wanted, ours, our_costs)
    factors = paid / needed

    # What is only known to lie above, or below, could be anything there.
    lows, highs = np.where(side > 0, 0.0, factors)[1:], np.where(side < 0, np.inf, factors)[1:]
    return Factor(
        at=at,
        accuracy=float(wanted[0]),
        mean=float(factors[0]),
        low=float(np.quantile(lows, (1 - level) / 2, method="lower")),
        high=float(np.quantile(highs, (1 + level) / 2, method="higher")),
        censored={-1: "at least", 0: "", 1: "at most"}[int(side[0])],
        n=sizes.pop(),
    )


def _resampled(curve: Curve, unit: str, n_resamples: int, seed: int):
    """Running maxima and costs, f64[K, 1 + n_resamples]; as measured first, then resampled."""
    right = np.stack([point.right for point in curve.points])
    means = _with_means(right, n_resamples, seed)
    if unit == "flops":
        costs = _with_means(np.stack([p.flops for p in curve.points]), n_resamples, seed)
    else:
        budgets = np.array([[float(point.budget)] for point in curve.points])
        costs = np.broadcast_to(budgets, means.shape)
    if not (costs > 0).all():
        raise ValueError(f"{curve.name!r} has a cost of {costs.min():g}; costs must be positive")
    return np.maximum.accumulate(means, axis=0), costs


def _with_means(values: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    means = resampled_means(values, n_resamples, seed)
    return np.concatenate([values.mean(axis=1, keepdims=True), means], axis=1)


def _at(budgets: np.ndarray, best: np.ndarray, at: float) -> np.ndarray:
    """The running maxima at a budget, f64[1 + n_resamples]."""
    after = min(max(int(np.searchsorted(budgets, at)), 1), len(budgets) - 1)
    if len(budgets) == 1:
        return best[0]
    low, high = np.log(budgets[after - 1]), np.log(budgets[after])
    share = (np.log(at) - low) / (high - low)
    return np.where(
        share == 1, best[after], best[after - 1] + share * (best[after] - best[after - 1])
    )


def _cost_of(wanted: np.ndarray, best: np.ndarray, costs: np.ndarray):
    """What each resample has to pay for the accuracy, and -1, 0 or 1: less, as much, or more."""
    columns = np.arange(len(wanted))
    reached = best >= wanted
    after = reached.argmax(axis=0)
    never = ~reached.any(axis=0)
    before = np.maximum(after - 1, 0)
    low, high = best[before, columns], best[after, columns]
    rise = np.where(high > low, high - low, 1.0)
    share = np.where(after > 0, (wanted - low) / rise, 1.0)
    start, end = np.log(costs[before, columns]), np.log(costs[after, columns])
    found = np.where(share == 1, costs[after, columns], np.exp(start + share * (end - start)))
    side = np.where(never, 1, np.where(wanted < best[0], -1, 0))
    return np.where(never, costs[-1], found), side
