# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A policy and a verifier small enough to be searched in seconds: one token is one character."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.sources import Question
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer
from ttc_jax.search.plan import Policy
from ttc_jax.verify.plain_formats import Steps
from ttc_jax.verify.verifier import Verifier

# Token i is the i-th character; a newline is one token in 24 and so is the end of a solution.
ALPHABET = "\n abcdefghijklmnopqrs.?0"
EOS = len(ALPHABET)
VOCAB = EOS + 1
POLICY = ModelShape("llama", VOCAB, 32, 2, 4, 2, 8, 48, 256)
VERIFIER = ModelShape("qwen2", VOCAB, 24, 2, 2, 1, 12, 32, 512, qkv_bias=True, value_classes=1)


class Letters:
    """A tokenizer of single characters."""

    vocab_size, bos, pad, eos = VOCAB, None, None, (EOS,)

    def encode(self, text: str, *, bos: bool | None = None) -> list[int]:
        # Letters that there are not read as spaces.
        return [ALPHABET.index(letter) if letter in ALPHABET else 1 for letter in text]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return "".join(ALPHABET[i] for i in ids if i != EOS)

    def token_bytes(self) -> list[bytes]:
        return [letter.encode() for letter in ALPHABET] + [b""]


class Breaks(Letters):
    """Letters, but for the last one: that token is two newlines."""

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return super().decode(ids).replace("s", "\n\n")

    def token_bytes(self) -> list[bytes]:
        return [piece.replace(b"s", b"\n\n") for piece in super().token_bytes()]


class Pairs(Letters):
    """A tokenizer of two characters at a time, within a line; newlines are tokens of their own."""

    vocab_size, eos = EOS * (EOS + 1) + 1, (EOS * (EOS + 1),)

    def encode(self, text: str, *, bos: bool | None = None) -> list[int]:
        ids = []
        for part in re.findall(r"\n|[^\n]{1,2}", text):
            first, *second = super().encode(part)
            ids.append(first + sum(EOS * (1 + letter) for letter in second))
        return ids


def questions(count: int, length: int = 9) -> list[Question]:
    letters = ALPHABET[2:20]
    texts = [
        "".join(letters[(7 * i + j * (i + 2)) % 18] for j in range(length)) for i in range(count)
    ]
    return [Question(f"q{i}", text + "?", "a") for i, text in enumerate(texts)]


def biased(model: Transformer, biases: Mapping[int, float]) -> Transformer:
    """`model` with (about) so much added to the logits of these tokens, and nothing to the others.

    The first entry of every hidden state is made to be the same for all texts.
    """

    def put(weight, index, value) -> None:
        array = np.array(weight[...])
        array[index] = value
        weight[...] = jax.device_put(array, weight[...].sharding)

    put(model.embed, np.s_[:, 0], 4.0)
    for block in model.blocks:
        put(block.o, 0, 0.0)
        put(block.down, 0, 0.0)
    put(model.norm, 0, 1.0)
    put(model.head, np.s_[:, 0], 0.0)
    for token, bias in biases.items():
        put(model.head, (token, 0), bias / 2)
    return model


def policy(mesh=None, biases: Mapping[int, float] | None = None, **changes) -> Policy:
    mesh = mesh or make_mesh()
    model = random_model(POLICY, mesh)
    if biases is not None:
        model = biased(model, biases)
    settings = {
        "prompt": lambda question, attempts: Letters().encode(
            "\n".join([question.text, *attempts]) + "\n"
        ),
        "tokenizer": Letters(),
        "sampler": Sampler(1.0), "delimiter": "\n", "max_new": 40, "max_step": 12,
    }  # fmt: skip
    return Policy(model=model, mesh=mesh, **(settings | changes))


def verifier(mesh=None, tokenizer=None, kind=Verifier, **changes) -> Verifier:
    mesh, tokenizer = mesh or make_mesh(), tokenizer or Letters()
    shape = replace(VERIFIER, vocab=tokenizer.vocab_size)
    return kind(random_model(shape, mesh, seed=1), Steps(tokenizer), mesh=mesh, **changes)
