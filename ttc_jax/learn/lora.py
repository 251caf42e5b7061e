# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank adapters, for bases too large to be trained whole.

Source: Hu et al. 2021 (arXiv 2106.09685).
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from ttc_jax.model.linear import LowRank
from ttc_jax.model.transformer import Transformer

WEIGHTS = ("q", "k", "v", "o", "gate", "up", "down")
# The parameters that are trained beside the adapters: a value head begins untrained.
TRAINED = r"(/lora_in|/lora_out|^value_\w+)$"


def with_adapters(
    model: Transformer,
    rank: int,
    key: jax.Array,
    *,
    alpha: float | None = None,
    weights: tuple[str, ...] = WEIGHTS,
) -> Transformer:
    """The model with adapters beside the named weights of every layer; it computes what it did.

    lora_in [r, *in] f32 is normal, lora_out [*out, r] f32 zero; their product is scaled by
    alpha / rank (alpha defaults to 2 * rank). The base's arrays are the very same.

    Raises:
      ValueError: a rank below 1, or a weight that layers do not have.
    """
    if rank < 1:
        raise ValueError(f"adapters of rank {rank}; it must be at least 1")
    unknown = set(weights) - set(WEIGHTS)
    if unknown or not weights:
        raise ValueError(f"adapters for {sorted(unknown) or 'no weight'}: choose from {WEIGHTS}")
    scale = 2.0 if alpha is None else alpha / rank
    model = nnx.merge(*nnx.split(model))
    for layer, block in enumerate(model.blocks):
        for number, name in enumerate(weights):
            weight = getattr(block, name)
            split = weight.ndim - (2 if name == "o" else 1)
            out, into = weight.shape[:split], weight.shape[split:]
            own = jax.random.fold_in(jax.random.fold_in(key, layer), number)
            lora_in = jax.random.normal(own, (rank, *into)) * math.prod(into) ** -0.5
            setattr(block, name, LowRank(weight, lora_in, jnp.zeros((*out, rank)), scale))
    return model


def merged(model: Transformer) -> Transformer:
    """The model with its adapters added to the weights, in the weights' dtype."""
    model = nnx.merge(*nnx.split(model))
    for block in model.blocks:
        for name in WEIGHTS:
            if isinstance(part := getattr(block, name), LowRank):
                setattr(block, name, nnx.Param(_sum(part)))
    return model


@jax.jit
def _sum(part: LowRank) -> jax.Array:
    lora_in, lora_out = part.lora_in[...], part.lora_out[...]
    added = jnp.tensordot(lora_out, lora_in, axes=1)
    weight = part.weight[...]
    return (weight.astype(jnp.float32) + part.scale * added).astype(weight.dtype)
