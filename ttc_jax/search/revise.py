# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Revisions: chains of attempts at a question, each made with the ones before it in view."""

from dataclasses import dataclass

from ttc_jax.search.strategy import Ask, Grow, Load, Search, Strategy
from ttc_jax.search.tree import Node


@dataclass(frozen=True)
class Revise(Strategy):
    """`revise(s,p)`: p chains side by side, of s attempts one after the other.

    An attempt sees the last `memory` attempts of its own chain. Choose among the candidates with
    `verify.vote.hierarchical` over `chains`, or, without a verifier, with `verify.vote.majority`
    over all of them.

    Source: Snell et al. 2024, section 6.

    Raises:
      ValueError: a parameter is not a whole number of at least 1.
    """

    s: int
    p: int
    memory: int = 4

    name = "revise"
    scored = False
    stepwise = False

    def __post_init__(self):
        self.check(s=1, p=1, memory=1)

    @property
    def generations(self) -> int:
        """s * p."""
        return self.s * self.p

    @property
    def load(self) -> Load:
        """One attempt for each chain, with the earlier ones in its prompt."""
        return Load(rows=self.p, paths=self.p, attempts=min(self.memory, self.s - 1))

    @property
    def chains(self) -> list[range]:
        """For each chain the indices of its attempts among the candidates."""
        return [range(c * self.s, (c + 1) * self.s) for c in range(self.p)]

    def search(self, root: Node) -> Search:
        """All attempts, chain by chain, each chain in order."""
        first = yield Grow((root,) * self.p, whole=True)
        chains = [[attempt] for attempt in first]
        for _ in range(self.s - 1):
            prompts = yield Ask(tuple(tuple(chain[-self.memory :]) for chain in chains))
            attempts = yield Grow(tuple(prompts), whole=True)
            for chain, attempt in zip(chains, attempts, strict=True):
                chain.append(attempt)
        return [attempt for chain in chains for attempt in chain]
