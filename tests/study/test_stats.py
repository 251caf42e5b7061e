# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import scipy.stats

from ttc_jax.study.stats import (
    Interval,
    bootstrap,
    paired_bootstrap,
    pass_at_k,
    percentiles,
    ratio_bootstrap,
    resampled_means,
    resamples,
)


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


def test_resamples_are_deterministic_and_independent_of_chunks(monkeypatch):
    first = resamples(10, 500, seed=3)
    assert first.shape == (500, 10) and first.dtype == np.int32
    assert first.min() == 0 and first.max() == 9
    assert (resamples(10, 500, seed=4) != first).any()
    monkeypatch.setattr("ttc_jax.study.stats._CHUNK", 64)
    assert (resamples(10, 500, seed=3) == first).all()


def test_means_are_those_of_the_resampled_questions():
    values = np.random.default_rng(0).random((2, 3, 10))
    means = resampled_means(values, 500, seed=3)
    assert means.shape == (2, 3, 500)
    expected = values[..., resamples(10, 500, seed=3)].mean(axis=-1)
    np.testing.assert_allclose(means, expected, rtol=1e-14)
    interval = bootstrap(values[1, 2], n_resamples=500, seed=3)
    assert (interval.low, interval.high) == pytest.approx(percentiles(expected[1, 2]), rel=1e-14)


def test_a_share_of_counts_is_resampled_as_a_ratio():
    lost, followed = np.array([3, 0, 5, 0]), np.array([4, 0, 10, 6])
    found = ratio_bootstrap(lost, followed, n_resamples=5_000, seed=1)
    drawn = resamples(4, 5_000, seed=1)
    tops, bottoms = lost[drawn].sum(axis=1), followed[drawn].sum(axis=1)
    assert (bottoms == 0).any()  # only the question without any was drawn
    shares = tops[bottoms > 0] / bottoms[bottoms > 0]
    assert found.mean == 8 / 20 and found.n == 4
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(shares, [0.025, 0.975])))


def test_intervals_cover_the_truth_as_often_as_they_say():
    """4,000 made-up studies of 120 questions: the true mean lies in 95 % of the intervals."""
    rng = np.random.default_rng(0)
    easy, studies = rng.beta(0.7, 1.3, size=(4_000, 120)), 4_000
    first, second = rng.random(easy.shape) < easy, rng.random(easy.shape) < 0.8 * easy
    truths = {"mean": 0.7 / 2, "difference": 0.2 * 0.7 / 2}
    for name, values in (("mean", first), ("difference", first.astype(float) - second)):
        low, high = np.quantile(resampled_means(values, 1_000), [0.025, 0.975], axis=1)
        covered = ((low <= truths[name]) & (truths[name] <= high)).sum() / studies
        assert covered == pytest.approx(0.95, abs=0.02), name


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
    (lambda: ratio_bootstrap([0, 0], [0, 0]), "share of nothing"),
    (lambda: ratio_bootstrap([0], [1, 2]), "do not fit"),
    (lambda: resampled_means([[0.5, 1.0], [0.5, float("nan")]]), "value 1 is not finite"),
])
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()
