# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a report shows of single questions, as plain data."""

from dataclasses import dataclass

from ttc_jax.report.examples.branches import Branch


@dataclass(frozen=True)
class Asked:
    """The question of an example, its gold answer, and where and how it was searched."""

    question: str
    text: str
    gold: str
    run: str
    strategy: str
    rule: str


@dataclass(frozen=True)
class TreeExample:
    """A search step by step: `kind` is "solved", or "pruned" where a right solution was given up.

    `chosen` and `right` are the numbers of the selected node and of the right one.
    """

    kind: str
    asked: Asked
    branches: tuple[Branch, ...]
    chosen: int | None
    right: int
    nodes: int


@dataclass(frozen=True)
class Attempt:
    """One attempt of a chain, by its place from 1."""

    place: int
    text: str
    answer: str | None
    verdict: str
    value: float | None
    chosen: bool


@dataclass(frozen=True)
class ChainExample:
    """A chain of revisions: "corrected" is wrong first and right last, "lost" the other way round.

    `hidden` counts attempts between the first and the last ones shown.
    """

    kind: str
    asked: Asked
    attempts: tuple[Attempt, ...]
    hidden: int


@dataclass(frozen=True)
class Answer:
    """Equal answers of a question: how many, the sum and the highest of their values, a verdict."""

    text: str
    count: int
    total: float | None
    best: float | None
    verdict: str
    chosen: bool


@dataclass(frozen=True)
class Failure:
    """A question that was not solved.

    `kind` is "unchosen" (a right answer was sampled, another was selected), "fooled" (the
    verifier's highest score is that of a wrong one) or "unsolved" (no run sampled a right one).
    `solutions` are a selected and, if there is one, a right solution, with their names.
    """

    kind: str
    asked: Asked
    answers: tuple[Answer, ...]
    hidden: int
    solutions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Examples:
    """All that a report shows."""

    trees: tuple[TreeExample, ...] = ()
    chains: tuple[ChainExample, ...] = ()
    failures: tuple[Failure, ...] = ()
