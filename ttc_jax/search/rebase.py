# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""REBASE: reward-balanced search, where better nodes get more children and bad ones few or none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ttc_jax.search.strategy import Grow, Load, Search, Strategy
from ttc_jax.search.tree import Node


@dataclass(frozen=True)
class Rebase(Strategy):
    """`rebase(N)`: of N nodes those that have ended are candidates; the others share the rest of N.

    The budget that is left is dealt out in proportion to exp(value / T). A node that gets no child
    is lost. The search ends when every node has ended, or after `rounds` steps.

    Source: Wu et al. 2024 (arXiv 2408.00724), section 3.2. There each node's share is rounded by
    itself, so that the shares may not add up to the budget; here they always do.

    Raises:
      ValueError: N or rounds is not a whole number of at least 1, or T is not positive.
    """

    N: int
    T: float = 0.1
    rounds: int = 40

    name = "rebase"

    def __post_init__(self):
        self.check(N=1, rounds=1)
        number = isinstance(self.T, (int, float)) and not isinstance(self.T, bool)
        if not number or not 0 < self.T < math.inf:
            raise ValueError(f"rebase with T={self.T!r}: give a finite number above 0")
        object.__setattr__(self, "T", float(self.T))

    @property
    def generations(self) -> int:
        """N."""
        return self.N

    @property
    def load(self) -> Load:
        """N solutions that may have parted at their first step."""
        return Load(rows=self.N, paths=self.N, steps=1)

    def search(self, root: Node) -> Search:
        """What has ended, in the order in which it ended; then what the rounds cut short."""
        candidates = []
        budget = self.N
        pool = yield Grow((root,) * budget)
        for _ in range(self.rounds - 1):
            ended = [node for node in pool if node.finished]
            pool = [node for node in pool if not node.finished]
            candidates += ended
            budget -= len(ended)
            if not pool:
                break
            shares = apportion([node.value for node in pool], budget, self.T)
            parents = (n for n, share in zip(pool, shares, strict=True) for _ in range(share))
            pool = yield Grow(tuple(parents))
        return candidates + pool


def apportion(values: Sequence[float], budget: int, T: float) -> list[int]:
    """Children for each of `values`: budget * softmax(values / T), in whole numbers.

    They add up to the budget: shares are rounded down, and what is left goes to those that lost
    most by it, of equals to the first.
    """
    highest = max(values)
    weights = [math.exp((value - highest) / T) for value in values]
    total = math.fsum(weights)
    exact = [budget * weight / total for weight in weights]
    shares = [math.floor(share) for share in exact]
    by_loss = sorted(range(len(values)), key=lambda i: shares[i] - exact[i])
    for i in by_loss[: budget - sum(shares)]:
        shares[i] += 1
    return shares
