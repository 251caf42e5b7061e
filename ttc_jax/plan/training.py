# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A step of training, as shapes: what it costs, needs and compiles from."""

import math

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ttc_jax.data.batches import Shape
from ttc_jax.learn.learner import Learner
from ttc_jax.plan import memory
from ttc_jax.plan.collectives import Collective, of_layers, sent
from ttc_jax.plan.programs import Program
from ttc_jax.plan.roofline import Cost
from ttc_jax.plan.work import Training

# Bytes of float32 that the optimiser moves for each trained parameter: gradient, weight and two
# moments are read, and all but the gradient are written.
_UPDATED = 7 * 4


def step_program(work: Training, learner: Learner, shape: Shape, mesh: Mesh) -> Program:
    """The step over packed rows of `shape`; FLOPs are exact, bytes are about right.

    Bytes are those of weights, of the optimiser and of the activations of each layer, once written
    and once read.
    """
    model, numerics = learner.shape, learner.numerics
    dtype = jnp.dtype(numerics.dtype)
    data, shards, micro = mesh.shape["data"], mesh.shape["model"], numerics.accumulate
    tokens = shape.rows * shape.length // (data * micro)  # of a microbatch on a chip
    trained = memory.on_chip(learner.abstract.params)
    arrays = jax.tree.leaves([learner.abstract.params, learner.abstract_frozen])
    whole = sum(math.prod(x.shape) for x in arrays) * dtype.itemsize / shards
    keys = min(shape.length, 2048)  # rows are read in pieces that see few more
    inside = memory.activations(model, tokens, keys, shards, dtype.itemsize)
    passes = learner.passes + numerics.remat
    talk = _talk(learner, tokens, whole, mesh)
    cost = Cost(
        learner.executed(shape) / mesh.size,
        micro * (passes * whole + 2 * model.layers * inside) + _UPDATED / 4 * trained,
        sent(talk),
    )
    kept = tokens * model.width * dtype.itemsize if numerics.remat else inside
    head = tokens * (model.vocab / shards if learner.reads_language else 1) * (4 + dtype.itemsize)
    temporary = (
        model.layers * kept + inside + 2 * head + trained + whole / (data if numerics.fsdp else 1)
    )
    size = f"{shape.rows} rows x {shape.length} tokens"
    size += f" in {micro} microbatches" if micro > 1 else ""

    def lower(devices: Mesh):
        return work.learner(devices).lower(shape)

    return Program("train_step", size, dtype, cost, micro, temporary, tuple(talk), lower)


def _talk(learner: Learner, tokens: int, whole: float, mesh: Mesh) -> list[Collective]:
    """What a step's devices send each other: sums of hidden states, weights, gradients."""
    model, numerics = learner.shape, learner.numerics
    data, micro = mesh.shape["data"], numerics.accumulate
    itemsize = jnp.dtype(numerics.dtype).itemsize
    # Two sums a layer forward and two backward; with remat that of attention once more.
    each = 4 + numerics.remat
    found = of_layers(model.layers, tokens, model.width, itemsize, mesh.shape["model"], each)
    found = [Collective(c.kind, c.bytes, c.group, c.times * micro) for c in found]
    if data > 1 and numerics.fsdp:
        gathers = 2 + numerics.remat
        found.append(Collective("all-gather", int(whole), data, gathers * micro))
        found.append(Collective("reduce-scatter", int(whole), data, micro))
    elif data > 1:
        params = learner.abstract.params.values()
        share = sum(math.prod(x.sharding.shard_shape(x.shape)) for x in params) * itemsize
        found.append(Collective("all-reduce", share, data, micro))
    return found
