# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Value heads as verifiers are published with them: found, loaded, applied, saved, and broken."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from model.tiny_models import hf_config, hf_model
from safetensors.numpy import load_file, save_file
from verify.tiny_verifiers import qwen_prm, save, skywork_prm, small

from ttc_jax.core.mesh import make_mesh
from ttc_jax.model.hf_config import shape_from_hf, shape_to_hf
from ttc_jax.model.load import load_model, read_shape, save_checkpoint
from ttc_jax.model.transformer import Transformer, abstract, forward, logits, values

TOLERANCE = 1e-4
VOCAB = 97


def tokens(rows=2, length=24):
    return np.random.default_rng(2).integers(0, VOCAB, (rows, length)).astype(np.int32)


@torch.no_grad()
def theirs_on(model, ids):
    return model(torch.tensor(ids, dtype=torch.long)).float().numpy()


def ours_on(model, ids):
    return np.asarray(values(model, forward(model, jnp.asarray(ids))))


def edit(directory, change):
    path = directory / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


# --- found and applied


@pytest.mark.parametrize("tied", [False, True])
def test_process_reward_head_of_qwen(tmp_path, tied):
    theirs, path = qwen_prm(tmp_path / "prm", VOCAB, tie_word_embeddings=tied)
    model = load_model(path)
    assert (model.shape.value_classes, model.shape.value_hidden) == (2, 48)
    assert model.value_up.shape == (48, 48) and model.value_head.shape == (2, 48)
    got, expected = ours_on(model, tokens()), theirs_on(theirs, tokens())
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
    # The layer in the middle matters: it is not a linear head.
    flat = replace(model.shape, value_hidden=0)
    assert Transformer(flat, jax.random.key(0)).value_head.shape == (2, 48)
    assert (np.asarray(forward(model, tokens()) @ model.value_up[...].T) < 0).any()


@pytest.mark.parametrize(
    "architecture",
    ["Qwen2ForPrmModel", "Qwen2ForRewardModel", "Qwen2ForCausalLM", "Qwen2ForTokenClassification"],
)
@pytest.mark.parametrize("tied", [False, True])
def test_trl_value_head(tmp_path, architecture, tied):
    theirs, path = skywork_prm(tmp_path / "prm", VOCAB, architecture, tie_word_embeddings=tied)
    if architecture == "Qwen2ForTokenClassification":  # this one says how many classes
        config = json.loads((path / "config.json").read_text())
        config |= {"id2label": {"0": "good"}, "label2id": {"good": 0}}
        (path / "config.json").write_text(json.dumps(config))
    model = load_model(path)
    assert (model.shape.value_classes, model.shape.value_hidden) == (1, 0)
    assert model.shape.tied == tied
    got = ours_on(model, tokens())[..., 0]
    np.testing.assert_allclose(got, theirs_on(theirs, tokens()), rtol=0, atol=TOLERANCE)
    # The language head is there too, as search with a verifier that also speaks may want it.
    with torch.no_grad():
        words = theirs.language(torch.tensor(tokens(), dtype=torch.long)).logits.numpy()
    ours = logits(model, forward(model, tokens()))
    np.testing.assert_allclose(ours, words, rtol=0, atol=TOLERANCE)


def test_reward_model_of_one_class_with_a_hidden_layer(tmp_path):
    theirs, path = qwen_prm(tmp_path / "rm", VOCAB, "Qwen2ForRewardModel", classes=1)
    model = load_model(path)
    assert (model.shape.value_classes, model.shape.value_hidden) == (1, 48)
    got, expected = ours_on(model, tokens()), theirs_on(theirs, tokens())
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


def test_llama_with_a_value_head_that_its_config_does_not_mention(tmp_path):
    theirs = hf_model("llama3")
    head = {"v_head.summary.weight": torch.randn(1, 48), "v_head.summary.bias": torch.randn(1)}
    save(tmp_path / "x", theirs.config, theirs.state_dict() | head, "LlamaForCausalLM")
    model = load_model(tmp_path / "x")
    assert model.shape.value_classes == 1
    hidden = np.asarray(forward(model, tokens()))
    expected = (
        hidden @ head["v_head.summary.weight"][0].numpy() + head["v_head.summary.bias"].numpy()
    )
    np.testing.assert_allclose(ours_on(model, tokens())[..., 0], expected, rtol=0, atol=TOLERANCE)


def test_shape_is_read_without_weights(tmp_path):
    _, path = skywork_prm(tmp_path / "prm", VOCAB, "Qwen2ForCausalLM")
    shape = read_shape(path)
    assert shape == load_model(path).shape
    assert shape.value_classes == 1 and not shape.tied
    theirs = hf_model("qwen2")
    theirs.save_pretrained(tmp_path / "plain")
    assert read_shape(tmp_path / "plain").value_classes == 0


# --- saved


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("hidden", [0, 20, 48])
@pytest.mark.parametrize("family", ["llama2", "qwen2"])
def test_saved_heads_come_back(tmp_path, family, hidden, classes, dtype):
    shape = shape_from_hf(hf_config(family).to_dict())
    shape = replace(shape, value_classes=classes, value_hidden=hidden)
    keys = iter(jax.random.split(jax.random.key(5), 100))
    model = jax.tree.map(
        lambda leaf: jax.random.normal(next(keys), leaf.shape).astype(dtype), abstract(shape)
    )
    save_checkpoint(tmp_path / "saved", model)
    back = load_model(tmp_path / "saved", dtype=dtype)
    assert back.shape == shape
    for ours, theirs in zip(jax.tree.leaves(back), jax.tree.leaves(model), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_a_published_verifier_saved_by_us_is_read_by_its_own_code(tmp_path):
    theirs, path = qwen_prm(tmp_path / "prm", VOCAB)
    expected = theirs_on(theirs, tokens())
    save_checkpoint(tmp_path / "ours", load_model(path))
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForProcessRewardModel"]
    again = type(theirs)(small("qwen2", VOCAB))
    weights = load_file(tmp_path / "ours" / "model.safetensors")
    weights.pop("lm_head.weight", None)
    again.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    np.testing.assert_allclose(theirs_on(again, tokens()), expected, rtol=0, atol=1e-6)


def test_heads_on_a_mesh(tmp_path):
    _, path = qwen_prm(tmp_path / "prm", VOCAB)
    one, many = load_model(path), load_model(path, mesh=make_mesh(2, 2))
    assert many.value_up[...].sharding.is_fully_replicated
    np.testing.assert_array_equal(one.value_up[...], many.value_up[...])
    np.testing.assert_allclose(ours_on(one, tokens()), ours_on(many, tokens()), rtol=0, atol=1e-5)


# --- broken


def test_reward_model_without_its_head(tmp_path):
    _, path = skywork_prm(tmp_path / "prm", VOCAB)
    edit(path, lambda w: [w.pop(name) for name in list(w) if name.startswith("v_head")])
    with pytest.raises(ValueError, match="Qwen2ForPrmModel.*ask for a value head.*hold none"):
        load_model(path)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("score.2.bias", r"lacks 1 tensor \(score.2.bias\)"),
        ("score.0.weight", r"lacks 1 tensor \(score.0.weight\)"),
        ("score.0.bias", r"lacks 1 tensor \(score.0.bias\)"),
    ],
)
def test_head_with_a_part_missing(tmp_path, lost, words):
    _, path = qwen_prm(tmp_path / "prm", VOCAB)
    edit(path, lambda w: w.pop(lost))
    with pytest.raises(ValueError, match=words):
        load_model(path)


def test_head_of_another_shape_than_the_config_says(tmp_path):
    _, path = qwen_prm(tmp_path / "prm", VOCAB, classes=3)
    with pytest.raises(ValueError, match=r"score.2..* has shape \(3,.*config.json says \(2,"):
        load_model(path)


def test_two_heads_in_one_checkpoint(tmp_path):
    _, path = skywork_prm(tmp_path / "prm", VOCAB)
    edit(path, lambda w: w.update({"score.weight": np.zeros((1, 48), np.float32)}))
    with pytest.raises(ValueError, match="holds score.weight twice"):
        load_model(path)


def test_hidden_layer_without_a_head():
    shape = shape_from_hf(hf_config("qwen2").to_dict())
    with pytest.raises(ValueError, match="value_hidden 20 needs a value head"):
        replace(shape, value_hidden=20)


def test_configs_that_are_read_alone():
    config = hf_config("qwen2").to_dict()
    for name, expected in (
        ("Qwen2ForProcessRewardModel", (2, 48)),
        ("Qwen2ForRewardModel", (1, 0)),
        ("Qwen2ForPrmModel", (1, 0)),
        ("Qwen2ForCausalLM", (0, 0)),
    ):
        shape = shape_from_hf(config | {"architectures": [name]})
        assert (shape.value_classes, shape.value_hidden) == expected
    shape = replace(shape, value_classes=1, value_hidden=7)
    assert shape_from_hf(shape_to_hf(shape)) == shape
