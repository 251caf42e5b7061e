# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of packed rows in pieces, and products with few and many rows, with their gradients."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttc_jax.model.attend import attend_packed
from ttc_jax.model.linear import linear
from ttc_jax.model.shape import ModelShape

SHAPE = ModelShape("llama", 32, 16, layers=1, heads=4, kv_heads=2, head_dim=4, ffn=32, context=4096)


def dense(q, k, v, segments, shape, window):
    """Every query against every key of its row at once, the heads repeated."""
    k, v = (jnp.repeat(x, shape.heads // shape.kv_heads, axis=2) for x in (k, v))
    at = jnp.arange(q.shape[1])
    seen = at[None, :] <= at[:, None]
    if window:
        seen = seen & (at[:, None] - at[None, :] < window)
    seen = seen & (segments[:, :, None] == segments[:, None, :])
    logits = jnp.einsum("btnh,bsnh->bnts", q, k) * shape.scale
    if shape.attn_softcap:
        logits = shape.attn_softcap * jnp.tanh(logits / shape.attn_softcap)
    weights = jax.nn.softmax(jnp.where(seen[:, None], logits, -jnp.inf))
    return jnp.einsum("bnts,bsnh->btnh", weights, v)


@pytest.mark.parametrize(
    ("length", "window", "softcap"),
    [
        (1, 0, None), (63, 5, 1.5), (65, 0, None), (65, 5, None), (300, 0, 1.5), (300, 100, None),
        (2060, 0, None), (2060, 100, None),
    ],
)  # fmt: skip
def test_pieces_attend_as_the_whole(length, window, softcap):
    shape = replace(SHAPE, attn_softcap=softcap)
    random = np.random.default_rng(length)
    sizes = {"q": shape.heads, "k": shape.kv_heads, "v": shape.kv_heads, "by_out": shape.heads}
    q, k, v, by_out = (
        random.normal(size=(2, length, n, 4)).astype(np.float32) for n in sizes.values()
    )
    segments = np.sort(random.integers(1, 5, (2, length)), axis=1)
    segments[1, length - length // 3 :] = 0

    def read(attention):
        out, pull = jax.vjp(lambda *qkv: attention(*qkv, segments, shape, window), q, k, v)
        return out, *pull(by_out)

    ours, theirs = jax.jit(read, static_argnums=0)(attend_packed), read(dense)
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [(3,), (128,), (129,), (2, 100)])
def test_products_with_few_and_many_rows_and_their_gradients(rows):
    random = np.random.default_rng(0)
    x, weight, by_out = (
        random.normal(size=dims).astype(np.float32)
        for dims in ((*rows, 3, 4), (5, 2, 3, 4), (*rows, 5, 2))
    )

    @jax.jit
    def ours(x, weight):
        out, pull = jax.vjp(lambda x, weight: linear(x, weight, inputs=2), x, weight)
        return out, *pull(by_out)

    flat = weight.reshape(10, 12).astype(np.float64)
    wide = x.reshape(-1, 12).astype(np.float64)
    by_flat = by_out.reshape(-1, 10).astype(np.float64)
    expected = wide @ flat.T, by_flat @ flat, by_flat.T @ wide
    for own, other in zip(ours(x, weight), expected, strict=True):
        np.testing.assert_allclose(own, other.reshape(own.shape), rtol=1e-4, atol=1e-4)
