# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""FLOP counts against brute force, a ledger that loses nothing, conventions by hand."""

import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import jax
import jax.numpy as jnp
import pytest

from ttc_jax.core import flops
from ttc_jax.core.flops import CONVENTIONS, Ledger, apportion, inference, pretraining
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import abstract, forward, logits

SHAPE = ModelShape("llama", 512, 128, 2, 8, 4, 16, 256, 128)
HEAD = SHAPE.vocab * SHAPE.width
SIZES = {
    "block_weights": SHAPE.matmul_params - HEAD,
    "head_weights": HEAD,
    "attention_width": SHAPE.heads * SHAPE.head_dim,
    "layers": SHAPE.layers,
}
WINDOWS = ((), (0, 0), (7, 0), (7, 7), (1, 40), (0, 1000))


def test_attention_counts_every_key_and_value_read():
    start, tokens = 5, 7
    sizes = SIZES | {"block_weights": 0, "head_weights": 0}
    reads = sum(p + 1 for p in range(start, start + tokens))
    by_hand = sum(2 * 2 * SHAPE.heads * SHAPE.head_dim * reads for _ in range(SHAPE.layers))
    assert flops.forward(**sizes, start=start, tokens=tokens, logits=0) == by_hand


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_every_token_at_its_own_context(windows):
    """One token after the other, each key that the mask lets through in every layer."""
    shape = replace(SHAPE, windows=windows, value_classes=2, value_hidden=3)
    head, value = 2 * 512 * 128, 2 * (128 * 3 + 3 * 2)
    blocks = 2 * 2 * (128 * 16 * (8 + 4 + 4 + 8) + 3 * 128 * 256)
    cases = ((0, 1, 0, 0), (0, 30, 30, 0), (3, 12, 2, 12), (50, 9, 0, 1))
    for start, tokens, sampled, read in cases:
        expected = blocks * tokens + head * sampled + value * read
        for p in range(start, start + tokens):
            for window in windows or (0, 0):
                keys = [k for k in range(p + 1) if not window or k > p - window]
                expected += 2 * 2 * 8 * 16 * len(keys)
        counted = shape.forward_flops(start, tokens, sampled, read)
        assert counted == expected and type(counted) is int


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_a_prefix_and_its_continuation_add_up(windows):
    sizes = SIZES | {"windows": windows}
    whole = flops.forward(**sizes, start=0, tokens=30, logits=30)
    first = flops.forward(**sizes, start=0, tokens=11, logits=11)
    assert first + flops.forward(**sizes, start=11, tokens=19, logits=19) == whole


def test_counts_are_exact_beyond_floating_point():
    large = replace(SHAPE, width=2**16, layers=100, ffn=2**18)
    one = large.forward_flops(0, 2**20, 0)
    assert one > 2**63
    assert large.forward_flops(0, 2**20 - 1, 0) + large.forward_flops(2**20 - 1, 1, 0) == one


def test_within_a_few_percent_of_xla():
    tokens = 8
    model = abstract(SHAPE)
    pass_over = jax.jit(lambda model, x: logits(model, forward(model, x)))
    lowered = pass_over.lower(model, jax.ShapeDtypeStruct((1, tokens), jnp.int32))
    counted = lowered.compile().cost_analysis()["flops"]
    ours = flops.forward(**SIZES, start=0, tokens=tokens, logits=tokens)
    assert ours == pytest.approx(counted, rel=0.05)


# ------------------------------------------------------------------ the ledger


def test_shares_are_whole_and_as_near_as_whole_numbers_can_be():
    draw = random.Random(0)
    for _ in range(300):
        weights = {f"p{i}": draw.choice((0, 1, 7, 10**18)) for i in range(draw.randrange(1, 6))}
        weights["p0"] += 1
        total = draw.choice((0, 1, 5, 10**20 + 3))
        shares = apportion(total, weights)
        assert sum(shares.values()) == total and shares.keys() == weights.keys()
        for name, share in shares.items():
            assert abs(share - Fraction(total * weights[name], sum(weights.values()))) < 1
    assert apportion(5, {"a": 1, "b": 1}) == {"a": 3, "b": 2}
    assert apportion(10, {"a": 1, "b": 2, "c": 4}) == {"a": 1, "b": 3, "c": 6}


def test_a_ledger_loses_nothing():
    draw, ledger = random.Random(1), Ledger()
    useful, executed, moved = Counter(), 0, 0
    for _ in range(200):
        call = {p: draw.randrange(1, 10**12) for p in draw.sample("abcd", draw.randrange(1, 5))}
        spent, bytes_ = sum(call.values()) + draw.randrange(10**13), draw.randrange(10**13)
        ledger.charge(call, spent, bytes_)
        useful.update(call)
        executed, moved = executed + spent, moved + bytes_
        for column in (ledger.useful, ledger.executed, ledger.bytes):
            assert all(type(number) is int for number in column.values())
    assert ledger.useful == useful
    assert sum(ledger.executed.values()) == executed and sum(ledger.bytes.values()) == moved
    assert all(ledger.executed[phase] >= useful[phase] for phase in "abcd")


def test_padding_goes_by_what_was_useful():
    ledger = Ledger()
    ledger.charge({"decode": 30, "lookahead": 10}, 100, 8)
    ledger.charge({"decode": 5}, 5, 1)
    assert ledger.by_phase() == {
        "decode": {"useful": 35, "executed": 80, "bytes": 7},
        "lookahead": {"useful": 10, "executed": 25, "bytes": 2},
    }


def test_two_ledgers_are_one():
    one, other = Ledger(), Ledger()
    one.charge({"decode": 3}, 4, 5)
    other.charge({"verify": 1, "decode": 1}, 2, 2)
    both = {"decode": {"useful": 4, "executed": 5, "bytes": 6},
            "verify": {"useful": 1, "executed": 1, "bytes": 1}}  # fmt: skip
    assert (one + other).by_phase() == both
    assert (one + Ledger()).by_phase() == one.by_phase()
    assert one.useful == {"decode": 3}, "neither changed"


# ------------------------------------------------------------------ conventions


def test_conventions_of_both_versions_of_the_paper():
    n, m, tokens = 3, 42, 1000
    assert pretraining(n, tokens) == 6 * n * tokens
    assert set(CONVENTIONS) == {"counted", "arxiv", "iclr", "iclr_small"}
    costs = {
        name: (inference(n, tokens, name), inference(m, tokens, name, large=True))
        for name in CONVENTIONS
    }
    assert costs["arxiv"] == (2 * n * tokens, 2 * m * tokens)
    assert costs["iclr"] == (4 * n * tokens, 4 * m * tokens)
    assert costs["iclr_small"] == (4 * n * tokens, 2 * m * tokens)
    assert costs["counted"] == costs["arxiv"]


def test_the_stars_of_the_paper_stand_where_it_puts_them():
    """k from M (X + Y) = X + k Y at M = 14, in both versions (paper section 8)."""
    for convention, ratios in (("arxiv", (22, 0.79, 0.16)), ("iclr", (11, 0.40, 0.08))):
        found = []
        for ratio in ratios:
            x, y = pretraining(1, 1), inference(1, ratio, convention)
            large = inference(14, ratio, convention, large=True)
            found.append((13 * x + large) / y)
        assert found == pytest.approx([16, 64, 256], rel=0.03)


def test_a_convention_that_there_is_not():
    with pytest.raises(ValueError, match="'neurips'; there are counted, arxiv, iclr, iclr_small"):
        inference(1, 1, "neurips")


def test_the_floor_is_the_slower_of_the_two():
    assert flops.floor_seconds(100, 10, rate=50, bandwidth=10) == 2
    assert flops.floor_seconds(100, 90, rate=50, bandwidth=10) == 9
