# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Attention by the TPU kernel: the same numbers as the whole text's, and programs for real TPUs.

On CPUs the kernel does not run (the interpreter of Pallas lacks what it does with its pages). What
stands in its place is held against the function that comes with it as its reference, which needs
lengths that are known.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decode.tiny_model import random_model
from jax.experimental.pallas.ops.tpu.ragged_paged_attention import ref_ragged_paged_attention
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import make_mesh, parameter_shardings
from ttc_jax.decode import backend
from ttc_jax.decode import segment as programs
from ttc_jax.decode.cache import abstract, create
from ttc_jax.decode.ragged import attend_ragged
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import forward
from ttc_jax.plan import memory, topologies

# Heads that the kernel takes, two queries for each, a window in one layer, capped logits.
SHAPE = ModelShape(
    "llama", 60, 32, 2, 4, 2, 128, 32, 128, windows=(7, 0), query_scale=0.3, attn_softcap=5.0
)
TEXTS = np.random.default_rng(3).integers(0, 60, (3, 24)).astype(np.int32)
PIECES = ((0, 0, 0), (10, 7, 3), (24, 20, 9))  # of each text, what has been appended by then


def stand_in(
    q, kv_pages, kv_lens, page_indices, cu_q_lens, num_seqs, *,
    sm_scale, sliding_window, soft_cap, **sizes,
):  # fmt: skip
    """The kernel's function of its arguments, for sequences that fill page_indices."""
    pages = kv_pages[page_indices]  # [X, M, S, 2K, H]
    keys, values = (pages[..., i::2, :].reshape(len(pages), -1, *_heads(pages)) for i in (0, 1))
    token = jnp.arange(len(q))
    row = jnp.searchsorted(cu_q_lens, token, side="right") - 1
    pos = (token - cu_q_lens[row + 1] + kv_lens[row])[:, None]
    at = jnp.arange(keys.shape[1])
    seen = at <= pos
    if sliding_window is not None:
        seen &= at > pos - sliding_window
    each = q.shape[1] // keys.shape[2]
    keys, values = (jnp.repeat(x, each, axis=2)[row] for x in (keys, values))
    scores = sm_scale * jnp.einsum("tnh,tcnh->tnc", q, keys)
    if soft_cap is not None:
        scores = soft_cap * jnp.tanh(scores / soft_cap)
    weights = jax.nn.softmax(jnp.where(seen[:, None], scores, -jnp.inf))
    return jnp.einsum("tnc,tcnh->tnh", weights, values)


def _heads(pages) -> tuple[int, int]:
    return pages.shape[3] // 2, pages.shape[4]


@pytest.mark.parametrize("window", [None, 6])
def test_what_stands_in_is_what_the_kernel_is_to_compute(window):
    draw = np.random.default_rng(0)
    q, pages = (jnp.asarray(draw.normal(size=d)) for d in ((15, 4, 16), (20, 4, 4, 16)))
    rest = (
        jnp.array([9, 5, 19], jnp.int32),
        jnp.asarray(draw.permutation(20)[:15].reshape(3, 5), jnp.int32),
        jnp.array([0, 3, 8, 15], jnp.int32), jnp.array([3], jnp.int32),
    )  # fmt: skip
    how = {"sm_scale": 0.3, "sliding_window": window, "soft_cap": 5.0}
    got = stand_in(q, pages, *rest, **how)
    np.testing.assert_allclose(got, ref_ragged_paged_attention(q, pages, *rest, **how), atol=1e-5)


@pytest.mark.parametrize("parts", [1, 2])
def test_rows_of_different_lengths_see_what_they_see_in_a_whole_text(parts, monkeypatch):
    monkeypatch.setattr(programs, "attend_ragged", partial(attend_ragged, kernel=stand_in))
    mesh = make_mesh(1, parts)
    model = random_model(SHAPE, mesh)
    cache = create(SHAPE, mesh, rows=4, n_pages=40, page_size=4, row_pages=10)
    # A call has room for four rows, of which the last is none; what is beyond a piece is padding.
    rows = np.array([[2, 0, 1, 4]], np.int32)
    expected = np.asarray(jax.jit(forward)(model, TEXTS))
    for start, end in zip(PIECES, PIECES[1:], strict=False):
        n = np.subtract(end, start)
        tokens = np.full((1, 4, 16), 59, np.int32)
        for x, text in enumerate(TEXTS):
            tokens[0, x, : n[x]] = text[start[x] : end[x]]
        hidden, cache = programs.extend(
            model, cache, rows, tokens, np.array([[*n, 0]], np.int32), mesh=mesh,
            context_pages=-(-max(start) // 4), attention="pallas",
        )  # fmt: skip
        for x in range(3):
            got = hidden[0, x, : n[x]]
            np.testing.assert_allclose(got, expected[x, start[x] : end[x]], rtol=0, atol=1e-4)
        assert np.isfinite(hidden).all()


@pytest.mark.parametrize(("changes", "parts", "message"), [
    ({"head_dim": 64}, 1, "heads of 64 are not a multiple of 128; pass --config.engine"),
    ({}, 4, "2 kv heads do not divide by mesh.model = 4"),
    ({"heads": 12, "kv_heads": 6}, 2, "3 kv heads on a device are not 1, 2, 4 or a multiple of 8"),
])  # fmt: skip
def test_models_that_the_kernel_does_not_fit(changes, parts, message):
    with pytest.raises(ValueError, match=message):
        backend.check_model("pallas", replace(SHAPE, **changes), make_mesh(1, parts))
    backend.check_model("pallas", SHAPE, make_mesh(1, 2))


def test_platforms_and_dtypes():
    backend.check_platform("pallas", "tpu", "bfloat16")
    refused = partial(pytest.raises, ValueError)
    with refused(match="'pallas', which needs a TPU, and this runs on cpu; pass --config.engine"):
        backend.check_platform("pallas", "cpu", "bfloat16")
    with refused(match="dtype is float32; pass --config.model.dtype=bfloat16"):
        backend.check_platform("pallas", "tpu", "float32")


@pytest.mark.parametrize("model", [1, 2])
def test_it_compiles_for_tpus(model):
    pytest.importorskip("libtpu", reason="needs libtpu: pip install 'ttc_jax[plan]'")
    mesh = make_mesh(4 // model, model, topologies.devices(topologies.topology("v5e:2x2")))
    shape = replace(SHAPE, heads=16, kv_heads=4)
    half = memory.model(shape, jnp.bfloat16)
    over = NamedSharding(mesh, P("data"))
    ints = partial(jax.ShapeDtypeStruct, dtype=jnp.int32, sharding=over)
    replicas = mesh.shape["data"]
    sizes = {"rows": 16, "n_pages": 256, "page_size": 16, "row_pages": 16}
    text = programs.extend.lower(
        memory.placed(half, parameter_shardings(half, mesh)),
        abstract(shape, mesh, jnp.bfloat16, **sizes),
        ints((replicas, 8)), ints((replicas, 8, 32)), ints((replicas, 8)), mesh=mesh,
        context_pages=8, attention="pallas",
    ).compile().as_text()  # fmt: skip
    assert text.count('custom_call_target="tpu_custom_call"') == shape.layers
