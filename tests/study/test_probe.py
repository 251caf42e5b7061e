# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import scipy.optimize

from ttc_jax.study.bins import spearman
from ttc_jax.study.probe import Probe, cross_fitted, fit_probe


def ids(n: int) -> list[str]:
    return [f"q{i}" for i in range(n)]


def problem(n, width, signal=1.5, samples=16, seed=0):
    """Features, counts and true ease of n questions; the ease lies along one direction."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, width)) * rng.uniform(0.1, 10.0, width) + rng.normal(0, 5, width)
    direction = rng.standard_normal(width)
    z = (x - x.mean(0)) / x.std(0) @ direction
    ease = 1 / (1 + np.exp(-signal * z / z.std()))
    return x, rng.binomial(samples, ease), np.full(n, samples), ease


@pytest.mark.parametrize("n, width", [(60, 5), (30, 80)])  # fewer and more features than questions
@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_the_fit_is_the_minimum_found_by_scipy(n, width, strength):
    x, right, samples, _ = problem(n, width)
    probe = fit_probe(x, right, samples, ids(n), strengths=[strength])
    z, y = (x - x.mean(0)) / x.std(0), right / samples

    def objective(w):
        logits = z @ w[:-1] + w[-1]
        loss = np.logaddexp(0, logits) - y * logits
        p = 1 / (1 + np.exp(-logits))
        slope = np.append(z.T @ (p - y) / n + strength * w[:-1], (p - y).mean())
        return loss.mean() + strength / 2 * w[:-1] @ w[:-1], slope

    best = scipy.optimize.minimize(
        objective, np.zeros(width + 1), jac=True, method="BFGS", options={"gtol": 1e-10}
    )
    assert np.append(probe.weights, probe.bias) == pytest.approx(best.x, abs=1e-6)
    assert (probe.strength, probe.questions) == (strength, n)


def test_the_probe_tells_ease_of_new_questions():
    x, right, samples, ease = problem(600, 40)
    probe = fit_probe(x[:400], right[:400], samples[:400], ids(400))
    found = probe.difficulty(x[400:], np.full(200, 7.0))
    assert spearman(found.ease, ease[400:]) > 0.9
    assert np.abs(found.ease - ease[400:]).mean() < 0.1
    assert (found.name, found.samples, found.label_free, found.spread) == ("probe", 0, True, None)
    assert found.flops.tolist() == [7.0] * 200
    assert probe.loss < probe.constant_loss - 0.1
    # One row or many: sums may be rounded otherwise.
    assert probe.predict(x[400]) == pytest.approx(found.ease[0], rel=1e-12)


def test_without_a_signal_the_probe_falls_back_on_the_mean():
    x, _, samples, _ = problem(120, 40)
    right = np.random.default_rng(5).binomial(16, 0.3, size=120)
    probe = fit_probe(x, right, samples, ids(120))
    assert np.abs(probe.predict(x) - right.mean() / 16).mean() < 0.03
    assert probe.loss == pytest.approx(probe.constant_loss, abs=0.002)


def test_predictions_for_the_training_questions_do_not_see_their_answers():
    # Features without a signal, more of them than questions: fitted values follow the labels.
    rng = np.random.default_rng(0)
    n = 60
    x, right, samples = rng.standard_normal((n, 90)), rng.integers(2, size=n) * 16, np.full(n, 16)
    weak = [1e-3]
    fitted = fit_probe(x, right, samples, ids(n), strengths=weak).predict(x)
    assert spearman(fitted, right) > 0.8
    held = cross_fitted(x, right, samples, ids(n), np.ones(n), strengths=weak)
    assert abs(spearman(held.ease, right)) < 0.3


def test_cross_fitting_changes_no_prediction_with_the_label_of_its_question():
    x, right, samples, ease = problem(60, 4)
    first = cross_fitted(x, right, samples, ids(60), np.ones(60), k=3)
    right = right.copy()
    right[17] = 16 - right[17]
    second = cross_fitted(x, right, samples, ids(60), np.ones(60), k=3)
    assert second.ease[17] == first.ease[17]
    assert (second.ease != first.ease).sum() > 30
    assert spearman(first.ease, ease) > 0.8 and first.label_free


def test_a_fold_whose_others_are_all_alike_is_no_obstacle():
    x = np.random.default_rng(0).standard_normal((10, 3))
    right = [1] + [0] * 9
    probe = fit_probe(x, right, [1] * 10, ids(10))
    assert np.isfinite(probe.loss) and probe.predict(x).mean() == pytest.approx(0.1)


def test_a_constant_feature_does_not_matter():
    x, right, samples, _ = problem(50, 3)
    plain = fit_probe(x, right, samples, ids(50))
    more = fit_probe(np.c_[x, np.full(50, 4.0)], right, samples, ids(50))
    assert more.weights == pytest.approx(np.append(plain.weights, 0.0))


def test_a_probe_is_the_same_after_a_file():
    x, right, samples, _ = problem(40, 6)
    probe = fit_probe(x, right, samples, ids(40))
    again = Probe.from_json(json.loads(json.dumps(probe.to_json())))
    assert np.array_equal(again.predict(x), probe.predict(x))
    assert again.to_json() == probe.to_json() and type(again.questions) is int


@pytest.mark.parametrize("field, value, message", [
    ("bias", None, "probe.bias is missing"),
    ("bias", "x", "probe.bias is missing or malformed"),
    ("bias", [1.0], "probe.bias must be a finite number"),
    ("weights", [1.0], "differ in length"),
    ("mean", [float("nan")] * 6, "probe.mean must be a list of finite"),
    ("scale", [], "probe.scale must be a list"),
])  # fmt: skip
def test_a_malformed_probe_is_named(field, value, message):
    x, right, samples, _ = problem(40, 6)
    stored = fit_probe(x, right, samples, ids(40), strengths=[1.0]).to_json()
    stored |= {field: value}
    if value is None:
        del stored[field]
    with pytest.raises(ValueError, match=message):
        Probe.from_json(stored)


@pytest.mark.parametrize("change, message", [
    ({"right": [0] * 40}, "every sample of every question is wrong"),
    ({"right": [16] * 40}, "every sample of every question is right"),
    ({"right": [17] * 40}, "0 <= right <= samples"),
    ({"samples": [0] * 40}, "samples >= 1"),
    ({"right": [1] * 39}, "counts of shapes"),
    ({"features": np.full((40, 2), np.nan)}, "features of question 'q0'"),
    ({"features": np.ones(40)}, r"features of shape \(40,\)"),
    ({"strengths": [0.0]}, "must be positive"),
    ({"strengths": []}, "give at least one"),
    ({"k": 30}, "40 questions are too few for 30 folds"),
])  # fmt: skip
def test_bad_training_data(change, message):
    x, right, samples, _ = problem(40, 2)
    given = {"features": x, "right": right, "samples": samples} | change
    with pytest.raises(ValueError, match=message):
        fit_probe(questions=ids(40), **given)


def test_features_of_another_model_are_refused():
    x, right, samples, _ = problem(40, 6)
    probe = fit_probe(x, right, samples, ids(40), strengths=[1.0])
    with pytest.raises(ValueError, match="do not fit a probe of 6"):
        probe.predict(x[:, :5])
    with pytest.raises(ValueError, match="not finite"):
        probe.predict(x * np.nan)
