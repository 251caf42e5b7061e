# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Monte-Carlo rollouts: what the policy itself makes of every prefix of its own solutions.

A verifier learns the share of whole solutions sampled from a prefix that are right (paper section
2, after Math-Shepherd, arXiv 2312.08935). Solutions, their prefixes and the rollouts from them are
one tree on one cache: nothing is encoded again, and what several samples begin with is rolled out
once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ttc_jax.search.strategy import Grow, Load, Search, Strategy
from ttc_jax.search.tree import Node
from ttc_jax.verify.answers import extract


@dataclass(frozen=True)
class MonteCarlo(Strategy):
    """`monte_carlo(samples,rollouts)`: solutions to learn from, with rollouts from each prefix.

    `samples` solutions grow step by step. Those that read the same so far are one prefix, which
    goes on with as many samples as it stands for; from every prefix that has not ended `rollouts`
    whole solutions are sampled, those of many prefixes together. A solution that has ended needs
    none, nor does one that has stated its answer and only has to end: its value is whether it is
    right. What has not ended after `rounds` steps is given up.

    Source: Snell et al. 2024, appendix on PRM training: 16 samples of a question and 16 rollouts of
    a step. That prefixes are merged is not in the paper; it changes no expectation, only the cost.

    Raises:
      ValueError: a parameter that is not a whole number of at least 1.
    """

    samples: int = 16
    rollouts: int = 16
    rounds: int = 40

    name = "monte_carlo"
    scored = False

    def __post_init__(self):
        self.check(samples=1, rollouts=0, rounds=1)

    @property
    def generations(self) -> int:
        """The most there can be: samples, each with rollouts from all of its steps but the last.

        How many there are depends on how long solutions are, and how alike.
        """
        return self.samples * (1 + self.rollouts * (self.rounds - 1))

    @property
    def stepwise(self) -> bool:
        """Prefixes are found as samples grow; without rollouts nothing has to be known of them."""
        return self.rollouts > 0

    @property
    def load(self) -> Load:
        """Five rows for each sample, any of them a whole solution; one without rollouts.

        Fewer than two prefixes for each sample wait for their rollouts, one more is continued, one
        step more has ended, and rollouts have the rest; four would do. Rows wait for the others of
        their round most of the time.
        """
        if not self.rollouts:
            return Load(rows=self.samples, paths=self.samples)
        rows = 5 * self.samples
        return Load(rows=rows, paths=rows, steps=1, busy=2 * self.samples)

    def search(self, root: Node) -> Search:
        """All solutions that have ended, equal ones too, then all rollouts."""
        if not self.rollouts:
            return (yield Grow((root,) * self.samples, whole=True))
        ended: list[Node] = []
        rolled: list[Node] = []
        held: list[Node] = []  # prefixes that were continued, and are to be rolled out
        standing = {root: self.samples}  # samples that each prefix stands for
        for turn in range(self.rounds):
            parents = tuple(node for node, count in standing.items() for _ in range(count))
            # Many rollouts at once, as the next step waits for the longest of them.
            due = held if len(held) >= self.samples else []
            held = [] if due else held
            # What the prompt is worth, the samples show themselves.
            prefixes = [node for node in standing if turn and not states_answer(node)]
            nodes = yield Grow(parents, rollouts=self._each(due), keep=(*held, *prefixes))
            held += prefixes
            steps = nodes[: len(parents)]
            rolled += nodes[len(parents) :]
            ended += [node for node in steps if node.finished]
            alike = same_text(node for node in steps if not node.finished)
            standing = {nodes[0]: len(nodes) for nodes in alike}
            if not standing:
                break
        if held:
            rolled += yield Grow((), rollouts=self._each(held))
        return ended + rolled

    def _each(self, prefixes: Iterable[Node]) -> tuple[Node, ...]:
        """Every prefix as often as it is rolled out."""
        return tuple(node for node in prefixes for _ in range(self.rollouts))


def states_answer(node: Node) -> bool:
    """Whether a solution has a whole step that states a final answer."""
    return node.stopped_by is not None and extract(node.solution) is not None


def same_text(nodes: Iterable[Node]) -> list[list[Node]]:
    """Nodes that continue the same one with the same text, together; in order, the first first."""
    found: dict[tuple[Node | None, str], list[Node]] = {}
    for node in nodes:
        found.setdefault((node.parent, node.text), []).append(node)
    return list(found.values())
