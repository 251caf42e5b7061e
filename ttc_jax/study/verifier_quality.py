# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How well scores tell right from wrong solutions of the same question, step by step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ttc_jax.study.pool import Pool
from ttc_jax.study.stats import Interval, bootstrap

_LEAST = 2  # questions: of a single one the bootstrap knows no spread


@dataclass(frozen=True)
class StepQuality:
    """What the scores of one step are worth.

    Attributes:
      step: counted from 1; None for the last one of each solution, whichever that is.
      auc: the chance that a right solution is scored above a wrong one of the same question, equal
        scores counting half; the mean over the questions that have both, `auc.n` of them.
      solutions: number of solutions of those questions that have such a step.
    """

    step: int | None
    auc: Interval
    solutions: int


def aucs(question: np.ndarray, right: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """f64[Q]: of each question the share of pairs (right, wrong) that are ranked right.

    Ties count half; NaN where a question has not both. question i64[n] numbers the questions from
    0; right bool[n]; scores f64[n]. All questions are ranked in one sort.
    """
    order = np.lexsort((scores, question))
    question, right, scores = question[order], right[order], scores[order]
    wrong = ~right
    n = int(question[-1]) + 1 if len(question) else 0
    # Solutions of one question with one score make a run of the sorted ones.
    new = np.ones(len(question), bool)
    new[1:] = (question[1:] != question[:-1]) | (scores[1:] != scores[:-1])
    run = np.cumsum(new) - 1
    wrongs_of_run = np.bincount(run, wrong)
    up_to = np.cumsum(wrongs_of_run) - wrongs_of_run  # wrong ones in runs before, of any question
    wrongs, rights = (np.bincount(question, kind, n) for kind in (wrong, right))
    before = np.cumsum(wrongs) - wrongs
    beaten = up_to[run] - before[question] + wrongs_of_run[run] / 2
    won = np.bincount(question, np.where(right, beaten, 0.0), n)
    pairs = rights * wrongs
    return np.divide(won, pairs, out=np.full(n, np.nan), where=pairs > 0)


def quality(pools: Sequence[Pool], **boot: float) -> Iterator[StepQuality]:
    """The quality of every step number by which two questions or more can be judged; then the last.

    Solutions are right by their final answer, whatever the step. Those that the verifier could not
    read have no scores and are left out, as are those whose grading timed out. `boot` are arguments
    of `bootstrap`.
    """
    own = [(q, pool.right[i], steps) for q, pool in enumerate(pools)
           for i, steps in enumerate(pool.steps) if steps]  # fmt: skip
    if not own:
        return
    question, right = np.array([q for q, _, _ in own]), np.array([ok for _, ok, _ in own])
    length = np.array([len(steps) for _, _, steps in own])
    scores = np.concatenate([steps for _, _, steps in own])
    start = np.cumsum(length) - length
    most = int(length.max())
    for step in range(1, most + 1) if most > 1 else ():  # of a single score it is the last
        there = length >= step
        at = start[there] + step - 1
        yield from _judged(step, question[there], right[there], scores[at], boot)
    yield from _judged(None, question, right, scores[start + length - 1], boot)


def last_quality(pools: Sequence[Pool], **boot: float) -> Iterator[StepQuality]:
    """The quality of the values of solutions, as that of their last step."""
    question = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    right, values = (np.concatenate([getattr(pool, name) for pool in pools])
                     for name in ("right", "values"))  # fmt: skip
    yield from _judged(None, question, right, values, boot)


def _judged(step, question, right, scores, boot) -> Iterator[StepQuality]:
    found = aucs(question, right, scores)
    told = np.isfinite(found)
    if told.sum() >= _LEAST:
        solutions = int(np.isin(question, np.flatnonzero(told)).sum())
        yield StepQuality(step, bootstrap(found[told], **boot), solutions)
