# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import scipy.stats

from ttc_jax.study.stats import Interval, bootstrap, paired_bootstrap, pass_at_k


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_sample(n):
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k(n, c, k) == sum(map(any, subsets)) / len(subsets)


def test_pass_at_k_for_many_samples():
    # Against the product form 1 - prod(1 - k / i), i = n - c + 1 .. n, in extended precision.
    for n, c, k in [(2048, 1, 1), (2048, 3, 512), (10_000, 2000, 100), (512, 511, 256)]:
        i = np.arange(n - c + 1, n + 1, dtype=np.longdouble)
        assert pass_at_k(n, c, k) == pytest.approx(float(1 - np.prod(1 - k / i)), rel=1e-12)
    assert pass_at_k(16, 0, 16) == 0.0 and pass_at_k(16, 1, 16) == 1.0


@pytest.mark.parametrize("n, c, k", [(0, 0, 1), (4, 1, 0), (4, 1, 5), (4, 5, 1), (4, -1, 1)])
def test_pass_at_k_refuses_impossible_counts(n, c, k):
    with pytest.raises(ValueError, match="pass@k needs"):
        pass_at_k(n, c, k)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(0).random(40)
    ours = bootstrap(values, n_resamples=20_000, level=0.9, seed=1)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile", rng=2
    ).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert ours.n == 40
    # The quantiles of 20,000 resamples have a standard error near 0.001.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.005)


def test_bootstrap_is_deterministic_and_independent_of_chunks(monkeypatch):
    values = np.arange(10.0) ** 2
    first = bootstrap(values, n_resamples=500, seed=3)
    assert bootstrap(values, n_resamples=500, seed=3) == first
    assert bootstrap(values, n_resamples=500, seed=4) != first
    monkeypatch.setattr("ttc_jax.study.stats._CHUNK", 64)
    assert bootstrap(values, n_resamples=500, seed=3) == first


def test_bootstrap_of_one_question_has_no_width():
    assert bootstrap([0.25]) == Interval(0.25, 0.25, 0.25, 1)
    assert bootstrap([1, 1, 1]) == Interval(1.0, 1.0, 1.0, 3)


def test_paired_difference_uses_the_pairing():
    rng = np.random.default_rng(0)
    easy = rng.random(60)
    paired = paired_bootstrap(easy + 0.1 + 0.01 * rng.standard_normal(60), easy)
    assert paired.mean == pytest.approx(0.1, abs=0.01) and paired.low > 0.09
    # Without pairing the spread over questions would hide the difference.
    assert paired.high - paired.low < 0.1 * (bootstrap(easy).high - bootstrap(easy).low)


@pytest.mark.parametrize("call, message", [
    (lambda: bootstrap([]), r"shape \(0,\)"),
    (lambda: bootstrap([[1.0]]), r"shape \(1, 1\)"),
    (lambda: bootstrap([1.0, float("nan")]), "value 1 is not finite"),
    (lambda: bootstrap([1.0], level=1.0), "level"),
    (lambda: bootstrap([1.0], n_resamples=0), "n_resamples"),
    (lambda: paired_bootstrap([1.0], [1.0, 2.0]), "differ"),
])
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()
