# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import scipy.stats

from ttc_jax.study.bins import (
    Agreement,
    absolute_bins,
    agreement,
    edges_of,
    place,
    quantile_bins,
    spearman,
)


def ids(n: int) -> list[str]:
    return [f"q{i:03d}" for i in range(n)]


@pytest.mark.parametrize("n, n_bins", [(20, 5), (23, 5), (13, 3), (8, 2), (4, 1)])
def test_quantile_bins_are_even_and_follow_ease(n, n_bins):
    ease = np.random.default_rng(n).random(n)
    bins = quantile_bins(ease, ids(n), n_bins)
    sizes = np.bincount(bins)
    assert sizes.size == n_bins and sizes.max() - sizes.min() <= 1
    for one, other in itertools.combinations(range(n), 2):
        if ease[one] > ease[other]:
            assert bins[one] <= bins[other]


def test_ties_are_cut_by_the_ids_whatever_the_order():
    names, ease = ["d", "b", "h", "a", "g", "c", "f", "e"], [0.0] * 7 + [1.0]
    # The one solved question is the easiest; then a, b, c by name make up bin 0.
    wanted = {"e": 0, "a": 0, "b": 0, "c": 0, "d": 1, "f": 1, "g": 1, "h": 1}
    assert quantile_bins(ease, names, 2).tolist() == [wanted[name] for name in names]
    order = [7, 3, 1, 0, 6, 2, 5, 4]
    moved = quantile_bins([ease[i] for i in order], [names[i] for i in order], 2)
    assert moved.tolist() == [wanted[names[i]] for i in order]


def test_absolute_bins_are_those_of_liu_et_al():
    ease = [1.0, 0.9, 0.5, 0.7, 0.49, 0.3, 0.2, 0.1, 0.09, 0.0, 0.05, 0.01]
    assert absolute_bins(ease).tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_edges_put_the_questions_back_into_their_bins():
    ease = np.random.default_rng(0).random(50)
    bins = quantile_bins(ease, ids(50), 5)
    edges = edges_of(ease, bins)
    assert len(edges) == 4 and np.array_equal(place(ease, edges), bins)
    assert place(2.0, edges) == 0 and place(-1.0, edges) == 4
    assert edges_of([0.9, 0.7, 0.4, 0.2], [0, 0, 1, 1]) == (pytest.approx(0.55),)


def test_a_tie_that_was_cut_goes_to_the_easier_bin():
    ease = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    edges = edges_of(ease, quantile_bins(ease, ids(8), 2))
    assert edges == (0.0,) and place(0.0, edges) == 0


def test_spearman_agrees_with_scipy():
    rng = np.random.default_rng(1)
    for levels in (3, 10, 1000):
        x, y = rng.integers(levels, size=60), rng.integers(levels, size=60)
        assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert spearman([1, 2, 3], [5, 5, 5]) is None


def test_agreement():
    assert agreement([0, 0, 1, 1], [0, 1, 1, 1]) == Agreement(0.75, pytest.approx(1 / np.sqrt(3)))
    assert agreement([0, 1], [1, 0]) == Agreement(0.0, pytest.approx(-1.0))
    assert agreement([0, 0], [0, 0]) == Agreement(1.0, None)


@pytest.mark.parametrize("call, message", [
    (lambda: quantile_bins([0.5], ["a"], 2), "bin 1 of 2 has 1 questions.*fewer bins"),
    (lambda: quantile_bins(np.arange(19) / 19, ids(19), 5), "bin 5 of 5 has 3 questions.*more"),
    (lambda: quantile_bins([0.0] * 8, ids(8), 2), "all 8 questions have the same ease 0.*samples"),
    (lambda: quantile_bins([0.1, np.nan], ids(2), 1), "question 1 .* is nan"),
    (lambda: quantile_bins([0.1] * 4, ids(3), 1), "do not fit 3 questions"),
    (lambda: quantile_bins([0.1] * 4, ids(4), 0), "n_bins is 0"),
    (lambda: quantile_bins([], [], 1), "bin 1 of 1 has 0 questions"),
    (lambda: quantile_bins([[0.1] * 4] * 4, ids(4), 1), r"shape \(4, 4\)"),
    (lambda: absolute_bins([0.9] * 8), "bin 2 of 3 has 0 questions"),
    (lambda: absolute_bins([0.9] * 8, (0.1, 0.5)), "fall from easy to hard"),
    (lambda: edges_of([0.1, 0.9], [0, 1]), "bin 0 holds ease 0.1, bin 1 holds 0.9"),
    (lambda: edges_of([0.9, 0.1], [0, 2]), "numbered from 0"),
    (lambda: agreement([0], [0, 1]), "do not compare"),
])  # fmt: skip
def test_bad_bins(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_one_bin_needs_no_difficulty():
    assert quantile_bins([0.0] * 4, ids(4), 1).tolist() == [0] * 4
