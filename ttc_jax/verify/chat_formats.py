# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Formats of verifiers that read a conversation, in the chat template of their checkpoint.

The template is rendered once, around placeholders; questions and steps are then put between its
parts, so that a template that writes the date writes the same one all the time.
"""

import re

from ttc_jax.model.tokens import Tokenizer
from ttc_jax.verify.formats import (
    ANCHOR,
    STARTS,
    Format,
    Piece,
    continued,
    single,
    without,
)
from ttc_jax.verify.readers import ClassProb, TokenPair

_ASKED, _ANSWERED = "QUESTION0PLACE", "SOLUTION0PLACE"
_SPECIAL = re.compile(r"<\|[^<>|\s]+\|>")


def _render(tokenizer: Tokenizer, *turns: tuple[str, str]) -> str:
    messages = [{"role": role, "content": content} for role, content in turns]
    return tokenizer.chat(messages, add_generation_prompt=False)


def _split(text: str, *places: str) -> list[str]:
    """The parts of a rendered template between the placeholders, each of them written once."""
    parts = []
    for place in places:
        before, found, text = text.partition(place)
        if not found or place in text:
            raise ValueError(
                "the verifier's chat template does not write each message as it is, once; it is "
                "not the template of this format"
            )
        parts.append(before)
    return [*parts, text]


class RLHFlow(Format):
    """RLHFlow/Llama3.1-8B-PRM-Deepseek-Data and -Mistral-Data: every step a turn, answered by "+".

    The first turn holds the question, a blank and the first step. The score is the probability of
    "+" against "-" one token before the answer, where it is foretold; the answer is always "+".
    Source: RLHFlow/RLHF-Reward-Modeling, math-rm/prm_evaluate.py.
    """

    def __init__(self, tokenizer: Tokenizer):
        super().__init__(tokenizer)
        first = ("user", _ASKED), ("assistant", "+")
        self._head, self._tail = _split(_render(tokenizer, *first), _ASKED)
        whole = _render(tokenizer, *first, ("user", _ANSWERED), ("assistant", "+"))
        self._middle, tail = _split(whole.removeprefix(self._head + _ASKED + self._tail), _ANSWERED)
        if tail != self._tail:
            raise ValueError("the verifier's chat template does not write all turns alike")
        self._tags = tuple(set(_SPECIAL.findall(self._head + self._middle + self._tail)))
        self._reader, self._back = self._answer()

    def _answer(self) -> tuple[TokenPair, int]:
        """The ids of the two answers, and how far before a turn's end they stand."""
        _, minus = _split(_render(self.tokenizer, ("user", _ASKED), ("assistant", "-")), _ASKED)
        ids = [continued(self.tokenizer, ANCHOR, tail) for tail in (self._tail, minus)]
        places = [at for at, pair in enumerate(zip(*ids, strict=False)) if len(set(pair)) > 1]
        if len(ids[0]) != len(ids[1]) or len(places) != 1:
            raise ValueError(
                "'+' and '-' are not single tokens in this tokenizer's chat; use the tokenizer "
                "that came with the verifier"
            )
        at = places[0]
        return TokenPair(ids[0][at], ids[1][at]), len(ids[0]) - at

    @property
    def reader(self) -> TokenPair:
        """See Format."""
        return self._reader

    def begin(self, question: str) -> tuple[int, ...]:
        """See Format."""
        prompt = self._head + self._clean(question)
        for start in STARTS:
            continued(self.tokenizer, prompt, f" {start}")
        return tuple(self.tokenizer.encode(prompt, bos=False))

    def _step(self, text: str, index: int) -> Piece:
        if index:
            ids = continued(self.tokenizer, self._tail, self._middle + text + self._tail)
        else:
            ids = continued(self.tokenizer, ANCHOR, f" {text}{self._tail}")
        return Piece(ids, len(ids) - self._back - 1)

    def _clean(self, text: str) -> str:
        return without(text, self._tags).strip()


class RLHFlowOutcome(RLHFlow):
    """RLHFlow/Llama3.1-8B-ORM-Deepseek-Data and -Mistral-Data: one turn with the whole solution.

    Source: RLHFlow/RLHF-Reward-Modeling, math-rm/orm_evaluate.py.
    """

    outcome = True


class QwenMathPRM(Format):
    """Qwen/Qwen2.5-Math-PRM-7B, -72B and Qwen2.5-Math-7B-PRM800K: a tag token behind each step.

    System turn, question, and an answer of steps, each with the tag right behind it. The score is
    the probability of the second of two classes at the tag. Source: the model cards; Zhang et al.
    2025 (arXiv 2501.07301).
    """

    TAG = "<extra_0>"
    SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

    def __init__(self, tokenizer: Tokenizer):
        super().__init__(tokenizer)
        self._tag = single(tokenizer, self.TAG)
        text = _render(
            tokenizer,
            ("system", self.SYSTEM),
            ("user", _ASKED),
            ("assistant", _ANSWERED + self.TAG),
        )
        self._head, self._middle, tail = _split(text, _ASKED, _ANSWERED)
        if not tail.startswith(self.TAG):
            raise ValueError("the verifier's chat template changes the text of an answer")
        self._tags = (self.TAG, *set(_SPECIAL.findall(text)))
        self._reader = ClassProb(1)

    @property
    def reader(self) -> ClassProb:
        """See Format."""
        return self._reader

    def begin(self, question: str) -> tuple[int, ...]:
        """See Format."""
        prompt = self._head + self._clean(question) + self._middle
        for start in STARTS:
            continued(self.tokenizer, prompt, start)
        return tuple(self.tokenizer.encode(prompt))

    def _step(self, text: str, index: int) -> Piece:
        ids = continued(self.tokenizer, self.TAG if index else self._middle, text + self.TAG)
        if ids[-1] != self._tag:
            raise ValueError(f"the tag is not a token of its own at the end of step {text!r}")
        return Piece(ids, len(ids) - 1)

    def _clean(self, text: str) -> str:
        return without(text, self._tags).strip()
