# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a device call is charged: what its rows did, what was computed beside, what was moved."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh, path_name
from ttc_jax.decode.batch import Extension, Job
from ttc_jax.decode.engine import Engine
from ttc_jax.decode.forest import Forest
from ttc_jax.decode.meter import Meter
from ttc_jax.decode.sample import Sampler
from ttc_jax.decode.segment import Groups
from ttc_jax.decode.stop import build
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import abstract
from ttc_jax.verify.readers import SigmoidValue, TokenPair

SMALL = ModelShape("gemma2", 60, 24, 2, 4, 2, 8, 32, 1024, windows=(9, 0), qkv_bias=True)
PAGE = 8


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("replicas", [1, 2])
def test_bytes_are_those_of_the_arrays(dtype, replicas):
    shape = replace(SMALL, value_classes=1)
    leaves = jax.tree_util.tree_leaves_with_path(abstract(shape, dtype))
    sizes = {path_name(path): leaf.size * leaf.dtype.itemsize for path, leaf in leaves}
    head, value = sizes["head"], sizes["value_head"]
    blocks = sum(size for path, size in sizes.items() if path.startswith("blocks/"))
    weights = blocks + sizes["norm"]
    item = jnp.dtype(dtype).itemsize
    token, embedding = 2 * 2 * 2 * 8 * item, 24 * item  # keys and values, layers, kv heads, numbers

    meter = Meter(shape, dtype, replicas=replicas, page_size=PAGE)
    meter.extend([("prefill", 0, 1)], rows=5, tokens=32, context_pages=3, reader=SigmoidValue())
    read, written = 5 * (3 * PAGE + 32), 5 * 32
    each = weights + value + 5 * 32 * embedding + token * (read + written)
    assert meter.ledger.bytes["prefill"] == replicas * each

    # Six rows with a tail of 16 tokens and two pages of their own; two groups of four rows, which
    # share three pages.
    pages, members = (np.zeros((replicas, 2, n), np.int32) for n in (3, 4))
    groups = Groups(pages, members[..., 0], members, None, None)
    meter.segment([("decode", 0, 1)], rows=6, steps=7, n=16, own_pages=2, groups=groups)
    context, tail = 6 * 2 * PAGE + 2 * 3 * PAGE, 6 * 16
    step = weights + head + 6 * embedding + token * (context + tail + 6)
    each = 7 * step + token * (2 * context + 2 * tail)
    assert meter.ledger.bytes["decode"] == replicas * each


# ------------------------------------------------------------------ what the rows did

VOCAB = 60
NEVER = build([bytes([i]) for i in range(VOCAB)], (), ["no such text"])
ATTENTION = 4 * SMALL.heads * SMALL.head_dim
BEGINS = [[row, *range(1, 32)] for row in range(8)]
_model = cache(lambda replicas=1: random_model(SMALL, make_mesh(replicas)))


def _forest(replicas: int = 1) -> Forest:
    return Forest(
        _model(replicas), mesh=make_mesh(replicas), rows=8, context=64, pages=128, page_size=4
    )


def _masked(start: int, tokens: int, keys: int) -> int:
    """Keys that the mask hides from tokens that are multiplied with `keys` keys, in both layers."""
    seen = [min(p + 1, w) for p in range(start, start + tokens) for w in (9, 10**9)]
    return 2 * tokens * keys - sum(seen)


def test_a_call_without_padding_executes_masked_keys_alone():
    """Eight prompts of 32 tokens: all rows and all tokens of a call."""
    forest = _forest()
    forest.plant([(0, tokens) for tokens in BEGINS])
    (found,) = forest.meter.ledger.by_phase().items()
    phase, spent = found
    assert phase == "prefill"
    assert spent["useful"] == 8 * SMALL.forward_flops(0, 32, 0)
    assert spent["executed"] - spent["useful"] == 8 * ATTENTION * _masked(0, 32, 32)


def test_a_segment_without_padding_executes_masked_keys_alone():
    """Eight rows that sample 16 tokens in 16 steps, behind 32 that they do not share."""
    forest = _forest()
    forest.plant([(0, tokens) for tokens in BEGINS])
    engine = Engine(forest, stop=NEVER, sampler=Sampler(1.0), lanes=8, segment=16)
    jobs = [Job(row, 1, row, 5, 16, phase="decode" if row < 5 else "rollout") for row in range(8)]
    engine.run([jobs], refill=False)
    assert [job.length for job in jobs] == [16] * 8
    ledger = forest.meter.ledger
    each = SMALL.forward_flops(32, 16, 16)
    assert (ledger.useful["decode"], ledger.useful["rollout"]) == (5 * each, 3 * each)
    spent = ledger.executed["decode"] + ledger.executed["rollout"]
    # All pages that a row can have are read, of 4 tokens each, and a tail of 16 tokens.
    keys = forest.row_pages * 4 + 16
    assert spent - 8 * each == ATTENTION * 8 * _masked(32, 16, keys)
    assert 3 * ledger.executed["decode"] - 5 * ledger.executed["rollout"] in range(-5, 6)


def test_stretches_of_two_phases_are_told_apart_in_every_chunk():
    """Rows of many lengths, in chunks, each with a rollout at its end."""
    forest, reader = _forest(replicas=2), TokenPair(3, 5)
    lengths = [(5, 0), (0, 7), (20, 3), (31, 2), (32, 9), (33, 1), (1, 40), (50, 10)]
    work = [
        Extension(forest.take(i % 2), list(range(a + b)), "verify", b)
        for i, (a, b) in enumerate(lengths)
    ]
    forest.extend(work, reader)
    ledger = forest.meter.ledger
    two_rows = 2 * 2 * 24
    for phase, spans in (
        ("verify", [(0, a) for a, _ in lengths]),
        ("verify_lookahead", lengths),
    ):
        expected = sum(SMALL.forward_flops(a, n, 0) + two_rows * n for a, n in spans)
        assert ledger.useful[phase] == expected
        assert ledger.executed[phase] > expected


def test_prompts_are_charged_to_their_phases():
    forest = _forest()
    forest.plant([(0, BEGINS[0]), (0, BEGINS[1][:9])], ["prefill", "revision_context"])
    assert forest.meter.ledger.useful == {
        "prefill": SMALL.forward_flops(0, 32, 0),
        "revision_context": SMALL.forward_flops(0, 9, 0),
    }
    forest.plant([(0, [*BEGINS[0][:20], 7, 7])], ["revision_context"])
    shared = SMALL.forward_flops(0, 9, 0) + SMALL.forward_flops(20, 2, 0)
    assert forest.meter.ledger.useful["revision_context"] == shared
