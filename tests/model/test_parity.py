# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The same logits as transformers, family by family, on checkpoints that transformers saved."""

import jax
import numpy as np
import pytest
import torch
import transformers
from decode.greedy import continued
from model.tiny_models import FAMILIES, hf_logits, hf_model, randomise

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.cache import create
from ttc_jax.decode.segment import extend
from ttc_jax.model.hf_config import shape_to_hf
from ttc_jax.model.load import load_model
from ttc_jax.model.shape import PRESETS
from ttc_jax.model.transformer import forward, logits

TOLERANCE = 1e-4
VOCAB, PROMPT, NEW, PAGE, ROWS = 97, 40, 16, 4, 2
# Variants differ in what the dense pass already shows; decoding is compiled once per family.
DECODED = [
    f for f in FAMILIES if f not in ("linear", "mistral_full", "qwen3_tied", "gemma2_untied")
]


@jax.jit
def our_logits(model, tokens):
    return logits(model, forward(model, tokens))


@pytest.fixture(scope="module")
def prompts():
    """Token ids i32[ROWS, PROMPT], longer than every sliding window of the small models."""
    return np.random.default_rng(1).integers(0, VOCAB, (ROWS, PROMPT)).astype(np.int32)


@pytest.mark.parametrize("family", FAMILIES)
def test_prompt_logits_equal_transformers(family, prompts, tmp_path):
    theirs = hf_model(family)
    theirs.save_pretrained(tmp_path)
    expected = hf_logits(theirs, prompts)
    assert np.abs(expected).max() > 0.5
    got = np.asarray(our_logits(load_model(tmp_path), prompts))
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("family", DECODED)
def test_prompt_fed_in_pieces_equals_transformers(family, prompts, tmp_path):
    theirs = hf_model(family)
    theirs.save_pretrained(tmp_path)
    mesh = make_mesh(1, 1)
    model = load_model(tmp_path, mesh=mesh)
    pages = -(-PROMPT // PAGE)
    sizes = {"rows": ROWS, "n_pages": ROWS * pages, "page_size": PAGE, "row_pages": pages}
    cache = create(model.shape, mesh, **sizes)
    rows = np.arange(ROWS, dtype=np.int32)[None]
    got = []
    for piece in (prompts[:, :13], prompts[:, 13:26], prompts[:, 26:]):
        n = np.full((1, ROWS), piece.shape[1], np.int32)
        hidden, cache = extend(model, cache, rows, piece[None], n, mesh=mesh, context_pages=pages)
        got.append(np.asarray(logits(model, hidden[0])))
    expected = hf_logits(theirs, prompts)
    np.testing.assert_allclose(np.concatenate(got, 1), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("family", DECODED)
def test_greedy_decoding_equals_transformers_step_by_step(family, prompts, tmp_path):
    theirs = hf_model(family)
    theirs.save_pretrained(tmp_path)
    mesh = make_mesh(1, 1)
    model = load_model(tmp_path, mesh=mesh)
    done = continued(model, mesh, prompts, new=NEW, n=2, page_size=PAGE, segment=8)
    for row, branches in zip(prompts, done, strict=True):
        for tokens, logprobs in branches:
            whole = np.concatenate([row, tokens])
            steps = torch.tensor(hf_logits(theirs, whole[None])[0, PROMPT - 1 : -1])
            np.testing.assert_array_equal(tokens, steps.argmax(-1))
            chosen = steps.log_softmax(-1).numpy()[np.arange(NEW), tokens]
            np.testing.assert_allclose(logprobs, chosen, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_has_the_parameters_of_the_transformers_model(name):
    shape = PRESETS[name]
    keys = shape_to_hf(shape)
    config_class = transformers.CONFIG_MAPPING[keys.pop("model_type")]
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config_class(**keys))
    assert shape.params == sum(p.numel() for p in model.parameters())


def test_randomise_reaches_every_parameter():
    model = randomise(hf_model("gemma3"), seed=3)
    assert all(p.std() > 0.01 for p in model.parameters())
