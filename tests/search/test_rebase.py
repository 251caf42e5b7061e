# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Children in proportion to rewards: whole numbers that add up to the budget."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.oracle import largest_remainders
from search.recorded import Sample, drive

from ttc_jax.search.rebase import Rebase, apportion

BUDGETS = st.integers(0, 300)
TEMPERATURES = st.floats(1e-3, 1e3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), BUDGETS, TEMPERATURES)
def test_children_add_up_to_the_budget(values, budget, T):
    shares = apportion(values, budget, T)
    assert sum(shares) == budget
    assert min(shares) >= 0
    # Each is its exact share rounded down or up.
    weights = [math.exp((value - max(values)) / T) for value in values]
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - budget * weight / math.fsum(weights)) < 1 + 1e-9


@given(st.lists(st.integers(-99, 99), min_size=1, max_size=40), BUDGETS, TEMPERATURES)
def test_no_lower_value_gets_more_and_of_equals_the_first(values, budget, T):
    shares = apportion(values, budget, T)
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert [shares[i] for i in order] == sorted(shares, reverse=True)


@given(
    st.lists(st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0)), min_size=1, max_size=20),
    BUDGETS,
    st.sampled_from((0.01, 0.1, 1.0)),
)
def test_children_with_ties_as_in_exact_arithmetic(values, budget, T):
    assert apportion(values, budget, T) == largest_remainders(values, budget, T)


def test_children_computed_by_hand():
    assert apportion([0.5, 0.5, 0.5], 8, 0.1) == [3, 3, 2]  # 2.67 each
    # Weights 4 : 2 : 1 : 1; of 10 that is 5, 2.5, 1.25, 1.25: the half is rounded up.
    values = [0.0, -math.log(2), -math.log(4), -math.log(4)]
    assert apportion(values, 10, 1.0) == [5, 3, 1, 1]
    # Of 4 it is 2, 1, 0.5, 0.5: of equals the first.
    assert apportion(values, 4, 1.0) == [2, 1, 1, 0]
    assert apportion([1.0, 0.0], 16, 0.01) == [16, 0]
    assert apportion([0.0] * 49, 49, 0.1) == [1] * 49  # 49 * (1 / 49) is not 1 in floats


def test_what_has_ended_takes_its_part_of_the_budget():
    samples = {(i,): Sample(f"{i}\n", "step", 0.5) for i in range(4)}
    samples[(1,)] = Sample("one", "stop", 0.0)
    samples |= {(2,): Sample("2\n", "step", 0.7), (3,): Sample("3\n", "step", 0.2)}
    # Three are left for 0, 2, 3 with weights 7.4 : 54.6 : 0.4.
    samples |= {(2, i): Sample(f"{i}\n", "stop", 0.5) for i in range(3)}
    ran = drive(Rebase(N=4), samples)
    assert ran.asked == [[()] * 4, [(2,)] * 3]
    assert [path for path, _ in ran.candidates] == [(1,), (2, 0), (2, 1), (2, 2)]
    assert ran.roles[(0,)] == ran.roles[(3,)] == "pruned"
    # At T = 1 the weights are nearly even: one child each.
    samples |= {(0, 0): Sample("x", "stop", 0.5), (3, 0): Sample("y", "stop", 0.5)}
    assert drive(Rebase(N=4, T=1.0), samples).asked[1] == [(0,), (2,), (3,)]


def test_bad_parameters_are_refused():
    for T in (0, -0.1, math.nan, math.inf, "0.1", True):
        with pytest.raises(ValueError, match="give a finite number above 0"):
            Rebase(N=4, T=T)
    with pytest.raises(ValueError, match="rebase with N=0: give a whole number of at least 1"):
        Rebase(N=0)
    with pytest.raises(ValueError, match="rounds=0"):
        Rebase(N=4, rounds=0)
