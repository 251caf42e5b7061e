# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Thinking longer against training a bigger model, at equal FLOPs (paper section 7).

Every point is priced per query: its budget times the price of a generation, or its counted FLOPs
for the convention "counted". Accuracy between measured budgets is interpolated on their logarithm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ttc_jax.core.flops import pretraining
from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.matched import Pair, matched_budget, matched_flops
from ttc_jax.study.stats import Interval, bootstrap, paired_bootstrap

THINK, TRAIN, UNDECIDED, UNMEASURED = "think longer", "train bigger", "undecided", "not measured"
_ROUNDING = 1e-9  # relative: a matched budget this close to a measured one is that one


@dataclass(frozen=True)
class Match:
    """The small model against one budget of the large one, at one R and in one bin.

    Attributes:
      bin: 0 the easiest; None for all questions.
      R: inference tokens per pretraining token, or queries per token for "counted" (`Pair`).
      large_budget: generations of the large model, 1 for its greedy answer.
      budget: of the small model at equal cost: generations, or FLOPs per query for "counted".
      used: the budget at which its accuracy is read: the largest measured if `capped`.
      small, large, difference: accuracies, and small minus large over paired questions; `small` and
        `difference` are None where all measured budgets exceed the matched one.
      relative: difference over the accuracy of the large model, None where that is 0.
      verdict: THINK or TRAIN where the interval of the difference excludes 0, else UNDECIDED;
        UNMEASURED without a difference.
    """

    bin: int | None
    R: float
    large_budget: float
    budget: float
    used: float | None
    capped: bool
    small: Interval | None
    large: Interval
    difference: Interval | None
    relative: float | None
    verdict: str


@dataclass(frozen=True)
class Lifetime:
    """The accuracy of a point and the FLOPs of a lifetime with it, pretraining included."""

    budget: float
    flops: float
    right: Interval


@dataclass(frozen=True)
class PricedCurve:
    """A curve of the small model on some questions, by rising cost per query in FLOPs.

    costs: f64[P], rising strictly; right: f64[P, Q].
    """

    costs: np.ndarray
    right: np.ndarray

    def at(self, cost: float) -> tuple[np.ndarray, float] | None:
        """Right f64[Q] at `cost` and the cost really used; None below the least measured."""
        if cost < self.costs[0] * (1 - _ROUNDING):
            return None
        used = float(np.clip(cost, self.costs[0], self.costs[-1]))
        above = min(int(np.searchsorted(self.costs, used)), self.costs.size - 1)
        if self.costs[above] == used:
            return self.right[above], used
        low, high = np.log(self.costs[above - 1 : above + 1])
        share = (np.log(used) - low) / (high - low)
        return (1 - share) * self.right[above - 1] + share * self.right[above], used


def priced(curve: Curve, pair: Pair, convention: str, members: np.ndarray) -> PricedCurve:
    """The points of the small model's `curve` on the questions `members` bool[Q], by cost.

    Of points of equal cost (a policy may choose the same at two budgets) the last is kept.

    Raises:
      ValueError: no points; else as `price`.
    """
    if not curve.points:
        raise ValueError(f"curve {curve.name!r} has no points: measure it at some budget")
    by_cost = {price(point, pair, convention, members): point for point in curve.points}
    costs = sorted(by_cost)
    return PricedCurve(np.array(costs), np.stack([by_cost[cost].right[members] for cost in costs]))


def price(
    point: Measured, pair: Pair, convention: str, members: np.ndarray, large: bool = False
) -> float:
    """FLOPs per query of a point of either model on the questions `members` bool[Q].

    Raises:
      ValueError: there are none, or right is not in [0, 1] or of other questions than `members`.
    """
    name = f"{point.strategy} with {point.rule} ({point.source})"
    for key in ("right", "flops"):
        if getattr(point, key).shape != members.shape:
            raise ValueError(
                f"{name} has {key} of shape {getattr(point, key).shape}, not {members.shape}: "
                "measure both models on the same questions"
            )
    if not ((point.right >= 0) & (point.right <= 1)).all():
        raise ValueError(f"{name} has right outside [0, 1]: leave out questions not measured")
    if convention == "counted":
        cost, lacking = float(point.flops[members].mean()), "no FLOPs counted: run it again"
    else:
        cost = point.budget * pair.generation(convention, large=large)
        lacking = f"a budget of {point.budget}: leave it out"
    if not (np.isfinite(cost) and cost > 0):
        raise ValueError(f"{name} has {lacking}")
    return cost


def groups(bins: ArrayLike | None, n_questions: int) -> dict[int | None, np.ndarray]:
    """All questions under None, then those of each bin, as bool[Q]."""
    found: dict[int | None, np.ndarray] = {None: np.ones(n_questions, bool)}
    if bins is not None:
        bins = np.asarray(bins, np.int64)
        if bins.shape != (n_questions,):
            raise ValueError(f"bins of shape {bins.shape} do not fit {n_questions} questions")
        found |= {int(number): bins == number for number in np.unique(bins)}
    return found


def compare(
    small: Curve,
    large: Sequence[Measured],
    pair: Pair,
    ratios: Sequence[float],
    convention: str,
    bins: ArrayLike | None = None,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
) -> tuple[Match, ...]:
    """The small model against each point of the large one, over all questions and in each bin.

    `large` is its greedy answer, one point of budget 1 as in the paper, or a curve with test-time
    compute of its own ("iclr_small" prices that as if it had no verifier). In each bin the costs
    are those measured there, as if all queries were like that. bins: i64[Q] of the small model (the
    paper's are oracle bins).

    Raises:
      ValueError: no point of the large model; else as `price`, `priced` and `matched_budget`.
    """
    if not large:
        raise ValueError("the large model has no point: measure its greedy answers")
    settings = {"n_resamples": n_resamples, "level": level}
    found = []
    for number, members in groups(bins, large[0].right.size).items():
        curve = priced(small, pair, convention, members)
        found += [
            _match(curve, point, pair, R, convention, number, members, settings)
            for R in ratios
            for point in large
        ]
    return tuple(found)


def _match(curve, point, pair, R, convention, number, members, settings) -> Match:
    """One row of `compare`."""
    cost = price(point, pair, convention, members, large=True)
    if convention == "counted":
        unit, budget = 1.0, matched_flops(pair, cost, R=R)
    else:
        unit = pair.generation(convention)
        budget = matched_budget(pair, convention, R=R, generations=point.budget)
    right = point.right[members]
    mean = bootstrap(right, **settings)
    read = curve.at(budget * unit)
    difference = None if read is None else paired_bootstrap(read[0], right, **settings)
    return Match(
        bin=number,
        R=R,
        large_budget=point.budget,
        budget=budget,
        used=None if read is None else read[1] / unit,
        capped=bool(budget * unit > curve.costs[-1] * (1 + _ROUNDING)),
        small=None if read is None else bootstrap(read[0], **settings),
        large=mean,
        difference=difference,
        relative=difference.mean / mean.mean if difference and mean.mean else None,
        verdict=_verdict(difference),
    )


def lifetimes(
    points: Sequence[Measured],
    pair: Pair,
    R: float,
    convention: str,
    members: np.ndarray | None = None,
    *,
    large: bool = False,
    n_resamples: int = 10_000,
) -> tuple[Lifetime, ...]:
    """Accuracy over total FLOPs, pretraining and all queries at R: one line for either model.

    By rising cost; `members` bool[Q]: None for all questions. Errors as `price`.
    """
    params, data = (
        (pair.large_params, pair.large_data) if large else (pair.small_params, pair.small_data)
    )
    queries = pair.queries(R, convention)
    found = []
    for point in points:
        chosen = np.ones(point.right.size, bool) if members is None else members
        cost = price(point, pair, convention, chosen, large=large)
        right = bootstrap(point.right[chosen], n_resamples=n_resamples)
        found.append(Lifetime(point.budget, pretraining(params, data) + queries * cost, right))
    return tuple(sorted(found, key=lambda one: one.flops))


def _verdict(difference: Interval | None) -> str:
    if difference is None:
        return UNMEASURED
    if difference.low > 0:
        return THINK
    return TRAIN if difference.high < 0 else UNDECIDED
