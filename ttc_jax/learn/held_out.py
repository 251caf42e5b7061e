# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a verifier in training is worth on questions that it does not learn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ttc_jax.data.batches import Example, Shape
from ttc_jax.learn.learner import Arrays, Learner
from ttc_jax.learn.metrics import Bin, best_of_n, reliability, step_metrics
from ttc_jax.verify.grade import Grader

_RESAMPLES = 20  # draws of N solutions per question, at every evaluation


@dataclass(frozen=True)
class Solution:
    """A held-out solution as a choice among others: its text, whether it is right, its count."""

    text: str
    correct: bool
    count: int = 1


class HeldOut:
    """Held-out examples of a verifier, with the solutions that they were made from.

    `grader` tells which answers of a question are equal. `n` is the N of best-of-N.
    """

    def __init__(
        self,
        learner: Learner,
        examples: Sequence[Example],
        solutions: Sequence[Solution],
        shape: Shape,
        *,
        grader: Grader,
        n: int,
    ):
        self._learner, self._examples, self._shape, self._n = learner, examples, shape, n
        weighted = [example.weights > 0 for example in examples]
        self._questions = [example.question for example in examples]
        self._solutions = solutions
        counts = [int(chosen.sum()) for chosen in weighted]
        self._labels = np.concatenate(
            [e.targets[chosen] for e, chosen in zip(examples, weighted, strict=True)]
        )
        self._steps = {
            "questions": np.repeat(self._questions, counts),
            "depths": np.concatenate([np.arange(count) for count in counts]),
            "last": np.concatenate([np.arange(count) == count - 1 for count in counts]),
        }
        self._classes = _classes(self._questions, [s.text for s in solutions], grader)

    def __call__(self, params: Arrays) -> Iterator[tuple[str, float]]:
        """Figures of `metrics.step_metrics`, and of best-of-N with the last step's score."""
        scores = self._learner.scores(params, self._examples, self._shape)
        yield from step_metrics(labels=self._labels, scores=np.concatenate(scores), **self._steps)
        yield from best_of_n(
            self._questions,
            self._classes,
            [solution.correct for solution in self._solutions],
            [score[-1] for score in scores],
            self._n,
            counts=[solution.count for solution in self._solutions],
            resamples=_RESAMPLES,
        )

    def reliability(self, params: Arrays) -> list[Bin]:
        """The table of `metrics.reliability` over all scored steps."""
        scores = self._learner.scores(params, self._examples, self._shape)
        return reliability(self._labels, np.concatenate(scores))


def _classes(
    questions: Sequence[str], texts: Sequence[str], grader: Grader
) -> list[int | None]:
    """The class of each solution's answer among those of its question."""
    members: dict[str, list[int]] = {}
    for i, question in enumerate(questions):
        members.setdefault(question, []).append(i)
    found: list[int | None] = [None] * len(texts)
    for chosen in members.values():
        answers = [grader.answer(texts[i]) for i in chosen]
        for i, number in zip(chosen, grader.classes(answers), strict=True):
            found[i] = number
    return found
