# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of given tokens in one fused call: the arguments that cuDNN gets mean what is meant.

On CPUs they are given to the XLA implementation of the same function of JAX. Whatever needs a GPU
is marked so.
"""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode import backend
from ttc_jax.decode import segment as programs
from ttc_jax.decode.cache import create
from ttc_jax.decode.forest import Forest
from ttc_jax.decode.fused import attend_fused
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import forward

# A window that is shorter than the texts in one layer, a scale of its own.
SHAPE = ModelShape("llama", 60, 32, 2, 4, 2, 8, 32, 128, windows=(7, 0), query_scale=0.3)
TEXTS = np.random.default_rng(3).integers(0, 60, (3, 24)).astype(np.int32)
PIECES = (0, 10, 24)  # a prompt, and what is appended to it


def _read(attention: str, model, mesh) -> np.ndarray:
    """Hidden states [B, T, D] of TEXTS, appended to rows in two pieces, the second behind pages."""
    cache = create(
        SHAPE, mesh, rows=3, n_pages=18, page_size=4, row_pages=6, dtype=model.embed.dtype
    )
    rows, out = np.arange(3, dtype=np.int32)[None], []
    for start, end in zip(PIECES, PIECES[1:], strict=False):
        tokens = np.zeros((1, 3, 16), np.int32)  # the rest is padding
        tokens[0, :, : end - start] = TEXTS[:, start:end]
        hidden, cache = programs.extend(
            model, cache, rows, tokens, np.full((1, 3), end - start, np.int32), mesh=mesh,
            context_pages=-(-start // 4), attention=attention,
        )  # fmt: skip
        out.append(np.asarray(hidden[0, :, : end - start].astype(jnp.float32)))
    return np.concatenate(out, axis=1)


@pytest.mark.parametrize("parts", [1, 2])
def test_tokens_see_what_they_see_in_a_whole_text(parts, monkeypatch):
    calls = []

    def counted(*args):
        calls.append(args)
        return attend_fused(*args[:-1], implementation="xla")

    monkeypatch.setattr(programs, "attend_fused", counted)
    mesh = make_mesh(1, parts)
    got = _read("cudnn", random_model(SHAPE, mesh), mesh)
    assert [args[-1] for args in calls] == ["cudnn"] * 4
    expected = jax.jit(forward)(random_model(SHAPE, make_mesh()), TEXTS)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


@pytest.mark.gpu
def test_cudnn_on_a_gpu_rounds_as_plain_attention_does():
    mesh = make_mesh(1, 1)
    model = random_model(SHAPE, mesh)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), model)
    exact = np.asarray(jax.jit(forward)(model, TEXTS))
    fused, plain = (np.abs(_read(name, half, mesh) - exact) for name in ("cudnn", "xla"))
    assert fused.mean() < 1.5 * plain.mean() and fused.max() < 3 * plain.max()


def _mesh(parts: int = 1, capability: str = "9.0"):
    """What of a mesh of GPUs is looked at."""
    device = SimpleNamespace(platform="gpu", compute_capability=capability)
    return SimpleNamespace(shape={"model": parts}, devices=np.array([[device] * parts]))


@pytest.mark.parametrize(("changes", "mesh", "message"), [
    ({"head_dim": 12}, {}, "heads of 12 are not a multiple of 8 up to 256"),
    ({"head_dim": 256}, {"capability": "8.0"}, "heads of 256 are not a multiple of 8 up to 128"),
    ({"attn_softcap": 50.0}, {}, "logits are capped at 50.0"),
    ({}, {"parts": 4}, "2 kv heads do not divide by mesh.model = 4"),
])  # fmt: skip
def test_models_that_cudnn_does_not_fit(changes, mesh, message):
    shape = replace(SHAPE, **changes)
    with pytest.raises(ValueError, match=message):
        backend.check_model("cudnn", shape, _mesh(**mesh))
    backend.check_model("xla", shape, _mesh(**mesh))
    backend.check_model("cudnn", SHAPE, _mesh())


def test_platforms_and_dtypes():
    for platform in ("cpu", "gpu", "tpu"):
        backend.check_platform("xla", platform, "float32")
    backend.check_platform("cudnn", "gpu", "bfloat16")
    refused = partial(pytest.raises, ValueError)
    with refused(match="this runs on tpu; pass --config.engine.attention=xla"):
        backend.check_platform("cudnn", "tpu", "bfloat16")
    with refused(match="dtype is float32; pass --config.model.dtype=bfloat16"):
        backend.check_platform("cudnn", "gpu", "float32")
    mesh = make_mesh()
    with refused(match="this runs on cpu"):
        Forest(random_model(SHAPE, mesh), mesh=mesh, rows=1, context=8, pages=1, attention="cudnn")
