# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Questions held out by their hashes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttc_jax.data.split import held_out

IDS = [f"word/{i}" for i in range(200)]


@given(st.sets(st.text(max_size=5), min_size=4), st.floats(0.2, 0.8), st.integers(0, 9))
@settings(deadline=None)
def test_the_fraction_is_met_to_the_nearest_whole(ids, fraction, seed):
    chosen = held_out(ids, fraction, seed)
    assert chosen < ids and abs(len(chosen) - fraction * len(ids)) <= 0.5


def test_neither_order_nor_repetition_matters_but_the_seed_does():
    chosen = held_out(IDS, 0.1)
    assert chosen == held_out(reversed(IDS), 0.1) == held_out(IDS * 3, 0.1)
    assert chosen != held_out(IDS, 0.1, seed=1)
    assert chosen < held_out(IDS, 0.2)


def test_sets_that_overlap_are_split_alike():
    few, many = held_out(IDS[:100], 0.5), held_out(IDS, 0.5)
    assert len(few ^ (many & set(IDS[:100]))) < 20


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_fraction_that_is_none(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        held_out(IDS, fraction)


@pytest.mark.parametrize(("ids", "fraction"), [([], 0.5), (IDS[:4], 0.1), (IDS[:4], 0.9)])
def test_neither_side_may_be_empty(ids, fraction):
    with pytest.raises(ValueError, match=f"of {len(ids)} questions"):
        held_out(ids, fraction)
