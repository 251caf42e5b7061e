# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Compute-optimal allocations over the strategies of a report, and what they would have come to."""

import functools
from collections.abc import Iterable, Sequence

from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.folds import folds
from ttc_jax.study.policy import Allocation, allocate

KINDS = ("search", "revisions", "everything")
_SPACING = 2.0  # between budgets in FLOPs


class Optimum:
    """Allocations over a report's evidence, each computed once.

    `kind` says what is chosen from: "search" (the paper's: best-of-N weighted and searches against
    the PRM), "revisions" (ratios of sequential to parallel), or "everything" that was recorded,
    with every rule of selection.
    """

    def __init__(self, evidence: Evidence):
        self.evidence = evidence

    @functools.cache  # noqa: B019 - one report, one Optimum
    def allocation(
        self, kind: str, estimator: str, rule: str = "weighted", unit: str = "generations"
    ) -> Allocation | None:
        """The allocation over bins of an estimator; None, with a note, where there is none."""
        evidence, candidates = self.evidence, self.candidates(kind, rule)
        bins = evidence.bin_numbers(estimator)
        if bins is None or not candidates:
            return None
        try:
            return allocate(
                candidates,
                bins,
                folds(evidence.questions, bins, evidence.settings.n_folds),
                budgets(candidates, unit),
                unit,
                evidence.difficulty(estimator),
            )
        except ValueError as error:
            evidence.note(f"No compute-optimal allocation ({kind}, {estimator}): {error}.")
            return None

    @functools.cache  # noqa: B019
    def candidates(self, kind: str, rule: str = "weighted") -> tuple[Measured, ...]:
        """What an allocation chooses from."""
        evidence = self.evidence
        if kind == "revisions":
            return tuple(evidence.grid(rule).values())
        if kind == "search":
            return _points([evidence.best_of_n(rule), *evidence.searches_by(rule).values()])
        rules = ("majority", "best", "weighted")
        found = _points(
            curve
            for one in rules
            for curve in (evidence.best_of_n(one), *evidence.searches_by(one).values())
        )
        grids = [evidence.grid(one) for one in ("majority", "hierarchical")]
        # One chain of one attempt is best-of-N of another policy: it stays, with its own name.
        return found + tuple(point for grid in grids for point in grid.values())

    def curve(self, kind: str, estimator: str, rule: str = "weighted") -> Curve | None:
        """The allocation as one strategy, over the budgets that it was given."""
        allocation = self.allocation(kind, estimator, rule)
        if allocation is None:
            return None
        points = (
            Measured(f"compute_optimal({estimator})", rule, float(budget), right, flops, kind)
            for budget, right, flops in zip(
                allocation.budgets, allocation.right, allocation.flops, strict=True
            )
        )
        return Curve(f"compute-optimal, {estimator} bins", tuple(points))


def budgets(candidates: Sequence[Measured], unit: str) -> list[float]:
    """The budgets of an allocation: those that strategies share, or doublings of FLOPs.

    In generations those below the first shared one stay too: there is nothing else to choose, as in
    best-of-N without a search yet. In between, a budget that only some strategies have would make
    the allocation worse than a smaller one.
    """
    if unit == "generations":
        names: dict[float, set[str]] = {}
        for candidate in candidates:
            names.setdefault(candidate.budget, set()).add(candidate.strategy.partition("(")[0])
        shared = [budget for budget in sorted(names) if len(names[budget]) > 1]
        return [b for b in sorted(names) if not shared or b in shared or b < shared[0]]
    costs = sorted(float(candidate.flops.mean()) for candidate in candidates)
    steps, top = [costs[0] * 1.25], costs[-1]  # room for bins in which the cheapest costs more
    while steps[-1] < top:
        steps.append(steps[-1] * _SPACING)
    return steps


def _points(curves: Iterable[Curve | None]) -> tuple[Measured, ...]:
    """The points of all curves, those that stand in several of them once."""
    found = {
        (point.strategy, point.rule, point.source): point
        for curve in curves
        if curve
        for point in curve.points
    }
    return tuple(found.values())
