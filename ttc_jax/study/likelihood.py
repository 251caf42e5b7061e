# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The policy's likelihood as a control: what a verifier must beat that nobody had to train.

It needs no run of its own, since every sample is stored with its log-probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttc_jax.study.curves import VERIFIER_PHASES, Curve
from ttc_jax.study.pool import Pool
from ttc_jax.study.stats import Interval, bootstrap, paired_bootstrap
from ttc_jax.verify.likelihood import LIKELIHOOD

__all__ = ["LIKELIHOOD", "RULES", "Control", "against", "by_likelihood", "unscored"]

RULES = ("weighted", "best")


def by_likelihood(pool: Pool) -> Pool:
    """The pool with exp(mean log-probability of a token) for values, and no verifier's cost.

    As `verify.likelihood.Likelihood` scores the last step of whole solutions; a solution without a
    token is worth 0.
    """
    values = np.exp(pool.logprobs / np.maximum(pool.tokens, 1))
    return replace(unscored(pool), values=np.where(pool.tokens > 0, values, 0.0))


def unscored(pool: Pool) -> Pool:
    """The pool as if no verifier had run."""
    return replace(
        pool,
        values=np.full(len(pool), np.nan),
        steps=((),) * len(pool),
        own=_free(pool.own),
        flops=_free(pool.flops),
        discarded=_free(pool.discarded),
    )


def _free(costs: Mapping) -> dict:
    return {phase: cost for phase, cost in costs.items() if phase not in VERIFIER_PHASES}


@dataclass(frozen=True)
class Control:
    """A verifier against the likelihood at the largest budget that both have.

    Attributes:
      kind: of the verifier.
      budget: in generations.
      rule: the better one of the likelihood's `RULES` on these questions.
      verifier, likelihood: accuracies, the first of best-of-N weighted.
      difference: the first less the second, over paired questions.
    """

    kind: str
    budget: float
    rule: str
    verifier: Interval
    likelihood: Interval
    difference: Interval

    @property
    def beats(self) -> bool:
        """Whether the verifier is better: the interval of the difference excludes 0."""
        return self.difference.low > 0


def against(
    kind: str, weighted: Curve, likelihood: Sequence[Curve], **boot: float
) -> Control | None:
    """Best-of-N weighted by a verifier against the likelihood's curves, by rule.

    None without a common budget of two generations or more: with one there is nothing to choose.
    `boot` are arguments of `bootstrap`.
    """
    points = {point.budget: point for point in weighted.points if point.budget >= 2}
    rivals = [point for curve in likelihood for point in curve.points if point.budget in points]
    if not rivals:
        return None
    most = max(point.budget for point in rivals)
    rivals = [point for point in rivals if point.budget == most]
    best = max(rivals, key=lambda point: round(float(point.right.mean()), 12))
    right = points[most].right
    return Control(
        kind=kind,
        budget=most,
        rule=best.rule,
        verifier=bootstrap(right, **boot),
        likelihood=bootstrap(best.right, **boot),
        difference=paired_bootstrap(right, best.right, **boot),
    )
