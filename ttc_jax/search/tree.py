# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The tree that a search grows over one question: what was sampled, its scores, what became of it.

Nothing is ever taken out of a tree: branches that a strategy gave up stay in it as they were then.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(eq=False)
class Node:
    """A prompt, a step of a solution, or a whole solution.

    Prompts are numbered -1, -2, ... and have no parent; everything sampled is numbered 0, 1, ... in
    the order in which it was asked for, and `parent` is what it continues. `round` is the number of
    times that the strategy had been asked before (0 for the first samples).

    tokens i32[len] and logprobs f32[len] are the node's own, delimiter or end included, and `text`
    is their text. finish is "step" (a solution that can go on), "stop" (it ended, at `stopped_by`),
    "length" (no tokens were left) or "unread" (it outgrew the verifier's context; its value is 0).
    `steps` are the node's own non-empty steps and `scores` the verifier's score of each (one for
    all of them from an outcome verifier; empty without one). `value` is what strategies compare:
    the aggregate of the scores from the beginning of the solution, or, of a node that was looked
    ahead from, at the end of `ahead`, the text of the rollout, whose steps scored `ahead_scores`.
    `usage` counts tokens by phase; those of a rollout, a solution sampled only to estimate the
    value of its parent, are a phase of their own. `verify_at` is the length of the verifier's row
    when it read on for this node, and `ahead_logprobs` are those of the rollout's tokens by step,
    for a verifier that reads them; neither is stored.
    """

    number: int
    parent: "Node | None" = None
    round: int = 0
    tokens: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    logprobs: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    text: str = ""
    finish: str = "step"
    stopped_by: int | str | None = None
    steps: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    value: float | None = None
    ahead: str = ""
    ahead_scores: tuple[float, ...] = ()
    usage: Counter = field(default_factory=Counter)
    verify_at: int = 0
    ahead_logprobs: tuple[np.ndarray, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether nothing can follow."""
        return self.finish != "step"

    @property
    def rollout(self) -> bool:
        """Whether it was sampled only to estimate the value of its parent."""
        return "rollout" in self.usage

    @property
    def path(self) -> list["Node"]:
        """The nodes of the solution that ends here, in order, without the prompt."""
        nodes, node = [], self
        while node is not None and node.number >= 0:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    @property
    def solution(self) -> str:
        """Text of the solution up to and with this node."""
        return "".join(node.text for node in self.path)

    @property
    def all_scores(self) -> list[float]:
        """Scores of all steps of the solution up to and with this node's."""
        return [score for node in self.path for score in node.scores]


@dataclass
class Tree:
    """A finished search over one question.

    `nodes` are all nodes, prompts first, in the order of their numbers; `candidates` the solutions
    among which the answer is chosen, in the order of the strategy. `usage` counts what belongs to
    no single node: tokens of the question in the verifier ("verifier_prefill"), and the most pages
    that the question's policy and verifier rows held ("pages", "verifier_pages").
    """

    question: str
    nodes: list[Node]
    candidates: list[Node]
    usage: Counter = field(default_factory=Counter)

    def role(self, node: Node) -> str:
        """"prompt", "candidate", "expanded" (something was sampled after it) or "pruned"."""
        if node.number < 0:
            return "prompt"
        if node in self._chosen:
            return "candidate"
        return "expanded" if node.number in self._continued else "pruned"

    @cached_property
    def _chosen(self) -> set[Node]:
        """The candidates: with rollouts there are thousands."""
        return set(self.candidates)

    @cached_property
    def _continued(self) -> set[int]:
        """Numbers of the nodes after which something was sampled."""
        return {node.parent.number for node in self.nodes if node.parent is not None}
