# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What is minimised: next tokens for policies, soft values for verifiers.

A loss returns a sum and the weight that it is a sum over, so that microbatches and devices add up
to exactly what the whole batch gives.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from ttc_jax.data.batches import Packed
from ttc_jax.model.transformer import Transformer, logits, values

# loss(model, hidden [B, T, D], batch) -> (sum f32[], weight f32[])
Loss = Callable[[Transformer, jax.Array, Packed], tuple[jax.Array, jax.Array]]

# Bytes of logits of the whole vocabulary that are held at once; beyond, rows are read in pieces.
_LOGIT_BYTES = 1 << 28


def language_loss(model: Transformer, hidden, batch: Packed) -> tuple[jax.Array, jax.Array]:
    """Weighted sum of the cross-entropy of the next tokens, in nats, and the sum of the weights.

    hidden [B, T, D]; targets i32[B, T] hold the next token of each position.
    """
    rows, length, width = hidden.shape
    pieces = -(-rows * length * model.shape.vocab * 4 // _LOGIT_BYTES)
    pieces = next(n for n in range(min(pieces, length), length + 1) if length % n == 0)

    @jax.checkpoint
    def piece(x, targets, weights):
        out = logits(model, x)
        # A sum over a mask, unlike a gather, needs no exchange of logits that lie on many devices.
        hit = jnp.arange(out.shape[-1]) == targets[..., None]
        chosen = jnp.where(hit, out, 0.0).sum(-1)
        return (weights * (jax.nn.logsumexp(out, axis=-1) - chosen)).sum()

    if pieces == 1:
        total = piece(hidden, batch.targets, batch.weights)
    else:
        split = lambda x: jnp.moveaxis(  # noqa: E731
            x.reshape(rows, pieces, length // pieces, *x.shape[2:]), 1, 0
        )
        parts = tuple(map(split, (hidden, batch.targets, batch.weights)))
        total, _ = jax.lax.scan(lambda sum_, part: (sum_ + piece(*part), None), 0.0, parts)
    return total, batch.weights.sum()


def value_loss(model: Transformer, hidden, batch: Packed) -> tuple[jax.Array, jax.Array]:
    """Weighted sum of the binary cross-entropy of soft values, in nats, and that of the weights.

    hidden [B, T, D]; targets f32[B, T] in [0, 1]. Source: Snell et al. 2024, appendix D:
    -(y log p + (1 - y) log(1 - p)).
    """
    out = values(model, hidden)[..., 0]
    loss = optax.sigmoid_binary_cross_entropy(out, batch.targets)
    return (batch.weights * loss).sum(), batch.weights.sum()
