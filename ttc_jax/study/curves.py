# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy and cost over the budget: what runs came to, question by question."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ttc_jax.study.pool import PROMPT_PHASES, Pool
from ttc_jax.study.runs import Run
from ttc_jax.study.subsets import DRAWS, selected, selected_of_chains

SCORELESS = ("majority", "coverage")  # rules that read no scores
VERIFIER_PHASES = frozenset({"verifier_prefill", "verify", "verify_lookahead", "verify_context"})


@dataclass(frozen=True)
class Measured:
    """What a strategy with a selection rule came to at one budget, question by question.

    Fields:
      strategy: its full name; of a point taken from a larger pool that of the smaller budget.
      rule: "majority", "best", "weighted", "hierarchical" or "coverage".
      budget: in generations.
      right: f64[Q], the chance that the selected answer is right.
      flops: f64[Q], counted FLOPs of all that the strategy and the rule need.
      source: name of the run that it was measured in.
    """

    strategy: str
    rule: str
    budget: float
    right: np.ndarray
    flops: np.ndarray
    source: str


@dataclass(frozen=True)
class Curve:
    """One series: points by rising budget."""

    name: str
    points: tuple[Measured, ...]


def best_of_n_curve(
    run: Run,
    pools: Mapping[str, Pool],
    questions: Sequence[str],
    rule: str,
    *,
    budgets: Sequence[int] = (),
    name: str = "",
    draws: int = DRAWS,
) -> Curve:
    """What fewer independent samples would have come to, for each budget in expectation.

    Where grading timed out a question may have fewer candidates than a budget: then all it has are
    taken.

    Args:
      pools: those of `run`, or what `split` made of them.
      budgets: numbers of candidates; without any, every power of two that there are enough for.

    Raises:
      ValueError: a question has no candidates in the run, the rule reads scores that there are not,
        or a budget is too large.
    """
    own = in_order(run, pools, questions)
    check_rule(run, own, rule)
    most = min(len(pool) + pool.timeouts for pool in own)
    budgets = budgets or powers_of_two(most)
    if bad := [n for n in budgets if not 1 <= n <= most]:
        raise ValueError(f"{run.name} has {most} candidates for each question, not {bad[0]}")
    right = np.empty((len(budgets), len(own)))
    flops = np.empty_like(right)
    for q, pool in enumerate(own):
        ks = [min(n, len(pool)) for n in budgets]
        right[:, q] = selected(
            rule, pool.classes, pool.right, pool.values, ks, key=pool.question, draws=draws
        )
        once, each = prompt_flops(pool, rule), own_flops(pool, rule).mean()
        flops[:, q] = [once + n * each for n in budgets]
    points = (
        Measured(f"best_of_n(N={n})", rule, float(n), right[i], flops[i], run.name)
        for i, n in enumerate(budgets)
    )
    return Curve(name or f"best-of-N, {rule}", tuple(points))


def recorded(run: Run, pools: Mapping[str, Pool], questions: Sequence[str], rule: str) -> Measured:
    """What a run came to as it is, with all that it cost.

    Raises:
      ValueError: a question has no candidates in the run, or the rule does not fit it.
    """
    own = in_order(run, pools, questions)
    check_rule(run, own, rule)
    right = np.empty(len(own))
    for q, pool in enumerate(own):
        if pool.chain:
            shape = -1, pool.chain
            arrays = (a.reshape(shape) for a in (pool.classes, pool.right, pool.values))
            right[q] = selected_of_chains(
                rule, *arrays, [len(pool) // pool.chain], key=pool.question
            )[0]
        else:
            arrays = pool.classes, pool.right, pool.values
            right[q] = selected(rule, *arrays, [len(pool)], key=pool.question)[0]
    needed = rule not in SCORELESS or run.strategy.scored
    flops = [
        sum(cost for phase, cost in pool.flops.items() if needed or phase not in VERIFIER_PHASES)
        for pool in own
    ]
    budget = float(run.strategy.generations)
    return Measured(str(run.strategy), rule, budget, right, np.array(flops), run.name)


def curve_of(name: str, points: Iterable[Measured]) -> Curve:
    """The points by rising budget.

    Raises:
      ValueError: no points, or two of the same budget.
    """
    ordered = sorted(points, key=lambda point: point.budget)
    if not ordered:
        raise ValueError(f"{name!r} has no points")
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.budget == other.budget:
            raise ValueError(
                f"{one.strategy} in {one.source} and {other.strategy} in {other.source} have the "
                f"same budget of {one.budget:g}: they cannot stand in one curve; report one of them"
            )
    return Curve(name, tuple(ordered))


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [2**i for i in range(most.bit_length())]


def in_order(run: Run, pools: Mapping[str, Pool], questions: Sequence[str]) -> list[Pool]:
    """The pools of the questions.

    Raises:
      ValueError: no questions, or some have no graded candidate, which are named.
    """
    if not questions:
        raise ValueError(f"no question of {run.name} is to be measured")
    if lacking := [q for q in questions if q not in pools or not len(pools[q])]:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise ValueError(
            f"{run.name} has no graded candidate for {', '.join(lacking[:5])}{more}: finish the "
            f"run, or leave these questions out of all runs"
        )
    return [pools[question] for question in questions]


def check_rule(run: Run, pools: Sequence[Pool], rule: str) -> None:
    """Raises ValueError where a rule reads what a run does not have."""
    if rule not in SCORELESS and any(np.isnan(pool.values).any() for pool in pools):
        raise ValueError(f"{run.name} had no verifier, whose scores {rule!r} reads")
    if rule == "hierarchical" and not all(pool.chain for pool in pools):
        raise ValueError(f"{run.name} has no chains of revisions, which {rule!r} chooses within")


def own_flops(pool: Pool, rule: str) -> np.ndarray:
    """f64[n]: FLOPs of each candidate by itself, of the verifier only if the rule reads scores."""
    costs = [cost for phase, cost in pool.own.items() if _needed(phase, rule)]
    return np.sum(costs, axis=0) if costs else np.zeros(len(pool))


def prompt_flops(pool: Pool, rule: str) -> float:
    """FLOPs of the plain prompt, which all candidates share."""
    return sum(
        pool.flops[phase] - pool.own[phase].sum()
        for phase in PROMPT_PHASES
        if phase in pool.flops and _needed(phase, rule)
    )


def _needed(phase: str, rule: str) -> bool:
    return rule not in SCORELESS or phase not in VERIFIER_PHASES
