# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The program that reads whole questions for a probe, as shapes."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import parameter_shardings
from ttc_jax.model.transformer import Transformer
from ttc_jax.plan import memory
from ttc_jax.plan.collectives import of_layers, sent
from ttc_jax.plan.programs import Program
from ttc_jax.plan.roofline import Cost
from ttc_jax.search.features import batch_shape, pooled


def reading_program(model: Transformer, longest: int, mesh: Mesh) -> tuple[Program, int]:
    """The program for prompts of up to `longest` tokens, and the rows of one call of it."""
    shape, dtype = model.shape, jnp.dtype(model.embed.dtype)
    replicas, shards = mesh.shape["data"], mesh.shape["model"]
    each, length = batch_shape(longest, shape.context)
    tokens = each * length
    talk = of_layers(shape.layers, tokens, shape.width, dtype.itemsize, shards)
    attention = 4 * shape.layers * shape.heads * shape.head_dim * length
    flops = tokens * (2 * shape.block_weights + attention) / shards
    moved = memory.weights(shape, dtype, mesh) + tokens * shape.width * dtype.itemsize
    temporary = memory.activations(shape, tokens, length, shards, dtype.itemsize)
    cost = Cost(flops, moved, sent(talk))

    def lower(devices: Mesh):
        spread = NamedSharding(devices, P("data"))
        ints = lambda *dims: jax.ShapeDtypeStruct(dims, jnp.int32, sharding=spread)  # noqa: E731
        tree = memory.placed(model, parameter_shardings(model, devices))
        return pooled.lower(tree, ints(replicas * each, length), ints(replicas * each, 2))

    size = f"{each} rows x {length} tokens"
    program = Program("features", size, dtype, cost, 1, temporary, tuple(talk), lower)
    return program, replicas * each
