# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Difficulty from the first candidates of a pool, which nothing else is then drawn from."""

from collections.abc import Sequence

import numpy as np

from ttc_jax.study import difficulty
from ttc_jax.study.curves import own_flops, prompt_flops
from ttc_jax.study.difficulty import Difficulty, Shrinkage
from ttc_jax.study.pool import Pool, split

FEW = 4  # samples of the cheap estimate


class Estimates:
    """The estimates from the first `apart` candidates of every question.

    Raises:
      ValueError: a question has no candidate beyond those.
    """

    def __init__(self, run: str, pools: Sequence[Pool], apart: int):
        """`pools` are those of all questions in the run of this name."""
        smallest = min(len(pool) for pool in pools)
        if not 0 < apart < smallest:
            raise ValueError(
                f"{apart} samples cannot be set apart for difficulty: some question of {run} has "
                f"{smallest}; pass a smaller --difficulty"
            )
        self.run, self.apart, self._pools = run, apart, pools

    def of(self, estimator: str) -> Difficulty | None:
        """ "oracle", "predicted" or "few"; None where that takes scores and there are none."""
        pools = self._first(FEW if estimator == "few" else self.apart)
        rule = "majority" if estimator == "oracle" else "weighted"
        costs = [prompt_flops(pool, rule) + own_flops(pool, rule).sum() for pool in pools]
        if estimator == "oracle":
            right = [int(pool.right.sum()) for pool in pools]
            return difficulty.oracle(right, [len(pool) for pool in pools], costs)
        if any(np.isnan(pool.values).any() for pool in pools):
            return None
        make = difficulty.few if estimator == "few" else difficulty.predicted
        return make([pool.values for pool in pools], costs)

    def shrinkage(self) -> Shrinkage:
        """What the cheap estimate knows of all questions."""
        return difficulty.fit_shrinkage([pool.values for pool in self._first(FEW)])

    def _first(self, most: int) -> list[Pool]:
        n = min(most, self.apart)
        return [split(pool, n)[0] for pool in self._pools]
