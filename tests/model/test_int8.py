# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in int8: rounded as said, multiplied as if they were plain, read as int8, sharded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decode import lowered
from decode.tiny_model import random_model
from model.tiny_models import hf_model

from ttc_jax.core.mesh import make_mesh, parameter_shardings, path_name
from ttc_jax.decode.cache import create
from ttc_jax.decode.meter import Meter
from ttc_jax.decode.segment import extend
from ttc_jax.model.int8 import INPUTS, is_int8, quantise, with_int8
from ttc_jax.model.load import load_model, save_checkpoint
from ttc_jax.model.shape import PRESETS, ModelShape
from ttc_jax.model.transformer import abstract, forward, logits, with_value_head

SHAPE = ModelShape("qwen2", 60, 24, 2, 4, 2, 8, 32, 1024, qkv_bias=True)
TOKENS = np.random.default_rng(1).integers(0, 60, (2, 24)).astype(np.int32)


@jax.jit
def _logits(model, tokens):
    return logits(model, forward(model, tokens))


def _plain(model):
    """A plain model with the weights that the int8 ones of `model` stand for."""
    stored = _by_path(model)

    def meant(path, leaf):
        path = path_name(path)
        if path in stored:
            return stored[path]
        values, scale = (np.asarray(stored[f"{path}/{name}"]) for name in ("weight", "scale"))
        return values * scale.reshape(*scale.shape, *[1] * (values.ndim - scale.ndim))

    return jax.tree_util.tree_map_with_path(meant, abstract(model.shape))


def _by_path(model) -> dict:
    return {path_name(p): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(model)}


def test_an_output_of_zeros_and_the_largest_weights():
    weight = np.array([[0, 0, 0], [-4, 2, 1], [1e-30, 0, -1e-30]], np.float32)
    values, scale = quantise(jnp.asarray(weight))
    np.testing.assert_array_equal(values, [[0, 0, 0], [-127, 64, 32], [127, 0, -127]])
    np.testing.assert_allclose(scale, [1, 4 / 127, 1e-30 / 127], rtol=1e-6)
    assert values.dtype == jnp.int8 and scale.dtype == jnp.float32


@pytest.mark.parametrize("family", ["smollm2", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"])
def test_a_checkpoint_of_every_family(family, tmp_path):
    hf_model(family).save_pretrained(tmp_path)
    plain, model = load_model(tmp_path), load_model(tmp_path, weights="int8")
    assert is_int8(model) and not is_int8(plain)
    stored = _by_path(model)
    for path, array in _by_path(plain).items():
        inputs = INPUTS.get(path.rpartition("/")[2])
        if inputs is None:
            np.testing.assert_array_equal(stored.pop(path), array)
            continue
        values, scale = (np.asarray(stored.pop(f"{path}/{name}")) for name in ("weight", "scale"))
        assert values.dtype == np.int8 and values.shape == array.shape
        outputs = scale.size
        flat, values = np.asarray(array).reshape(outputs, -1), values.reshape(outputs, -1)
        scale = scale.reshape(outputs, 1)
        np.testing.assert_allclose(scale[:, 0], np.abs(flat).max(1) / 127, rtol=1e-6)
        assert (np.abs(values * scale - flat) <= scale * 0.50001).all(), path
        assert (np.abs(values).max(1) == 127).all()
    assert not stored
    got, expected = _logits(model, TOKENS), _logits(_plain(model), TOKENS)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)
    assert np.abs(got - _logits(plain, TOKENS)).max() > 1e-3


@pytest.mark.parametrize(("data", "parts"), [(1, 2), (2, 2), (1, 4)])
def test_on_a_mesh_with_a_cache(data, parts, tmp_path):
    save_checkpoint(tmp_path / "model", random_model(SHAPE, make_mesh()))
    mesh = make_mesh(data, parts)
    model = load_model(tmp_path / "model", mesh=mesh, weights="int8")
    shardings, stored = _by_path(parameter_shardings(model, mesh)), _by_path(model)
    for path, leaf in stored.items():
        assert leaf.sharding.is_equivalent_to(shardings[path], leaf.ndim), path
    for name, axes in {
        "q/weight": ("model", None, None), "q/scale": ("model", None),
        "o/weight": (None, "model", None), "o/scale": (None,),
        "up/weight": ("model", None), "up/scale": ("model",),
        "down/weight": (None, "model"), "down/scale": (None,),
    }.items():  # fmt: skip
        spec = stored[f"blocks/1/{name}"].sharding.spec
        assert tuple(spec) + (None,) * (len(axes) - len(spec)) == axes, name
    cache = create(SHAPE, mesh, rows=2, n_pages=8, page_size=8, row_pages=4)
    rows = np.tile(np.arange(2, dtype=np.int32), (data, 1))
    n = np.full((data, 2), TOKENS.shape[1], np.int32)
    hidden, _ = extend(
        model, cache, rows, np.tile(TOKENS, (data, 1, 1)), n, mesh=mesh, context_pages=0
    )
    expected = _logits(_plain(with_int8(load_model(tmp_path / "model"))), TOKENS)
    for replica in range(data):
        np.testing.assert_allclose(logits(model, hidden[replica]), expected, rtol=0, atol=1e-4)


def test_in_bfloat16_the_products_are_of_int8_and_bfloat16():
    mesh = make_mesh()
    model = random_model(SHAPE, mesh)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), model)
    got = _logits(with_int8(half), TOKENS)
    # The rounding of bfloat16 alone is as large.
    error, plain = (np.abs(x - _logits(model, TOKENS)).mean() for x in (got, _logits(half, TOKENS)))
    assert error < 4 * plain
    stored = _by_path(with_int8(half))
    assert (
        stored["embed"].dtype == jnp.bfloat16 and stored["blocks/0/down/weight"].dtype == jnp.int8
    )


def test_weights_enter_the_loop_of_a_segment_as_int8():
    """Outside of the loop over tokens no matrix is made of a weight in int8."""
    shape = ModelShape("llama", 60, 64, 1, 4, 2, 16, 160, 1024)
    grouped = lowered.groups(1, 4, 1, 4, 1)
    program = lowered.segment(shape, grouped, convert=with_int8, rows=4, n=8, own_pages=1)
    text = program.compile().as_text()
    outside = text[text.index("\nENTRY ") :]
    assert "f32[160,64]" in text and "f32[160,64]" not in outside
    assert outside.count("s8[160,64]") >= 2 and " while(" in outside


@pytest.mark.parametrize("name", ["google/gemma-2-2b-it", "Qwen/Qwen2.5-0.5B-Instruct"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_bytes_are_those_of_the_arrays(name, dtype):
    shape, item = PRESETS[name], jnp.dtype(dtype).itemsize
    model = abstract(shape, dtype)
    for int8, kept in ((False, model), (True, jax.eval_shape(with_int8, model))):
        stored = jax.tree.leaves(kept.blocks)
        blocks = sum(leaf.size * leaf.dtype.itemsize for leaf in stored)
        assert blocks == shape.block_bytes(item, int8)
        meter = Meter(shape, dtype, replicas=1, page_size=16, int8=int8)
        meter.extend([("prefill", 0, 1)], rows=1, tokens=1, context_pages=0, reader=None)
        small = 2 * shape.width * item + 2 * shape.kv_bytes_per_token(dtype)
        assert meter.ledger.bytes["prefill"] == blocks + small


def test_products_are_those_of_plain_weights():
    sizes = {"rows": 4, "tokens": 8, "context_pages": 1}
    plain, int8 = (
        lowered.dot_flops(lowered.extend(SHAPE, convert=convert, **sizes))
        for convert in (lowered.plain, with_int8)
    )
    assert int8 == plain


def test_a_value_head_beside_int8(tmp_path):
    model = with_int8(random_model(SHAPE, make_mesh()))
    headed = with_value_head(model, 1, jax.random.key(0))
    assert is_int8(headed) and headed.value_head.shape == (1, SHAPE.width)
    with pytest.raises(ValueError, match="int8 cannot be saved"):
        save_checkpoint(tmp_path / "model", model)


def test_other_weights_are_refused_before_a_file_is_read(tmp_path):
    with pytest.raises(ValueError, match="weights is 'int4'; use 'int8'"):
        load_model(tmp_path, weights="int4")
