# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The same logits as transformers, family by family, on checkpoints that transformers saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from model.tiny_models import FAMILIES, hf_logits, hf_model, randomise

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.cache import create
from ttc_jax.decode.sample import Sampler
from ttc_jax.decode.segment import Groups, Rows, decode_segment, extend
from ttc_jax.model.hf_config import shape_to_hf
from ttc_jax.model.load import load_model
from ttc_jax.model.shape import PRESETS
from ttc_jax.model.transformer import forward, logits

TOLERANCE = 1e-4
VOCAB, PROMPT, NEW, PAGE, ROWS = 97, 40, 16, 4, 2


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


def no_groups() -> Groups:
    none = jnp.zeros((1, 1, 1), jnp.int32) + ROWS
    outside = jnp.ones((1, ROWS), jnp.int32)
    pages = jnp.zeros((1, 1, 0), jnp.int32)
    return Groups(pages, jnp.zeros((1, 1), jnp.int32), none, outside, outside * 0)


def run_core(model, prompts, mesh):
    """Logits of the prompt, fed in two pieces, then NEW greedy tokens and their logprobs."""
    pages = -(-(PROMPT + NEW) // PAGE)
    cache = create(
        model.shape, mesh, rows=ROWS, n_pages=ROWS * pages, page_size=PAGE, row_pages=pages
    )
    rows = jnp.arange(ROWS, dtype=jnp.int32)[None]
    parts = []
    for piece in (prompts[:, :26], prompts[:, 26:-1]):
        n = jnp.full((1, ROWS), piece.shape[1], jnp.int32)
        hidden, cache = extend(
            model, cache, rows, jnp.asarray(piece)[None], n, mesh=mesh, context_pages=pages
        )
        parts.append(np.asarray(logits(model, hidden[0])))
    state = Rows(
        last=jnp.asarray(prompts[None, :, -1]),
        state=jnp.zeros((1, ROWS), jnp.int32),
        limit=jnp.full((1, ROWS), NEW, jnp.int32),
        key=jax.random.split(jax.random.key(0), (1, ROWS)),
    )
    never_stops = jnp.zeros((VOCAB, 1), jnp.int16)
    sampled, cache = decode_segment(
        model, cache, state, no_groups(), never_stops, mesh=mesh,
        sampler=Sampler(temperature=0), first_stop=1, n=NEW, own_pages=pages,
    )  # fmt: skip
    return np.concatenate(parts, 1), np.asarray(sampled.tokens[0]), np.asarray(sampled.logprobs[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_decoding_core_equals_transformers_step_by_step(family, prompts, tmp_path):
    theirs = hf_model(family)
    theirs.save_pretrained(tmp_path)
    mesh = make_mesh(1, 1)
    got, tokens, logprobs = run_core(load_model(tmp_path, mesh=mesh), prompts, mesh)
    whole = np.concatenate([prompts, tokens], 1)
    expected = hf_logits(theirs, whole)
    np.testing.assert_allclose(got, expected[:, : PROMPT - 1], rtol=0, atol=TOLERANCE)
    steps = expected[:, PROMPT - 1 : -1]
    np.testing.assert_array_equal(tokens, steps.argmax(-1))
    theirs_logprobs = torch.tensor(steps).log_softmax(-1).numpy()
    chosen = np.take_along_axis(theirs_logprobs, tokens[..., None], 2)[..., 0]
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
