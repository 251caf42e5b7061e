# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions, and attention over several runs of keys merged by log-sum-exp.

Decoding reads its keys from three places (a prefix shared by a group of rows, a row's own context,
the tokens of the running segment). Each place yields a `Partial`; `merge` joins them exactly, as if
the keys had stood in one array. Keys come as [Z, K, H, C] and values as [Z, K, C, H] (Z rows or
groups), the orders in which both inner products run along contiguous memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ttc_jax.model.shape import ModelShape

# Large enough that exp() of it is 0 in float32, finite so that a fully masked run gives no NaN.
MASKED = -1e30
# A packed row is attended in so many pieces, but for the least and most queries of one.
_PIECES = 4
_QUERIES = 64, 512


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Partial:
    """Attention of queries to one run of keys, not yet normalised.

    out f32[Z, K, Q, H] is the sum of exp(logit - top) * v, top f32[Z, K, Q] the largest logit and
    mass f32[Z, K, Q] the sum of exp(logit - top); Q counts every query that shares a kv head.
    """

    out: jax.Array
    top: jax.Array
    mass: jax.Array


def attend(q, k, v, mask, shape: ModelShape) -> Partial:
    """Partial attention of q [Z, K, Q, H] to k [Z, K, H, C], v [Z, K, C, H].

    Only where mask bool[Z, 1, Q or 1, C] is true.
    """
    logits = jnp.einsum("zkqh,zkhc->zkqc", q, k, preferred_element_type=jnp.float32) * shape.scale
    if shape.attn_softcap is not None:
        logits = shape.attn_softcap * jnp.tanh(logits / shape.attn_softcap)
    logits = jnp.where(mask, logits, MASKED)
    top = logits.max(-1)
    weights = jnp.exp(logits - top[..., None])
    out = jnp.einsum(
        "zkqc,zkch->zkqh", weights.astype(v.dtype), v, preferred_element_type=jnp.float32
    )
    return Partial(out, top, weights.sum(-1))


def merge(parts: list[Partial], dtype) -> jax.Array:
    """Attention [Z, K, Q, H] in `dtype` over the union of the keys of all `parts`.

    At least one part must have an unmasked key for every query that is used afterwards.
    """
    top = parts[0].top
    for part in parts[1:]:
        top = jnp.maximum(top, part.top)
    weights = [jnp.exp(part.top - top) for part in parts]
    mass = sum(w * part.mass for w, part in zip(weights, parts, strict=True))
    out = sum(w[..., None] * part.out for w, part in zip(weights, parts, strict=True))
    return (out / mass[..., None]).astype(dtype)


def in_window(query_pos, key_pos, window: int):
    """Whether keys at key_pos lie in the window of queries at query_pos; always for window 0."""
    return key_pos > query_pos - window if window else True


def attend_packed(q, k, v, segments, shape: ModelShape, window: int) -> jax.Array:
    """Causal attention [B, T, N, H] of rows q [B, T, N, H], k, v [B, T, K, H] within segments.

    segments i32[B, T] number the texts of a row. A token of a text sees at least itself.
    """
    groups = q.shape[2] // shape.kv_heads
    out = []
    for start, end, first in pieces(q.shape[1], window):
        query_pos, key_pos = jnp.arange(start, end)[:, None], jnp.arange(first, end)[None, :]
        mask = (key_pos <= query_pos) & in_window(query_pos, key_pos, window)
        mask = mask & (segments[:, start:end, None] == segments[:, None, first:end])
        mask = jnp.repeat(mask, groups, axis=1)[:, None]
        queries = by_kv_head(q[:, start:end], shape.kv_heads)
        keys, values = keys_first(k[:, first:end]), values_first(v[:, first:end])
        part = attend(queries, keys, values, mask, shape)
        out.append(by_token(merge([part], q.dtype), end - start))
    return out[0] if len(out) == 1 else jnp.concatenate(out, axis=1)


def pieces(length: int, window: int) -> Iterator[tuple[int, int, int]]:
    """Pieces (start, end, first) of a packed row: queries start to end, with keys first to end.

    Little more than half of the products are computed thus, and little of the logits is held at
    once.
    """
    size = min(max(-(-length // _PIECES), _QUERIES[0]), _QUERIES[1])
    for start in range(0, length, size):
        first = max(0, start - window + 1) if window else 0
        yield start, min(start + size, length), first


def keys_first(k) -> jax.Array:
    """New keys [B, T, K, H] as `attend` reads them, [B, K, H, T]."""
    return jnp.transpose(k, (0, 2, 3, 1))


def values_first(v) -> jax.Array:
    """New values [B, T, K, H] as `attend` reads them, [B, K, T, H]."""
    return jnp.moveaxis(v, 2, 1)


def rope_frequencies(shape: ModelShape, local: bool) -> jax.Array:
    """Radians per token f32[H // 2] of each rotated pair; `local` means a layer with a window."""
    theta = shape.rope_theta
    scaling = shape.rope_scaling
    if local and shape.local_rope_theta is not None:
        theta, scaling = shape.local_rope_theta, None
    half = shape.head_dim // 2
    freqs = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    if scaling is None:
        return freqs
    if scaling.kind == "linear":
        return freqs / scaling.factor
    # Llama 3: wavelengths beyond original_context / low_freq_factor are stretched in full, those
    # under original_context / high_freq_factor not at all.
    turns = scaling.original_context * freqs / (2 * jnp.pi)
    ramp = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    ramp = jnp.clip(ramp, 0.0, 1.0)
    return freqs / scaling.factor * (1 - ramp) + freqs * ramp


def rotation(shape: ModelShape, positions, local: bool) -> tuple[jax.Array, jax.Array]:
    """Cosines and signed sines, each f32[B, T, 1, 2, H // 2], of token positions i32[B, T]."""
    angles = positions[..., None].astype(jnp.float32) * rope_frequencies(shape, local)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    both = jnp.stack([cos, cos], axis=-2), jnp.stack([-sin, sin], axis=-2)
    return both[0][:, :, None], both[1][:, :, None]


def rotate(x, cos, sin) -> jax.Array:
    """x [B, T, heads, H] rotated by position, halves paired as Hugging Face checkpoints expect."""
    halves = x.astype(jnp.float32).reshape(*x.shape[:-1], 2, x.shape[-1] // 2)
    # Reversing the pair, rather than concatenating its parts, stays one fused loop.
    rotated = halves * cos + halves[..., ::-1, :] * sin
    return rotated.astype(x.dtype).reshape(x.shape)


def by_kv_head(q, kv_heads: int) -> jax.Array:
    """q [B, T, N, H] as [B, K, T * N/K, H]: the queries of one kv head side by side."""
    rows, tokens, heads, dim = q.shape
    q = q.reshape(rows, tokens, kv_heads, heads // kv_heads, dim)
    return jnp.moveaxis(q, 2, 1).reshape(rows, kv_heads, tokens * (heads // kv_heads), dim)


def by_token(out, tokens: int) -> jax.Array:
    """The inverse of `by_kv_head`: out [B, K, T * N/K, H] as [B, T, N, H]."""
    rows, kv_heads, queries, dim = out.shape
    out = out.reshape(rows, kv_heads, tokens, queries // tokens, dim)
    return jnp.moveaxis(out, 1, 2).reshape(rows, tokens, kv_heads * (queries // tokens), dim)
