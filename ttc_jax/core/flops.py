# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Analytic counts of the floating-point operations of a forward pass."""


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
