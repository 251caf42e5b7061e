# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The part of a search tree that is worth a look: the way to some of its nodes, and what was
given up beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ttc_jax.core.samples import Sample
from ttc_jax.search.recorder import stored_tree
from ttc_jax.search.tree import Node

TEXT = 400  # characters shown of a step
OTHERS = 3  # siblings shown beside a step on the way


@dataclass(frozen=True)
class Step:
    """A node: its text, cut off after `TEXT` characters, and what was thought of it.

    `state` is "kept", "pruned" or "candidate"; `below` counts the nodes that follow but are not
    shown. `answer` and `verdict` are those of a candidate, `ahead` the text that its value was read
    after.
    """

    number: int
    text: str
    value: float | None
    state: str
    verdict: str = ""
    answer: str | None = None
    ahead: str = ""
    below: int = 0


@dataclass(frozen=True)
class Level:
    """A step on the way, its siblings in the order of their numbers, and how many are not shown."""

    step: Step
    others: tuple[Step, ...]
    hidden: int


@dataclass(frozen=True)
class Branch:
    """Steps one after the other, and the branches that part at their end."""

    levels: tuple[Level, ...]
    forks: tuple["Branch", ...]


def way(rows: Sequence[Sample], ends: Sequence[int]) -> tuple[Branch, ...]:
    """The branches of a tree, from all its stored rows, that lead to the nodes of these numbers.

    Beside each step stand up to `OTHERS` siblings that lead elsewhere, those of the highest value.
    """
    return _Way(rows, ends).branches()


class _Way:
    def __init__(self, rows: Sequence[Sample], ends: Sequence[int]):
        self._rows = {row.branch: row for row in rows}
        self._children: dict[int, list[Node]] = {}
        nodes = {node.number: node for node in stored_tree(rows).nodes}
        for node in nodes.values():
            if node.parent is not None and not node.rollout:
                self._children.setdefault(node.parent.number, []).append(node)
        self._on = {node.number for end in ends for node in nodes[end].path}
        self._tops = [number for number in nodes if number < 0]

    def branches(self) -> tuple[Branch, ...]:
        return tuple(branch for top in self._tops for branch in self._below(top))

    def _below(self, parent: int) -> tuple[Branch, ...]:
        """The branches that begin with children of a node; the first of them has the siblings."""
        children = self._children.get(parent, [])
        found = []
        for node in children:
            if node.number in self._on:
                others = () if found else self._others(children)
                found.append(self._branch(node, others))
        return tuple(found)

    def _branch(self, node: Node, others: Sequence[Node]) -> Branch:
        levels = [self._level(node, others)]
        while True:
            children = self._children.get(node.number, [])
            on = [child for child in children if child.number in self._on]
            if len(on) != 1:
                return Branch(tuple(levels), self._below(node.number))
            node = on[0]
            levels.append(self._level(node, self._others(children)))

    def _others(self, children: Sequence[Node]) -> list[Node]:
        return [child for child in children if child.number not in self._on]

    def _level(self, node: Node, others: Sequence[Node]) -> Level:
        best = sorted(others, key=lambda n: (-(n.value or 0.0), n.number))[:OTHERS]
        shown = tuple(self._step(n, self._count(n)) for n in sorted(best, key=lambda n: n.number))
        return Level(self._step(node), shown, len(others) - len(shown))

    def _step(self, node: Node, below: int = 0) -> Step:
        row = self._rows[node.number]
        state = row.role if row.role in ("pruned", "candidate") else "kept"
        return Step(
            number=node.number,
            text=cut(node.text, TEXT),
            value=node.value,
            state=state,
            verdict=row.verdict,
            answer=row.answer if state == "candidate" else None,
            ahead=cut(node.ahead, TEXT),
            below=below,
        )

    def _count(self, node: Node) -> int:
        """How many nodes come after this one."""
        waiting, count = [node.number], 0
        while waiting:
            children = self._children.get(waiting.pop(), [])
            count += len(children)
            waiting += [child.number for child in children]
        return count


def cut(text: str, most: int) -> str:
    """The text without blank ends, and without its middle if it is longer than `most`."""
    text = text.strip()
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half].rstrip()} … {text[-half:].lstrip()}"
