# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Formats of verifiers that read plain text: a question, and steps one after the other."""

import re

from ttc_jax.model.tokens import Tokenizer
from ttc_jax.verify.formats import (
    ANCHOR,
    QUESTION,
    STARTS,
    Format,
    Piece,
    continued,
    single,
)
from ttc_jax.verify.readers import SigmoidValue, TokenPair


class MathShepherd(Format):
    """peiyi9979/math-shepherd-mistral-7b-prm: a tag behind each step, at which + or - is foretold.

    Question, blank, steps on lines of their own, each ended by a blank and the tag. The score is
    the probability of "+" against "-" at the tag itself. Source: the model card; Wang et al. 2023
    (arXiv 2312.08935).
    """

    TAG = "ки"

    def __init__(self, tokenizer: Tokenizer):
        super().__init__(tokenizer)
        self._tag = single(tokenizer, f" {self.TAG}")
        pair = [single(tokenizer, f" {sign}") for sign in "+-"]
        self._reader = TokenPair(*pair)

    @property
    def reader(self) -> TokenPair:
        """See Format."""
        return self._reader

    def begin(self, question: str) -> tuple[int, ...]:
        """See Format."""
        question = self._clean(question)
        for start in STARTS:
            continued(self.tokenizer, question, f" {start}")
        return tuple(self.tokenizer.encode(question))

    def _step(self, text: str, index: int) -> Piece:
        tagged = f"{text} {self.TAG}"
        if index:
            ids = continued(self.tokenizer, f"{ANCHOR} {self.TAG}", f"\n{tagged}")
        else:
            ids = continued(self.tokenizer, ANCHOR, f" {tagged}")
        if ids[-1] != self._tag:
            raise ValueError(f"the tag is not a token of its own at the end of step {text!r}")
        return Piece(ids, len(ids) - 1)

    def _clean(self, text: str) -> str:
        # Within a word the letters of the tag are just letters.
        return re.sub(rf"(?<!\w){self.TAG}(?!\w)", "", text).strip()


class Steps(Format):
    """The layout of the verifiers that are trained here: a question, then one line for each step.

    `template` puts the question and ends with a newline. Newlines within a step become blanks; the
    newline behind it is a token of its own, at which the value head is read.
    """

    def __init__(self, tokenizer: Tokenizer, template: str = QUESTION + "\n"):
        super().__init__(tokenizer)
        if QUESTION not in template or not template.endswith("\n"):
            raise ValueError(f"template {template!r} must hold {QUESTION} and end with a newline")
        self._template = template
        self._newline = single(tokenizer, "\n")
        self._reader = SigmoidValue()

    @property
    def reader(self) -> SigmoidValue:
        """See Format."""
        return self._reader

    def begin(self, question: str) -> tuple[int, ...]:
        """See Format."""
        return tuple(self.tokenizer.encode(self._template.replace(QUESTION, question.strip())))

    def _step(self, text: str, index: int) -> Piece:
        ids = continued(self.tokenizer, "\n", text)
        return Piece((*ids, self._newline), len(ids))

    def _clean(self, text: str) -> str:
        return re.sub(r"\s*\n\s*", " ", text.strip())


class Outcome(Steps):
    """The layout of `Steps` for a verifier of whole solutions: a line for each step, one score."""

    outcome = True

    def _step(self, text: str, index: int) -> Piece:
        lines = [super(Outcome, self)._step(line, 0).ids for line in text.split("\n")]
        ids = tuple(id for line in lines for id in line)
        return Piece(ids, len(ids) - 1)

    def _clean(self, text: str) -> str:
        return re.sub(r"\s*\n\s*", "\n", text.strip())


class OutcomeWithHistory(Outcome):
    """The layout of `Outcome` for a verifier of revisions, which reads the attempts before too.

    A blank line goes before every attempt but the first, and none has one inside: what stands
    behind the last blank line is judged. An attempt is written alike when it is judged and when
    others follow, so a chain is read once; without earlier attempts the layout is that of
    `Outcome`. Source: Snell et al. 2024, section 6, which gives no layout.
    """

    history = True

    def _step(self, text: str, index: int) -> Piece:
        piece = super()._step(text, index)
        if not index:
            return piece
        return Piece((self._newline, *piece.ids), piece.at + 1)


class SkyworkO1(Steps):
    """Skywork-o1-Open-PRM-Qwen-2.5: bos, the question, then steps as in `Steps`.

    Source: SkyworkAI/skywork-o1-prm-inference, which encodes every step for itself.
    """

    def __init__(self, tokenizer: Tokenizer):
        super().__init__(tokenizer)
        if tokenizer.bos is None:
            raise ValueError(
                "skywork_o1 starts with a bos token and this tokenizer has none; use the tokenizer "
                "that came with the verifier"
            )

    def begin(self, question: str) -> tuple[int, ...]:
        """See Format."""
        return tuple(self.tokenizer.encode(question.strip() + "\n", bos=True))
