# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""About how many tokens texts have, where a model is known by its shape alone."""

import re
from collections.abc import Mapping, Sequence

# A tag, a line break, a word, a digit, any other character: about what vocabularies have.
_PIECES = re.compile(r"<[^<>\s]+>|\n| ?[^\W\d_]+| ?\d| ?[^\w\s]|\s|_")
_WORD = 8  # letters that a token of a longer word has


class Estimate:
    """Stands in for a tokenizer that is not there: how many tokens a text has, about.

    Words are a token for every few letters; every digit, sign and line break is one. For numbers
    and formulas that is rather too many.
    """

    bos = 0
    eos = (0,)

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size

    def encode(self, text: str, *, bos: bool | None = None) -> list[int]:
        """As many zeros as there may be tokens."""
        pieces = _PIECES.findall(text)
        tokens = sum(-(-len(p.strip()) // _WORD) if p[-1].isalpha() else 1 for p in pieces)
        return [0] * (tokens + bool(bos))

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool = True
    ) -> str:
        """A conversation, with a tag and a line break at both ends of each turn."""
        turns = [f"<{m['role']}>\n{m['content']}<end>\n" for m in messages]
        return "".join(turns) + "<assistant>\n" * add_generation_prompt
