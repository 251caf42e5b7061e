# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What all search strategies have in common: a name, a budget, and a conversation with a scheduler.

A strategy is a generator over one question. It yields a `Grow` (or `Ask`) and is sent the nodes
that came of it, sampled and scored, until it returns its candidates. It never sees a model, a
batch or another question, so the same few lines run on a pod and, in a test, on a table of
recorded samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from ttc_jax.search.tree import Node


@dataclass(frozen=True)
class Grow:
    """Sample one child for every entry of `parents`, in order; a node listed twice gets two.

    Every other node that could still grow is given up for good. Children are one step long, or
    whole solutions where `whole` is set. With `lookahead` k, each child that can go on is continued
    by up to k more steps at temperature 0, and its value is read at their end; the rollout is then
    dropped.

    For every entry of `rollouts` one whole solution is sampled from that node, to estimate its
    value (paper section 2): it is never scored, and cannot be grown from. A node may stand in both
    and many times; sent back are the children of `parents` in order, then those of `rollouts`.
    Nodes in `keep` are not given up, whether they grow now or not.
    """

    parents: tuple[Node, ...]
    whole: bool = False
    lookahead: int = 0
    rollouts: tuple[Node, ...] = ()
    keep: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Ask:
    """Make new prompts for the question, one for each tuple of earlier attempts at it.

    The nodes sent back are prompts, to `Grow` from; every other node is given up.
    """

    attempts: tuple[tuple[Node, ...], ...]


Search = Generator[Grow | Ask, list[Node], list[Node]]


@dataclass(frozen=True)
class Load:
    """The most that a strategy holds for one question, for planning memory.

    `rows` are held at once; `paths` of them may be whole solutions that share nothing but the
    prompt; every row may have `steps` further steps of its own (those looked ahead included) beyond
    those. Rollouts that run hold rows too, as many as there are left: leave them one at least.
    `attempts` earlier attempts may stand in each row's prompt. `busy` rows sample at a time, where
    that is less than all that are held: the fewer, the more questions keep the lanes busy.
    """

    rows: int
    paths: int
    steps: int = 0
    attempts: int = 0
    busy: int = 0


class Strategy(ABC):
    """A way to spend a budget of generations on one question.

    Subclasses are frozen dataclasses whose fields are the hyper-parameters, spelled as in the
    paper. `str()` gives the full name, as in `beam(N=16,M=4)`, which `names.parse` reads back:
    parameters that have their default value go without saying.
    """

    # Rounds after which a strategy ends, None for one that does not go step by step; and, for each
    # chain of revisions, the indices of its attempts among the candidates.
    rounds: ClassVar[int | None] = None
    chains: ClassVar[Sequence[Sequence[int]]] = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """What the strategy is called, without its parameters."""

    @property
    @abstractmethod
    def generations(self) -> int:
        """The budget, in sampled full answers (paper section 5.2)."""

    @property
    @abstractmethod
    def load(self) -> Load:
        """The most that is held for one question."""

    @property
    def scored(self) -> bool:
        """Whether the strategy compares values, and so cannot do without a scorer."""
        return True

    @property
    def stepwise(self) -> bool:
        """Whether it grows step by step: then steps must be scored as they come."""
        return True

    @abstractmethod
    def search(self, root: Node) -> Search:
        """The search over one question from its prompt; returns the candidates."""

    def __str__(self) -> str:
        values = ((f.name, getattr(self, f.name), f.default) for f in fields(self))
        shown = (f"{name}={value}" for name, value, default in values if value != default)
        return f"{self.name}({','.join(shown)})"

    def check(self, **lowest: int) -> None:
        """Raises ValueError unless each field named is a whole number and at least `lowest`."""
        for field, low in lowest.items():
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ValueError(
                    f"{self.name} with {field}={value!r}: give a whole number of at least {low}"
                )


def ranked(nodes: Sequence[Node]) -> list[Node]:
    """Nodes from the highest value to the lowest; of equals, the one sampled first comes first."""
    return sorted(nodes, key=lambda node: (-node.value, node.number))
