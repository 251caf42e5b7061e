# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a verifier's score is read from: a value head, one of two classes, or a pair of tokens.

Readers are frozen and hashable, so that they can be static arguments of a jitted function.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, head_logits, language_head, values


@dataclass(frozen=True)
class SigmoidValue:
    """The sigmoid of a value head of one class."""

    def check(self, shape: ModelShape) -> None:
        """Raises ValueError when a model of `shape` has no such head."""
        _need_classes(shape, 1)

    def read(self, model: Transformer, hidden) -> jax.Array:
        """Scores f32[...] in [0, 1] of hidden states [..., D]."""
        return jax.nn.sigmoid(values(model, hidden)[..., 0])

    def weights(self, shape: ModelShape) -> int:
        """Weights of the value head, all of which each hidden state is multiplied with."""
        return shape.value_weights


@dataclass(frozen=True)
class ClassProb:
    """The probability of class `k` of a value head of two classes."""

    k: int = 1

    def __post_init__(self):
        if self.k not in (0, 1):
            raise ValueError(f"class {self.k} of a head of two classes: k is 0 or 1")

    def check(self, shape: ModelShape) -> None:
        """Raises ValueError when a model of `shape` has no such head."""
        _need_classes(shape, 2)

    def read(self, model: Transformer, hidden) -> jax.Array:
        """Scores f32[...] in [0, 1] of hidden states [..., D]."""
        return jax.nn.softmax(values(model, hidden), axis=-1)[..., self.k]

    def weights(self, shape: ModelShape) -> int:
        """Weights of the value head, all of which each hidden state is multiplied with."""
        return shape.value_weights


@dataclass(frozen=True)
class TokenPair:
    """The probability that token `good` comes next, where `good` and `bad` are the only choices.

    Only these two rows of the language head are multiplied.
    """

    good: int
    bad: int

    def check(self, shape: ModelShape) -> None:
        """Raises ValueError when a token is outside the vocabulary of a model of `shape`."""
        for name, token in (("good", self.good), ("bad", self.bad)):
            if not 0 <= token < shape.vocab:
                raise ValueError(
                    f"the {name} token {token} is outside the verifier's vocabulary of "
                    f"{shape.vocab}; its tokenizer belongs to another checkpoint"
                )

    def read(self, model: Transformer, hidden) -> jax.Array:
        """Scores f32[...] in [0, 1] of hidden states [..., D]."""
        rows = language_head(model)[jnp.asarray([self.good, self.bad])]
        pair = head_logits(rows, hidden, model.shape)
        return jax.nn.softmax(pair, axis=-1)[..., 0]

    def weights(self, shape: ModelShape) -> int:
        """Weights of two rows of the language head."""
        return 2 * shape.width


Reader = SigmoidValue | ClassProb | TokenPair


def _need_classes(shape: ModelShape, classes: int) -> None:
    if shape.value_classes != classes:
        has = f"one of {shape.value_classes} classes" if shape.value_classes else "none"
        raise ValueError(
            f"this format reads a value head of {classes} class{'es' * (classes > 1)}, the "
            f"verifier has {has}; name another checkpoint or another format"
        )
