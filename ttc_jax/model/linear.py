# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Products with the weights of a model: plain ones, with adapters beside them, or in int8.

What is no plain parameter stands in a parameter's place; the forward pass does not tell them apart.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

# Up to so many rows at once, as in decoding, the CPU multiplies with the weight on the left.
_FEW_ROWS = 128


class LowRank(nnx.Module):
    """A weight [*out, *in] and what is added to it: lora_out [*out, r] times lora_in [r, *in].

    It stands in the place of the weight's parameter, so that the forward pass multiplies with the
    three of them one after the other and never makes the sum. The product is scaled by `scale`.
    Source: Hu et al. 2021 (arXiv 2106.09685).
    """

    def __init__(self, weight: nnx.Param, lora_in, lora_out, scale: float):
        self.weight = weight
        self.lora_in = nnx.Param(lora_in)
        self.lora_out = nnx.Param(lora_out)
        self.scale = scale

    def __getitem__(self, _) -> "LowRank":
        """Itself, where a parameter gives its array."""
        return self


class Int8(nnx.Module):
    """A weight [*out, *in] as weight i8[*out, *in] times scale f32[*out].

    It stands in the place of the weight's parameter. What a product reads is the int8 array: it is
    multiplied in the dtype of the other operand, and its result scaled.
    """

    def __init__(self, weight, scale):
        self.weight = nnx.Param(weight)
        self.scale = nnx.Param(scale)

    def __getitem__(self, _) -> "Int8":
        """Itself, where a parameter gives its array."""
        return self


def linear(x, weight, inputs: int = 1) -> jax.Array:
    """x [..., in] times weight [*out, *in]: [..., *out], where the last `inputs` axes are `in`."""
    if isinstance(weight, LowRank):
        low = linear(x, weight.lora_in[...], inputs)
        added = linear(low, weight.lora_out[...])
        return linear(x, weight.weight[...], inputs) + weight.scale * added
    if isinstance(weight, Int8):
        y = linear(x, weight.weight[...], inputs)
        return (y * weight.scale[...]).astype(x.dtype)
    split = weight.ndim - inputs
    out_dims = weight.shape[:split]
    flat = weight.reshape(math.prod(out_dims), math.prod(weight.shape[split:]))
    rows = x.reshape(-1, flat.shape[1])
    if flat.dtype == jnp.int8:
        # Without the barrier a loop over tokens would convert the weights once, before it starts,
        # and read the converted ones in every round.
        rows, flat = jax.lax.optimization_barrier((rows, flat))
        flat = flat.astype(x.dtype)
    if rows.shape[0] <= _FEW_ROWS:
        y = jax.lax.platform_dependent(rows, flat, cpu=_weight_first, default=_rows_first)
    else:
        y = _rows_first(rows, flat)
    return y.reshape(*x.shape[: x.ndim - inputs], *out_dims)


def _rows_first(x, weight) -> jax.Array:
    return jnp.einsum("zd,fd->zf", x, weight)


def _weight_first(x, weight) -> jax.Array:
    # XLA's CPU matmul of few rows is up to 1.6 times faster with the weight on the left and both
    # operands contiguous along rows; of many it is 1.1 to 1.4 times slower. The barriers keep the
    # compiler from folding the transposes away.
    x = jax.lax.optimization_barrier(x.T)
    return jax.lax.optimization_barrier(weight @ x).T
