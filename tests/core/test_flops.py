# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""FLOP counts against brute force and against what XLA counts for the real forward pass."""

import jax
import jax.numpy as jnp
import pytest

from ttc_jax.core import flops
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import abstract, forward, logits

SHAPE = ModelShape("llama", 512, 128, 2, 8, 4, 16, 256, 128)
HEAD = SHAPE.vocab * SHAPE.width
SIZES = {
    "block_weights": SHAPE.matmul_params - HEAD,
    "head_weights": HEAD,
    "attention_width": SHAPE.heads * SHAPE.head_dim,
    "layers": SHAPE.layers,
}


def test_attention_counts_every_key_and_value_read():
    start, tokens = 5, 7
    sizes = SIZES | {"block_weights": 0, "head_weights": 0}
    reads = sum(p + 1 for p in range(start, start + tokens))
    by_hand = sum(2 * 2 * SHAPE.heads * SHAPE.head_dim * reads for _ in range(SHAPE.layers))
    assert flops.forward(**sizes, start=start, tokens=tokens, logits=0) == by_hand


def test_a_prefix_and_its_continuation_add_up():
    whole = flops.forward(**SIZES, start=0, tokens=30, logits=30)
    first = flops.forward(**SIZES, start=0, tokens=11, logits=11)
    assert first + flops.forward(**SIZES, start=11, tokens=19, logits=19) == whole


def test_within_a_few_percent_of_xla():
    tokens = 8
    model = abstract(SHAPE)
    pass_over = jax.jit(lambda model, x: logits(model, forward(model, x)))
    lowered = pass_over.lower(model, jax.ShapeDtypeStruct((1, tokens), jnp.int32))
    counted = lowered.compile().cost_analysis()["flops"]
    ours = flops.forward(**SIZES, start=0, tokens=tokens, logits=tokens)
    assert ours == pytest.approx(counted, rel=0.05)
