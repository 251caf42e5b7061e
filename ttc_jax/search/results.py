# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A whole experiment in one call: search, grade, and choose an answer by every rule."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ttc_jax.data.sources import Question
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.schedule import Progress, search
from ttc_jax.search.strategy import Strategy
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.grade import Graded, Grader
from ttc_jax.verify.scorer import Scorer
from ttc_jax.verify.vote import by_rule


@dataclass(frozen=True)
class Result:
    """What a strategy made of one question.

    `graded` are the verdicts on tree.candidates, in their order; `chosen` the candidate that each
    rule of selection takes, None where none has an answer.
    """

    question: Question
    tree: Tree
    graded: tuple[Graded, ...]
    chosen: Mapping[str, Node | None]


def run(
    strategy: Strategy,
    questions: Sequence[Question],
    policy: Policy,
    scorer: Scorer | None,
    grader: Grader,
    *,
    batch: Batch | None = None,
    on_segment: Callable[[Progress], None] | None = None,
) -> Iterator[Result]:
    """A result for each question, in the order in which their searches end.

    Without a scorer the only rule is "majority"; with one there are "best" and "weighted" too, and
    "hierarchical" for chains of revisions. Raises ValueError before anything is sampled when the
    run cannot be done (see `plan`).
    """
    by_id = {question.id: question for question in questions}
    trees = search(strategy, questions, policy, scorer, batch=batch, on_segment=on_segment)
    for tree in trees:
        question = by_id[tree.question]
        graded = grader.grade([(question.answer, node.solution) for node in tree.candidates])
        classes = grader.classes([grade.answer for grade in graded])
        values = None if scorer is None else [node.value for node in tree.candidates]
        chosen = {
            rule: None if index is None else tree.candidates[index]
            for rule, index in by_rule(classes, values, strategy.chains).items()
        }
        yield Result(question, tree, tuple(graded), chosen)
