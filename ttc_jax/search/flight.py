# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Questions in flight: what a strategy has asked for and what it holds on the devices."""

from collections import Counter, deque
from dataclasses import dataclass, field

from ttc_jax.data.sources import Question
from ttc_jax.decode.batch import Job, Place
from ttc_jax.search.strategy import Ask, Grow, Search
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.scorer import State


@dataclass(frozen=True)
class Held:
    """A row that a node can be continued from.

    The row at `place` holds `cached` tokens up to but without the node's last one; `length` is that
    of the solution in tokens, `tail` its last bytes, `state` the stop automaton's after them.
    """

    place: Place
    cached: int
    last: int
    length: int = 0
    tail: bytes = b""
    state: int = 0


@dataclass(eq=False)
class Flight:
    """A question in flight: its strategy, and what it holds on the devices."""

    question: Question
    search: Search
    replica: int
    key: int
    nodes: list[Node]  # the plain prompt first
    state: State | None = None  # of the question in the scorer, kept to the end
    rows: dict[Node, Held] = field(default_factory=dict)
    states: dict[Node, State] = field(default_factory=dict)
    attempts: dict[Node, tuple[Node, ...]] = field(default_factory=dict)  # in view, by prompt
    command: Grow | Ask | None = None
    asked: list[Node] = field(default_factory=list)
    rollouts: set[Node] = field(default_factory=set)  # those of what was asked
    waiting: deque[Node] = field(default_factory=deque)
    unstarted: Counter = field(default_factory=Counter)  # children not started, by parent
    unscored: Counter = field(default_factory=Counter)
    left: int = 0
    rounds: int = 0
    usage: Counter = field(default_factory=Counter)

    def children(self, command: Grow) -> None:
        """Number and queue the children asked for."""
        self.command, first = command, sum(node.number >= 0 for node in self.nodes)
        parents = (*command.parents, *command.rollouts)
        self.asked = [Node(first + i, parent, self.rounds) for i, parent in enumerate(parents)]
        steps, rollouts = self.asked[: len(command.parents)], self.asked[len(command.parents) :]
        self.rollouts = set(rollouts)
        self.left = len(self.asked)
        self.unstarted.update(parents)
        self.unscored.update(command.parents)
        # Rollouts first: they take longest, and hold no row once they have ended, as steps do.
        self.waiting.extend(rollouts + steps)
        self.nodes += self.asked

    def prompts(self, command: Ask) -> None:
        """Number the prompts asked for."""
        self.command, first = command, -1 - sum(node.number < 0 for node in self.nodes)
        self.asked = [Node(first - i, round=self.rounds) for i in range(len(command.attempts))]
        self.left = len(self.asked)
        self.nodes += self.asked
        self.attempts |= zip(self.asked, command.attempts, strict=True)

    def tree(self, candidates: list[Node]) -> Tree:
        """The finished tree, prompts first."""
        nodes = sorted(self.nodes, key=lambda node: (node.number >= 0, abs(node.number)))
        return Tree(self.question.id, nodes, list(candidates), self.usage)


@dataclass(eq=False)
class Run:
    """A node being sampled, or rolled out from."""

    flight: Flight
    node: Node
    job: Job
    before: Held
    ahead: int = 0  # steps of the rollout from it, once that has begun
