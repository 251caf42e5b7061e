# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Losses and their gradients against float64 and differences; losses in pieces and at once."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learn import oracle
from learn.tiny_learners import LOSSES, SHAPE, batch_of, random_model, texts

from ttc_jax.data.batches import Shape
from ttc_jax.learn import losses
from ttc_jax.model.transformer import packed

pytestmark = pytest.mark.usefixtures("quick_compilation")

SMALL = replace(SHAPE, layers=2, width=8, head_dim=2, ffn=12)
SHAPES = {
    "grouped": SMALL,
    "tied": replace(SMALL, family="qwen2", tied=True, qkv_bias=True),
}
READ = {"language": {"head"}, "value": {"value_head", "value_bias"}}
GEMMA = replace(
    SMALL, family="gemma2", tied=True, norm_offset=1.0, embed_scale=8**0.5, post_norms=True,
    activation="gelu_tanh", attn_softcap=20.0, final_softcap=2.0, windows=(4, 0),
)  # fmt: skip


def batch(kind):
    """Two rows with several texts in each, and padding."""
    made = batch_of(texts(4, kind), Shape(2, 21))
    assert made.segments.max() > 1 and (made.segments == 0).any()
    assert ((made.weights == 0) & (made.segments > 0)).any()
    return made


def loss_of(kind, model, made):
    """The mean loss as a step takes it."""
    total, weight = LOSSES[kind](
        model, packed(model, made.tokens, made.positions, made.segments), made
    )
    return total / weight


@pytest.mark.parametrize(
    ("name", "kind"), [("grouped", "value"), ("grouped", "language"), ("tied", "language")]
)
def test_gradients_are_differences_of_the_float64_loss(name, kind):
    shape, made = SHAPES[name], batch(kind)
    model = random_model(shape)
    loss, gradient = jax.jit(jax.value_and_grad(lambda m: loss_of(kind, m, made)))(model)
    params, gradient = oracle.parameters(model), oracle.parameters(gradient)
    parts = made.tokens, made.positions, made.segments, made.targets, made.weights

    def theirs(params):
        return oracle.loss(params, shape, *parts, kind) / made.weights.sum(dtype=np.float64)

    assert loss == pytest.approx(theirs(params), rel=1e-5)
    unread = READ["language" if kind == "value" else "value"] & gradient.keys()
    assert {path for path, own in gradient.items() if not own.any()} == unread
    for path in ("embed", "blocks/0/q", "blocks/1/down", "norm", *gradient.keys() & READ[kind]):
        entry = np.unravel_index(np.abs(gradient[path]).argmax(), gradient[path].shape)
        expected = oracle.differences(theirs, params, path, [entry])
        np.testing.assert_allclose(gradient[path][entry], expected[0], rtol=1e-3, err_msg=path)
    # All entries of all parameters at once, along a random direction.
    random = np.random.default_rng(1)
    way = {path: random.normal(size=array.shape) for path, array in params.items()}
    ends = [theirs({p: params[p] + s * 1e-5 * way[p] for p in params}) for s in (1, -1)]
    slope = sum((gradient[path] * way[path]).sum() for path in params)
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3)


@pytest.mark.parametrize("kind", LOSSES)
def test_what_has_no_weight_is_not_learned(kind):
    made, model = batch(kind), random_model(SMALL)
    odd = replace(made, targets=np.where(made.weights > 0, made.targets, 1).astype(
        made.targets.dtype))  # fmt: skip
    read = jax.jit(lambda made: loss_of(kind, model, made))
    assert read(made) == read(odd)
    nothing = replace(made, weights=np.zeros_like(made.weights))
    assert LOSSES[kind](model, jnp.zeros((*made.tokens.shape, 8)), nothing) == (0, 0)


@pytest.mark.parametrize("size", [24 * 2 * 7 * 4, 1])
@pytest.mark.parametrize("shape", [SMALL, GEMMA], ids=["llama", "gemma"])
def test_logits_in_pieces_are_logits_at_once(shape, size, monkeypatch):
    made, model = batch("language"), random_model(shape)
    x = jax.jit(packed)(model, made.tokens, made.positions, made.segments)

    def read():
        f = jax.value_and_grad(lambda m, x: losses.language_loss(m, x, made)[0], argnums=(0, 1))
        return jax.jit(f)(model, x)

    loss, gradient = read()
    monkeypatch.setattr(losses, "_LOGIT_BYTES", size)
    in_pieces, other = read()
    assert in_pieces == pytest.approx(float(loss), rel=1e-6)
    for ours, theirs in zip(jax.tree.leaves(other), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    if shape.final_softcap:
        rough = jax.nn.log_softmax(2.0 * jnp.tanh(x @ model.embed[...].T / 2.0))
        chosen = np.take_along_axis(np.asarray(rough), made.targets[..., None], -1)[..., 0]
        assert loss == pytest.approx(-(made.weights * chosen).sum(), rel=1e-4)
