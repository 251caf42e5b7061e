# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What verifiers read: a question and its steps as token ids, and the places of the scores.

A format only ever appends, so that a solution can be scored step by step from a cache. The ids are
nevertheless those of the whole text: each step is encoded behind the end of what precedes it, and
formats of which that cannot be true refuse the tokenizer.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ttc_jax.model.tokens import Tokenizer
from ttc_jax.verify.readers import Reader

QUESTION = "{question}"
# Beginnings of steps of different kinds, and a text that any of them may follow.
STARTS = ("Step", "1", "\\(")
ANCHOR = "So it is"


@dataclass(frozen=True)
class Piece:
    """Ids that a step appends; the hidden state at ids[at] gives its score, if `at` is not None."""

    ids: tuple[int, ...]
    at: int | None


NOTHING = Piece((), None)


class Format(ABC):
    """How a verifier wants a question and a solution written.

    The whole input is begin(question) followed by the ids of every step's piece, in order.
    `outcome` says that the format judges whole solutions only: step() is then called once, with the
    whole solution. With `history` too the steps are earlier attempts at the question, oldest first,
    and the last one is the solution. Raises ValueError when the tokenizer lacks what the format
    needs.
    """

    outcome: bool = False
    history: bool = False

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer

    @property
    @abstractmethod
    def reader(self) -> Reader:
        """What scores are read from; the same object every time."""

    @abstractmethod
    def begin(self, question: str) -> tuple[int, ...]:
        """Ids of the prompt, without surrounding blanks of `question`.

        Raises ValueError when they would change with what follows.
        """

    @abstractmethod
    def _step(self, text: str, index: int) -> Piece:
        """The piece of a step that is not empty."""

    def step(self, text: str, index: int) -> Piece:
        """What step number `index` (from 0) appends; nothing, and no score, for a blank one.

        Blank steps do not count in `index`. Tags spelled out in `text` are left out. Raises
        ValueError when the ids would differ from those of the whole text.
        """
        text = self._clean(text)
        return self._step(text, index) if text else NOTHING

    def whole(
        self, question: str, steps: Sequence[str]
    ) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
        """All ids of a question and its steps, and where in them each step's score is read.

        It is what a verifier comes to read step by step, so training can read the same. Blank steps
        have no score.
        """
        ids, places = list(self.begin(question)), []
        for text in steps:
            piece = self.step(text, sum(at is not None for at in places))
            places.append(None if piece.at is None else len(ids) + piece.at)
            ids += piece.ids
        return tuple(ids), tuple(places)

    def _clean(self, text: str) -> str:
        """`text` without blanks at its ends."""
        return text.strip()

    @cached_property
    def overhead(self) -> int:
        """Tokens that a step costs beyond those of its text, give or take one at the join."""
        indices = (0,) if self.outcome else (0, 1)
        return max(len(self.step("x", index).ids) for index in indices) - 1


def continued(tokenizer: Tokenizer, before: str, text: str) -> tuple[int, ...]:
    """Ids that `text` adds to those of `before` when both are encoded at once.

    Raises ValueError when they cannot be told apart: a token reaches across the join.
    """
    head = tokenizer.encode(before, bos=False)
    whole = tokenizer.encode(before + text, bos=False)
    if whole[: len(head)] != head:
        raise ValueError(
            f"this tokenizer has tokens that reach from {before[-20:]!r} into {text[:20]!r}: what "
            "was encoded already would change, so the text cannot be scored step by step"
        )
    return tuple(whole[len(head) :])


def single(tokenizer: Tokenizer, text: str) -> int:
    """The id of `text` behind other text; ValueError when it is not a token of its own."""
    head = tokenizer.encode(ANCHOR, bos=False)
    whole = tokenizer.encode(ANCHOR + text, bos=False)
    if whole[:-1] != head:
        raise ValueError(
            f"{text!r} is not a token of its own in this tokenizer, and the format needs it to be "
            "one; use the tokenizer that came with the verifier"
        )
    return whole[-1]


def without(text: str, tags: Sequence[str]) -> str:
    """`text` without any of the tags, nor any that their removal would spell."""
    while any(tag in text for tag in tags):
        for tag in tags:
            text = text.replace(tag, "")
    return text
