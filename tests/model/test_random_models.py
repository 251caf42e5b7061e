# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Small random models: those of their families, read alike by transformers, and their tokenizer."""

import numpy as np
import pytest
import torch
import transformers
from model.tiny_models import hf_logits

from ttc_jax.model.load import check_checkpoint, checkpoint_directory, load_checkpoint
from ttc_jax.model.random_models import random_checkpoint, toy
from ttc_jax.model.shape import PRESETS
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.model.transformer import forward, logits

GEMMA, LARGER = "google/gemma-2-2b-it", "google/gemma-2-27b-it"
QWEN, PRM = "Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-Math-PRM-7B"
LLAMA = "meta-llama/Llama-3.2-1B-Instruct"
# Fields in which a toy differs from its preset; all others are the family's.
SIZES = {
    "vocab", "width", "layers", "heads", "kv_heads", "head_dim", "ffn", "context", "windows",
    "embed_scale", "query_scale", "value_hidden",
}  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_a_toy_has_what_makes_its_family(name):
    whole = PRESETS[name]
    small = toy(whole, 120)
    differing = {key for key, value in vars(small).items() if vars(whole)[key] != value}
    assert differing <= SIZES
    assert small.heads // small.kv_heads == whole.heads // whole.kv_heads
    assert small.params < 1e6
    # A layer of each kind, windows first, as in Gemma.
    assert [window > 0 for window in small.windows] == sorted(
        {window > 0 for window in whole.windows}, reverse=True
    )
    # q.k is as large, in units of a head's own scale, as it is in the preset.
    assert small.scale**2 * small.head_dim == pytest.approx(whole.scale**2 * whole.head_dim)
    assert (small.value_hidden > 0) == (whole.value_hidden > 0)


def test_a_larger_model_is_larger():
    small, large = (toy(PRESETS[name], 120) for name in (GEMMA, LARGER))
    assert large.params > 2 * small.params


@pytest.mark.parametrize("name", [GEMMA, QWEN, LLAMA])
def test_transformers_reads_the_same_model(name, tmp_path):
    """Soft caps, windows, biases and rope scaling, by an implementation that is not ours."""
    model, _ = load_checkpoint(f"random:{name}", cache_dir=tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoint_directory(f"random:{name}", tmp_path), attn_implementation="eager",
        dtype=torch.float32,
    )  # fmt: skip
    ids = np.random.default_rng(0).integers(0, model.shape.vocab, (2, 40)).astype(np.int32)
    ours = logits(model, forward(model, ids))
    assert np.abs(np.asarray(ours) - hf_logits(theirs.eval(), ids)).max() < 1e-4


def test_nothing_in_it_stays_at_its_initial_value(tmp_path):
    model, _ = load_checkpoint(f"random:{QWEN}", cache_dir=tmp_path)
    block = model.blocks[0]
    for leaf in (block.q_bias, block.k_bias, block.v_bias, block.attn_norm, model.norm):
        assert np.asarray(leaf[...]).std() > 0.05


def test_a_verifier_has_its_head(tmp_path):
    model, _ = load_checkpoint(f"random:{PRM}", cache_dir=tmp_path)
    assert (model.shape.value_classes, model.shape.value_hidden) == (2, model.shape.width)


def test_it_is_written_once_and_drawn_alike(tmp_path):
    one, again = (random_checkpoint(GEMMA, tmp_path) for _ in range(2))
    other = random_checkpoint(GEMMA, tmp_path / "other")
    assert one == again and one.name == other.name
    weights = [(path / "model.safetensors").read_bytes() for path in (one, other)]
    assert weights[0] == weights[1]


def test_its_tokenizer_reads_ascii_and_never_lengthens_what_was_sampled(tmp_path):
    tokenizer = load_tokenizer(random_checkpoint(GEMMA, tmp_path))
    text = "Tom has 3 apples,\n\\frac{1}{2} + x^2 = 10?\n\n"
    assert tokenizer.decode(tokenizer.encode(text, bos=False)) == text
    assert len(tokenizer.encode(" 7", bos=False)) == 1
    assert tokenizer.decode(tokenizer.encode("π is 3", bos=False)) == " is 3"
    ids = np.random.default_rng(1).integers(0, tokenizer.vocab_size, 2000).tolist()
    assert len(tokenizer.encode(tokenizer.decode(ids), bos=False)) <= len(ids)
    turns = [{"role": "user", "content": "1 + 1?"}]
    asked = tokenizer.encode(tokenizer.chat(turns), bos=False)
    assert tokenizer.eos[0] in asked and tokenizer.decode(asked) == "user\n1 + 1?\nassistant\n"


def test_what_names_no_weights_is_refused(tmp_path):
    for name in (f"random:{GEMMA}", "builtin:subset_sums_base"):
        check_checkpoint(name)
    with pytest.raises(ValueError, match="there is no preset 'gemma'"):
        check_checkpoint("random:gemma")
    with pytest.raises(ValueError, match="a shape without weights"):
        check_checkpoint(f"preset:{GEMMA}")
    with pytest.raises(ValueError, match="name a cache_dir"):
        checkpoint_directory(f"random:{GEMMA}")
    with pytest.raises(FileNotFoundError, match="no tokenizer in"):
        check_checkpoint(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no config.json in"):
        check_checkpoint(str(checkpoint_directory("builtin:subset_sums")))
    check_checkpoint("builtin:subset_sums", tokenizer_only=True)
