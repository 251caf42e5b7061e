# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints chosen by what the model does, not by its loss.

The held-out loss of a revision model is off-policy: it is taken on attempts that the base model
made. Checkpoints well past its minimum revise better (paper section 6.1), so they are kept and each
is asked to revise.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ttc_jax.data.sources import Question
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.results import run
from ttc_jax.search.revise import Revise
from ttc_jax.search.strategy import Strategy
from ttc_jax.verify.grade import Grader, Verdict


def pass_at_1(
    strategy: Strategy,
    questions: Sequence[Question],
    policy: Policy,
    grader: Grader,
    batch: Batch,
) -> list[float]:
    """The share of right solutions: by place in the chain of `revise(s,p)`, s of them; else one.

    The mean over questions and chains. A grading that timed out counts as not right.
    """
    length = strategy.s if isinstance(strategy, Revise) else 1
    right = np.zeros(length)
    total = 0
    for result in run(strategy, questions, policy, None, grader, batch=batch):
        correct = np.array([graded.verdict is Verdict.CORRECT for graded in result.graded], float)
        right += correct.reshape(-1, length).mean(axis=0)
        total += 1
    return (right / total).tolist()


def figure(shares: Sequence[float]) -> float:
    """What a checkpoint is chosen by: the mean over the attempts after the first, if there are."""
    return float(np.mean(shares[1:] if len(shares) > 1 else shares))


def choose(shares: Mapping[int, Sequence[float]]) -> int:
    """The step whose `figure` is highest, the earliest of equals."""
    return min(shares, key=lambda step: (-figure(shares[step]), step))
