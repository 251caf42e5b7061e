# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import scipy.stats

from ttc_jax.study.difficulty import Difficulty, Shrinkage, few, fit_shrinkage, oracle, predicted


def test_oracle_is_the_share_of_right_samples():
    found = oracle([0, 3, 8], [8, 8, 8], [10.0, 20.0, 30.0])
    assert found.ease.tolist() == [0.0, 0.375, 1.0]
    assert found.flops.tolist() == [10.0, 20.0, 30.0]
    assert (found.name, found.samples, found.label_free) == ("oracle", 8.0, False)
    wanted = [scipy.stats.beta(1 + c, 9 - c).std() for c in (0, 3, 8)]
    assert found.spread == pytest.approx(wanted)


def test_predicted_is_the_mean_value():
    found = predicted([[0.2, 0.4], [0.9, 0.5, np.nan, 0.6]], [1, 2])
    assert found.ease == pytest.approx([0.3, 0.5])  # what has no value counts 0
    assert found.spread[0] == pytest.approx(0.1)  # sd sqrt(0.02) over sqrt(2)
    assert (found.name, found.samples, found.label_free) == ("predicted", 3.0, True)
    assert predicted([[0.2], [0.4]], [1, 2]).spread is None


def test_shrinkage_by_hand():
    # Means 0.5, 1, 0: within = (0.5 + 0 + 0) / 3; between = 0.25 - (1/6) / 2.
    known = fit_shrinkage([[0, 1], [1, 1], [0, 0]])
    assert (known.mean, known.between, known.within) == pytest.approx((1 / 2, 1 / 6, 1 / 6))
    ease, spread = known.estimate([1, 1])
    assert ease == pytest.approx(0.5 + 2 / 3 * 0.5)  # b = (1/6) / (1/6 + 1/12)
    assert spread == pytest.approx(np.sqrt(2 / 3 / 12))


def test_shrinkage_of_right_and_wrong_is_a_beta_binomial_posterior():
    a, b = 0.8, 2.4
    prior = scipy.stats.beta(a, b)
    within = prior.mean() - (prior.var() + prior.mean() ** 2)  # the mean of p (1 - p)
    known = Shrinkage(prior.mean(), prior.var(), within)
    for c, m in [(0, 1), (1, 4), (4, 4), (7, 16)]:
        values = [1] * c + [0] * (m - c)
        assert known.estimate(values)[0] == pytest.approx((a + c) / (a + b + m))


def test_moments_are_unbiased_for_unequal_numbers_of_samples():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 6, size=40)
    fits = []
    for _ in range(400):
        ease = 0.5 + 0.3 * rng.standard_normal(40)
        fits.append(
            fit_shrinkage([
                e + 0.2 * rng.standard_normal(m) for e, m in zip(ease, sizes, strict=True)
            ])
        )  # fmt: skip
    within, between = ([getattr(f, name) for f in fits] for name in ("within", "between"))
    for values, truth in ((within, 0.04), (between, 0.09)):
        assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / 20)


def test_few_is_closer_to_the_truth_than_the_mean_and_knows_how_far_off_it_is():
    rng = np.random.default_rng(1)
    truth = 0.5 + 0.1 * rng.standard_normal(2000)
    values = truth[:, None] + 0.3 * rng.standard_normal((2000, 4))
    found = few(values, np.ones(2000))
    error = found.ease - truth
    assert np.mean(error**2) < 0.4 * np.mean((values.mean(1) - truth) ** 2)
    # The posterior mean square error: between within / (within + m between) = 0.00692.
    assert np.mean(error**2) == pytest.approx(0.00692, rel=0.1)
    assert found.spread == pytest.approx(np.sqrt(0.00692), rel=0.1)
    inside = np.abs(error) < 1.96 * found.spread
    assert 0.93 < inside.mean() < 0.97
    assert (found.name, found.samples, found.label_free) == ("few", 4.0, True)


def test_few_becomes_the_mean_with_many_samples():
    rng = np.random.default_rng(2)
    values = rng.random((6, 1)) + 0.1 * rng.standard_normal((6, 100_000))
    found = few(values, np.ones(6), label_free=False)
    assert found.ease == pytest.approx(values.mean(1), abs=1e-5)
    assert not found.label_free


def test_without_noise_nothing_is_shrunk_and_without_differences_everything():
    assert few([[0.2, 0.2], [0.6, 0.6]], [1, 1]).ease.tolist() == [0.2, 0.6]
    alike = few([[0, 1], [1, 0], [1, 0]], [1, 1, 1])
    assert alike.ease.tolist() == [0.5] * 3 and alike.spread.tolist() == [0.0] * 3
    assert few([[0.5, 0.5], [0.5]], [1, 1]).ease.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("call, message", [
    (lambda: oracle([3], [2], [1]), "0 <= right <= samples"),
    (lambda: oracle([0], [0], [1]), "samples >= 1"),
    (lambda: oracle([1, 2], [2, 2], [1]), r"flops of shape \(1,\)"),
    (lambda: oracle([1], [2], [np.inf]), "flops of question 0 .* is inf"),
    (lambda: predicted([[0.1], []], [1, 1]), "question 1 .* has no samples"),
    (lambda: predicted([[np.nan], [np.nan]], [1, 1]), "score the samples with a verifier"),
    (lambda: predicted([], []), "verifier"),
    (lambda: few([[0.1], [0.3]], [1, 1]), "2 or more samples"),
    (lambda: few([[0.1, 0.2]], [1]), "at least 2 questions"),
    (lambda: Shrinkage(0.5, -0.1, 0.1), "between is -0.1"),
    (lambda: Shrinkage(np.nan, 0.1, 0.1), "mean is nan"),
    (lambda: Shrinkage(0.5, 0.1, 0.1).estimate([]), "at least one finite value"),
    (lambda: Shrinkage(0.5, 0.1, 0.1).estimate([np.nan]), "at least one finite value"),
    (lambda: Difficulty("probe", np.array([np.nan]), None, np.ones(1), 0, True), "ease of quest"),
])  # fmt: skip
def test_bad_samples(call, message):
    with pytest.raises(ValueError, match=message):
        call()
