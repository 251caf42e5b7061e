# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint of random weights and a config with short prompts, to run whole jobs in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import jax
from search.tiny_policy import biased
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ttc_jax.model.load import save_checkpoint
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "smollm2.py"
SHORT = """

full_config = get_config


def get_config(arg=None):
    config = full_config(arg)
    config.prompt.examples = ()
    return config
"""
TEMPLATE = "{% for m in messages %}{{ m.content }}<|end|>{% endfor %}"
# Ġ stands for the blank and Ċ for the newline.
FAVOURED = {"7": 7.0, "8": 6.0, "Ġ": 7.0, "Ċ": 4.0}
SHAPE = ModelShape("llama", 260, 32, 2, 4, 2, 8, 64, 640, tied=True)


def write_checkpoint(
    path: Path, shape: ModelShape = SHAPE, seed: int = 0, *, writes_numbers: bool = False
) -> Path:
    """A Hugging Face directory: 260 byte tokens, random weights, a chat template.

    With `writes_numbers` it samples printable ASCII, sevens, eights and blanks above all.
    """
    files = path.with_name(f"{path.name}_tokenizer")
    files.mkdir()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = Transformer(replace(shape, tied=not writes_numbers), jax.random.key(seed))
    if writes_numbers:
        model = biased(model, {i: _bias(letter) for i, letter in enumerate(letters)})
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|start|>", "<|end|>"])
    tokenizer.save(str(files / "tokenizer.json"))
    settings = {"bos_token": "<|start|>", "eos_token": "<|end|>", "chat_template": TEMPLATE}
    (files / "tokenizer_config.json").write_text(json.dumps(settings))
    save_checkpoint(path, model, files)
    return path


def _bias(letter: str) -> float:
    """What is added to a byte's logit."""
    return FAVOURED.get(letter, 0.0 if letter.isascii() else -30.0)


def write_short_config(path: Path) -> Path:
    """The config of the repository, without examples in the prompts."""
    path.write_text(CONFIG.read_text() + SHORT)
    return path
