# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Analytic counts of floating-point operations, and the rate at which this machine does them."""

import functools
import time

import jax
import jax.numpy as jnp


def forward(
    *,
    block_weights: int,
    head_weights: int,
    attention_width: int,
    layers: int,
    start: int,
    tokens: int,
    logits: int,
) -> float:
    """FLOPs of running `tokens` new tokens after `start` cached ones, `logits` of them to logits.

    Multiply-adds count two. `block_weights` and `head_weights` are the matrix weights of all blocks
    and of the language head; `attention_width` is N * H. Causal attention is counted exactly: the
    token at position p reads p + 1 keys and as many values. Norms, rotary embeddings, softmax and
    sampling are left out (below 1 % for every supported shape at these lengths).
    """
    reads = tokens * start + tokens * (tokens + 1) // 2
    attention = 4.0 * layers * attention_width * reads
    return 2.0 * block_weights * tokens + 2.0 * head_weights * logits + attention


def matmul_rate(dtype) -> float:
    """FLOP/s of one local device at a large square matrix product in `dtype`, measured now."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    x = jax.device_put(jnp.ones((size, size), dtype), jax.local_devices()[0])
    multiply = jax.jit(lambda x: x @ x)
    multiply(x).block_until_ready()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        multiply(x).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


peak_rate = functools.cache(matmul_rate)  # measured once in a process
