# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A linear probe that tells from a prompt alone how easy a question is.

Logistic regression from features of the prompt (such as the policy's last hidden state) to the
share of samples that are right: the cheap, question-only predictor that the paper asks for in
section 8, after uncounted samples in section 3.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ttc_jax.study.difficulty import Difficulty
from ttc_jax.study.folds import folds

STRENGTHS = tuple(10.0**power for power in range(-3, 5))
_NEWTON_STEPS = 100


@dataclass(frozen=True)
class Probe:
    """ease = sigmoid(bias + weights . (features - mean) / scale).

    Attributes:
      weights, mean, scale: f64[D]; bias: the logit at the mean features.
      strength: the L2 penalty on the weights, chosen by cross-validation.
      questions: how many it was trained on.
      loss: its mean cross-entropy in nats on questions held out; constant_loss: that of the share
        of right samples alone. A probe is worth no more than the difference.
    """

    weights: np.ndarray
    bias: float
    mean: np.ndarray
    scale: np.ndarray
    strength: float
    questions: int
    loss: float
    constant_loss: float

    def predict(self, features: ArrayLike) -> np.ndarray:
        """Ease in (0, 1) from features [..., D], f64[...].

        Raises:
          ValueError: features of another width, or not finite.
        """
        features = np.asarray(features, np.float64)
        if features.shape[-1:] != self.weights.shape:
            raise ValueError(
                f"features of shape {features.shape} do not fit a probe of {self.weights.size}: "
                "use those of the model and prompt that it was trained with"
            )
        if not np.isfinite(features).all():
            raise ValueError("features are not finite: check the model that made them")
        return _sigmoid((features - self.mean) / self.scale @ self.weights + self.bias)

    def difficulty(self, features: ArrayLike, flops: ArrayLike) -> Difficulty:
        """Difficulty of questions other than those trained on: features [Q, D], flops f64[Q]."""
        cost = np.asarray(flops, np.float64)
        return Difficulty("probe", self.predict(features), None, cost, 0.0, True)

    def to_json(self) -> dict[str, Any]:
        """The probe as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Probe":
        """Reads back what `to_json` gave.

        Raises:
          ValueError: a missing or malformed field, named.
        """
        read: dict[str, Any] = {}
        for field in fields(cls):
            many = field.name in ("weights", "mean", "scale")
            try:
                array = np.asarray(value[field.name], np.float64)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"probe.{field.name} is missing or malformed: {error}") from error
            if array.ndim != many or not array.size or not np.isfinite(array).all():
                form = "a list of finite numbers" if many else "a finite number"
                raise ValueError(f"probe.{field.name} must be {form}")
            read[field.name] = array if many else array.item()
        if not read["weights"].shape == read["mean"].shape == read["scale"].shape:
            raise ValueError("probe.weights, probe.mean and probe.scale differ in length")
        return cls(**read | {"questions": int(read["questions"])})


def fit_probe(
    features: ArrayLike,
    right: ArrayLike,
    samples: ArrayLike,
    questions: Sequence[str],
    *,
    strengths: Sequence[float] = STRENGTHS,
    k: int = 5,
) -> Probe:
    """The probe trained on questions with `right` of `samples` graded samples.

    Minimises the mean over questions of the cross-entropy to right / samples, plus
    strength / 2 |weights|^2, on standardised features; the strength is the one of `strengths` with
    the least loss over k folds fixed by the question ids (the strongest of equals). Every question
    counts once, however many samples it has: questions differ by more than samples do.

    features: f64[Q, D]; right, samples: i64[Q].

    Raises:
      ValueError: shapes or counts that do not fit, features that are not finite, fewer than 2 k
        questions, all samples right or all wrong, or strengths that are not positive.
    """
    features, rates = _checked(features, right, samples, questions)
    strengths = sorted(strengths, reverse=True)
    if not strengths or not all(np.isfinite(s) and s > 0 for s in strengths):
        raise ValueError(f"strengths {strengths} must be positive: give at least one")
    if len(questions) < 2 * k:
        raise ValueError(
            f"{len(questions)} questions are too few for {k} folds of 2: use more questions"
        )
    if not 0 < rates.mean() < 1:
        state = "right" if rates.mean() else "wrong"
        raise ValueError(
            f"every sample of every question is {state}, so the probe has nothing to tell apart: "
            "use other questions or more samples"
        )
    fold = folds(questions, k=k)
    losses = np.zeros(len(strengths))
    constant = 0.0
    for held in range(k):
        out = fold == held
        level = np.clip(rates[~out].mean(), 1e-6, 1 - 1e-6)
        constant += _loss(np.log(level / (1 - level)), rates[out]).sum()
        if rates[~out].min() == rates[~out].max():
            losses += _loss(np.log(level / (1 - level)), rates[out]).sum()
            continue
        mean, scale = _moments(features[~out])
        path = _path((features[~out] - mean) / scale, rates[~out], strengths)
        for at, (weights, bias) in enumerate(path):
            logits = (features[out] - mean) / scale @ weights + bias
            losses[at] += _loss(logits, rates[out]).sum()
    best = int(losses.argmin())
    mean, scale = _moments(features)
    weights, bias = _path((features - mean) / scale, rates, strengths[: best + 1])[-1]
    total = len(questions)
    return Probe(
        weights=weights,
        bias=bias,
        mean=mean,
        scale=scale,
        strength=float(strengths[best]),
        questions=total,
        loss=float(losses[best]) / total,
        constant_loss=float(constant) / total,
    )


def cross_fitted(
    features: ArrayLike,
    right: ArrayLike,
    samples: ArrayLike,
    questions: Sequence[str],
    flops: ArrayLike,
    *,
    strengths: Sequence[float] = STRENGTHS,
    k: int = 5,
) -> Difficulty:
    """Difficulty of the very questions that probes are trained on, each by a probe without it.

    Arguments and errors as in `fit_probe`, which is called on the other folds for each of k folds;
    flops: f64[Q], what running the prompts cost.
    """
    features, _ = _checked(features, right, samples, questions)
    right, samples = np.asarray(right), np.asarray(samples)
    fold = folds(questions, k=k)
    ease = np.empty(len(questions))
    for held in range(k):
        rest = np.flatnonzero(fold != held)
        names = [questions[at] for at in rest]
        probe = fit_probe(features[rest], right[rest], samples[rest], names, strengths=strengths)
        ease[fold == held] = probe.predict(features[fold == held])
    return Difficulty("probe", ease, None, np.asarray(flops, np.float64), 0.0, True)


def _checked(features, right, samples, questions) -> tuple[np.ndarray, np.ndarray]:
    """Features as f64[Q, D] and shares of right samples f64[Q]."""
    features = np.asarray(features, np.float64)
    c, n = np.asarray(right, np.float64), np.asarray(samples, np.float64)
    if features.ndim != 2 or not features.size or len(features) != len(questions):
        raise ValueError(f"features of shape {features.shape}, {len(questions)} questions")
    if not np.isfinite(features).all():
        at = np.flatnonzero(~np.isfinite(features).all(1))[0]
        raise ValueError(f"features of question {questions[at]!r} are not finite")
    if c.shape != n.shape or c.shape != (len(questions),):
        raise ValueError(f"counts of shapes {c.shape}, {n.shape}, {len(questions)} questions")
    if (n < 1).any() or (c < 0).any() or (c > n).any():
        raise ValueError("a probe needs 0 <= right <= samples and samples >= 1 everywhere")
    return features, c / n


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature; a constant feature is left as it is."""
    scale = features.std(0)
    return features.mean(0), np.where(scale > 0, scale, 1.0)


def _path(x: np.ndarray, y: np.ndarray, strengths: Sequence[float]) -> list[tuple]:
    """Weights f64[D] and bias at each strength, strongest first, each started from the last."""
    # With fewer questions than features the weights lie in the span of the questions.
    u, s, back = np.linalg.svd(x, full_matrices=False) if len(x) < x.shape[1] else (x, 1.0, None)
    z = np.concatenate([u * s, np.ones((len(x), 1))], 1)
    w = np.zeros(z.shape[1])
    w[-1] = np.log(y.mean() / (1 - y.mean()))
    found = []
    for strength in strengths:
        w = _newton(z, y, strength, w)
        found.append((w[:-1] if back is None else w[:-1] @ back, float(w[-1])))
    return found


def _newton(z: np.ndarray, y: np.ndarray, strength: float, w: np.ndarray) -> np.ndarray:
    """The minimum of mean cross-entropy + strength / 2 |w|^2, the last entry of w not penalised."""
    penalty = np.full(w.size, strength)
    penalty[-1] = 0.0

    def objective(w: np.ndarray) -> float:
        return float(_loss(z @ w, y).mean() + penalty @ w**2 / 2)

    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(z @ w)
        gradient = z.T @ (p - y) / len(y) + penalty * w
        hessian = (z * (p * (1 - p) / len(y))[:, None]).T @ z + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        drop = float(gradient @ step)
        if drop < 1e-14:
            break
        size, now = 1.0, objective(w)
        while objective(w - size * step) > now - 1e-4 * size * drop and size > 1e-8:
            size /= 2
        w = w - size * step
    return w


def _loss(logits, y: np.ndarray) -> np.ndarray:
    """Cross-entropy in nats, stable for logits of any size."""
    return np.logaddexp(0.0, logits) - y * logits


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -x))
