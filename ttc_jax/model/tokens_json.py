# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers from a `tokenizer.json`: byte-level BPE and SentencePiece-like vocabularies."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from tokenizers import Tokenizer as Backend

from ttc_jax.model.settings import Settings
from ttc_jax.model.tokens import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@lru_cache(maxsize=1)
def byte_alphabet() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable Latin-1 as itself, the rest from U+0100 on."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    shifted = [byte for byte in range(256) if byte not in plain]
    alphabet = {chr(byte): byte for byte in plain}
    return alphabet | {chr(256 + i): byte for i, byte in enumerate(shifted)}


class JsonTokenizer(Tokenizer):
    """A tokenizer run by the `tokenizers` package."""

    def __init__(self, text: str, settings: Settings, source):
        super().__init__(settings)
        try:
            self._backend = Backend.from_str(text)
        except Exception as error:  # the package raises bare Exceptions
            raise ValueError(f"{source} is not a readable tokenizer.json: {error}") from error
        self._backend.no_truncation()
        self._backend.no_padding()
        self._byte_level = _is_byte_level(json.loads(text).get("decoder"), source)

    @cached_property
    def _vocab(self) -> dict[str, int]:
        return self._backend.get_vocab(with_added_tokens=True)

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return max(self._vocab.values()) + 1

    @cached_property
    def _adds_bos(self) -> bool:
        if self._settings.add_bos is not None:
            return self._settings.add_bos and self.bos is not None
        return self.bos is not None and self._backend.encode("").ids[:1] == [self.bos]

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        return self._settings.texts or _guess_texts(self._backend)

    def _encode(self, text: str) -> list[int]:
        return self._backend.encode(text, add_special_tokens=False).ids

    def _id(self, token: str) -> int | None:
        return self._backend.token_to_id(token)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of `ids`; see Tokenizer.decode."""
        return self._backend.decode([int(i) for i in ids], skip_special_tokens=skip_special)

    def token_bytes(self) -> list[bytes]:
        """Bytes each id adds to the text; see Tokenizer.token_bytes."""
        spell = _spell_byte_level if self._byte_level else _spell_pieces
        out = [b""] * self.vocab_size
        for token, index in self._vocab.items():
            out[index] = spell(token)
        for index, token in self._backend.get_added_tokens_decoder().items():
            plain = token.content.encode() if self._byte_level else _spell_pieces(token.content)
            out[index] = b"" if token.special else plain
        for name in self._texts:
            index = self._special(name)
            if index is not None:
                out[index] = b""
        return out


def _is_byte_level(decoder: dict | None, source) -> bool:
    decoder = decoder or {"type": "none"}
    kinds = {step["type"] for step in decoder.get("decoders", [decoder])}
    if "ByteLevel" in kinds:
        return True
    if kinds & {"Metaspace", "Replace", "ByteFallback"}:
        return False
    raise ValueError(
        f"{source}: decoder {sorted(kinds)} is not supported; byte-level BPE and "
        "SentencePiece-like (Metaspace, Replace) vocabularies are"
    )


def _spell_byte_level(token: str) -> bytes:
    alphabet = byte_alphabet()
    if all(char in alphabet for char in token):
        return bytes(alphabet[char] for char in token)
    return token.encode()


def _spell_pieces(token: str) -> bytes:
    byte = _BYTE.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()


def _guess_texts(backend: Backend) -> dict[str, str]:
    """Named special tokens by their usual spellings, for a tokenizer.json that stands alone."""
    usual = {
        "bos_token": ("<s>", "<bos>", "<|begin_of_text|>"),
        "eos_token": ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>"),
        "pad_token": ("<pad>",),
        "unk_token": ("<unk>",),
    }
    special = {t.content for t in backend.get_added_tokens_decoder().values() if t.special}
    found = {name: [t for t in spellings if t in special] for name, spellings in usual.items()}
    return {name: spellings[0] for name, spellings in found.items() if spellings}
