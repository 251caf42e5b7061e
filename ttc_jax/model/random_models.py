# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Small random models of known families, "random:NAME": whole jobs run without any checkpoint.

Such a model has all that makes its family what it is (soft caps, windows, biases, rope scaling, the
value head of a verifier) at a toy size. Its tokenizer reads ASCII letter by letter, and has a chat
template; digits with a blank before them are tokens, so that samples state a number now and then.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ttc_jax.core.mesh import path_name
from ttc_jax.model.hf_config import family_switches, shape_to_hf
from ttc_jax.model.shape import ModelShape, preset
from ttc_jax.model.transformer import Transformer, abstract
from ttc_jax.model.weights import new_directory, tensors_of, write_tensors

LARGE = 5e9  # a preset with more parameters becomes a toy of twice the width
_BLANK, _NEWLINE = "Ġ", "Ċ"  # how byte-level vocabularies write them
_UNKNOWN, _START, _END, _TURN, _STEP = (
    "<|unknown|>",
    "<|start|>",
    "<|im_end|>",
    "<|im_start|>",
    "<extra_0>",
)
_CHAT = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)


def random_checkpoint(name: str, cache_dir: Path) -> Path:
    """The Hugging Face directory of the toy of a preset, drawn and written on first use.

    It lies in cache_dir/checkpoints, under a key of its config and tokenizer; weights are float32.

    Raises:
        ValueError: there is no such preset.
        OSError: cache_dir cannot be written.
    """
    vocabulary = _vocabulary()
    files = {
        "tokenizer.json": vocabulary.to_str(),
        "tokenizer_config.json": json.dumps(
            {"bos_token": _START, "eos_token": _END, "chat_template": _CHAT}, indent=2
        ),
    }
    shape = toy(preset(name), vocabulary.get_vocab_size())
    files["config.json"] = json.dumps(shape_to_hf(shape), indent=2)
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
    final = cache_dir / "checkpoints" / f"random-{name.split('/')[-1]}-{digest}"
    if final.is_dir():
        return final
    with new_directory(final) as directory:
        for file, text in files.items():
            (directory / file).write_text(text, encoding="utf-8")
        write_tensors(directory, tensors_of(_drawn(shape)))
    return final


def toy(shape: ModelShape, vocab: int) -> ModelShape:
    """A shape of the same family with a layer of each kind, 64 or 128 wide, and windows of 16.

    Query heads share kv heads as they do in `shape`, and q.k is scaled as there.
    """
    width = 128 if shape.params > LARGE else 64
    head_dim, kv_heads = 8, 2
    windows = tuple(16 * bool(window) for window in sorted(set(shape.windows), reverse=True))
    scale = None
    if shape.query_scale is not None:
        scale = round(shape.query_scale**-2 * head_dim / shape.head_dim) ** -0.5
    return replace(
        shape,
        vocab=vocab,
        width=width,
        layers=max(1, len(windows)),
        heads=kv_heads * (shape.heads // shape.kv_heads),
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=4 * width,
        context=min(shape.context, 4096),
        windows=windows,
        query_scale=scale,
        value_hidden=width if shape.value_hidden else 0,
        **family_switches(shape.family, width),
    )


def _drawn(shape: ModelShape) -> Transformer:
    """A model of random weights, norms and biases included."""
    draw = np.random.default_rng(0).normal  # jax.random would compile a program for each shape

    def fill(where, leaf) -> jax.Array:
        noise, name = draw(size=leaf.shape).astype(np.float32), path_name(where)
        if "norm" in name:
            return jnp.asarray(1 - shape.norm_offset + 0.1 * noise)
        return jnp.asarray(noise * (0.1 if "bias" in name else leaf.shape[-1] ** -0.5))

    return jax.tree_util.tree_map_with_path(fill, abstract(shape))


def _vocabulary() -> Tokenizer:
    """A token for each printable letter of ASCII, for a newline, and for digits behind a blank.

    Whatever is sampled is text of no more tokens; bytes outside ASCII would often be none at all.
    """
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)] + [_BLANK, _NEWLINE]
    merges = [(_BLANK, digit) for digit in "0123456789"]
    pieces = [*letters, *map("".join, merges), _UNKNOWN]
    vocab = {piece: at for at, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocab, merges, unk_token=_UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    special = (_UNKNOWN, _START, _END, _TURN, _STEP)
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return backend
