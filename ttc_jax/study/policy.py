# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The compute-optimal choice of a strategy for each bin of difficulty and each budget.

Paper section 3: the strategy that does best on the other folds of a bin is applied to the questions
held out, so that no question helps to choose what it is scored with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ttc_jax.study.bins import check_bins
from ttc_jax.study.candidates import check, ranked, usable
from ttc_jax.study.curves import Measured
from ttc_jax.study.difficulty import Difficulty
from ttc_jax.study.stats import Interval, bootstrap

UNITS = ("generations", "flops")


@dataclass(frozen=True)
class Choice:
    """What one bin is given at one budget, chosen on all of its questions.

    Attributes:
      bin, budget: where; the budget in the unit of the allocation.
      candidate: the strategy and rule of best mean right on the questions of the bin.
      accuracy: cross-validated: of what the other folds chose, on the questions held out. The
        interval resamples these questions and takes the choices as given; where folds are small
        and strategies close it is somewhat narrow (92 % for 95 % in a test by simulation).
      flops: mean FLOPs per question of the candidate in this bin.
      agreed: share of the folds whose others chose this candidate too.
      considered: all candidates within the budget, best first, with their mean right on the bin.
    """

    bin: int
    budget: float
    candidate: Measured
    accuracy: Interval
    flops: float
    agreed: float
    considered: tuple[tuple[Measured, float], ...]


@dataclass(frozen=True)
class Allocation:
    """A policy from bins and budgets to candidates, scored out of fold. nB budgets, Q questions.

    Attributes:
      unit: of `budgets`, "generations" or "flops" (per question).
      candidates: those chosen from, in the order given; `chosen` and `fitted` count in them.
      bins, folds: i64[Q].
      chosen: i64[nB, Q], what each question is given: the best on the other folds of its bin.
      fitted: i64[nB, bins], the best on all questions of a bin: the policy for new ones.
      right, flops, generations: f64[nB, Q] of `chosen`; `right` is cross-validated.
      in_sample: f64[nB, Q], right of the policy chosen on the very fold that it is scored on. It
        is too high, and there only to show by how much.
      difficulty: what the bins were made from, whose cost is charged; None: nothing to charge.
    """

    unit: str
    budgets: np.ndarray
    candidates: tuple[Measured, ...]
    bins: np.ndarray
    folds: np.ndarray
    chosen: np.ndarray
    fitted: np.ndarray
    right: np.ndarray
    flops: np.ndarray
    generations: np.ndarray
    in_sample: np.ndarray
    difficulty: Difficulty | None

    @property
    def charged_budgets(self) -> np.ndarray:
        """Budgets f64[nB] with the cost of estimating difficulty added, in the same unit.

        Raises:
          ValueError: the allocation was made without a difficulty.
        """
        known = self._estimate()
        return self.budgets + (known.samples if self.unit == UNITS[0] else known.flops.mean())

    @property
    def charged_flops(self) -> np.ndarray:
        """FLOPs per question f64[nB, Q] with those of estimating difficulty; errors as above."""
        return self.flops + self._estimate().flops

    def points(self, charged: bool = False) -> tuple[Measured, ...]:
        """The policy as a strategy of its own, one point per budget, cross-validated.

        `budget` is the mean number of generations spent; with `charged`, it and `flops` include
        what estimating difficulty cost, in full.
        """
        rules = sorted({c.rule for c in self.candidates})
        name = self.difficulty.name if self.difficulty else "bins"
        sources = ", ".join(sorted({c.source for c in self.candidates}))
        flops = self.charged_flops if charged else self.flops
        extra = self._estimate().samples if charged else 0.0
        return tuple(
            Measured(
                strategy=f"compute_optimal({name})",
                rule=rules[0] if len(rules) == 1 else "mixed",
                budget=float(self.generations[at].mean()) + extra,
                right=self.right[at],
                flops=flops[at],
                source=sources,
            )
            for at in range(self.budgets.size)
        )

    def choices(self, *, n_resamples: int = 10_000, level: float = 0.95) -> tuple[Choice, ...]:
        """The fitted choice for every budget and bin, with its cross-validated accuracy."""
        places = np.ndindex(self.fitted.shape)
        return tuple(self._choice(at, number, n_resamples, level) for at, number in places)

    def _choice(self, at: int, number: int, n_resamples: int, level: float) -> Choice:
        members, budget = self.bins == number, float(self.budgets[at])
        best = self.candidates[self.fitted[at, number]]
        by_fold = [
            self.chosen[at, members & (self.folds == fold)][0] for fold in np.unique(self.folds)
        ]
        within = usable(self.candidates, self.unit, budget, members, number)
        order = [self.candidates[i] for i in ranked(self.candidates, within, members)]
        return Choice(
            bin=number,
            budget=budget,
            candidate=best,
            accuracy=bootstrap(self.right[at, members], n_resamples=n_resamples, level=level),
            flops=float(best.flops[members].mean()),
            agreed=float(np.mean(np.array(by_fold) == self.fitted[at, number])),
            considered=tuple((c, float(c.right[members].mean())) for c in order),
        )

    def _estimate(self) -> Difficulty:
        if self.difficulty is None:
            raise ValueError("there is no difficulty to charge: pass it to allocate()")
        return self.difficulty


def allocate(
    candidates: Sequence[Measured],
    bins: ArrayLike,
    folds: ArrayLike,
    budgets: Sequence[float],
    unit: str = "generations",
    difficulty: Difficulty | None = None,
) -> Allocation:
    """For each budget and bin the candidate of best mean right, cross-validated over folds.

    With unit "generations" the candidates for a budget are those of exactly that budget; with
    "flops", those whose mean FLOPs over the questions chosen on do not exceed it. Of equals, the
    one cheaper in FLOPs is taken, then the first by name. bins, folds: i64[Q], as made by
    `bins.quantile_bins` and `folds.folds`. Paper sections 3.1 and 3.2.

    Raises:
      ValueError: fewer than two candidates to choose from at every budget (one strategy only, or
        strategies without a common budget); a budget or bin without any; a right that is not in
        [0, 1]; a bin of fewer than 4 questions or without questions in a fold; sizes that differ.
    """
    candidates = tuple(candidates)
    bins, folds = np.asarray(bins, np.int64), np.asarray(folds, np.int64)
    budgets = np.asarray(budgets, np.float64)
    _check(bins, folds, budgets, unit, difficulty)
    check(candidates, bins.size, unit)
    n_bins = int(bins.max()) + 1
    chosen = np.empty((budgets.size, bins.size), np.int64)
    own = np.empty_like(chosen)
    fitted = np.empty((budgets.size, n_bins), np.int64)
    for at, budget in enumerate(budgets):
        for number in range(n_bins):
            members = bins == number
            within = usable(candidates, unit, float(budget), members, number)
            fitted[at, number] = ranked(candidates, within, members)[0]
            for fold in np.unique(folds):
                held, rest = members & (folds == fold), members & (folds != fold)
                within = usable(candidates, unit, float(budget), rest, number)
                chosen[at, held] = ranked(candidates, within, rest)[0]
                own[at, held] = ranked(candidates, within, held)[0]
    everyone = np.arange(bins.size)
    right, flops = (np.stack([getattr(c, name) for c in candidates]) for name in ("right", "flops"))
    return Allocation(
        unit, budgets, candidates, bins, folds, chosen, fitted, right[chosen, everyone],
        flops[chosen, everyone], np.array([c.budget for c in candidates])[chosen],
        right[own, everyone], difficulty,
    )  # fmt: skip


def _check(
    bins: np.ndarray,
    folds: np.ndarray,
    budgets: np.ndarray,
    unit: str,
    difficulty: Difficulty | None,
) -> None:
    """Raises ValueError for bins, folds or budgets that `allocate` has no use for."""
    if unit not in UNITS:
        raise ValueError(f"unit {unit!r}: use one of {', '.join(UNITS)}")
    if budgets.ndim != 1 or not budgets.size or not (np.isfinite(budgets) & (budgets > 0)).all():
        raise ValueError(f"budgets {budgets.tolist()} must be positive: give at least one")
    check_bins(bins, int(bins.max(initial=0)) + 1)
    if folds.shape != bins.shape:
        raise ValueError(f"folds of shape {folds.shape} do not fit bins of shape {bins.shape}")
    for number in np.unique(bins):
        missing = set(folds.tolist()) - set(folds[bins == number].tolist())
        if missing or len(set(folds.tolist())) < 2:
            raise ValueError(
                f"bin {number + 1} needs questions in each of 2 or more folds: make the folds "
                "from these bins, with folds()"
            )
    if difficulty is not None and difficulty.ease.shape != bins.shape:
        raise ValueError(f"difficulty of {difficulty.ease.size} questions, bins of {bins.size}")
