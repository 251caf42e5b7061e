# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from ttc_jax.study.folds import folds

IDS = [f"q{i}" for i in range(97)]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_folds_are_balanced_within_every_bin(k):
    bins = np.array([0] * 40 + [1] * 37 + [2] * 20)
    found = folds(IDS, bins, k)
    for number in range(3):
        sizes = np.bincount(found[bins == number], minlength=k)
        assert sizes.sum() == (bins == number).sum() and sizes.max() - sizes.min() <= 1
    assert np.bincount(found, minlength=k).max() - np.bincount(found).min() <= 1


def test_the_fold_of_a_question_does_not_depend_on_the_order_or_the_process():
    bins = np.arange(97) % 4
    order = np.random.default_rng(0).permutation(97)
    moved = folds([IDS[i] for i in order], bins[order])
    assert np.array_equal(moved, folds(IDS, bins)[order])
    # sha256 of "a", "b", "c" and "d" begin with ca, 3e, 2e and 18: d, c, b, a.
    assert folds(["a", "b", "c", "d"]).tolist() == [1, 0, 1, 0]


def test_folds_do_not_follow_the_ids():
    halves = folds([f"{i:04d}" for i in range(1000)])
    assert 400 < (halves[:-1] == halves[1:]).sum() < 600


@pytest.mark.parametrize("call, message", [
    (lambda: folds(["a", "b"], k=1), "k is 1"),
    (lambda: folds(["a", "b", "a"]), "'a' is listed twice"),
    (lambda: folds(["a", "b"], [0]), "do not fit 2 questions"),
    (lambda: folds(["a", "b", "c"], [0, 0, 1]), "bin 2 has 1 questions, too few for 2 folds"),
])  # fmt: skip
def test_bad_folds(call, message):
    with pytest.raises(ValueError, match=message):
        call()
