# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Compute-optimal allocations over the strategies of a report, and what they would have come to."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.folds import folds
from ttc_jax.study.policy import Allocation, allocate

# What allocations choose from, with the rule of selection that goes with it.
KINDS = {"search": "weighted", "revisions": "hierarchical", "everything": "mixed"}
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
            apart = folds(evidence.questions, bins, evidence.settings.n_folds)
            return allocate(
                candidates,
                bins,
                apart,
                budgets(candidates) if unit == "generations" else prices(candidates, bins, apart),
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

    def rival(self, kind: str) -> Curve | None:
        """What an allocation of "search" or "revisions" has to beat: one strategy for all.

        Best-of-N weighted, where there is a search too; chains of one attempt, at several budgets.
        """
        evidence = self.evidence
        if kind == "search":
            curve = evidence.best_of_n("weighted")
            found = curve and evidence.searches_by("weighted")
            return replace(curve, name="best-of-N weighted") if found else None
        grid = evidence.grid("hierarchical")
        points = sorted((m for (s, _), m in grid.items() if s == 1), key=lambda m: m.budget)
        return Curve("parallel sampling", tuple(points)) if len(points) > 1 else None

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


def budgets(candidates: Sequence[Measured]) -> list[float]:
    """The budgets in generations that strategies share, and those below the first of them.

    Below it there is nothing to choose, as in best-of-N without a search yet. A budget in between
    that only some strategies have would make the allocation worse than a smaller one.
    """
    names: dict[float, set[str]] = {}
    for candidate in candidates:
        names.setdefault(candidate.budget, set()).add(candidate.strategy.partition("(")[0])
    shared = [budget for budget in sorted(names) if len(names[budget]) > 1]
    return [b for b in sorted(names) if not shared or b in shared or b < shared[0]]


def prices(candidates: Sequence[Measured], bins: np.ndarray, apart: np.ndarray) -> list[float]:
    """Budgets in FLOPs per question: doublings, from what something can be had for everywhere.

    bins, apart: i64[Q], the bins and the folds, each of which costs differ in.
    """
    costs = np.stack([candidate.flops for candidate in candidates])
    places = [
        bins == number if fold is None else (bins == number) & (apart == fold)
        for number in np.unique(bins)
        for fold in (None, *np.unique(apart))
    ]
    steps = [max(float(costs[:, place].mean(axis=1).min()) for place in places)]
    while steps[-1] < costs.mean(axis=1).max():
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
