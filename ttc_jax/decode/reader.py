# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What `extend` can read off the hidden states of the tokens that it appends."""

from typing import Protocol

import jax

from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer


class Reader(Protocol):
    """Reads numbers off hidden states; hashable, as programs are compiled for it."""

    def read(self, model: Transformer, hidden: jax.Array) -> jax.Array:
        """Numbers [..., *] of hidden states [..., D]."""
        ...

    def weights(self, shape: ModelShape) -> int:
        """How many weights of a model of `shape` each hidden state is multiplied with."""
        ...


def reading_flops(shape: ModelShape, start: int, tokens: int, reader: Reader | None) -> int:
    """FLOPs of appending `tokens` tokens to a row that holds `start`, and of reading each of them.

    Without a reader nothing is read.
    """
    read = 0 if reader is None else 2 * tokens * reader.weights(shape)
    return shape.forward_flops(start, tokens, logits=0) + read
