# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy makes of a question before it answers: one vector, for telling how hard it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import on_mesh
from ttc_jax.data.sources import Question
from ttc_jax.decode.forest import common
from ttc_jax.model.transformer import Transformer, forward
from ttc_jax.search.plan import Policy, check_prompt

# Tokens of all rows of a batch on one replica, as far as one row does not have more.
_AREA = 2048
_ROWS = 16


@dataclass(frozen=True)
class Features:
    """`vectors` f32[Q, D] of questions, and `flops` f64[Q] that each of them took."""

    vectors: np.ndarray
    flops: np.ndarray


def features(policy: Policy, questions: Sequence[Question]) -> Features:
    """The mean last hidden state over the tokens of each question, in its prompt.

    Worked examples and instructions before a question are read, and left out of the mean: they are
    the same for all. FLOPs are those of the tokens of a prompt, without padding.

    Raises:
      ValueError: no questions, or a prompt that the model cannot read; the question is named.
    """
    if not questions:
        raise ValueError("there are no questions to make features of")
    bare = policy.prompt(Question("", "", ""), ())
    prompts = [policy.prompt(question, ()) for question in questions]
    limit = policy.model.shape.context
    for question, tokens in zip(questions, prompts, strict=True):
        check_prompt(question, tokens, policy)
        if len(tokens) > limit:
            raise ValueError(
                f"question {question.id!r}: its prompt has {len(tokens)} tokens, the model reads "
                f"{limit}"
            )
    starts = [min(common(bare, tokens), len(tokens) - 1) for tokens in prompts]
    vectors = np.zeros((len(questions), policy.model.shape.width), np.float32)
    spread = NamedSharding(policy.mesh, P("data"))
    for rows, length in _batches(prompts, policy.mesh.shape["data"], limit):
        tokens = np.zeros((len(rows), length), np.int32)
        spans = np.tile(np.int32([0, 1]), (len(rows), 1))  # of rows that stay empty, one token
        for row, at in enumerate(rows):
            if at is not None:
                tokens[row, : len(prompts[at])] = prompts[at]
                spans[row] = starts[at], len(prompts[at])
        found = pooled(policy.model, on_mesh(tokens, spread), on_mesh(spans, spread))
        for row, vector in zip(rows, np.asarray(found), strict=True):
            if row is not None:
                vectors[row] = vector
    shape = policy.model.shape
    flops = [shape.forward_flops(0, len(tokens), logits=0) for tokens in prompts]
    return Features(vectors, np.asarray(flops, np.float64))


@jax.jit
def pooled(model: Transformer, tokens, spans) -> jax.Array:
    """Mean hidden states f32[B, D] over tokens[b, spans[b, 0]:spans[b, 1]]."""
    hidden = forward(model, tokens, spans[:, 1]).astype(jnp.float32)
    places = jnp.arange(tokens.shape[1])[None]
    inside = (places >= spans[:, :1]) & (places < spans[:, 1:])
    total = jnp.where(inside[..., None], hidden, 0).sum(1)
    return total / inside.sum(1, keepdims=True)


def batch_shape(longest: int, limit: int) -> tuple[int, int]:
    """Rows on each replica of a batch of prompts, and tokens of a row; few programs.

    `limit` is the context of the model.
    """
    length = min(limit, max(32, 1 << (longest - 1).bit_length()))
    return max(1, min(_ROWS, _AREA // length)), length


def _batches(
    prompts: Sequence[Sequence[int]], replicas: int, limit: int
) -> Iterator[tuple[list[int | None], int]]:
    """Indices of prompts of like length, None for rows that stay empty; tokens that a row holds."""
    left = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
    most = -(-len(prompts) // replicas)
    while left:
        each, length = batch_shape(len(prompts[left[-1]]), limit)
        rows = replicas * min(most, each)
        now, left = left[-rows:], left[:-rows]
        yield now + [None] * (rows - len(now)), length
