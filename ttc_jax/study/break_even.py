# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How heavily a model must be used before training a bigger one beats thinking longer."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ttc_jax.study.comparison import PricedCurve, groups, price, priced
from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.matched import Pair
from ttc_jax.study.stats import resampled_means

ALWAYS, NEVER, BELOW = "always", "never", "below"
_EQUAL = 1e-12  # means this close are equal: they may be summed in another order


@dataclass(frozen=True)
class BreakEven:
    """The R at which a small model that thinks longer and a larger one are equally good.

    Attributes:
      bin: 0 the easiest; None for all questions.
      outcome: BELOW: thinking longer is at least as good below `R`, the larger model above.
        ALWAYS: it is at every R measured, since the cheapest point measured is as good. NEVER: no
        point measured is.
      R: the threshold, None unless BELOW; in the unit of `Pair.queries`.
      low, high: bounds of its interval over questions, 0 where resamples say NEVER and infinite
        where they say ALWAYS; given for every outcome.
      measured: the least and the largest R whose matched budget lies within those measured; the
        largest is infinite where even the budget for R -> infinity was measured.
      counted: whether R is in queries, not tokens, per pretraining token.
    """

    bin: int | None
    outcome: str
    R: float | None
    low: float
    high: float
    measured: tuple[float, float]
    counted: bool

    def words(self) -> str:
        """The rule that follows, as a sentence."""
        unit = "queries" if self.counted else "inference tokens"
        where = "On all questions" if self.bin is None else f"In bin {self.bin + 1}"
        least, most = self.measured
        if self.outcome == BELOW:
            return (
                f"{where}: below {self.R:.3g} {unit} per pretraining token, think longer; above, "
                f"train bigger (interval {self.low:.3g} to {_shown(self.high)})."
            )
        if self.outcome == ALWAYS:
            limit = "" if math.isinf(most) else f" up to {most:.3g} {unit} per pretraining token"
            return f"{where}: think longer, at every ratio measured{limit}."
        if math.isinf(least):
            return f"{where}: train bigger, or think longer than was measured."
        return (
            f"{where}: train bigger, at every ratio measured, down to {least:.3g} {unit} per "
            "pretraining token."
        )


def break_even(
    small: Curve,
    large: Measured,
    pair: Pair,
    convention: str,
    bins: ArrayLike | None = None,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[BreakEven, ...]:
    """The break-even R over all questions and in each bin, exact for the interpolated curve.

    The threshold is the R whose matched budget is the least at which the small model is as good as
    the large. For any lower R it may spend more; it need not, so a curve that falls again later
    does not matter. Costs of the points are those measured; intervals are percentile bootstraps
    over questions, the same resampled questions for both models.

    Raises:
      ValueError: the small model saves nothing in pretraining; a level outside (0, 1), no
        resamples; else as `comparison.price`.
    """
    if pair.saved <= 0:
        raise ValueError(
            "the small model's pretraining costs as much as the large one's or more, so there is "
            "nothing to think longer with: give a larger model, or the true pretraining data"
        )
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    found = []
    for number, members in groups(bins, large.right.size).items():
        curve = priced(small, pair, convention, members)
        floor = price(large, pair, convention, members, large=True)
        saved = pair.saved / pair.queries(1.0, convention)
        right = np.vstack([curve.right, large.right[members]])
        threshold = float(_ratio(_reached(curve, right.mean(1)[None]), floor, saved)[0])
        means = resampled_means(right, n_resamples, seed).T
        thresholds = _ratio(_reached(curve, means), floor, saved)
        outcome = {0.0: NEVER, math.inf: ALWAYS}.get(threshold, BELOW)
        most, least = _ratio(curve.costs[[0, -1]], floor, saved)
        found.append(
            BreakEven(
                bin=number,
                outcome=outcome,
                R=threshold if outcome == BELOW else None,
                # Whole resamples: between 0 and infinity nothing can be interpolated.
                low=float(np.quantile(thresholds, (1 - level) / 2, method="lower")),
                high=float(np.quantile(thresholds, (1 + level) / 2, method="higher")),
                measured=(float(least), float(most)),
                counted=convention == "counted",
            )
        )
    return tuple(found)


def _ratio(costs: np.ndarray, floor: float, saved: float) -> np.ndarray:
    """R at which each cost per query is the matched one, infinite up to the large model's own."""
    with np.errstate(divide="ignore"):
        return saved / np.maximum(costs - floor, 0.0)


def _reached(curve: PricedCurve, means: np.ndarray) -> np.ndarray:
    """The least cost f64[S] at which the small model is as good as the large one.

    means: f64[S, P + 1] of the P points and, last, of the large model. 0 where the cheapest point
    suffices: then so may less; infinite where none does.
    """
    small, large = means[:, :-1], means[:, -1]
    enough = small >= large[:, None] - _EQUAL
    after = enough.argmax(1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(means))
    low, high = small[rows, before], small[rows, after]
    share = np.clip((large - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    logs = np.log(curve.costs)
    costs = np.exp(logs[before] + share * (logs[after] - logs[before]))
    return np.where(enough[:, 0], 0.0, np.where(enough.any(1), costs, math.inf))


def _shown(value: float) -> str:
    return "infinity" if math.isinf(value) else f"{value:.3g}"
