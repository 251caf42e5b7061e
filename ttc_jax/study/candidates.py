# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy may choose from: measured strategies, by budget and by merit."""

from collections.abc import Sequence

import numpy as np

from ttc_jax.study.curves import Measured


def name_of(candidate: Measured) -> str:
    """What a candidate is called in messages and sentences."""
    return f"{candidate.strategy} with {candidate.rule}"


def usable(
    candidates: Sequence[Measured], unit: str, budget: float, members: np.ndarray, number: int
) -> list[int]:
    """The candidates, by index, that `budget` allows on the questions bool[Q] of bin `number`.

    Raises:
      ValueError: there is none.
    """
    if unit == "generations":
        found = [i for i, c in enumerate(candidates) if c.budget == budget]
        if not found:
            known = sorted({c.budget for c in candidates})
            raise ValueError(
                f"no strategy has a budget of {budget:g} generations: take one of "
                f"{', '.join(f'{b:g}' for b in known)}"
            )
        return found
    costs = [float(c.flops[members].mean()) for c in candidates]
    found = [i for i, cost in enumerate(costs) if cost <= budget]
    if not found:
        least = int(np.argmin(costs))
        raise ValueError(
            f"bin {number + 1} has no candidate within {budget:.4g} FLOPs per question; the "
            f"cheapest, {name_of(candidates[least])}, takes {costs[least]:.4g}: raise the budget"
        )
    return found


def ranked(candidates: Sequence[Measured], within: Sequence[int], members: np.ndarray) -> list[int]:
    """`within` from the best mean right on the questions `members` bool[Q] to the worst.

    Of equals the one cheaper in FLOPs comes first, then the first by name.
    """

    def key(at: int):
        candidate = candidates[at]
        # Equal shares may differ in the last bit when they are summed in another order.
        mean = round(float(candidate.right[members].mean()), 12)
        cost = float(candidate.flops[members].mean())
        return -mean, cost, name_of(candidate), candidate.source

    return sorted(within, key=key)


def check(candidates: Sequence[Measured], n_questions: int, unit: str) -> None:
    """Raises ValueError for candidates between which nothing can be chosen.

    These are: right that is not in [0, 1], FLOPs that are not counted, another number of
    questions, a candidate listed twice, one strategy only, or (for budgets in generations) no two
    of a common budget.
    """
    seen = set()
    for candidate in candidates:
        for name in ("right", "flops"):
            values = getattr(candidate, name)
            if values.shape != (n_questions,):
                raise ValueError(
                    f"{name_of(candidate)} ({candidate.source}) has {name} of shape "
                    f"{values.shape}, not {n_questions} questions: measure it on the same ones"
                )
        bad = np.flatnonzero(~((candidate.right >= 0) & (candidate.right <= 1)))
        if bad.size:
            raise ValueError(
                f"{name_of(candidate)} ({candidate.source}) has right = {candidate.right[bad[0]]} "
                f"for question {bad[0]} (counted from 0): leave out questions not measured"
            )
        bad = np.flatnonzero(~(np.isfinite(candidate.flops) & (candidate.flops >= 0)))
        if bad.size or (unit == "flops" and not candidate.flops.any()):
            raise ValueError(
                f"{name_of(candidate)} ({candidate.source}) has no FLOPs counted for every "
                "question: run it again with this version"
            )
        key = (candidate.strategy, candidate.rule, candidate.budget, candidate.source)
        if key in seen:
            raise ValueError(
                f"{name_of(candidate)} ({candidate.source}) is listed twice: leave one out"
            )
        seen.add(key)
    _check_rivals(candidates, unit)


def _check_rivals(candidates: Sequence[Measured], unit: str) -> None:
    """Raises ValueError where there is nothing to choose between."""
    kinds: dict[str, set[float]] = {}
    for c in candidates:
        kinds.setdefault(f"{c.strategy.partition('(')[0]} with {c.rule}", set()).add(c.budget)
    at = [sum(c.budget == b for c in candidates) for b in {c.budget for c in candidates}]
    if len(kinds) < 2 and max(at, default=0) < 2:
        raise ValueError(
            f"only {next(iter(kinds), 'nothing')} is there to choose from: add runs of another "
            "strategy, or another rule"
        )
    if unit == "generations" and max(at) < 2:
        listed = "; ".join(
            f"{kind}: {', '.join(f'{b:g}' for b in sorted(of))}"
            for kind, of in sorted(kinds.items())
        )
        raise ValueError(
            f"no two strategies share a budget ({listed}): run one of them at a budget of another"
        )
