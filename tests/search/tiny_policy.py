# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A policy and a verifier small enough to be searched in seconds: one token is one character."""

from collections.abc import Sequence

from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.sources import Question
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.shape import ModelShape
from ttc_jax.search.plan import Policy
from ttc_jax.verify.formats import Steps
from ttc_jax.verify.scorer import Verifier

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
        return [max(ALPHABET.find(letter), 1) for letter in text]  # others read as spaces

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return "".join(ALPHABET[i] for i in ids if i != EOS)

    def token_bytes(self) -> list[bytes]:
        return [letter.encode() for letter in ALPHABET] + [b""]


def questions(count: int, length: int = 9) -> list[Question]:
    letters = ALPHABET[2:20]
    texts = ["".join(letters[(7 * i + j * (i + 2)) % 18] for j in range(length)) for i in range(count)]
    return [Question(f"q{i}", text + "?", "a") for i, text in enumerate(texts)]


def policy(mesh=None, **changes) -> Policy:
    mesh = mesh or make_mesh()
    tokenizer = Letters()
    settings = {
        "prompt": lambda question, attempts: tokenizer.encode(
            "\n".join([question.text, *attempts]) + "\n"
        ),
        "sampler": Sampler(1.0), "delimiter": "\n", "max_new": 40, "max_step": 12,
    }  # fmt: skip
    return Policy(random_model(POLICY, mesh), tokenizer, mesh, **(settings | changes))


def verifier(mesh=None, **changes) -> Verifier:
    mesh = mesh or make_mesh()
    return Verifier(random_model(VERIFIER, mesh, seed=1), Steps(Letters()), mesh=mesh, **changes)
