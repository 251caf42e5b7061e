# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How good a verifier is on questions that it was not trained on.

Flat arrays with one entry for each scored step, or for each solution: `questions` are ids, `labels`
and `scores` lie in [0, 1], and labels may be soft (shares of rollouts that came out right).
Everything is computed in float64. A figure that the data do not define is left out, never NaN.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ttc_jax.verify.vote import by_rule

# A float32 sigmoid cannot come closer to 1 without being 1; a saturated score costs 16.6 nats.
_SMALLEST = 2.0**-24


@dataclass(frozen=True)
class Bin:
    """The `n` scores in [low, high) (the last bin includes 1): their mean, that of their labels."""

    low: float
    high: float
    n: int
    score: float
    label: float


def step_metrics(
    questions: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    depths: ArrayLike,
    last: ArrayLike,
    bins: int = 10,
) -> Iterator[tuple[str, float]]:
    """Names and values of all figures of scored steps, each step counting once.

    `depths` are the places of steps in their solutions and `last` marks final steps. In this order:
    bce, entropy, excess (bce - entropy, 0 for scores that equal their labels), ece, auc,
    auc_within (of final steps), auc_within_steps (of steps at one depth); behind the last two,
    as NAME_questions, the number of questions that they are means over. The aucs are left out where
    no step, or no question, has both classes.

    Raises:
      ValueError: no steps, arrays of different lengths, a label or score outside [0, 1].
    """
    labels, scores = _unit(labels, "label"), _unit(scores, "score")
    questions, depths = np.asarray(questions), np.asarray(depths)
    last = np.asarray(last, dtype=bool)
    _same_length(questions=questions, labels=labels, scores=scores, depths=depths, last=last)
    loss, floor = bce(labels, scores), entropy(labels)
    yield "bce", loss
    yield "entropy", floor
    yield "excess", loss - floor
    yield "ece", ece(labels, scores, bins)
    overall = auc(labels, scores)
    if overall is not None:
        yield "auc", overall
    final = questions[last], labels[last], scores[last]
    for name, within in (
        ("auc_within", auc_within(*final) if last.any() else None),
        ("auc_within_steps", auc_within(questions, labels, scores, depths)),
    ):
        if within is not None:
            yield name, within[0]
            yield f"{name}_questions", within[1]


def bce(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean of -(y log s + (1 - y) log(1 - s)), in nats per step; logarithms stop at 2 ** -24.

    It is the loss that Snell et al. 2024 train their process reward model with.
    """
    labels, scores = _pair(labels, scores)
    right = labels * np.log(np.maximum(scores, _SMALLEST))
    wrong = (1 - labels) * np.log(np.maximum(1 - scores, _SMALLEST))
    return 0.0 - float(np.mean(right + wrong))  # never -0.0


def entropy(labels: ArrayLike) -> float:
    """Mean entropy of the labels in nats per step: the bce of scores that equal them."""
    return bce(labels, labels)


def reliability(labels: ArrayLike, scores: ArrayLike, bins: int = 10) -> list[Bin]:
    """Scores in `bins` bins of equal width beside the labels they got; empty bins are left out."""
    labels, scores = _pair(labels, scores)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    edges = np.arange(bins + 1) / bins
    place = np.minimum(np.searchsorted(edges, scores, side="right") - 1, bins - 1)
    return [
        Bin(
            float(edges[b]),
            float(edges[b + 1]),
            int(np.sum(place == b)),
            float(scores[place == b].mean()),
            float(labels[place == b].mean()),
        )
        for b in np.unique(place)
    ]


def ece(labels: ArrayLike, scores: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: |mean score - mean label| of `reliability`'s bins, by their n.

    Source: Guo et al. 2017 (arXiv 1706.04599), equation 3; with soft labels in place of accuracy.
    """
    table = reliability(labels, scores, bins)
    return sum(b.n * abs(b.score - b.label) for b in table) / sum(b.n for b in table)


def auc(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """The chance that a step with a label above 0.5 scores higher than one with another label.

    Equal scores count half. None where all labels lie on one side.
    """
    concordant, pairs = _concordant(*_pair(labels, scores))
    return concordant / pairs if pairs else None


def auc_within(
    questions: ArrayLike, labels: ArrayLike, scores: ArrayLike, depths: ArrayLike | None = None
) -> tuple[float, int] | None:
    """`auc` over pairs of one question, mean over questions; and how many questions had a pair.

    This is what a search needs of a verifier: it compares candidates of one question only, so that
    telling hard questions from easy ones, which raises `auc`, is worth nothing. With `depths` only
    steps at the same depth make pairs, as in one round of a beam. Every question with a pair of
    both classes counts the same, however many pairs it has. None where there is no such question.
    """
    labels, scores = _pair(labels, scores)
    questions = np.asarray(questions)
    depths = np.zeros(len(labels)) if depths is None else np.asarray(depths)
    _same_length(questions=questions, labels=labels, depths=depths)
    shares = []
    for chosen in _groups(questions):
        counts = [
            _concordant(labels[chosen[level]], scores[chosen[level]])
            for level in _groups(depths[chosen])
        ]
        pairs = sum(n for _, n in counts)
        if pairs:
            shares.append(sum(concordant for concordant, _ in counts) / pairs)
    return (float(np.mean(shares)), len(shares)) if shares else None


def best_of_n(
    questions: ArrayLike,
    classes: Sequence[int | None],
    correct: ArrayLike,
    scores: ArrayLike,
    n: int,
    *,
    counts: ArrayLike | None = None,
    resamples: int = 100,
    seed: int = 0,
) -> Iterator[tuple[str, float]]:
    """Shares of questions answered right by choosing among n of their stored solutions.

    One entry for each solution: the class of its answer within its question (None: no answer),
    whether it is right, its score, and how often it was sampled (`counts`, default once). Yields
    pass@1, exactly, then the means over `resamples` draws of n solutions without replacement, in
    random order: coverage@n (one of them is right), majority@n, best@n and weighted@n (see
    verify.vote). A question with fewer than n solutions is judged by all of them. Each question
    counts the same, and its draws depend on `seed` and its id alone.

    Raises:
      ValueError: no solutions, arrays of different lengths, n, a count or resamples below 1, or a
        score that is not finite.
    """
    questions, correct = np.asarray(questions), np.asarray(correct, dtype=bool)
    scores = np.asarray(scores, dtype=np.float64)
    counts = np.ones(len(scores), int) if counts is None else np.asarray(counts)
    _same_length(
        questions=questions, classes=classes, correct=correct, scores=scores, counts=counts
    )
    if n < 1 or resamples < 1 or counts.min() < 1:
        raise ValueError(
            f"n = {n}, resamples = {resamples} and counts (least: {counts.min()}) must be "
            "at least 1"
        )
    if not np.isfinite(scores).all():
        raise ValueError(f"score of solution {np.flatnonzero(~np.isfinite(scores))[0]} not finite")
    names = ("coverage", "majority", "best", "weighted")
    single, drawn = [], []
    for chosen in _groups(questions):
        pool = np.repeat(chosen, counts[chosen])
        single.append(correct[pool].mean())
        rng = np.random.default_rng([seed, zlib.crc32(str(questions[pool[0]]).encode())])
        right = np.zeros(len(names))
        for _ in range(resamples):
            some = rng.permutation(pool)[:n]
            picks = by_rule([classes[i] for i in some], scores[some].tolist())
            right[0] += correct[some].any()
            for place, name in enumerate(names[1:], start=1):
                right[place] += picks[name] is not None and correct[some[picks[name]]]
        drawn.append(right / resamples)
    yield "pass@1", float(np.mean(single))
    for name, value in zip(names, np.mean(drawn, axis=0), strict=True):
        yield f"{name}@{n}", float(value)


def _concordant(labels: np.ndarray, scores: np.ndarray) -> tuple[float, int]:
    """Pairs of unlike classes in which the better step scores higher (ties half); all such pairs.

    By the ranks of scores (Mann-Whitney): exact, as ranks are halves of whole numbers.
    """
    better = labels > 0.5
    _, place, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    n = int(better.sum())
    return float(ranks[better].sum() - n * (n + 1) / 2), n * (len(labels) - n)


def _groups(keys: np.ndarray) -> list[np.ndarray]:
    """The indices of each value of `keys`, in order."""
    _, place, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    return np.split(np.argsort(place, kind="stable"), np.cumsum(sizes)[:-1])


def _pair(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = _unit(labels, "label"), _unit(scores, "score")
    _same_length(labels=labels, scores=scores)
    return labels, scores


def _unit(values: ArrayLike, what: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"metrics need one {what} per entry, not shape {values.shape}")
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)))  # NaN is bad too
    if bad.size:
        raise ValueError(f"{what} {values[bad[0]]} of entry {bad[0]} lies outside [0, 1]")
    return values


def _same_length(**arrays) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or not all(lengths.values()):
        shown = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"metrics need as many of each and at least one, not {shown}")
