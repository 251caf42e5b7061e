# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The transformer: parameters as flax.nnx modules, the forward pass as plain functions.

Weights keep the orientation of Hugging Face checkpoints, [out, in], heads split out. The forward
pass takes its attention as a function, so that the dense pass of training, `extend` and
`decode_segment` run the very same code for everything but where keys come from.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from ttc_jax.core.mesh import on_mesh
from ttc_jax.model.attend import attend_packed, rotate, rotation
from ttc_jax.model.linear import linear
from ttc_jax.model.shape import ModelShape

# attention(layer, q [B, T, N, H], k [B, T, K, H], v [B, T, K, H]) -> [B, T, N, H]
Attention = Callable[[int, jax.Array, jax.Array, jax.Array], jax.Array]
# Stands around the function of one layer: around(layer, f)(block, x, rope) -> x
Around = Callable[[int, Callable], Callable]


class Block(nnx.Module):
    """Parameters of one layer: attention, gated feed-forward, norms."""

    def __init__(self, shape: ModelShape, key: jax.Array, dtype):
        d, f, n, k, h = shape.width, shape.ffn, shape.heads, shape.kv_heads, shape.head_dim
        keys = iter(jax.random.split(key, 7))

        def weight(*dims: int, fan_in: int) -> nnx.Param:
            scale = fan_in**-0.5
            return nnx.Param((jax.random.normal(next(keys), dims) * scale).astype(dtype))

        def norm(dim: int) -> nnx.Param:
            return nnx.Param(jnp.full((dim,), 1.0 - shape.norm_offset, dtype))

        self.attn_norm = norm(d)
        self.q = weight(n, h, d, fan_in=d)
        self.k = weight(k, h, d, fan_in=d)
        self.v = weight(k, h, d, fan_in=d)
        self.o = weight(d, n, h, fan_in=n * h)
        if shape.qkv_bias:
            self.q_bias = nnx.Param(jnp.zeros((n, h), dtype))
            self.k_bias = nnx.Param(jnp.zeros((k, h), dtype))
            self.v_bias = nnx.Param(jnp.zeros((k, h), dtype))
        if shape.qk_norm:
            self.q_norm = norm(h)
            self.k_norm = norm(h)
        self.ffn_norm = norm(d)
        self.gate = weight(f, d, fan_in=d)
        self.up = weight(f, d, fan_in=d)
        self.down = weight(d, f, fan_in=f)
        if shape.post_norms:
            self.attn_post_norm = norm(d)
            self.ffn_post_norm = norm(d)


class Transformer(nnx.Module):
    """Parameters of the whole model, initialised at random from `key` (LeCun normal).

    `shape` travels with the module as static data. With `shape.value_classes` there is a value
    head: value_head [classes, D] and value_bias [classes]. With `shape.value_hidden` a layer
    value_up [hidden, D], value_up_bias [hidden] is in front, and value_head is [classes, hidden].
    """

    def __init__(self, shape: ModelShape, key: jax.Array, dtype=jnp.float32):
        self.shape = shape
        embed_key, head_key, value_key, *block_keys = jax.random.split(key, 3 + shape.layers)
        d = shape.width
        embed = jax.random.normal(embed_key, (shape.vocab, d)) * d**-0.5
        self.embed = nnx.Param(embed.astype(dtype))
        self.blocks = nnx.List([Block(shape, k, dtype) for k in block_keys])
        self.norm = nnx.Param(jnp.full((d,), 1.0 - shape.norm_offset, dtype))
        if not shape.tied:
            head = jax.random.normal(head_key, (shape.vocab, d)) * d**-0.5
            self.head = nnx.Param(head.astype(dtype))
        if shape.value_classes:
            fan_in = shape.value_hidden or d
            value = jax.random.normal(value_key, (shape.value_classes, fan_in)) * fan_in**-0.5
            self.value_head = nnx.Param(value.astype(dtype))
            self.value_bias = nnx.Param(jnp.zeros((shape.value_classes,), dtype))
        if shape.value_hidden:
            up_key = jax.random.fold_in(value_key, 1)
            up = jax.random.normal(up_key, (shape.value_hidden, d)) * d**-0.5
            self.value_up = nnx.Param(up.astype(dtype))
            self.value_up_bias = nnx.Param(jnp.zeros((shape.value_hidden,), dtype))


def abstract(shape: ModelShape, dtype=jnp.float32) -> Transformer:
    """A Transformer whose parameters are ShapeDtypeStructs: nothing is allocated."""
    return nnx.eval_shape(lambda: Transformer(shape, jax.random.key(0), dtype))


def with_value_head(model: Transformer, classes: int, key: jax.Array) -> Transformer:
    """A model with the same weights (the very same arrays) and an untrained value head.

    value_head [classes, D] is drawn from `key`, value_bias [classes] is zero.
    """
    graph, weights = nnx.split(model)
    other = nnx.merge(graph, weights)
    other.shape = replace(model.shape, value_classes=classes, value_hidden=0)
    d, dtype = model.shape.width, model.embed.dtype
    head = jax.random.normal(key, (classes, d)) * d**-0.5
    sharding = model.norm[...].sharding  # whole on every device of the model's mesh
    other.value_head = nnx.Param(on_mesh(head.astype(dtype), sharding))
    other.value_bias = nnx.Param(on_mesh(jnp.zeros((classes,), dtype), sharding))
    return other


def rms_norm(x, weight, shape: ModelShape) -> jax.Array:
    """x [..., D] over its root mean square, times the weight (plus 1 in Gemma), in x's dtype."""
    y = x.astype(jnp.float32)
    y = y * jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + shape.norm_eps)
    weight = weight.astype(jnp.float32)
    return (y * (weight + shape.norm_offset)).astype(x.dtype)


def _attention(block: Block, shape, layer: int, x, rope, attention: Attention) -> jax.Array:
    q, k, v = (linear(x, weight[...]) for weight in (block.q, block.k, block.v))
    if shape.qkv_bias:
        q, k, v = q + block.q_bias[...], k + block.k_bias[...], v + block.v_bias[...]
    if shape.qk_norm:
        q = rms_norm(q, block.q_norm[...], shape)
        k = rms_norm(k, block.k_norm[...], shape)
    cos, sin = rope[shape.window(layer) > 0]
    out = attention(layer, rotate(q, cos, sin), rotate(k, cos, sin), v)
    return linear(out, block.o[...], inputs=2)


def _feed_forward(block: Block, shape: ModelShape, x) -> jax.Array:
    gate = linear(x, block.gate[...])
    gate = jax.nn.silu(gate) if shape.activation == "silu" else jax.nn.gelu(gate, approximate=True)
    return linear(gate * linear(x, block.up[...]), block.down[...])


def hidden(
    model: Transformer,
    tokens,
    positions,
    attention: Attention,
    *,
    around: Around | None = None,
    drop: Callable[[jax.Array, int], jax.Array] | None = None,
) -> jax.Array:
    """Final hidden states [B, T, D], normed, of tokens i32[B, T] at positions i32[B, T].

    `around` wraps the function of each layer (rematerialisation, sharding); drop(x, site) is
    applied to what each of the 2 L sublayers adds to the residual stream.
    """
    shape = model.shape
    x = model.embed[...][tokens]
    x = x * jnp.asarray(shape.embed_scale, x.dtype)
    rope = {local: rotation(shape, positions, local) for local in _kinds_of_layer(shape)}

    def run(layer: int, block: Block, x, rope):
        with jax.named_scope("attention"):
            y = rms_norm(x, block.attn_norm[...], shape)
            y = _attention(block, shape, layer, y, rope, attention)
            y = rms_norm(y, block.attn_post_norm[...], shape) if shape.post_norms else y
            x = x + (y if drop is None else drop(y, 2 * layer))
        with jax.named_scope("feed_forward"):
            y = _feed_forward(block, shape, rms_norm(x, block.ffn_norm[...], shape))
            y = rms_norm(y, block.ffn_post_norm[...], shape) if shape.post_norms else y
            return x + (y if drop is None else drop(y, 2 * layer + 1))

    for layer, block in enumerate(model.blocks):
        fn = partial(run, layer)
        x = (fn if around is None else around(layer, fn))(block, x, rope)
    return rms_norm(x, model.norm[...], shape)


def _kinds_of_layer(shape: ModelShape) -> set[bool]:
    return {shape.window(layer) > 0 for layer in range(shape.layers)}


def language_head(model: Transformer) -> jax.Array:
    """The weights [V, D] that hidden states are multiplied with for logits."""
    return (model.embed if model.shape.tied else model.head)[...]


def head_logits(head, x, shape: ModelShape) -> jax.Array:
    """Next-token logits f32[..., V] of hidden states x [..., D] by a language head [V, D]."""
    out = linear(x, head).astype(jnp.float32)
    cap = shape.final_softcap
    return out if cap is None else cap * jnp.tanh(out / cap)


def logits(model: Transformer, x) -> jax.Array:
    """Next-token logits f32[..., V] of hidden states x [..., D]."""
    return head_logits(language_head(model), x, model.shape)


def values(model: Transformer, x) -> jax.Array:
    """Value-head logits f32[..., classes] of hidden states x [..., D].

    Raises ValueError when the model has no value head.
    """
    if not model.shape.value_classes:
        raise ValueError("this model has no value head; set value_classes in its ModelShape")
    if model.shape.value_hidden:
        x = jax.nn.relu(_affine(x, model.value_up[...], model.value_up_bias[...]))
    return _affine(x, model.value_head[...], model.value_bias[...])


def _affine(x, weight, bias) -> jax.Array:
    out = jnp.einsum("...d,cd->...c", x, weight, preferred_element_type=jnp.float32)
    return out + bias.astype(jnp.float32)


def forward(model: Transformer, tokens, lens=None) -> jax.Array:
    """Hidden states [B, T, D] of whole sequences tokens i32[B, T], without any cache.

    Rows are right-padded: tokens at or beyond lens i32[B] (default T) see padding but are never
    seen by valid ones, as attention is causal. The plain reading, beside `packed`.
    """
    rows, length = tokens.shape
    positions = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32), (rows, length))
    inside = positions < (length if lens is None else lens[:, None])
    return packed(model, tokens, positions, jnp.where(inside, 1, 0))


def packed(model: Transformer, tokens, positions, segments, **how) -> jax.Array:
    """Hidden states [B, T, D] of rows that hold several texts, which do not see each other.

    tokens, positions, segments i32[B, T]: a token sees what stands before it in its row with its
    own segment number. `how` are the options of `hidden`. Used for training.
    """
    shape = model.shape

    def attention(layer, q, k, v):
        return attend_packed(q, k, v, segments, shape, shape.window(layer))

    return hidden(model, tokens, positions, attention, **how)
