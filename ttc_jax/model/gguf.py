# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""GGUF files, converted once into a Hugging Face directory."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from ttc_jax.model.gguf_file import metadata_of, open_gguf
from ttc_jax.model.hf_config import family_switches, shape_to_hf
from ttc_jax.model.shape import ModelShape, RopeScaling
from ttc_jax.model.tokens_gguf import tokenizer_files
from ttc_jax.model.weights import Tensor, new_directory, write_tensors

# Part of the key of converted directories: raise it when the conversion changes.
VERSION = 1
_FAMILIES = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
}
_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
# Frequencies that some files store as a tensor; they become the rope scaling of the config.
_ROPE = "rope_freqs.weight"
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_context": 8192}


def converted(path: Path, cache_dir: Path) -> Path:
    """The Hugging Face directory for the GGUF file at `path`, made on first use.

    It lies in cache_dir/checkpoints, under a key of the file's path, size and time. Quantised
    weights become float32, others keep their dtype.

    Raises:
        ValueError: the file is damaged, or of an architecture or tokenizer that is not supported.
        OSError: cache_dir cannot be written.
    """
    stat = path.stat()
    key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{VERSION}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    final = cache_dir / "checkpoints" / f"{path.stem}-{digest}"
    if final.is_dir():
        return final
    reader = open_gguf(path)
    meta = metadata_of(reader)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    shape = shape_of(meta, tensors)
    files = tokenizer_files(meta)
    with new_directory(final) as directory:
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
        config = shape_to_hf(shape) | _ids(meta)
        (directory / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        weights = [_tensor(tensor, shape) for name, tensor in tensors.items() if name != _ROPE]
        write_tensors(directory, weights)
    return final


def _ids(meta: Mapping) -> dict:
    keys = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
    return {name: meta.get(f"tokenizer.ggml.{key}_token_id") for name, key in keys.items()}


def shape_of(meta: Mapping, tensors: Mapping) -> ModelShape:
    """The ModelShape that GGUF metadata describes; `tensors` maps tensor names to themselves.

    Raises:
        ValueError: the architecture or its rope scaling is not supported.
    """
    arch = meta.get("general.architecture")
    if arch not in _FAMILIES:
        raise ValueError(
            f"unknown GGUF architecture {arch!r}; known: {', '.join(sorted(_FAMILIES))}"
        )
    family = _FAMILIES[arch]
    gemma = family.startswith("gemma")

    def get(key: str, *fallback):
        value = meta.get(f"{arch}.{key}", *fallback)
        if value is None and not fallback:
            raise ValueError(f"GGUF file has no {arch}.{key}")
        return value

    width, heads = get("embedding_length"), get("attention.head_count")
    layers = get("block_count")
    head_dim = get("attention.key_length", None) or width // heads
    # The largest Gemmas scale queries by the width per head instead of the head size.
    wide = (family, layers) in (("gemma2", 46), ("gemma3_text", 62))
    return ModelShape(
        family=family,
        vocab=int(tensors["token_embd.weight"].shape[1]),
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=get("attention.head_count_kv", heads),
        head_dim=head_dim,
        ffn=get("feed_forward_length"),
        context=get("context_length"),
        norm_eps=_short(get("attention.layer_norm_rms_epsilon")),
        rope_theta=float(get("rope.freq_base", 1e6 if family == "gemma3_text" else 1e4)),
        rope_scaling=_rope_scaling(get, tensors),
        local_rope_theta=1e4 if family == "gemma3_text" else None,
        windows=_windows(family, get, layers),
        activation="gelu_tanh" if gemma else "silu",
        tied="output.weight" not in tensors,
        query_scale=(width // heads if wide else head_dim) ** -0.5 if gemma else None,
        attn_softcap=get("attn_logit_softcapping", 50.0) if family == "gemma2" else None,
        final_softcap=get("final_logit_softcapping", 30.0) if family == "gemma2" else None,
        **family_switches(family, width),
    )


def _short(value: float) -> float:
    """The short decimal that a float32 stands for: 9.99999974e-06 is 1e-05."""
    return float(str(np.float32(value)))


def _windows(family: str, get, layers: int) -> tuple[int, ...]:
    if not family.startswith("gemma"):
        return ()
    window = get("attention.sliding_window", 4096)
    period = 2 if family == "gemma2" else 6
    return tuple(window if (layer + 1) % period else 0 for layer in range(layers))


def _rope_scaling(get, tensors: Mapping) -> RopeScaling | None:
    kind = get("rope.scaling.type", "none")
    factor = get("rope.scaling.factor", None)
    if kind == "linear" and factor:
        return RopeScaling("linear", float(factor))
    if kind not in ("none", "linear"):
        raise ValueError(f"GGUF rope scaling {kind!r} is not supported; known: none, linear")
    if _ROPE not in tensors:
        return None
    divisors = np.asarray(tensors[_ROPE].data, np.float32).reshape(-1)
    scaling = RopeScaling("llama3", float(divisors.max()), **_LLAMA3)
    theta, half = float(get("rope.freq_base", 1e4)), divisors.size
    freqs = theta ** (-np.arange(half) / half)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    ramp = (scaling.original_context * freqs / (2 * np.pi) - low) / (high - low)
    ramp = np.clip(ramp, 0, 1)
    if not np.allclose(divisors, 1 / ((1 - ramp) / scaling.factor + ramp), rtol=1e-3):
        raise ValueError(f"{_ROPE} of this GGUF file is no Llama 3 rope scaling that is known")
    return scaling


def _tensor(tensor, shape: ModelShape) -> Tensor:
    """A GGUF tensor under its Hugging Face name, in Hugging Face's layout."""
    dims = tuple(int(size) for size in reversed(tensor.shape))
    read = _reader(tensor, dims)
    stem, _, kind = tensor.name.rpartition(".")
    block = re.fullmatch(r"blk\.(\d+)\.(.*)", stem)
    short = block[2] if block else stem
    if short == "ffn_norm":
        name = "pre_feedforward_layernorm" if shape.post_norms else "post_attention_layernorm"
    elif short in _NAMES:
        name = _NAMES[short]
    else:
        raise ValueError(f"GGUF tensor {tensor.name} is not part of a {shape.family} model")
    prefix = f"model.layers.{block[1]}." if block else ""

    def converted_values() -> np.ndarray:
        values = read()
        if short.endswith("norm"):
            return values - np.asarray(shape.norm_offset, values.dtype)
        if shape.family == "llama" and short in ("attn_q", "attn_k"):
            return _unpermuted(values, shape.heads if short == "attn_q" else shape.kv_heads)
        return values

    itemsize = 2 if tensor.tensor_type.name in ("F16", "BF16") else 4
    nbytes = int(np.prod(dims)) * itemsize
    return Tensor(f"{prefix}{name}.{kind}", nbytes, converted_values)


def _reader(tensor, dims: tuple[int, ...]):
    from gguf.quants import dequantize

    kind = tensor.tensor_type.name

    def read() -> np.ndarray:
        if kind == "F16":
            return np.asarray(tensor.data, np.float16).reshape(dims)
        if kind == "BF16":
            return np.ascontiguousarray(tensor.data).view(ml_dtypes.bfloat16).reshape(dims)
        return np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32).reshape(dims)

    return read


def _unpermuted(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k in Hugging Face's order: the two rotary halves apart, not interleaved."""
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)
