# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How the next token is drawn from its logits.

A draw uses one uniform number per row, by inversion of the cumulative distribution in two levels
(blocks of tokens, then tokens of one block): drawing Gumbel noise for a whole vocabulary of 50,000
to 260,000 would cost as much as a layer of the model. Every truncation rule is a threshold on the
logits, found by bisection over float32 bit patterns: exact, and without sorting the vocabulary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Sampler:
    """Temperature sampling with optional truncation; temperature 0 is greedy.

    top_k keeps the k likeliest tokens (0: all; ties at the k-th are kept), top_p the smallest set
    of likeliest tokens whose probabilities sum to at least top_p, min_p those at least min_p times
    as likely as the likeliest; together they intersect, each taken of the tempered distribution.
    Raises ValueError for values out of range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self):
        if not self.temperature >= 0:
            raise ValueError(f"temperature {self.temperature} is negative; 0 means greedy")
        if self.top_k < 0:
            raise ValueError(f"top_k {self.top_k} is negative; 0 means no limit")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p} is not in (0, 1]; 1 means no limit")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p {self.min_p} is not in [0, 1]; 0 means no limit")

    def draw(self, logits: jax.Array, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Token ids i32[B], and their log-probabilities f32[B] under softmax(logits).

        logits f32[B, V]; uniform f32[B] in [0, 1). The log-probability is the model's own, before
        temperature and truncation, so that samples of different samplers can be compared.
        """
        shifted = logits - logits.max(-1, keepdims=True)
        blocks = _blocks(shifted)
        if self.temperature == 0:
            block = blocks.max(-1).argmax(-1).astype(jnp.int32)
            inside = _chosen(blocks, block)
            place = inside.argmax(-1).astype(jnp.int32)
        else:
            floor = self._floor(shifted / self.temperature)[:, None]
            odds = lambda x, low: jnp.where(x >= low, jnp.exp(x), 0)  # noqa: E731
            sums = odds(blocks / self.temperature, floor[..., None]).sum(-1)
            block, target = _pick(sums, uniform * sums.sum(-1))
            inside = _chosen(blocks, block)
            place, _ = _pick(odds(inside / self.temperature, floor), target)
        logit = jnp.take_along_axis(inside, place[:, None], axis=1)[:, 0]
        token = block * blocks.shape[-1] + place
        return token, logit - jnp.log(jnp.exp(shifted).sum(-1))

    def _floor(self, tempered: jax.Array) -> jax.Array:
        """The least tempered logit f32[B] that may be drawn, of tempered f32[B, V] at most 0."""
        vocab = tempered.shape[-1]
        floor = jnp.full(tempered.shape[:-1], -jnp.inf)
        if 0 < self.top_k < vocab:
            enough = lambda kept: kept.sum(-1) >= self.top_k  # noqa: E731
            floor = jnp.maximum(floor, _highest_floor(tempered, enough))
        if self.top_p < 1:
            odds = jnp.exp(tempered)
            goal = self.top_p * odds.sum(-1)
            enough = lambda kept: jnp.where(kept, odds, 0).sum(-1) >= goal  # noqa: E731
            floor = jnp.maximum(floor, _highest_floor(tempered, enough))
        if self.min_p > 0:
            floor = jnp.maximum(floor, jnp.log(self.min_p))
        return floor


def _highest_floor(x: jax.Array, enough: Callable) -> jax.Array:
    """The largest value f32[B] for which enough(x >= value) holds, x f32[B, V] at most 0.

    Non-positive floats grow as their bit patterns shrink, so 32 halvings of the patterns find it.
    """
    pattern = jax.lax.bitcast_convert_type(-x, jnp.int32)
    low = jnp.zeros(x.shape[:-1], jnp.int32)
    # Infinity: should rounding leave no set that is enough, everything is kept.
    high = jnp.full_like(low, 0x7F800000)

    def halve(_, bounds):
        low, high = bounds
        middle = low + (high - low) // 2
        ok = enough(pattern <= middle[:, None])
        return jnp.where(ok, low, middle + 1), jnp.where(ok, middle, high)

    _, high = jax.lax.fori_loop(0, 32, halve, (low, high))
    return -jax.lax.bitcast_convert_type(high, jnp.float32)


def _blocks(logits: jax.Array) -> jax.Array:
    """logits f32[B, V] as f32[B, blocks, block], about as many blocks as tokens in one.

    The number of blocks is a multiple of 16 wherever V allows, so that a vocabulary sharded up to
    16 ways is cut between blocks and nothing as long as V is gathered; else the end is padded with
    -inf.
    """
    rows, vocab = logits.shape
    root = math.isqrt(vocab)
    exact = [n for n in range(16, vocab + 1, 16) if vocab % n == 0 and root <= 4 * n <= 16 * root]
    blocks = min(exact, key=lambda n: abs(n - root), default=-(-root // 16) * 16)
    size = -(-vocab // blocks)
    padding = ((0, 0), (0, blocks * size - vocab))
    return jnp.pad(logits, padding, constant_values=-jnp.inf).reshape(rows, blocks, size)


def _chosen(blocks: jax.Array, block: jax.Array) -> jax.Array:
    """Block f32[B, size] number block i32[B] of each row of blocks f32[B, blocks, size].

    A masked maximum rather than a gather: over a sharded vocabulary it moves one block, not all.
    """
    number = jnp.arange(blocks.shape[1], dtype=jnp.int32)
    return jnp.where((number == block[:, None])[..., None], blocks, -jnp.inf).max(1)


def _pick(weights: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Index i32[B] of the weight f32[B, X] whose cumulative span holds target f32[B].

    Also the part of target inside that span. Rounding may push target past the total: then the last
    positive weight is taken. Only positive weights are candidates, as a cumulative sum computed in
    parallel may move at a weight of zero: a token of probability zero is never drawn.
    """
    ends = jnp.cumsum(weights, axis=-1)
    positive = weights > 0
    index = jnp.arange(weights.shape[-1], dtype=jnp.int32)
    last = jnp.where(positive, index, 0).max(-1)
    beyond = positive & (ends > target[:, None])
    index = jnp.where(beyond, index, last[:, None]).min(-1)
    start = jnp.take_along_axis(ends - weights, index[:, None], axis=-1)[:, 0]
    return index, target - start


def row_keys(seed: jax.Array, question: jax.Array, branch: jax.Array) -> jax.Array:
    """One typed key per row, of a u32 seed and the row's question and branch, each u32[B]."""
    fold = lambda q, b: jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), q), b)  # noqa: E731
    return jax.vmap(fold)(question, branch)


def uniforms(keys: jax.Array, positions: jax.Array) -> jax.Array:
    """One number f32[B] in [0, 1) per row: a function of the row's key and token position alone."""
    return jax.vmap(lambda key, p: jax.random.uniform(jax.random.fold_in(key, p)))(keys, positions)
