# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Budgets against those worked out by hand from paper section 7."""

import math

import pytest

from ttc_jax.model.shape import PRESETS
from ttc_jax.study.matched import (
    PRICED,
    Multipliers,
    Pair,
    matched_budget,
    matched_flops,
    multiplier,
    multipliers,
)


@pytest.mark.parametrize("M, R, convention, budget", [
    (14, 0.16, "arxiv", 257.75),  # 14 + 39 / 0.16
    (14, 0.79, "arxiv", 14 + 3900 / 79),  # 63.367...
    (14, 22, "arxiv", 347 / 22),  # 15.7727...
    (14, 0.08, "iclr", 257.75),  # 14 + 19.5 / 0.08
    (14, 0.395, "iclr", 14 + 3900 / 79),
    (14, 0.40, "iclr", 62.75),  # the paper rounds 0.395 up
    (14, 11, "iclr", 347 / 22),
    (14, 0.08, "iclr_small", 250.75),  # 7 + 19.5 / 0.08
    (14, 0.40, "iclr_small", 55.75),
    (14, 11, "iclr_small", 193 / 22),  # 8.7727...
    (2, 1, "arxiv", 5.0),
    (2, 1, "iclr", 3.5),
    (2, 1, "iclr_small", 2.5),
    (1, 0.3, "arxiv", 1.0),
    (1, 0.3, "iclr", 1.0),
    (1, 0.3, "iclr_small", 0.5),
    (4.5, 1e9, "arxiv", 4.5),
])  # fmt: skip
def test_multipliers_of_the_paper(M, R, convention, budget):
    assert multiplier(M, R, convention) == pytest.approx(budget, rel=1e-8)


def test_only_the_ratio_of_parameters_counts_on_equal_data():
    one = Pair(1.5e9, 21e9, 2e12, 2e12, 300, 300)
    for convention in PRICED:
        wanted = multiplier(14, 0.16, convention)
        assert matched_budget(one, convention, R=0.16) == pytest.approx(wanted)


def test_different_data_and_lengths_by_hand():
    # Pretraining: 6 * 1 * 10 = 60 against 6 * 3 * 40 = 720 FLOPs, 660 saved. A generation costs
    # 2 * 1 * 5 against 2 * 3 * 4 = 24. R = 0.5 is 5 inference tokens, one query: (24 + 660) / 10.
    pair = Pair(1, 3, 10, 40, 5, 4)
    assert pair.saved == 660 and pair.queries(0.5, "arxiv") == 1
    assert matched_budget(pair, "arxiv", R=0.5) == pytest.approx(68.4)
    assert matched_budget(pair, "arxiv", queries=1) == pytest.approx(68.4)
    assert matched_budget(pair, "iclr", queries=1) == pytest.approx((48 + 660) / 20)
    assert matched_budget(pair, "iclr_small", queries=1) == pytest.approx((24 + 660) / 20)
    # With 11 queries and 3 generations each of the large model: (3 * 24 + 60) / 10.
    assert matched_budget(pair, "arxiv", queries=11, generations=3) == pytest.approx(13.2)


@pytest.mark.parametrize("n", [1, 4, 32])
def test_the_large_model_may_think_too(n):
    found = matched_budget(Pair.scaled(14), "arxiv", R=0.79, generations=n)
    assert found == pytest.approx(14 * n + 39 / 0.79)


@pytest.mark.parametrize("convention", PRICED)
def test_both_lifetimes_cost_the_same(convention):
    pair = Pair(1.1e9, 7.3e9, 3e12, 2e12, 700, 450)
    price = {"arxiv": (2, 2), "iclr": (4, 4), "iclr_small": (4, 2)}[convention]
    queries = 3e8
    k = matched_budget(pair, convention, queries=queries, generations=5)
    small = 6 * 1.1e9 * 3e12 + queries * k * price[0] * 1.1e9 * 700
    large = 6 * 7.3e9 * 2e12 + queries * 5 * price[1] * 7.3e9 * 450
    assert small == pytest.approx(large)
    assert k == pytest.approx(
        matched_budget(pair, convention, R=queries * 700 / 3e12, generations=5)
    )


def test_a_small_model_trained_on_more_data_has_less_to_spend():
    # 6 * (2 * 1 - 1 * 3) = -6 FLOPs saved: 4 / 2 - 6 / (2 queries) generations are left.
    pair = Pair(1, 2, 3, 1)
    assert matched_budget(pair, "arxiv", queries=3) == pytest.approx(1.0)
    assert matched_budget(pair, "arxiv", queries=6) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="costs 6 FLOPs more .* which 1 queries do not make up"):
        matched_budget(pair, "arxiv", queries=1)


def test_counted_flops_by_hand():
    pair = Pair(1, 3, 10, 40)
    assert matched_flops(pair, 7.0, queries=66) == 17.0
    assert matched_flops(pair, 7.0, R=6.6) == pytest.approx(17.0)  # 66 queries for 10 tokens
    # On equal data F_s = F_l + 6 (N_l - N_s) / rho.
    for data in (1.0, 5e12):
        pair = Pair(2, 5, data, data)
        assert matched_flops(pair, 7.0, R=0.25) == pytest.approx(7 + 18 / 0.25)


def test_the_table_is_plain_numbers():
    rows = multipliers(Pair.scaled(14), [0.16, 22], ["arxiv", "iclr_small"], [1, 2])
    assert rows[0] == Multipliers(0.16, 1, {"arxiv": 257.75, "iclr_small": 128.875})
    assert [(row.R, row.generations) for row in rows] == [(0.16, 1), (0.16, 2), (22, 1), (22, 2)]
    assert rows[1].budgets["arxiv"] == pytest.approx(257.75 + 14)
    assert list(multipliers(Pair.scaled(2), [1])[0].budgets) == ["arxiv", "iclr", "iclr_small"]


def test_presets_have_their_real_parameters():
    small, large = "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct"
    pair = Pair.presets(small, large)
    M = PRESETS[large].params / PRESETS[small].params
    assert 15 < M < 16  # 494 million and 7.6 billion
    assert matched_budget(pair, "arxiv", R=1) == pytest.approx(4 * M - 3)
    more = Pair.presets(small, large, small_data=2.0, large_data=3.0)
    assert (more.small_data, more.large_data, more.small_params) == (2, 3, pair.small_params)


@pytest.mark.parametrize("call, message", [
    (lambda: multiplier(0.5, 1, "arxiv"), "M is 0.5: .* at least 1"),
    (lambda: multiplier(math.nan, 1, "arxiv"), "M is nan"),
    (lambda: multiplier(math.inf, 1, "arxiv"), "M is inf"),
    (lambda: multiplier(14, 0, "arxiv"), "R is 0: it must be positive"),
    (lambda: multiplier(14, -1, "iclr"), "R is -1"),
    (lambda: multiplier(14, math.nan, "iclr"), "R is nan"),
    (lambda: multiplier(14, math.inf, "iclr"), "R is inf"),
    (lambda: multiplier(14, 1, "neurips"), "'neurips'; there are .*arxiv, iclr, iclr_small"),
    (lambda: multiplier(14, 1, "counted"), "measured, not priced: use matched_flops"),
    (lambda: Pair(2, 1), "M = 0.5: .* swap the two"),
    (lambda: Pair(1, 2, 0.0), "small_data is 0.0"),
    (lambda: Pair(1, 2, 1, 1, math.nan), "small_tokens is nan"),
    (lambda: matched_budget(Pair(1, 2), "arxiv"), "either R or queries"),
    (lambda: matched_budget(Pair(1, 2), "arxiv", R=1, queries=1), "either R or queries"),
    (lambda: matched_budget(Pair(1, 2), "arxiv", queries=0), "queries is 0"),
    (lambda: matched_budget(Pair(1, 2), "arxiv", R=1, generations=0), "generations is 0"),
    (lambda: matched_flops(Pair(1, 2), math.nan, R=1), "large_flops is nan"),
    (lambda: matched_flops(Pair(1, 2), 1.0, R=0), "R is 0"),
    (lambda: Pair.presets("Qwen/Qwen3-0.6", "Qwen/Qwen3-8B"), "no preset 'Qwen/Qwen3-0.6'; .*0.6B"),
    (lambda: Pair.presets("Qwen/Qwen3-8B", "Qwen/Qwen3-0.6B"), "swap the two"),
])  # fmt: skip
def test_bad_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()
