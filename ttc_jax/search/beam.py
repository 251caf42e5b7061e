# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Beam search against a verifier, and lookahead, which only reads its values further on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ttc_jax.search.strategy import Grow, Load, Search, Strategy, ranked
from ttc_jax.search.tree import Node


@dataclass(frozen=True)
class Beam(Strategy):
    """`beam(N,M)`: of N beams keep the best N/M, continue each with M samples, and so on.

    M is the divisor of N nearest to its square root where none is given. The search ends after
    `rounds` steps, or as soon as all that is kept has ended. A kept beam that has ended stays in
    the pool at no cost and goes on competing; what is not kept is lost, ended or not.

    With k > 0 it is `lookahead(N,M,k)`: a beam is judged by the verifier's score after up to k more
    steps at temperature 0. With `distinct`, of beams with the same text only the one sampled first
    can be kept; what the others would have cost buys more samples of those that are.

    Source: Snell et al. 2024, section 5.2, which leaves open what becomes of beams that have ended,
    of duplicates and of budgets that are not squares.

    Raises:
      ValueError: a parameter that is not a whole number or too small, or an M that N has no use
        for: one larger than N, or one that does not divide it.
    """

    N: int
    M: int | None = None
    k: int = 0
    rounds: int = 40
    distinct: bool = False

    def __post_init__(self):
        self.check(N=1, k=0, rounds=1)
        if not isinstance(self.distinct, bool):
            raise ValueError(f"{self.name} with distinct={self.distinct!r}: give True or False")
        settle_width(self)

    @property
    def name(self) -> str:
        """"lookahead" where there is any."""
        return "lookahead" if self.k else "beam"

    @property
    def generations(self) -> int:
        """N(k+1)."""
        return self.N * (self.k + 1)

    @property
    def load(self) -> Load:
        """N/M kept beams, and N steps that continue them."""
        return Load(rows=self.N, paths=self.N // self.M, steps=1 + self.k)

    def search(self, root: Node) -> Search:
        """The last pool: what has ended, and what has not if the rounds ran out."""
        pool = yield Grow((root,) * self.N, lookahead=self.k)
        for _ in range(self.rounds - 1):
            kept = ranked(first_of_each(pool) if self.distinct else pool)[: self.N // self.M]
            ended = [node for node in kept if node.finished]
            growing = [node for node in kept if not node.finished]
            if not growing:
                return [node for node in pool if node.finished]
            # M each, unless duplicates made room for more.
            each, more = divmod(self.N - self.M * len(ended), len(growing))
            parents = [n for i, n in enumerate(growing) for _ in range(each + (i < more))]
            pool = ended + (yield Grow(tuple(parents), lookahead=self.k))
        return pool


def first_of_each(pool: Sequence[Node]) -> list[Node]:
    """Of nodes whose solutions read the same, the one sampled first; white space at the end aside.

    In the order in which they were sampled.
    """
    first: dict[str, Node] = {}
    for node in sorted(pool, key=lambda node: node.number):
        first.setdefault(node.solution.rstrip(), node)
    return list(first.values())


def settle_width(strategy: Strategy) -> None:
    """Gives a strategy of N beams without an M the divisor of N nearest to the root of N.

    Raises:
      ValueError: M is no whole number, or does not divide N; with the widths that would do.
    """
    N, M = strategy.N, strategy.M
    divisors = [d for d in range(1, N + 1) if N % d == 0]
    if M is None:
        object.__setattr__(strategy, "M", min(divisors, key=lambda d: abs(d - math.sqrt(N))))
        return
    strategy.check(M=1)
    if M not in divisors:
        fault = "is smaller than" if M > N else "is not a multiple of"
        widths = ", ".join(map(str, divisors))
        raise ValueError(f"budget N={N} {fault} M={M}: give an M that divides it ({widths})")
