# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Grades finished searches and stores their whole trees while others are still being sampled."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ttc_jax.core.samples import Sample, SampleStore, candidates
from ttc_jax.data.sources import Question
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.grade import Graded, Grader

QUESTIONS_PER_SHARD = 8
SECONDS_PER_SHARD = 10.0
BACKLOG = 2  # shards being graded before sampling waits for them

Cost = Callable[[Tree, Node], Mapping[str, float]]


class Recorder:
    """Takes finished trees and stores them, a shard for every 8 questions or 10 seconds.

    Grading and writing happen on one thread, in order; their errors come out of the next call. Use
    as a context manager: what is finished is stored on leaving it, after an interrupt too.
    """

    def __init__(
        self, store: SampleStore, grader: Grader, questions: Iterable[Question], cost: Cost
    ):
        """`questions` are those whose trees may come; `cost` gives FLOPs of a node by phase."""
        self._store, self._grader, self._cost = store, grader, cost
        self._questions = {question.id: question for question in questions}
        self._waiting: list[Tree] = []
        self._since = time.monotonic()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._jobs: deque[Future] = deque()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        try:
            if kind is None or issubclass(kind, KeyboardInterrupt):
                self._hand_over()
                while self._jobs:
                    self._jobs.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def add(self, tree: Tree) -> None:
        """Takes the tree of a finished question, which must not change any more."""
        self._waiting.append(tree)
        self.tick()

    def tick(self) -> None:
        """Hands over what waits if it is enough or old enough; call it now and then."""
        old = time.monotonic() - self._since >= SECONDS_PER_SHARD
        if self._waiting and (old or len(self._waiting) >= QUESTIONS_PER_SHARD):
            self._hand_over()

    def _hand_over(self) -> None:
        while self._jobs and (self._jobs[0].done() or len(self._jobs) >= BACKLOG):
            self._jobs.popleft().result()
        self._jobs.append(self._thread.submit(self._record, self._waiting))
        self._waiting, self._since = [], time.monotonic()

    def _record(self, trees: list[Tree]) -> None:
        items = [
            (self._questions[tree.question].answer, node.solution)
            for tree in trees
            for node in tree.candidates
        ]
        graded = iter(self._grader.grade(items))
        for tree in trees:
            grades = [next(graded) for _ in tree.candidates]
            self._store.append(self._rows(tree, grades))
        self._store.flush()

    def _rows(self, tree: Tree, grades: Sequence[Graded]) -> list[Sample]:
        """One row per node; `grades` are those of the candidates, in their order."""
        place = {id(node): i for i, node in enumerate(tree.candidates)}
        rows = []
        for node in tree.nodes:
            fields = {"role": tree.role(node), "verdict": "", "text": node.text}
            usage = node.usage
            if node.number == -1:
                question = self._questions[tree.question]
                fields |= {"text": question.text, "answer": question.answer}
                usage = usage + tree.usage
            elif fields["role"] == "candidate":
                at = place[id(node)]
                fields |= {"place": at, "answer": grades[at].answer}
                fields |= {"verdict": grades[at].verdict.value}
            rows.append(_row(tree.question, node, usage, self._cost(tree, node), fields))
        return rows


def _row(
    question: str, node: Node, usage: Counter, cost: Mapping[str, float], fields: Mapping
) -> Sample:
    return Sample(
        question=question,
        branch=node.number,
        parent=None if node.parent is None else node.parent.number,
        steps=node.steps,
        offsets=_offsets(node),
        tokens=node.tokens.tolist(),
        scores=[float(score) for score in node.scores],
        logprob=float(node.logprobs.sum(dtype="float64")),
        finish=node.finish,
        flops=dict(cost),
        round=node.round,
        value=None if node.value is None else float(node.value),
        ahead=node.ahead,
        ahead_scores=[float(score) for score in node.ahead_scores],
        usage={phase: int(tokens) for phase, tokens in usage.items()},
        **fields,
    )


def _offsets(node: Node) -> list[int]:
    """Where the node's steps begin in its text; they stand there in order, without overlap."""
    offsets, end = [], 0
    for step in node.steps:
        start = node.text.find(step, end)
        if start < 0:
            raise ValueError(f"node {node.number}: step {step!r} is not in its text {node.text!r}")
        offsets.append(start)
        end = start + len(step)
    return offsets


def stored_tree(samples: Sequence[Sample]) -> Tree:
    """The search tree of one question, from all of its stored rows.

    Its nodes have everything that is stored: the text of the solution that ends at a row is
    `node.solution`, the scores along it `node.all_scores`. What is not stored stays empty: the
    logprobs of single tokens and what stopped a sample. The plain prompt has the question's text,
    and its `usage` has become the tree's.

    Raises:
      ValueError: no rows, rows of several questions, or a row whose parent is missing.
    """
    names = {sample.question for sample in samples}
    if len(names) != 1:
        raise ValueError(f"a tree is made of the samples of one question, got {sorted(names)}")
    rows = {sample.branch: sample for sample in samples}
    prompts = sorted({-1, *(branch for branch in rows if branch < 0)}, reverse=True)
    nodes: dict[int, Node] = {}
    for number in [*prompts, *sorted(branch for branch in rows if branch >= 0)]:
        row = rows.get(number)
        if row is None or row.parent is None:
            parent = None
        elif row.parent in nodes:
            parent = nodes[row.parent]
        else:
            raise ValueError(f"sample {number} continues {row.parent}, which is not stored")
        nodes[number] = Node(number, parent) if row is None else _node(row, parent)
    usage, nodes[-1].usage = nodes[-1].usage, Counter()
    chosen = [nodes[row.branch] for row in candidates(samples)]
    return Tree(names.pop(), list(nodes.values()), chosen, usage)


def _node(row: Sample, parent: Node | None) -> Node:
    return Node(
        number=row.branch,
        parent=parent,
        round=row.round,
        tokens=np.asarray(row.tokens, np.int32),
        text=row.text,
        finish=row.finish,
        steps=tuple(row.steps),
        scores=tuple(row.scores),
        value=row.value,
        ahead=row.ahead,
        ahead_scores=tuple(row.ahead_scores),
        usage=Counter(row.usage),
    )
