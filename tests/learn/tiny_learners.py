# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A model, examples and learners that train in milliseconds, all of one shape."""

import functools

import jax
import numpy as np

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.batches import Example, Shape, assign, pack
from ttc_jax.learn.learner import Learner, Numerics
from ttc_jax.learn.losses import language_loss, value_loss
from ttc_jax.learn.optim import Optimiser
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, abstract

VOCAB = 24
SHAPE = ModelShape(
    "llama", VOCAB, width=16, layers=1, heads=4, kv_heads=2, head_dim=4, ffn=32, context=64,
    value_classes=1,
)  # fmt: skip
LOSSES = {"language": language_loss, "value": value_loss}
ROWS = Shape(8, 24)


@functools.cache
def random_model(shape: ModelShape = SHAPE) -> Transformer:
    """A model whose norms and biases are away from one and zero; nothing is compiled to make it."""
    random = np.random.default_rng(0)

    def fill(leaf):
        values = random.normal(size=leaf.shape) * leaf.shape[-1] ** -0.5
        values = values if leaf.ndim > 1 else 1 - shape.norm_offset + 0.3 * values
        return jax.device_put(values.astype(np.float32))

    return jax.tree.map(fill, abstract(shape))


def texts(count: int, kind: str, seed: int = 0) -> list[Example]:
    """Random texts of 3 to 12 tokens, something to be learned at most of them."""
    random, found = np.random.default_rng(seed), []
    for number, n in enumerate(random.integers(3, 13, count).tolist()):
        if kind == "language":
            targets = random.integers(0, VOCAB, n).astype(np.int32)
        else:
            targets = random.random(n).astype(np.float32)
        weights = random.random(n) * (random.random(n) > 0.3)
        weights[0] = 0.5
        tokens = random.integers(0, VOCAB, n).astype(np.int32)
        found.append(
            Example(f"e{number}", f"q{number % 5}", tokens, targets, weights.astype(np.float32))
        )
    return found


def batch_of(examples: list[Example], shape: Shape = ROWS):
    """The examples as one batch, some row padded at its end."""
    rows = assign([len(example.tokens) for example in examples], shape.length)
    assert len(rows) <= shape.rows
    return pack(examples, rows, shape)


def learner(
    kind: str = "value",
    mesh: tuple[int, int] = (1, 1),
    *,
    model: Transformer | None = None,
    optimiser: Optimiser | None = None,
    steps: int = 8,
    seed: int = 0,
    trained: str = "",
    **numerics,
) -> Learner:
    """A learner of `random_model` on a mesh of fake devices."""
    return Learner(
        model or random_model(), LOSSES[kind], optimiser or Optimiser(rate=1e-3),
        Numerics(**numerics), mesh=make_mesh(*mesh), steps=steps, seed=seed, trained=trained,
    )  # fmt: skip


def steps_of(own: Learner, batches) -> tuple:
    """The state after a step for each batch from the start, and what was read of each."""
    state, read = own.start(), []
    for batch in batches:
        state, found = own.step(state, batch)
        read.append({name: float(value) for name, value in found.items()})
    return state, read
