# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes on one chip: of arrays laid out on a mesh, and an estimate of what programs need beside."""

import functools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ttc_jax.core.mesh import parameter_shardings
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, abstract


@dataclass(frozen=True)
class Needs:
    """Bytes on one chip while a program runs.

    `weights` of all models that are loaded, and in training the optimiser's state; `pool` of keys
    and values of all of them; `temporary` ones of the program alone.
    """

    weights: float
    pool: float
    temporary: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.pool + self.temporary


@functools.cache
def model(shape: ModelShape, dtype=jnp.float32) -> Transformer:
    """A model as shapes; made once, as large ones take a second."""
    return abstract(shape, dtype)


def placed(tree, shardings):
    """ShapeDtypeStructs with shardings."""
    place = lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s)  # noqa: E731
    return jax.tree.map(place, tree, shardings)


def on_chip(tree) -> int:
    """Bytes on each chip of arrays with shardings."""
    return sum(
        math.prod(x.sharding.shard_shape(x.shape)) * jnp.dtype(x.dtype).itemsize
        for x in jax.tree.leaves(tree)
    )


def weights(shape: ModelShape, dtype, mesh) -> int:
    """Bytes of a model's parameters on each chip."""
    tree = model(shape, jnp.dtype(dtype))
    return on_chip(placed(tree, parameter_shardings(tree, mesh)))


def activations(shape: ModelShape, tokens: int, keys: int, shards: int, itemsize: int) -> float:
    """About what one layer keeps at once over so many tokens of a chip, each reading `keys` keys.

    The residual stream twice, queries, keys and values, the insides of the feed-forward, and the
    products of attention in float32.
    """
    heads = shape.heads + 2 * shape.kv_heads
    inside = (heads * shape.head_dim + 2 * shape.ffn) / shards
    scores = 4 * shape.heads * keys / shards
    return tokens * (itemsize * (2 * shape.width + inside) + scores)
