# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers from a SentencePiece model file."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from sentencepiece import SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ttc_jax.model.settings import Settings
from ttc_jax.model.tokens import Tokenizer


class SentencePieceTokenizer(Tokenizer):
    """A tokenizer run by the `sentencepiece` package, with the checkpoint's added tokens.

    Only text at the very start gets SentencePiece's leading space, not text behind a special token.
    """

    def __init__(self, model: bytes, settings: Settings, source):
        super().__init__(settings)
        try:
            proto = ModelProto.FromString(model)
            self._first = SentencePieceProcessor(model_proto=model)
        except Exception as error:  # protobuf and sentencepiece raise unrelated types
            raise ValueError(f"{source} is not a SentencePiece model: {error}") from error
        self._spaced = proto.normalizer_spec.add_dummy_prefix
        proto.normalizer_spec.add_dummy_prefix = False
        self._inner = SentencePieceProcessor(model_proto=proto.SerializeToString())
        size = self._first.vocab_size()
        self._added = {i: token for i, token in settings.added.items() if i >= size}

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return max([self._first.vocab_size(), *(i + 1 for i in self._added)])

    @property
    def _adds_bos(self) -> bool:
        add = self._settings.add_bos
        return self.bos is not None and (add is None or add)

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        own = {"bos": "bos_token", "eos": "eos_token", "pad": "pad_token", "unk": "unk_token"}
        ids = {name: getattr(self._first, f"{short}_id")() for short, name in own.items()}
        named = {name: self._first.id_to_piece(i) for name, i in ids.items() if i >= 0}
        return named | dict(self._settings.texts)

    @cached_property
    def _special_ids(self) -> dict[str, int]:
        """Spelling -> id of the tokens that never stand for text of their own."""
        sp = self._first
        special = {
            sp.id_to_piece(i): i
            for i in range(sp.vocab_size())
            if sp.is_control(i) or sp.is_unknown(i)
        }
        special |= {text: i for i, (text, is_special) in self._added.items() if is_special}
        named = {text: self._id(text) for text in self._texts.values()}
        return special | {text: i for text, i in named.items() if i is not None}

    @cached_property
    def _cut(self) -> tuple[re.Pattern | None, dict[str, int]]:
        """A pattern that finds tokens spelled out in text, longest first, and their ids."""
        whole = self._special_ids | {text: i for i, (text, _) in self._added.items()}
        if not whole:
            return None, whole
        longest_first = sorted(whole, key=len, reverse=True)
        return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")"), whole

    def _encode(self, text: str) -> list[int]:
        pattern, whole = self._cut
        parts = pattern.split(text) if pattern else [text]
        ids: list[int] = []
        for place, part in enumerate(parts):
            if place % 2:
                ids.append(whole[part])
            elif part:
                ids += (self._inner if place else self._first).encode(part)
        return ids

    def _id(self, token: str) -> int | None:
        for index, (text, _) in self._added.items():
            if text == token:
                return index
        index = self._first.piece_to_id(token)
        return index if self._first.id_to_piece(index) == token else None

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of `ids`; see Tokenizer.decode."""
        spelled = {} if skip_special else {i: text for text, i in self._special_ids.items()}
        known = [int(i) for i in ids if i < self.vocab_size]
        out = [spelled[i].encode() if i in spelled else self._pieces[i] for i in known]
        text = b"".join(out).decode("utf-8", errors="replace")
        return text[1:] if self._spaced and text.startswith(" ") else text

    @cached_property
    def _pieces(self) -> list[bytes]:
        sp = self._first
        out = [b""] * self.vocab_size
        for index in range(sp.vocab_size()):
            piece = sp.id_to_piece(index)
            byte = sp.is_byte(index)
            out[index] = bytes([int(piece[3:5], 16)]) if byte else piece.replace("▁", " ").encode()
        for index, (text, _) in self._added.items():
            out[index] = text.encode()
        for index in self._special_ids.values():
            out[index] = b""
        return out

    def token_bytes(self) -> list[bytes]:
        """Bytes each id adds to the text; see Tokenizer.token_bytes."""
        return self._pieces
