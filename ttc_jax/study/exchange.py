# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The small model of a report that thinks longer against its larger one, at equal FLOPs."""

import functools
from collections.abc import Sequence

import numpy as np

from ttc_jax.study.break_even import BreakEven, break_even
from ttc_jax.study.comparison import Lifetime, Match, compare, lifetimes
from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.matched import Pair, matched_budget
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.roles import policy_of

PAPER = "arxiv"  # the convention of the paper's figures as first published


class Exchange:
    """FLOPs-matched comparisons of a report; use it only where `possible`.

    Bins are those of oracle difficulty, as in the paper. The small model is given the
    compute-optimal strategy of each bin.
    """

    def __init__(self, optimum: Optimum):
        self.optimum, self.evidence = optimum, optimum.evidence
        self.ratios = self.evidence.settings.ratios

    @property
    def possible(self) -> bool:
        """Whether there is a larger model, with greedy answers."""
        return self.evidence.roles.large is not None and self.greedy is not None

    @functools.cached_property
    def greedy(self) -> Measured | None:
        """The larger model's greedy answers, a point of budget 1."""
        return self.evidence.greedy_answers("large")

    @functools.cached_property
    def thinking(self) -> tuple[Measured, ...]:
        """The larger model's own best-of-N, by the rule of most accuracy that it has."""
        for rule in ("weighted", "majority"):
            if curve := self.evidence.best_of_n(rule, role="large"):
                return curve.points
        return ()

    @functools.cached_property
    def pair(self) -> Pair:
        """The two models by their real parameters, trained on equal data."""
        params = (policy_of(self.evidence.runs_of(role)[0]).params for role in ("base", "large"))
        return Pair(*params)

    def budgets(self) -> tuple[float, ...]:
        """The small model's budget in generations that matches a greedy answer, for each R."""
        return tuple(matched_budget(self.pair, PAPER, R=ratio) for ratio in self.ratios)

    def matches(
        self,
        curve: Curve,
        convention: str = PAPER,
        numbers: np.ndarray | None = None,
        large: Sequence[Measured] = (),
    ) -> tuple[Match, ...]:
        """The small model's curve against the larger model (greedy), overall and in each bin."""
        if numbers is None:
            numbers = self.evidence.bin_numbers("oracle")
        settings = self.evidence.settings
        return compare(
            curve, large or [self.greedy], self.pair, self.ratios, convention, numbers,
            n_resamples=settings.resamples, level=settings.confidence,
        )  # fmt: skip

    def break_evens(self, curve: Curve, convention: str = PAPER) -> tuple[BreakEven, ...]:
        """The R at which both are equally good, overall and in each bin."""
        settings = self.evidence.settings
        return break_even(
            curve, self.greedy, self.pair, convention, self.evidence.bin_numbers("oracle"),
            n_resamples=settings.resamples, level=settings.confidence,
        )  # fmt: skip

    def lifetimes(self, points: Sequence[Measured], ratio: float, large: bool) -> list[Lifetime]:
        """Accuracy over counted FLOPs of a lifetime, for a line of either model."""
        return list(
            lifetimes(
                points, self.pair, ratio, "counted", large=large,
                n_resamples=self.evidence.settings.resamples,
            )
        )  # fmt: skip
