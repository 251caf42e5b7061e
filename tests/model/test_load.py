# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: loaded into shards, saved back, and every way in which one can be broken."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers
import torch
import transformers
from model.tiny_models import FAMILIES, hf_config, hf_logits, hf_model
from safetensors.numpy import load_file, save_file

from ttc_jax.core.mesh import make_mesh, parameter_shardings
from ttc_jax.model.hf_config import shape_from_hf, shape_to_hf
from ttc_jax.model.load import load_checkpoint, load_model, save_checkpoint
from ttc_jax.model.shape import PRESETS, ModelShape
from ttc_jax.model.transformer import abstract, forward, logits, values
from ttc_jax.model.weights import Tensor, new_directory, write_tensors

TOLERANCE = 1e-4


def tokens(rows=2, length=24):
    return np.random.default_rng(2).integers(0, 97, (rows, length)).astype(np.int32)


@jax.jit
def our_logits(model, ids):
    return logits(model, forward(model, ids))


def random_model(shape, seed=0, dtype=jnp.float32):
    """A Transformer with every parameter random, norms and biases included."""
    rng = np.random.default_rng(seed)

    def fill(leaf):
        spread = leaf.shape[-1] ** -0.5 if len(leaf.shape) > 1 else 0.2
        return jnp.asarray(rng.normal(0.1, spread, leaf.shape), dtype)

    return jax.tree.map(fill, abstract(shape))


def save_tokenizer(directory, size):
    """A tokenizer.json of `size` made-up words."""
    vocab = {f"w{i}": i for i in range(size)}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, []))
    backend.decoder = tokenizers.decoders.ByteLevel()
    directory.mkdir(parents=True, exist_ok=True)
    backend.save(str(directory / "tokenizer.json"))
    return directory


@pytest.fixture
def checkpoint(tmp_path):
    """A directory with a small Qwen2 model, its config.json and a tokenizer."""
    directory = tmp_path / "checkpoint"
    hf_model("qwen2").save_pretrained(directory)
    return save_tokenizer(directory, 97)


def edit_config(directory, **changes):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | changes))


def edit_weights(directory, edit):
    path = directory / "model.safetensors"
    weights = load_file(path)
    edit(weights)
    save_file(weights, path)


def leaves(model):
    return jax.tree_util.tree_leaves(model)


# --- loading


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_model_gives_transformers_the_same_logits(family, tmp_path):
    model = random_model(shape_from_hf(hf_config(family).to_dict()))
    save_checkpoint(tmp_path / "saved", model)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "saved", attn_implementation="eager", dtype=torch.float32
    )
    expected = hf_logits(theirs.eval(), tokens())
    np.testing.assert_allclose(our_logits(model, tokens()), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("family", ["llama3", "qwen2", "gemma3"])
def test_save_then_load_is_bit_equal(family, dtype, tmp_path):
    shape = shape_from_hf(hf_config(family).to_dict())
    model = random_model(replace(shape, value_classes=3), dtype=dtype)
    save_checkpoint(tmp_path / "saved", model)
    back = load_model(tmp_path / "saved", dtype=dtype)
    assert back.shape == model.shape
    for ours, theirs in zip(leaves(back), leaves(model), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_sharded_files_load_like_one_file(tmp_path):
    theirs = hf_model("gemma2_untied")
    theirs.save_pretrained(tmp_path / "one")
    theirs.save_pretrained(tmp_path / "many", max_shard_size="40KB")
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 2
    one, many = load_model(tmp_path / "one"), load_model(tmp_path / "many")
    for a, b in zip(leaves(one), leaves(many), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize(("data", "parts"), [(1, 2), (2, 2), (1, 4), (1, 8)])
@pytest.mark.parametrize("family", ["qwen2", "gemma3"])
def test_weights_land_in_their_shards(family, data, parts, tmp_path):
    hf_model(family).save_pretrained(tmp_path)
    mesh = make_mesh(data, parts)
    one, many = load_model(tmp_path), load_model(tmp_path, mesh=mesh)
    wanted = jax.tree_util.tree_leaves(parameter_shardings(abstract(one.shape), mesh))
    for a, b, sharding in zip(leaves(one), leaves(many), wanted, strict=True):
        assert b.sharding == sharding
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    if parts == 2:
        assert many.blocks[0].q.addressable_shards[0].data.shape[0] == one.shape.heads // 2


@pytest.mark.parametrize("labels", [1, 2, 5])
@pytest.mark.parametrize("family", ["llama2", "qwen2", "gemma2"])
def test_token_classification_loads_into_the_value_head(family, labels, tmp_path):
    theirs = hf_model(family, "ForTokenClassification", num_labels=labels)
    theirs.save_pretrained(tmp_path / "theirs")
    model = load_model(tmp_path / "theirs")
    got = np.asarray(values(model, forward(model, tokens())))
    np.testing.assert_allclose(got, hf_logits(theirs, tokens()), rtol=0, atol=TOLERANCE)

    save_checkpoint(tmp_path / "ours", model)
    again = transformers.AutoModelForTokenClassification.from_pretrained(
        tmp_path / "ours", attn_implementation="eager", dtype=torch.float32
    )
    np.testing.assert_allclose(hf_logits(again.eval(), tokens()), got, rtol=0, atol=TOLERANCE)


def test_multimodal_gemma3_loads_its_text_half(tmp_path):
    text = hf_config("gemma3").to_dict()
    theirs = hf_model("gemma3")
    weights = {k: v.numpy() for k, v in theirs.state_dict().items() if k != "lm_head.weight"}
    expected = hf_logits(theirs, tokens())
    for prefix, config in (
        ("language_model.model.", {"architectures": ["Gemma3ForConditionalGeneration"]}),
        ("model.language_model.", {"architectures": ["Gemma3ForConditionalGeneration"]}),
    ):
        directory = tmp_path / prefix
        directory.mkdir()
        named = {prefix + k.removeprefix("model."): v for k, v in weights.items()}
        named["vision_tower.patch.weight"] = np.zeros((2, 2), np.float32)
        save_file(named, directory / "model.safetensors")
        config = config | {"model_type": "gemma3", "text_config": text, "vision_config": {}}
        (directory / "config.json").write_text(json.dumps(config))
        got = our_logits(load_model(directory), tokens())
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


def test_half_precision_weights_become_the_dtype_asked_for(tmp_path):
    theirs = hf_model("llama2").to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    model = load_model(tmp_path, dtype=jnp.float32)
    expected = theirs.model.embed_tokens.weight.detach().float().numpy()
    assert model.embed.dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(model.embed[...]), expected)


# --- configs


OLD_GEMMA3 = {
    "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "vocab_size": 97,
    "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 7, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "rope_theta": 2e6, "rope_local_base_freq": 5e3,
    "sliding_window": 5, "sliding_window_pattern": 3, "hidden_activation": "gelu_pytorch_tanh",
    "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "torch_dtype": "bfloat16",
}  # fmt: skip
OLD_LLAMA3 = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 97,
    "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "rope_theta": 500000.0, "max_position_embeddings": 131072,
    "rope_scaling": {
        "type": "llama3", "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
    },
}  # fmt: skip
OLD_QWEN2 = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 97,
    "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "rope_theta": 1e6, "sliding_window": 6, "use_sliding_window": True,
    "max_window_layers": 2, "max_position_embeddings": 128,
}  # fmt: skip


@pytest.mark.parametrize("old", [OLD_GEMMA3, OLD_LLAMA3, OLD_QWEN2], ids=lambda c: c["model_type"])
def test_older_configs_mean_what_transformers_makes_of_them(old, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(old))
    new = transformers.AutoConfig.from_pretrained(tmp_path).to_dict()
    assert "rope_parameters" in new
    assert shape_from_hf(old) == shape_from_hf(new)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_their_config(name):
    assert shape_from_hf(shape_to_hf(PRESETS[name])) == PRESETS[name]


def test_a_shape_without_a_family_is_refused():
    llama = PRESETS["meta-llama/Llama-2-7b-hf"]
    with pytest.raises(ValueError, match="no llama config"):
        shape_to_hf(replace(llama, qk_norm=True))
    with pytest.raises(ValueError, match="'mamba' has no Hugging Face config"):
        shape_to_hf(replace(llama, family="mamba"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "mamba"}, "unknown architecture: model_type 'mamba'.*llama, mistral"),
        ({"architectures": ["Qwen2ForRewardModel"]}, "Qwen2ForRewardModel"),
        ({"hidden_act": "relu"}, "activation 'relu'"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope scaling 'yarn'"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 4.0}}, "rope scaling 'dynamic'"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor 0.5"),
    ],
)
def test_unsupported_configs_are_named(checkpoint, changes, words):
    edit_config(checkpoint, **changes)
    with pytest.raises(ValueError, match=words):
        load_checkpoint(checkpoint)


def test_config_without_a_size(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    del config["hidden_size"]
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no 'hidden_size'"):
        load_checkpoint(checkpoint)


# --- broken checkpoints


def test_nothing_at_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere")


def test_no_config(tmp_path):
    with pytest.raises(FileNotFoundError, match="no config.json"):
        load_checkpoint(tmp_path)


def test_no_tokenizer(checkpoint):
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="no tokenizer in"):
        load_checkpoint(checkpoint)


def test_no_weights(checkpoint):
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="no weights.*pytorch_model.bin"):
        load_checkpoint(checkpoint)


def test_missing_shard(tmp_path):
    hf_model("llama2").save_pretrained(tmp_path, max_shard_size="40KB")
    lost = sorted(tmp_path.glob("model-*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(FileNotFoundError, match=f"{lost.name} is missing"):
        load_model(tmp_path)


def test_shard_without_a_promised_tensor(tmp_path):
    hf_model("llama2").save_pretrained(tmp_path, max_shard_size="40KB")
    index = tmp_path / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["model.ghost"] = sorted(tmp_path.glob("model-*"))[0].name
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="lacks tensor model.ghost"):
        load_model(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_weights(checkpoint, keep):
    path = checkpoint / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    with pytest.raises(ValueError, match="truncated"):
        load_checkpoint(checkpoint)


def test_not_safetensors(checkpoint):
    (checkpoint / "model.safetensors").write_bytes((9).to_bytes(8, "little") + b"not json!" * 3)
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_checkpoint(checkpoint)


def test_missing_tensor(checkpoint):
    edit_weights(checkpoint, lambda w: w.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(ValueError, match=r"lacks 1 tensor \(model.layers.1.mlp.up_proj.weight\)"):
        load_checkpoint(checkpoint)


def test_unexpected_tensor(checkpoint):
    edit_weights(checkpoint, lambda w: w.update({"model.extra": np.zeros(3, np.float32)}))
    with pytest.raises(ValueError, match=r"holds 1 tensor \(model.extra\)"):
        load_checkpoint(checkpoint)


def test_shape_mismatch(checkpoint):
    edit_config(checkpoint, intermediate_size=96)
    words = r"mlp\..*_proj.weight has shape \((80, 48|48, 80)\), config.json says \((96, 48|48, 96)"
    with pytest.raises(ValueError, match=words):
        load_checkpoint(checkpoint)


def test_quantised_tensor(checkpoint):
    edit_weights(checkpoint, lambda w: w.update({"lm_head.weight": np.zeros((97, 48), np.int8)}))
    with pytest.raises(ValueError, match="lm_head.weight is I8"):
        load_checkpoint(checkpoint)


def test_tokenizer_of_another_checkpoint(checkpoint):
    save_tokenizer(checkpoint, 98)
    (checkpoint / "model.safetensors").write_bytes(b"")  # found before any weight is looked at
    with pytest.raises(ValueError, match="ids up to 97.*ends at 96"):
        load_checkpoint(checkpoint)


def test_smaller_tokenizer_is_fine(checkpoint):
    save_tokenizer(checkpoint, 90)
    model, tokenizer = load_checkpoint(checkpoint)
    assert (model.shape.vocab, tokenizer.vocab_size) == (97, 90)


# --- saving


def test_saving_carries_the_tokenizer_along(checkpoint, tmp_path):
    model, tokenizer = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "copy", model, checkpoint)
    _, again = load_checkpoint(tmp_path / "copy")
    assert again.token_bytes() == tokenizer.token_bytes()


def test_saving_over_something_is_refused(checkpoint):
    model, _ = load_checkpoint(checkpoint)
    before = sorted(checkpoint.iterdir())
    with pytest.raises(FileExistsError, match="exists already"):
        save_checkpoint(checkpoint, model)
    assert sorted(checkpoint.iterdir()) == before


def test_failed_saving_leaves_nothing(tmp_path):
    def broken():
        raise OSError(28, "No space left on device")

    tensors = [Tensor("a", 4, lambda: np.zeros(1, np.float32)), Tensor("b", 4, broken)]
    with pytest.raises(OSError, match="No space left"), new_directory(tmp_path / "x") as directory:
        write_tensors(directory, tensors)
    assert list(tmp_path.iterdir()) == []


def test_second_writer_keeps_the_first_ones_work(tmp_path):
    final = tmp_path / "x"
    with new_directory(final) as slow:
        (slow / "who").write_text("slow")
        with new_directory(final) as quick:
            (quick / "who").write_text("quick")
    assert (final / "who").read_text() == "quick"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_large_models_are_written_in_shards(tmp_path):
    arrays = {f"t{i}": np.full((10,), i, np.float32) for i in range(5)}
    tensors = [Tensor(k, v.nbytes, lambda v=v: v) for k, v in arrays.items()]
    write_tensors(tmp_path, tensors, shard_bytes=90)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 200
    files = set(index["weight_map"].values())
    assert files == {f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
    for name, file in index["weight_map"].items():
        np.testing.assert_array_equal(load_file(tmp_path / file)[name], arrays[name])


def test_unknown_family_shape_is_refused_before_writing(tmp_path):
    shape = ModelShape("odd", 16, 8, 1, 2, 1, 4, 16, 32)
    with pytest.raises(ValueError, match="'odd'"):
        save_checkpoint(tmp_path / "x", random_model(shape))
    assert list(tmp_path.iterdir()) == []
