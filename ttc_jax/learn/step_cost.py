# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""FLOPs of a step of training: those of its texts, and those of the program that reads them.

The matrix products of the model; adapters, norms, losses and the optimiser are left out.
"""

from collections.abc import Sequence

from ttc_jax.data.batches import Shape
from ttc_jax.model.attend import pieces
from ttc_jax.model.shape import ModelShape


def useful(shape: ModelShape, lengths: Sequence[int], *, language: bool, passes: int) -> int:
    """FLOPs of a step over texts of these lengths, all of whose tokens are read by the loss.

    `passes` are the forward pass and, in passes of its size, the backward one: two, or one where
    hardly any weight is trained. `language` says that the loss reads the language head, and not the
    value head. What is computed twice to save memory does not count.
    """
    return passes * sum(
        shape.forward_flops(0, length, logits=length * language, values=length * (not language))
        for length in lengths
    )


def executed(shape: ModelShape, batch: Shape, *, language: bool, passes: int, remat: bool) -> int:
    """FLOPs of a step over packed rows of this shape, padding and masked keys included.

    With `remat` layers are computed once more, but for the last product in each, which no gradient
    needs unless a norm follows it.
    """
    tokens = batch.rows * batch.length
    keys = batch.rows * sum(
        (end - start) * (end - first)
        for layer in range(shape.layers)
        for start, end, first in pieces(batch.length, shape.window(layer))
    )
    layers = 2 * tokens * shape.block_weights + 4 * shape.heads * shape.head_dim * keys
    head = shape.vocab * shape.width if language else shape.value_weights
    total = passes * (layers + 2 * tokens * head)
    if not remat:
        return total
    down = 0 if shape.post_norms else 2 * tokens * shape.layers * shape.width * shape.ffn
    return total + layers - down
