# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One small interface over every kind of tokenizer file.

Three kinds are read: `tokenizer.json` (the `tokenizers` package), a SentencePiece `tokenizer.model`
(the `sentencepiece` package) and the vocabulary inside a GGUF file (rewritten as the first kind).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

from ttc_jax.model.chat import render
from ttc_jax.model.settings import Settings

# Tokens that end a turn of chat. They stop generation where the chat template writes them, even
# when a checkpoint forgot to list them among its eos ids.
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>")


class Tokenizer(ABC):
    """Text to token ids and back.

    vocab_size is one more than the largest id (the model's vocabulary may be larger, for padding).
    bos and pad are ids or None; eos holds every id that ends a turn, the checkpoint's own first.
    """

    def __init__(self, settings: Settings):
        self._settings = settings

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """One more than the largest token id."""

    @property
    @abstractmethod
    def _adds_bos(self) -> bool:
        """Whether the checkpoint itself starts every text with bos."""

    @abstractmethod
    def _encode(self, text: str) -> list[int]:
        """Ids of `text`, nothing added."""

    @abstractmethod
    def _id(self, token: str) -> int | None:
        """Id of a token spelled as in the vocabulary, None when there is none."""

    @abstractmethod
    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of `ids`. Bytes that are not UTF-8 become U+FFFD.

        SentencePiece vocabularies begin every text with a space of their own: one leading space is
        taken away again, so decode(encode(text)) is text. Ids without a token add nothing.
        """

    @abstractmethod
    def token_bytes(self) -> list[bytes]:
        """Bytes each id adds to the text, by id; b"" for control tokens and ids without a token.

        Joined over encode(text) they spell text in UTF-8, after the vocabulary's own normalisation
        and with the leading space that SentencePiece vocabularies add.
        """

    def encode(self, text: str, *, bos: bool | None = None) -> list[int]:
        """Ids of `text`; special tokens spelled out in it become their ids.

        bos puts the bos id in front; None does what the checkpoint's own tokenizer does. An eos is
        never added.

        Raises:
            ValueError: bos=True and the vocabulary has no bos.
        """
        if bos is None:
            bos = self._adds_bos
        if bos and self.bos is None:
            raise ValueError("this tokenizer has no bos token; encode with bos=False")
        return [self.bos] * bos + self._encode(text)

    @cached_property
    def bos(self) -> int | None:
        """Id that starts a text, None when there is none."""
        return self._special("bos_token")

    @cached_property
    def pad(self) -> int | None:
        """Id for padding, None when there is none."""
        return self._special("pad_token")

    @cached_property
    def eos(self) -> tuple[int, ...]:
        """Every id that ends a turn, each once."""
        ids = [self._special("eos_token"), *self._settings.eos_ids]
        if self._settings.template is not None:
            ids += [self._id(token) for token in TURN_ENDS if token in self._settings.template]
        return tuple(dict.fromkeys(i for i in ids if i is not None))

    @property
    def has_chat(self) -> bool:
        """Whether the checkpoint carries a chat template."""
        return self._settings.template is not None

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool = True
    ) -> str:
        """The prompt of a conversation of {"role", "content"}; encode it with bos=False.

        Raises:
            ValueError: there is no chat template, or it refuses the messages.
        """
        if self._settings.template is None:
            raise ValueError(
                "this checkpoint has no chat template (no chat_template.jinja, none in "
                "tokenizer_config.json); use a plain prompt"
            )
        return render(
            self._settings.template,
            messages,
            self._texts,
            add_generation_prompt=add_generation_prompt,
        )

    @property
    def _texts(self) -> Mapping[str, str]:
        """Spelling of the named special tokens (bos_token, eos_token, ...)."""
        return self._settings.texts

    def _special(self, name: str) -> int | None:
        text = self._texts.get(name)
        return None if text is None else self._id(text)
