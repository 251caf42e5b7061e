# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Diverse verifier tree search: narrow beam searches side by side that never compete."""

from dataclasses import dataclass
from itertools import islice

from ttc_jax.search.beam import Beam, settle_width
from ttc_jax.search.strategy import Grow, Load, Search, Strategy
from ttc_jax.search.tree import Node


@dataclass(frozen=True)
class DVTS(Strategy):
    """`dvts(N,M)`: N/M independent subtrees, each a beam search of M beams that keeps its best one.

    M is the divisor of N nearest to its square root where none is given. All subtrees that are
    still growing take each step together.

    Source: Beeching, Tunstall and Rush 2024, "Scaling test-time compute with open models".

    Raises:
      ValueError: a parameter that is not a whole number of at least 1, or an M that does not
        divide N.
    """

    N: int
    M: int | None = None
    rounds: int = 40

    name = "dvts"

    def __post_init__(self):
        self.check(N=1, rounds=1)
        settle_width(self)

    @property
    def generations(self) -> int:
        """N."""
        return self.N

    @property
    def load(self) -> Load:
        """One kept beam for each subtree, and N steps that continue them."""
        return Load(rows=self.N, paths=self.N // self.M, steps=1)

    def search(self, root: Node) -> Search:
        """The candidates of all subtrees, one subtree after the other."""
        subtree = Beam(N=self.M, M=self.M, rounds=self.rounds)
        searches = [subtree.search(root) for _ in range(self.N // self.M)]
        asked = {search: next(search) for search in searches}
        candidates = {}
        while asked:
            parents = tuple(parent for grow in asked.values() for parent in grow.parents)
            children = iter((yield Grow(parents)))
            for search, grow in list(asked.items()):
                try:
                    asked[search] = search.send(list(islice(children, len(grow.parents))))
                except StopIteration as end:
                    candidates[search] = end.value
                    del asked[search]
        return [node for search in searches for node in candidates[search]]
