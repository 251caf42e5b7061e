# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Readers against softmax and sigmoid of whole outputs, and what they refuse."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model.tiny_models import hf_config

from ttc_jax.model.hf_config import shape_from_hf
from ttc_jax.model.transformer import Transformer, logits, values
from ttc_jax.verify.readers import ClassProb, SigmoidValue, TokenPair

SHAPE = shape_from_hf(hf_config("qwen2").to_dict())
TOLERANCE = 1e-6


def model_of(**changes):
    return Transformer(replace(SHAPE, **changes), jax.random.key(1))


def hidden(*dims):
    return jax.random.normal(jax.random.key(2), (*dims, SHAPE.width)) * 3


@partial(jax.jit, static_argnums=0)
def read(reader, model, x):
    return reader.read(model, x)


@pytest.mark.parametrize("dims", [(), (5,), (2, 3)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("cap", [None, 1.5])
def test_token_pair_is_the_softmax_over_two_of_all_logits(dims, tied, cap):
    model, x = model_of(tied=tied, final_softcap=cap), hidden(*dims)
    reader = TokenPair(good=70, bad=3)
    pair = np.asarray(logits(model, x), np.float64)[..., [70, 3]]
    expected = np.exp(pair[..., 0]) / np.exp(pair).sum(-1)
    got = read(reader, model, x)
    assert got.dtype == jnp.float32 and got.shape == dims
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


def test_token_pair_multiplies_two_rows_only():
    model, x = model_of(), hidden(5)
    text = jax.jit(TokenPair(70, 3).read).lower(model, x).as_text()
    width = SHAPE.width
    assert f"tensor<2x{width}xf32>" in text
    assert f"tensor<5x{SHAPE.vocab}xf32>" not in text and f"{SHAPE.vocab}x5xf32" not in text


@pytest.mark.parametrize("dims", [(), (5,), (2, 3)])
@pytest.mark.parametrize("value_hidden", [0, 20])
def test_value_heads_become_probabilities(dims, value_hidden):
    x = hidden(*dims)
    one = model_of(value_classes=1, value_hidden=value_hidden)
    z = np.asarray(values(one, x), np.float64)[..., 0]
    got = read(SigmoidValue(), one, x)
    assert got.dtype == jnp.float32 and got.shape == dims
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-z)), rtol=0, atol=TOLERANCE)

    two = model_of(value_classes=2, value_hidden=value_hidden)
    z = np.asarray(values(two, x), np.float64)
    good = 1 / (1 + np.exp(z[..., 0] - z[..., 1]))
    np.testing.assert_allclose(read(ClassProb(1), two, x), good, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(read(ClassProb(0), two, x), 1 - good, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("reader", "changes"),
    [
        (SigmoidValue(), {"value_classes": 1}),
        (ClassProb(), {"value_classes": 2}),
        (TokenPair(1, 0), {}),
    ],
)
def test_half_precision_models_give_float32_scores(reader, changes):
    model = Transformer(replace(SHAPE, **changes), jax.random.key(1), jnp.bfloat16)
    reader.check(model.shape)
    got = read(reader, model, hidden(5).astype(jnp.bfloat16))
    assert got.dtype == jnp.float32
    assert ((got > 0) & (got < 1)).all()


def test_equal_readers_are_one_static_argument():
    assert hash(TokenPair(1, 2)) == hash(TokenPair(1, 2)) and TokenPair(1, 2) == TokenPair(1, 2)
    assert SigmoidValue() == SigmoidValue() and ClassProb(1) != ClassProb(0)


@pytest.mark.parametrize(
    ("reader", "classes", "words"),
    [
        (SigmoidValue(), 0, "a value head of 1 class, the verifier has none"),
        (SigmoidValue(), 2, "of 1 class, the verifier has one of 2 classes"),
        (ClassProb(), 0, "of 2 classes, the verifier has none"),
        (ClassProb(), 1, "of 2 classes, the verifier has one of 1"),
        (ClassProb(), 3, "of 2 classes, the verifier has one of 3"),
        (TokenPair(97, 1), 0, "good token 97 is outside the verifier's vocabulary of 97"),
        (TokenPair(1, 200), 0, "bad token 200 is outside"),
        (TokenPair(-1, 1), 0, "good token -1 is outside"),
    ],
)
def test_models_that_cannot_serve_a_reader_are_refused(reader, classes, words):
    with pytest.raises(ValueError, match=words):
        reader.check(replace(SHAPE, value_classes=classes))


@pytest.mark.parametrize(
    ("reader", "classes"), [(SigmoidValue(), 1), (ClassProb(), 2), (TokenPair(96, 0), 0)]
)
def test_models_that_can_are_not(reader, classes):
    reader.check(replace(SHAPE, value_classes=classes))


def test_there_are_two_classes():
    with pytest.raises(ValueError, match="class 2 of a head of two classes"):
        ClassProb(2)
