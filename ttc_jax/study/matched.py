# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How much a small model may think where a larger one would cost as much (paper section 7).

Both models cost their pretraining once and inference for every query. What the small model saves
in pretraining, spread over the queries, it may spend on thinking longer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ttc_jax.core.flops import CONVENTIONS, inference, pretraining
from ttc_jax.model.shape import preset

# Those that price a generation; "counted" has nothing to price without a run.
PRICED = tuple(name for name in CONVENTIONS if name != "counted")


@dataclass(frozen=True)
class Pair:
    """A small and a large model: parameters, pretraining tokens (`data`), tokens per generation.

    With equal data and tokens per generation only the ratio of the parameters matters, and all may
    be left at 1.

    Raises:
      ValueError: a number that is not positive and finite, or a large model that is the smaller.
    """

    small_params: float
    large_params: float
    small_data: float = 1.0
    large_data: float = 1.0
    small_tokens: float = 1.0
    large_tokens: float = 1.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}: it must be positive and finite")
        if self.large_params < self.small_params:
            raise ValueError(
                f"M = {self.large_params / self.small_params:.4g}: the large model must have at "
                "least as many parameters as the small one (M >= 1); swap the two"
            )

    @classmethod
    def scaled(cls, M: float) -> "Pair":
        """Models of one data set and length of answers, the large M times as large."""
        if not (math.isfinite(M) and M >= 1):
            raise ValueError(
                f"M is {M}: give how many times the parameters of the small model the large one "
                "has, a finite number of at least 1"
            )
        return cls(1.0, M)

    @classmethod
    def presets(cls, small: str, large: str, *, small_data=1.0, large_data=1.0) -> "Pair":
        """Two models of `PRESETS` by name, with their real numbers of parameters.

        Raises:
          ValueError: an unknown name, with those alike; else as the class.
        """
        return cls(preset(small).params, preset(large).params, small_data, large_data)

    @property
    def saved(self) -> float:
        """FLOPs of pretraining that the small model saves; negative if its data outweigh."""
        large = pretraining(self.large_params, self.large_data)
        return large - pretraining(self.small_params, self.small_data)

    def generation(self, convention: str, large: bool = False) -> float:
        """FLOPs of one generation of either model.

        Raises:
          ValueError: the convention is unknown, or "counted", which has no price of a generation.
        """
        if convention == "counted":
            raise ValueError(
                f"counted FLOPs are measured, not priced: use matched_flops(), or one of "
                f"{', '.join(PRICED)}"
            )
        params = self.large_params if large else self.small_params
        tokens = self.large_tokens if large else self.small_tokens
        return inference(params, tokens, convention, large=large)

    def queries(self, ratio: float, convention: str) -> float:
        """Queries in a lifetime of R = `ratio`.

        R counts inference tokens of the small model, at one generation per query, per token of its
        pretraining; for "counted" it counts queries per token of its pretraining.

        Raises:
          ValueError: R is not positive and finite, or an unknown convention.
        """
        _positive(ratio, "R")
        tokens = 1.0
        if convention != "counted":
            self.generation(convention)  # refuses conventions that there are not
            tokens = self.small_tokens
        return ratio * self.small_data / tokens


@dataclass(frozen=True)
class Multipliers:
    """The matched budgets of the small model at one R, by convention.

    `generations` is the budget of the large model that they are matched to.
    """

    R: float
    generations: float
    budgets: dict[str, float]


def matched_budget(
    pair: Pair,
    convention: str,
    *,
    R: float | None = None,
    queries: float | None = None,
    generations: float = 1.0,
) -> float:
    """The small model's budget in generations per query at which both models cost the same.

    `generations` is the large model's budget, 1 for its greedy answer. R as in `Pair.queries`; give
    either R or queries. From pre_s + queries k inf_s = pre_l + queries n inf_l:

        k = (n inf_l + (pre_l - pre_s) / queries) / inf_s

    Raises:
      ValueError: both or neither of R and queries; a number that is not positive and finite; a
        convention that is unknown or "counted"; no positive budget, because the small model's
        pretraining costs more than the large one does altogether.
    """
    _positive(generations, "generations")
    return _matched(
        pair,
        generations * pair.generation(convention, large=True),
        _queries(pair, R, queries, convention),
    ) / pair.generation(convention)


def matched_flops(
    pair: Pair, large_flops: float, *, R: float | None = None, queries: float | None = None
) -> float:
    """The FLOPs per query of the small model at which both models cost the same, by measurement.

    `large_flops` are those of the large model per query, `R` is in queries per pretraining token;
    give either R or queries. F_s = F_l + 6 (N_l D_l - N_s D_s) / queries, policy and verifier
    included in both; errors as `matched_budget`.
    """
    _positive(large_flops, "large_flops")
    return _matched(pair, large_flops, _queries(pair, R, queries, "counted"))


def multiplier(M: float, R: float, convention: str) -> float:
    """How many generations a model may spend for one of a model M times as large.

    M + 3 (M - 1) / R for "arxiv", M + 1.5 (M - 1) / R for "iclr" and M / 2 + 1.5 (M - 1) / R for
    "iclr_small" (paper section 7 in its two versions), as they follow from `matched_budget`, whose
    errors it raises.
    """
    return matched_budget(Pair.scaled(M), convention, R=R)


def multipliers(
    pair: Pair,
    ratios: Sequence[float],
    conventions: Sequence[str] = PRICED,
    generations: Sequence[float] = (1.0,),
) -> tuple[Multipliers, ...]:
    """`matched_budget` for every R and budget of the large model, under each convention."""
    return tuple(
        Multipliers(R, n, {c: matched_budget(pair, c, R=R, generations=n) for c in conventions})
        for R in ratios
        for n in generations
    )


def _queries(pair: Pair, R: float | None, queries: float | None, convention: str) -> float:
    if (R is None) == (queries is None):
        raise ValueError("give either R or queries")
    return pair.queries(R, convention) if queries is None else _positive(queries, "queries")


def _matched(pair: Pair, large_cost: float, queries: float) -> float:
    cost = large_cost + pair.saved / queries
    if cost <= 0:
        raise ValueError(
            f"pretraining of the small model costs {-pair.saved:.4g} FLOPs more than that of the "
            f"large one, which {queries:.4g} queries do not make up for: no budget matches"
        )
    return cost


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}: it must be positive and finite")
    return value
