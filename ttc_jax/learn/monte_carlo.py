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


@dataclass(frozen=True)
class MonteCarlo(Strategy):
    """`monte_carlo(samples,rollouts)`: solutions to learn from, with rollouts from each prefix.

    `samples` solutions grow step by step. Those that read the same so far are one prefix, which
    goes on with as many samples as it stands for; from every prefix that has not ended `rollouts`
    whole solutions are sampled, while its next steps are. A solution that has ended needs none: its
    value is whether it is right. What has not ended after `rounds` steps is given up.

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
        self.check(samples=1, rollouts=1, rounds=1)

    @property
    def generations(self) -> int:
        """The most there can be: samples, each with rollouts from all of its steps but the last.

        How many there are depends on how long solutions are, and how alike.
        """
        return self.samples * (1 + self.rollouts * (self.rounds - 1))

    @property
    def load(self) -> Load:
        """Three rows for each sample, any of them a whole solution.

        Prefixes that wait to be continued and steps that have ended hold a row for each sample, no
        more: the last step to start from a prefix takes its row over. Rollouts start before the
        steps, need a row only while they run, and have the rest. One more than `samples` would do.
        """
        return Load(rows=3 * self.samples, paths=3 * self.samples, steps=1)

    def search(self, root: Node) -> Search:
        """All solutions that have ended, equal ones too, then all rollouts."""
        ended: list[Node] = []
        rolled: list[Node] = []
        standing = {root: self.samples}  # samples that each prefix stands for
        for turn in range(self.rounds):
            parents = tuple(node for node, count in standing.items() for _ in range(count))
            # What the prompt is worth, the samples show themselves.
            each = self.rollouts if turn else 0
            valued = tuple(node for node in standing for _ in range(each))
            nodes = yield Grow(parents, rollouts=valued)
            rolled += nodes[len(parents) :]
            steps = nodes[: len(parents)]
            ended += [node for node in steps if node.finished]
            alike = same_text(node for node in steps if not node.finished)
            standing = {nodes[0]: len(nodes) for nodes in alike}
            if not standing:
                break
        return ended + rolled


def same_text(nodes: Iterable[Node]) -> list[list[Node]]:
    """Nodes that continue the same one with the same text, together; in order, the first first."""
    found: dict[tuple[Node | None, str], list[Node]] = {}
    for node in nodes:
        found.setdefault((node.parent, node.text), []).append(node)
    return list(found.values())
