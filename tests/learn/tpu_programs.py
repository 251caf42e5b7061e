# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles the training step of a 7B-class model for a TPU slice; prints JSON of its needs.

Run in a process of its own (test_tpu_aot.py does): libtpu reads its environment when it is loaded.
"""

import json
import sys
import time
from dataclasses import replace
from math import prod

import jax
import jax.numpy as jnp
from decode.tpu_programs import facts
from jax.experimental import topologies

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.batches import Shape
from ttc_jax.learn.learner import Learner, Numerics
from ttc_jax.learn.losses import language_loss, value_loss
from ttc_jax.learn.optim import Optimiser
from ttc_jax.model.shape import PRESETS
from ttc_jax.model.transformer import abstract

LOSSES = {"language": language_loss, "value": value_loss}


def main(topology: str, preset: str, data: str, model: str, loss: str, layers: str) -> None:
    shape = replace(PRESETS[preset], value_classes=int(loss == "value"), layers=int(layers))
    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    learner = Learner(
        abstract(shape), LOSSES[loss], Optimiser(decay=0.1, schedule="cosine"),
        Numerics(remat=True, fsdp=True, dtype="bfloat16"),
        mesh=make_mesh(int(data), int(model), devices), steps=1000,
    )  # fmt: skip
    start = time.perf_counter()
    compiled = learner.lower(Shape(256, 2048)).compile()
    seconds = time.perf_counter() - start
    state = sum(
        prod(x.sharding.shard_shape(x.shape)) * jnp.dtype(x.dtype).itemsize
        for x in jax.tree.leaves(learner.abstract)
    )
    params = sum(prod(x.shape) for x in learner.abstract.params.values())
    found = {"state_bytes_per_chip": state, "params": params, "seconds": seconds}
    print(json.dumps(facts(compiled) | found))


if __name__ == "__main__":
    main(*sys.argv[1:])
