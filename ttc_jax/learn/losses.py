# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What is minimised: next tokens for policies, soft values for verifiers.

A loss returns a sum and the weight that it is a sum over, so that microbatches and devices add up
to exactly what the whole batch gives.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax

from ttc_jax.data.batches import Packed
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, head_logits, language_head, values

# loss(model, hidden [B, T, D], batch, shards) -> (sum f32[], weight f32[]), on so many devices
Loss = Callable[[Transformer, jax.Array, Packed, int], tuple[jax.Array, jax.Array]]

# Bytes of logits that a device holds at once; beyond, rows are read in pieces.
_LOGIT_BYTES = 1 << 28


def language_loss(
    model: Transformer, hidden, batch: Packed, shards: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Weighted sum of the cross-entropy of the next tokens, in nats, and the sum of the weights.

    hidden [B, T, D]; targets i32[B, T] hold the next token of each position. The logits lie on
    `shards` devices, so that many in each piece.
    """
    rows, length, _ = hidden.shape
    pieces = -(-rows * length * model.shape.vocab * 4 // (_LOGIT_BYTES * shards))
    pieces = next(n for n in range(min(pieces, length), length + 1) if length % n == 0)

    def split(x):
        return jnp.moveaxis(x.reshape(rows, pieces, length // pieces, *x.shape[2:]), 1, 0)

    parts = tuple(map(split, (hidden, batch.targets, batch.weights)))
    return _cross_entropy(language_head(model), *parts, model.shape), batch.weights.sum()


def _piece(head, x, targets, weights, shape: ModelShape) -> jax.Array:
    out = head_logits(head, x, shape)
    # A sum over a mask, unlike a gather, needs no exchange of logits that lie on many devices.
    hit = jnp.arange(out.shape[-1]) == targets[..., None]
    chosen = jnp.where(hit, out, 0.0).sum(-1)
    return (weights * (jax.nn.logsumexp(out, axis=-1) - chosen)).sum()


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _cross_entropy(head, x, targets, weights, shape: ModelShape) -> jax.Array:
    """Weighted sum over pieces x [P, B, T, D], targets and weights [P, B, T]; head [V, D]."""
    parts = x, targets, weights
    return jax.lax.scan(lambda sum_, part: (sum_ + _piece(head, *part, shape), None), 0.0, parts)[0]


def _with_gradients(head, x, targets, weights, shape: ModelShape) -> tuple:
    """The sum, and its gradients by head and x, taken at once: logits are never made again."""
    gradients = jax.value_and_grad(_piece, argnums=(0, 1))

    def step(sums, part):
        loss, (by_head, by_x) = gradients(head, *part, shape)
        return (sums[0] + loss, sums[1] + by_head.astype(jnp.float32)), by_x

    zeros = jnp.float32(0), jnp.zeros(head.shape, jnp.float32)
    (loss, by_head), by_x = jax.lax.scan(step, zeros, (x, targets, weights))
    return loss, (by_head.astype(head.dtype), by_x)


def _gradients(shape: ModelShape, taken: tuple, by_loss) -> tuple:
    by_head, by_x = (gradient * by_loss.astype(gradient.dtype) for gradient in taken)
    return by_head, by_x, None, None


_cross_entropy.defvjp(_with_gradients, _gradients)


def value_loss(
    model: Transformer, hidden, batch: Packed, shards: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Weighted sum of the binary cross-entropy of soft values, in nats, and that of the weights.

    hidden [B, T, D]; targets f32[B, T] in [0, 1]. Source: Snell et al. 2024, appendix D:
    -(y log p + (1 - y) log(1 - p)).
    """
    out = values(model, hidden)[..., 0]
    loss = optax.sigmoid_binary_cross_entropy(out, batch.targets)
    return (batch.weights * loss).sum(), batch.weights.sum()
