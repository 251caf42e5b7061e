# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The float64 oracle of training agrees with the forward pass and with calculus."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learn import oracle

from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, forward, logits, packed, values

TOLERANCE = 1e-5
GROUPED = ModelShape(
    "llama", vocab=19, width=12, layers=2, heads=4, kv_heads=2, head_dim=6, ffn=20, context=64,
    norm_eps=1e-5, rope_theta=100.0, value_classes=1,
)  # fmt: skip
SHAPES = {
    "grouped": GROUPED,
    "tied": replace(GROUPED, tied=True, heads=3, kv_heads=1, head_dim=4),
    "biased": replace(GROUPED, family="qwen2", qkv_bias=True, kv_heads=4),
}


def random_model(shape):
    """A model with norms and biases away from their defaults too."""
    keys = iter(jax.random.split(jax.random.key(1), 100))
    return jax.tree.map(
        lambda leaf: leaf + 0.1 * jax.random.normal(next(keys), leaf.shape),
        Transformer(shape, jax.random.key(0)),
    )


def batch(rows=2, length=9, vocab=19):
    """tokens, positions, segments of rows that hold two texts and padding."""
    tokens = np.random.default_rng(0).integers(0, vocab, (rows, length))
    positions = np.array([[0, 1, 2, 3, 0, 1, 2, 0, 1], [0, 1, 0, 1, 2, 3, 4, 5, 6]])
    segments = np.array([[1, 1, 1, 1, 2, 2, 2, 0, 0], [1, 1, 2, 2, 2, 2, 2, 2, 2]])
    return tokens, positions, segments


@pytest.mark.parametrize("name", SHAPES)
def test_hidden_states_and_heads_equal_ours(name):
    shape = SHAPES[name]
    model, (tokens, positions, segments) = random_model(shape), batch()
    params = oracle.parameters(model)
    assert ("head" in params) != shape.tied and ("blocks/1/k_bias" in params) == shape.qkv_bias
    plain = np.broadcast_to(np.arange(9), (2, 9)), np.ones((2, 9), int)
    for ours, theirs in (
        (forward(model, jnp.asarray(tokens)), oracle.hidden(params, shape, tokens, *plain)),
        (
            packed(model, *map(jnp.asarray, (tokens, positions, segments))),
            oracle.hidden(params, shape, tokens, positions, segments),
        ),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
        expected = oracle.logits(params, theirs)
        np.testing.assert_allclose(logits(model, ours), expected, rtol=0, atol=TOLERANCE)
        expected = oracle.values(params, theirs)
        np.testing.assert_allclose(values(model, ours), expected, rtol=0, atol=TOLERANCE)


def test_texts_of_a_row_do_not_see_each_other():
    params = oracle.parameters(random_model(GROUPED))
    tokens, positions, segments = batch()
    together = oracle.hidden(params, GROUPED, tokens, positions, segments)
    alone = oracle.hidden(params, GROUPED, tokens[1:, 2:], positions[1:, 2:], segments[1:, 2:])
    np.testing.assert_allclose(together[1, 2:], alone[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["language", "value"])
def test_loss_is_the_weighted_sum_of_what_each_position_costs(kind):
    params = oracle.parameters(random_model(GROUPED))
    tokens, positions, segments = batch()
    rng = np.random.default_rng(3)
    weights = rng.random(tokens.shape) * (segments > 0)
    targets = rng.integers(0, 19, tokens.shape) if kind == "language" else rng.random(tokens.shape)
    got = oracle.loss(params, GROUPED, tokens, positions, segments, targets, weights, kind)
    x = oracle.hidden(params, GROUPED, tokens, positions, segments)
    if kind == "language":
        out = oracle.logits(params, x)
        chosen = np.take_along_axis(out, targets[..., None], -1)[..., 0]
        each = np.log(np.exp(out).sum(-1)) - chosen
    else:
        p = 1 / (1 + np.exp(-oracle.values(params, x)[..., 0]))
        each = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    assert got == pytest.approx((weights * each).sum(), rel=1e-12)


def test_differences_are_derivatives():
    params = {"a": np.array([[0.5, -2.0], [3.0, 1.0]]), "b": np.array([2.0])}
    entries = [(0, 1), (1, 0)]
    got = oracle.differences(lambda p: (p["a"] ** 3).sum() * p["b"][0], params, "a", entries)
    np.testing.assert_allclose(got, [2 * 3 * 4, 2 * 3 * 9], rtol=1e-9)
    assert params["a"][0, 1] == -2.0


def test_differences_of_the_loss_follow_its_gradient():
    """By jax, through the forward pass in float32."""
    model, (tokens, positions, segments) = random_model(GROUPED), batch()
    targets = np.random.default_rng(4).random(tokens.shape)
    weights = (segments > 0).astype(float)

    def ours(model):
        x = packed(model, *map(jnp.asarray, (tokens, positions, segments)))
        z = values(model, x)[..., 0]
        return (weights * (jax.nn.softplus(z) - targets * z)).sum()

    def theirs(params):
        return oracle.loss(params, GROUPED, tokens, positions, segments, targets, weights, "value")

    params, gradient = oracle.parameters(model), oracle.parameters(jax.grad(ours)(model))
    assert ours(model) == pytest.approx(theirs(params), rel=1e-5)
    for name in ("embed", "blocks/0/q", "blocks/1/o", "blocks/0/ffn_norm", "value_bias"):
        largest = np.argsort(-np.abs(gradient[name]), axis=None)[:3]
        entries = [np.unravel_index(place, gradient[name].shape) for place in largest]
        got = oracle.differences(theirs, params, name, entries)
        np.testing.assert_allclose([gradient[name][e] for e in entries], got, rtol=1e-3)


def test_low_rank_parts_are_merged():
    rng = np.random.default_rng(5)
    weight, up, down = rng.random((2, 3, 4)), rng.random((2, 3, 1)), rng.random((1, 4))
    params = {"norm": up, "blocks/0/q/weight": weight}
    params |= {"blocks/0/q/lora_out": up, "blocks/0/q/lora_in": down}
    got = oracle.merged(params, 0.5)
    assert list(got) == ["norm", "blocks/0/q"]
    np.testing.assert_allclose(got["blocks/0/q"], weight + 0.5 * up * down[0])
