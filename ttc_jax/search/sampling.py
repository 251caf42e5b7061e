# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Best-of-N: whole solutions, sampled independently of each other (paper section 5.2).

The yardstick of all the others. No scores are needed to sample, so how the answer is chosen among
the samples (majority, best, weighted) is decided afterwards, over what was stored.
"""

from dataclasses import dataclass

from ttc_jax.search.strategy import Grow, Load, Search, Strategy
from ttc_jax.search.tree import Node


@dataclass(frozen=True)
class BestOfN(Strategy):
    """`best_of_n(N)`: N solutions, all of them candidates.

    Raises:
      ValueError: N is not a whole number of at least 1.
    """

    N: int

    name = "best_of_n"
    scored = False
    stepwise = False

    def __post_init__(self):
        self.check(N=1)

    @property
    def generations(self) -> int:
        """N."""
        return self.N

    @property
    def load(self) -> Load:
        """N solutions that share the prompt."""
        return Load(rows=self.N, paths=self.N)

    def search(self, root: Node) -> Search:
        """All samples, in the order in which they were asked for."""
        return (yield Grow((root,) * self.N, whole=True))
