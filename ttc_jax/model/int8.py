# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in int8, with a scale for each output: half of bfloat16's bytes, a quarter of float32's.

Only the matrices of the layers become int8, which are read whole for every token. Embeddings stay:
of them a row is looked up, and where they are the language head too, as a head of its own, their
errors would go straight into the logits. Norms, biases and value heads are too small to matter.
Activations, keys and values stay in the dtype of the embeddings.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Sharding

from ttc_jax.model.linear import Int8
from ttc_jax.model.transformer import Transformer

# What a model's weights can be: as they are, or int8.
KINDS = ("", "int8")
# Matrices of a layer, with the number of their last axes that are inputs.
INPUTS = {"q": 1, "k": 1, "v": 1, "o": 2, "gate": 1, "up": 1, "down": 1}
_LARGEST = 127


def check_kind(weights: str, setting: str) -> None:
    """ValueError, with the setting's name, for weights that are none of KINDS."""
    if weights not in KINDS:
        raise ValueError(f"{setting} is {weights!r}; use 'int8', or '' for weights as they are")


def quantise(weight, inputs: int = 1) -> tuple[jax.Array, jax.Array]:
    """A weight [*out, *in] as i8[*out, *in] and scales f32[*out], rounded to nearest.

    The last `inputs` axes are `in`. Of each output the largest weight becomes 127 or -127: the
    error is at most half a scale. An output of zeros has scale 1.
    """
    axes = tuple(range(weight.ndim - inputs, weight.ndim))
    weight = weight.astype(jnp.float32)
    scale = jnp.abs(weight).max(axes, keepdims=True) / _LARGEST
    scale = jnp.where(scale > 0, scale, 1.0)
    return jnp.round(weight / scale).astype(jnp.int8), scale.squeeze(axes)


def with_int8(model: Transformer) -> Transformer:
    """The model with the matrices of its layers in int8; everything else is the very same."""
    model = nnx.merge(*nnx.split(model))
    for block in model.blocks:
        for name, inputs in INPUTS.items():
            setattr(block, name, Int8(*quantise(getattr(block, name)[...], inputs)))
    return model


def parts(path: str, array: jax.Array, shardings: Mapping[str, Sharding]) -> dict[str, jax.Array]:
    """What the parameter at `path` ("blocks/3/q") of a plain model becomes, by path.

    A matrix of a layer becomes the two arrays at path/weight and path/scale with their `shardings`;
    anything else stays the array that it is.
    """
    inputs = INPUTS.get(path.rpartition("/")[2])
    if inputs is None:
        return {path: array}
    names = f"{path}/weight", f"{path}/scale"
    program = _program(inputs, tuple(shardings[name] for name in names))
    return dict(zip(names, program(array), strict=True))


@functools.cache
def _program(inputs: int, shardings: tuple[Sharding, Sharding]):
    return jax.jit(functools.partial(quantise, inputs=inputs), out_shardings=shardings)


def is_int8(model: Transformer) -> bool:
    """Whether the matrices of the model's layers are int8."""
    return isinstance(model.blocks[0].q, Int8)
