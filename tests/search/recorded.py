# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded samples in place of a model: random trees, and a driver that runs a strategy on one.

A node of a tree is named by its path: the indices of the children that lead to it. () is the
prompt; a path that begins with ("ask", ...) begins at a prompt made of earlier attempts.
"""

import random
from dataclasses import dataclass

from ttc_jax.search.strategy import Ask, Strategy
from ttc_jax.search.tree import Node, Tree

GREEDY = "greedy"  # in place of an index: the child sampled at temperature 0
BLANK_VALUE = 0.5  # of a solution that has only blank steps so far: nothing to score
VALUES = ((0.5,), (0.25, 0.75), (0.0, 0.5, 1.0), (0.0, 0.25, 0.5, 0.75, 1.0))
TEXTS = (("a\n",), ("a\n", "a \n"), ("a\n", "b\n", "b \n"), ("a\n", "b\n", "c\n", "d\n"))


@dataclass(frozen=True)
class Sample:
    """What was recorded at a path: a step, or a whole solution.

    A blank step has no value: a solution that ends in one is worth what it was before, by its own
    steps, whatever a rollout from there was worth.
    """

    text: str
    finish: str
    value: float | None


class RandomTree:
    """Every child of every node, drawn from a seed: the same path always holds the same sample.

    Seeds differ in how often solutions end (a third of them never do), in how often steps are
    blank, and in how few different values and texts there are.
    """

    def __init__(self, seed: int):
        knobs = random.Random(f"knobs of {seed}")
        self.seed = seed
        self.ends = knobs.choice((0.0, 0.15, 0.5))
        self.blank = knobs.choice((0.0, 0.3))
        self.values = knobs.choice(VALUES)
        self.texts = knobs.choice(TEXTS)
        self._samples: dict[tuple, Sample] = {}

    def __getitem__(self, path: tuple) -> Sample:
        if path not in self._samples:
            self._samples[path] = self._draw(random.Random(f"{self.seed} {path}"))
        return self._samples[path]

    def _draw(self, chance: random.Random) -> Sample:
        if chance.random() < self.blank:
            return Sample("\n", "step", None)
        finish = chance.choice(("stop", "length")) if chance.random() < self.ends else "step"
        return Sample(chance.choice(self.texts), finish, chance.choice(self.values))


@dataclass
class Drive:
    """What became of a strategy on a recorded tree.

    `asked` holds for every `Grow` the paths of its parents, in order, and for every `Ask` tuples of
    the paths of attempts; `paths` names nodes by number.
    """

    tree: Tree
    paths: dict[int, tuple]
    asked: list[list[tuple]]

    @property
    def candidates(self) -> list[tuple]:
        return [(self.paths[node.number], node.solution) for node in self.tree.candidates]

    @property
    def roles(self) -> dict[tuple, str]:
        return {self.paths[node.number]: self.tree.role(node) for node in self.tree.nodes}


def drive(strategy: Strategy, samples: RandomTree | dict[tuple, Sample]) -> Drive:
    """Runs a strategy on recorded samples, and holds it to the contract of `Grow` and `Ask`."""
    root = Node(-1)
    result = Drive(Tree("q", [root], []), {-1: ()}, [])
    search, alive = strategy.search(root), {root}
    answer, prompts, grown = None, [root], []
    while True:
        try:
            request = search.send(answer)
        except StopIteration as end:
            result.tree.nodes = prompts + grown
            result.tree.candidates = end.value
            return result
        turn = len(result.asked)
        if isinstance(request, Ask):
            answer = [Node(-1 - len(prompts) - i, round=turn) for i in range(len(request.attempts))]
            made = [tuple(result.paths[a.number] for a in old) for old in request.attempts]
            result.asked.append(made)
            result.paths |= {n.number: ("ask", *m) for n, m in zip(answer, made, strict=True)}
            prompts += answer
        else:
            assert request.parents, "asked for nothing"
            assert all(parent in alive for parent in request.parents), "grows what was given up"
            result.asked.append([result.paths[parent.number] for parent in request.parents])
            answer = []
            for parent in request.parents:
                index = sum(child.parent is parent for child in answer)
                path = (*result.paths[parent.number], index)
                node = _node(samples, path, len(grown), parent, request, turn)
                result.paths[node.number] = path
                answer.append(node)
                grown.append(node)
        alive = {node for node in answer if not node.finished}


def _node(samples, path, number, parent, request, turn) -> Node:
    sample = samples[path]
    if request.whole:
        finish = "stop" if sample.finish == "step" else sample.finish
        return Node(number, parent, turn, text=sample.text, finish=finish)
    node = Node(number, parent, turn, text=sample.text, finish=sample.finish)
    node.scores = () if sample.value is None else (sample.value,)
    for _ in range(request.lookahead):
        if sample.finish != "step":
            break
        path = (*path, GREEDY)
        sample = samples[path]
        node.ahead += sample.text
        node.ahead_scores += () if sample.value is None else (sample.value,)
    node.value = [BLANK_VALUE, *node.all_scores, *node.ahead_scores][-1]
    return node
