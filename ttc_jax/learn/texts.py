# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""From solutions to examples: which tokens a model reads, and what it is to learn at each.

Everything is tokenised as it is at inference: prompts as the policy is asked, solutions as the
verifier's format writes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttc_jax.data.batches import Example
from ttc_jax.data.prompts import SOLUTION, Chat, Revision
from ttc_jax.data.sources import Question
from ttc_jax.learn.labels import LabelledSolution
from ttc_jax.learn.trajectories import Trajectory
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.verify.answers import extract
from ttc_jax.verify.formats import Format, continued


@dataclass(frozen=True)
class Writer:
    """How a policy is asked (with earlier attempts, if there are any), and how it should answer.

    A solution ends with the tokenizer's first end-of-text token.

    Raises:
      ValueError: the tokenizer has no such token.
    """

    style: Revision
    tokenizer: Tokenizer

    def __post_init__(self):
        if not self.tokenizer.eos:
            raise ValueError(
                "the tokenizer has no end-of-text token, so a model cannot learn to end; name one "
                "as eos_token in tokenizer_config.json"
            )

    def example(self, question: Question, attempts: Sequence[str], solution: str) -> Example:
        """A solution to be imitated: the loss is on it and its end alone.

        Raises:
          ValueError: it cannot be tokenised after its prompt.
        """
        chat = isinstance(self.style.prompt, Chat)
        text = self.style.render(question, attempts, self.tokenizer)
        prompt = self.tokenizer.encode(text, bos=False if chat else None)
        answer = self._blank(attempts) + solution.strip()
        target = [*continued(self.tokenizer, text, answer), self.tokenizer.eos[0]]
        ids = np.asarray([*prompt, *target], np.int32)
        weights = np.zeros(len(ids) - 1, np.float32)
        weights[len(prompt) - 1 :] = 1
        return Example(question.id, question.id, ids[:-1], ids[1:], weights)

    def _blank(self, attempts: Sequence[str]) -> str:
        """What stands between the end of the prompt and the solution in the template."""
        if isinstance(self.style.prompt, Chat):
            return ""
        head = self.style.prompt.template.split(SOLUTION)[0]
        return " " if attempts or head.endswith(" ") else ""


def gold_solution(question: Question, *, answer: str = "stated") -> str:
    """The source's own solution, with the final answer stated at its end if it is not.

    Empty where the source gives none. With `answer="solution"` (see `Grader`) it is as it stands.
    """
    text = question.solution.strip()
    if not text or answer == "solution" or extract(text) is not None:
        return text
    return f"{text}\nThe answer is {question.answer}."


def fine_tuning(
    questions: Sequence[Question], writer: Writer, *, answer: str = "stated"
) -> list[Example]:
    """An example of each question that has a solution, which is to be imitated.

    `answer` is as in `gold_solution`.

    Raises:
      ValueError: none has.
    """
    solved = [(question, gold_solution(question, answer=answer)) for question in questions]
    solved = [(question, solution) for question, solution in solved if solution]
    if not solved:
        raise ValueError(
            f"none of {len(questions)} questions has a solution to imitate; take a source with "
            f"solutions (gsm8k, or lines with a field 'solution'), or train on sampled ones"
        )
    return [writer.example(question, (), solution) for question, solution in solved]


def revision(
    trajectories: Sequence[Trajectory], questions: Mapping[str, Question], writer: Writer
) -> list[Example]:
    """An example of each trajectory: earlier attempts in view, the last answer to be imitated."""
    return [
        replace(
            writer.example(_question(questions, t.question), t.attempts, t.solution),
            id=f"{t.question}#{number}",
        )
        for number, t in enumerate(trajectories)
    ]


def process(
    solutions: Sequence[LabelledSolution],
    questions: Mapping[str, Question],
    format: Format,
    *,
    hard: float | None = None,
) -> list[Example]:
    """An example of each solution with the value of every step at the token where it is read.

    A solution weighs as many samples as read like it. With `hard` values become 1 where they are
    above it and 0 elsewhere (Math-Shepherd's "hard estimation" is hard=0); None keeps them soft,
    as the paper does.

    Raises:
      ValueError: a value lies outside [0, 1], or no solution of any question is right.
    """
    _need_correct(solution.correct for solution in solutions)
    examples = []
    for number, solution in enumerate(solutions):
        question = _question(questions, solution.question)
        ids, places = format.whole(question.text, solution.steps)
        targets = [
            (at, _value(value, solution.question, step))
            for at, value, step in zip(places, solution.values, solution.steps, strict=True)
            if at is not None and value is not None
        ]
        if hard is not None:
            targets = [(at, float(value > hard)) for at, value in targets]
        examples.append(
            _valued(f"{solution.question}#{number}", solution.question, ids, targets,
                    float(solution.count))
        )  # fmt: skip
    return examples


def outcome(
    trajectories: Sequence[Trajectory],
    questions: Mapping[str, Question],
    format: Format,
    *,
    counts: Sequence[int] | None = None,
) -> list[Example]:
    """An example of each judged solution, with whether it is right at the token where it is read.

    Earlier attempts are read too where the format does so. `counts` are the samples that each
    solution stands for (default: one).

    Raises:
      ValueError: no solution of any question is right.
    """
    _need_correct(t.correct for t in trajectories)
    examples = []
    for number, t in enumerate(trajectories):
        question = _question(questions, t.question)
        attempts = t.attempts if format.history else ()
        ids, places = format.whole(question.text, (*attempts, t.solution))
        targets = [(places[-1], float(t.correct))]
        name, weight = f"{t.question}#{number}", 1.0 if counts is None else float(counts[number])
        examples.append(_valued(name, t.question, ids, targets, weight))
    return examples


def judged(solutions: Sequence[LabelledSolution]) -> tuple[list[Trajectory], list[int]]:
    """The labelled solutions as an outcome verifier learns from them, and how often each counts."""
    found = [Trajectory(s.question, (), s.text, s.correct) for s in solutions]
    return found, [solution.count for solution in solutions]


def _valued(id: str, question: str, ids: Sequence[int], targets, weight: float) -> Example:
    values, weights = np.zeros(len(ids), np.float32), np.zeros(len(ids), np.float32)
    for at, value in targets:
        values[at], weights[at] = value, weight
    return Example(id, question, np.asarray(ids, np.int32), values, weights)


def _value(value: float, question: str, step: str) -> float:
    if not 0 <= value <= 1:  # NaN is not either
        raise ValueError(
            f"question {question!r}: step {step!r} is labelled {value}; it must be between 0 and 1"
        )
    return value


def _need_correct(correct) -> None:
    found = list(correct)
    if not any(found):
        raise ValueError(
            f"none of {len(found)} solutions is right, so there is nothing to tell apart; take "
            f"easier questions, a better policy, or more samples"
        )


def _question(questions: Mapping[str, Question], id: str) -> Question:
    if id not in questions:
        raise ValueError(
            f"question {id!r} is not among the {len(questions)} questions of data.name and "
            f"data.split; name the source that the solutions were made from"
        )
    return questions[id]
