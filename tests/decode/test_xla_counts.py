# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What is charged as executed is what XLA gets to compute, to the last product."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from decode import lowered
from decode.lowered import PAGE, dot_flops

from ttc_jax.decode.meter import Meter
from ttc_jax.model.shape import PRESETS, ModelShape
from ttc_jax.model.transformer import abstract, forward, logits, values
from ttc_jax.verify.readers import ClassProb, SigmoidValue, TokenPair

# One shape of each family, tied and not, with two layers, and windows that are shorter than texts.
FAMILIES = {
    f"{shape.family} {'tied' if shape.tied else 'untied'}": replace(
        shape, layers=2, windows=tuple(min(w, 40) for w in shape.windows[:2])
    )
    for shape in PRESETS.values()
}
EXTEND = {"rows": 5, "tokens": 32, "context_pages": 3}
SEGMENT = {"rows": 6, "n": 16, "own_pages": 2}
GROUPS = {"count": 2, "members": 4, "pages": 3}
of_every_family = pytest.mark.parametrize("shape", FAMILIES.values(), ids=FAMILIES)


def _extend(shape, reader=None, replicas=1, **sizes) -> int:
    """FLOPs executed in one call of `extend`."""
    meter = Meter(shape, jnp.float32, replicas=replicas, page_size=PAGE)
    meter.extend([("prefill", 0, 1)], reader=reader, **(EXTEND | sizes))
    return meter.ledger.executed["prefill"]


def _segment(shape, steps=1, replicas=1) -> int:
    """FLOPs executed in one segment."""
    meter = Meter(shape, jnp.float32, replicas=replicas, page_size=PAGE)
    grouped = lowered.groups(replicas, SEGMENT["rows"], **GROUPS)
    meter.segment([("decode", 0, 1)], steps=steps, groups=grouped, **SEGMENT)
    return meter.ledger.executed["decode"]


def test_every_family_is_there():
    assert {shape.family for shape in FAMILIES.values()} == {
        "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text",
    }  # fmt: skip


@of_every_family
def test_extend_executes_what_xla_gets(shape):
    shape = replace(shape, value_classes=2, value_hidden=96)
    program = lowered.extend(shape, reader=ClassProb(1), **EXTEND)
    executed = _extend(shape, ClassProb(1))
    assert executed == dot_flops(program)
    assert executed == pytest.approx(program.cost_analysis()["flops"], rel=0.01)


@of_every_family
def test_a_step_of_a_segment_executes_what_xla_gets(shape):
    program = lowered.segment(shape, lowered.groups(1, SEGMENT["rows"], **GROUPS), **SEGMENT)
    executed = _segment(shape)
    assert executed == dot_flops(program)
    assert executed == pytest.approx(program.cost_analysis()["flops"], rel=0.01)
    assert _segment(shape, steps=7) == 7 * executed


@of_every_family
def test_a_whole_text_is_what_xla_gets_but_for_masked_keys(shape):
    tokens = 60
    shape = replace(shape, value_classes=2, value_hidden=96)

    @jax.jit
    def read(model, x):
        hidden = forward(model, x)
        return logits(model, hidden), values(model, hidden)

    program = read.lower(abstract(shape), lowered.array(1, tokens))
    masked = 0
    for layer in range(shape.layers):
        for p in range(tokens):
            masked += tokens - min(p + 1, shape.window(layer) or tokens)
    useful = shape.forward_flops(0, tokens, tokens, tokens)
    assert useful + 4 * shape.heads * shape.head_dim * masked == dot_flops(program)
    assert useful == pytest.approx(program.cost_analysis()["flops"], rel=0.01)


SMALL = ModelShape("gemma2", 60, 24, 2, 4, 2, 8, 32, 1024, windows=(9, 0), qkv_bias=True)


def test_replicas_execute_as_much_each():
    program = lowered.extend(SMALL, replicas=2, **EXTEND)
    assert _extend(SMALL, replicas=2) == 2 * dot_flops(program)
    grouped = lowered.groups(2, SEGMENT["rows"], **GROUPS)
    program = lowered.segment(SMALL, grouped, replicas=2, **SEGMENT)
    assert _segment(SMALL, replicas=2) == 2 * dot_flops(program)


@pytest.mark.parametrize(
    ("changes", "reader"),
    [({}, None), ({}, TokenPair(3, 5)), ({"value_classes": 1}, SigmoidValue())],
    ids=["nothing", "two tokens", "a value"],
)
@pytest.mark.parametrize("context_pages", [0, 2])
def test_only_what_is_read_is_multiplied(changes, reader, context_pages):
    shape, sizes = replace(SMALL, **changes), EXTEND | {"context_pages": context_pages}
    program = lowered.extend(shape, reader=reader, **sizes)
    assert _extend(shape, reader, context_pages=context_pages) == dot_flops(program)
