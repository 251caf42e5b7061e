# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of scorers: solutions are scored step by step, and nothing is read twice.

A scorer keeps a state for every solution that may go on. A claim gives it the next steps after a
state, all questions' claims together, and it returns their scores and the states after them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ttc_jax.core.flops import Ledger
from ttc_jax.decode.batch import Place

# From the scores of the steps of a solution to one number (paper section 5.1 and appendix E).
AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": math.prod,
    "mean": lambda scores: math.fsum(scores) / len(scores),
}


@dataclass(eq=False)
class State:
    """A scored beginning of a solution, held by a scorer until it is closed as often as given out.

    `length` tokens in the row at `place`, `steps` steps without the question, the last of which
    scored `score`; `opened` is the question by itself. `known` are the judgements of what has
    followed so far.
    """

    question: str
    place: Place
    length: int
    steps: int = 0
    score: float = 0.0
    opened: bool = False
    uses: int = 0
    known: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """Steps to score after the solution of `state`.

    `ahead` are steps of a rollout, scored after them and then forgotten. `final` says that nothing
    will follow, so that no state is wanted. For an outcome scorer `steps` is the whole solution as
    one text, after the state of the question; one that reads history takes earlier attempts, each
    as one text, for steps before it. `phase` is what the ledger charges the steps to. `logprobs`,
    for a scorer that reads them, are f32[len] of the tokens that each of `steps`, then of `ahead`,
    was sampled in.
    """

    state: State
    steps: tuple[str, ...]
    ahead: tuple[str, ...] = ()
    final: bool = False
    phase: str = "verify"
    logprobs: tuple[np.ndarray, ...] = field(default=(), compare=False)

    @property
    def key(self) -> tuple:
        """What tells claims after the same state apart."""
        return self.steps, self.ahead


@dataclass(frozen=True)
class Judgement:
    """Scores in [0, 1] of a claim's steps and of its rollout's; the state to continue from.

    `tokens` and `ahead_tokens` were encoded for it, tags included: none when the same steps had
    been judged before. They stand behind the `at` tokens of the state that was continued.
    """

    scores: tuple[float, ...]
    ahead_scores: tuple[float, ...]
    state: State | None
    tokens: int
    ahead_tokens: int
    at: int = 0
    unread: bool = False


# Of a solution that is longer than the scorer reads, alone or with what stands before it.
UNREAD = Judgement((), (), None, 0, 0, unread=True)


@dataclass(frozen=True)
class Room:
    """What a scorer is asked to hold of each question.

    Each of `rows` rows holds a solution of at most `context` tokens and `steps` steps; they share
    all but `paths` whole solutions, and `tail` tokens of each row. Tokens are the policy's: what a
    format adds comes on top. Where the scorer reads history, a solution is all attempts of a row,
    and what parts two of them counts as a step. `lanes` are the rows that the policy decodes at
    once on a replica, 0 where memory is limited: more than is needed may be held to suit them.
    """

    rows: int
    paths: int
    context: int
    tail: int
    steps: int
    lanes: int = 0


class Scorer(ABC):
    """Scores steps (or, as an outcome scorer, whole solutions) of many questions together.

    An outcome scorer with `history` judges a revision with the attempts in view that its prompt
    had. One that `reads_logprobs` is told how likely the policy took the tokens of each step.
    """

    aggregate_name: str = "last"
    outcome: bool = False
    history: bool = False
    reads_logprobs: bool = False

    def aggregate(self, scores: Sequence[float]) -> float:
        """One number for a solution whose steps scored `scores`; 0.0 for one without any step."""
        return AGGREGATES[self.aggregate_name](scores) if scores else 0.0

    @abstractmethod
    def prepare(self, questions: Mapping[str, str], room: Room) -> None:
        """Check that solutions of these questions (id -> text) can be scored; nothing is allocated.

        Raises ValueError, with the numbers, when they can become longer than the scorer reads.
        """

    @property
    def replicas(self) -> int:
        """Copies of the scorer that questions are spread over."""
        return 1

    @property
    def bytes_each(self) -> int:
        """Bytes that a question can come to hold on each device of its replica, after `prepare`."""
        return 0

    @property
    def ledger(self) -> Ledger:
        """What scoring has cost since `allocate`; nothing for a scorer that is no model."""
        return Ledger()

    def flops(self, start: int, tokens: int, scored: bool = True) -> int:
        """FLOPs of encoding `tokens` tokens behind `start` others, with a score read at each.

        Without `scored` none is read. 0 for a scorer that is no model.
        """
        return 0

    @abstractmethod
    def allocate(self, questions: int, rows: int) -> None:
        """Make room for so many questions at once, of so many rows each, after `prepare`.

        Raises ValueError, with the numbers, when they do not fit.
        """

    @abstractmethod
    def open(self, questions: Sequence[str]) -> list[tuple[State, int]]:
        """The state of each question (by id) before its first step; tokens encoded for it."""

    @abstractmethod
    def score(self, claims: Sequence[Claim]) -> list[Judgement]:
        """A judgement for each claim. Raises ValueError for a score that is not finite."""

    @abstractmethod
    def close(self, state: State) -> None:
        """Give a state up that was given out once."""

    def pages_of(self, groups: Sequence[Sequence[State]]) -> list[int]:
        """Pages that each group of states holds together (0 for a scorer without a cache)."""
        return [0 for _ in groups]
