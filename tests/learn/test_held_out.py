# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a verifier and a reviser are worth on held-out questions, with scores made up by hand."""

import numpy as np
import pytest
from search.tiny_policy import policy, questions

from ttc_jax.data.batches import Example, Shape
from ttc_jax.learn.held_out import HeldOut, Solution
from ttc_jax.learn.metrics import bce
from ttc_jax.learn.selection import choose, figure, pass_at_1
from ttc_jax.search.plan import Batch
from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN
from ttc_jax.verify.grade import Graded, Grader, Verdict


def example(question: str, labels) -> Example:
    """Steps of two tokens, valued at the second."""
    n = 2 * len(labels)
    targets, weights = np.zeros(n, np.float32), np.zeros(n, np.float32)
    targets[1::2], weights[1::2] = labels, 1
    return Example(question, question, np.ones(n, np.int32), targets, weights)


class Told:
    """A learner whose scores are its parameters."""

    def scores(self, params, examples, shape):
        return [np.asarray(scores) for scores in params]


EXAMPLES = [example("a", (0.5, 1)), example("a", (0.5, 0)), example("b", (0.25, 0)),
            example("b", (1,))]  # fmt: skip
SOLUTIONS = [
    Solution("The answer is 3.", True),
    Solution("The answer is 4.", False),
    Solution("The answer is 5.", False, 2),
    Solution("The answer is 6.", True),
]
GOOD = [(0.5, 0.9), (0.4, 0.2), (0.3, 0.1), (0.8,)]
BAD = [(0.5, 0.1), (0.4, 0.9), (0.3, 0.9), (0.2,)]


def held_out(n: int = 8) -> HeldOut:
    with Grader() as grader:
        return HeldOut(Told(), EXAMPLES, SOLUTIONS, Shape(1, 8), grader=grader, n=n)


def test_figures_of_steps_and_of_choices():
    found = dict(held_out()(GOOD))
    labels = [0.5, 1, 0.5, 0, 0.25, 0, 1]
    assert found["bce"] == pytest.approx(bce(labels, [0.5, 0.9, 0.4, 0.2, 0.3, 0.1, 0.8]))
    assert (found["auc_within"], found["auc_within_questions"]) == (1, 2)
    assert found["best@8"] == found["weighted@8"] == found["coverage@8"] == 1
    # Question a has one of two right, b one of three: the wrong one was sampled twice.
    assert found["pass@1"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found["majority@8"] <= 0.75


def test_a_verifier_that_prefers_the_wrong_ones():
    found = dict(held_out()(BAD))
    assert found["auc_within"] == found["best@8"] == 0 and found["coverage@8"] == 1


def test_reliability_counts_every_step():
    bins = held_out().reliability(GOOD)
    assert sum(b.n for b in bins) == 7


def test_the_checkpoint_is_chosen_by_what_follows_the_first_attempt():
    assert figure([0.9, 0.2, 0.4]) == pytest.approx(0.3) and figure([0.9]) == 0.9
    shares = {10: [0.5, 0.2], 20: [0.1, 0.4], 30: [0.9, 0.4]}
    assert choose(shares) == 20


class Alternating:
    """Every other solution is right, in the order in which they are graded."""

    def grade(self, items):
        kinds = (Verdict.CORRECT, Verdict.WRONG)
        return [Graded("1", kinds[i % 2]) for i, _ in enumerate(items)]

    def classes(self, answers):
        return [0] * len(answers)


def test_pass_at_1_by_attempt():
    how = policy(max_new=3), Alternating(), Batch(rows=4, page_size=4)
    assert pass_at_1(Revise(s=2, p=2), questions(2), *how) == [1, 0]
    assert pass_at_1(BestOfN(N=4), questions(2), *how) == [0.5]
