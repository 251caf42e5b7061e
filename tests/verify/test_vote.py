# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from ttc_jax.verify.vote import best, majority, weighted


@pytest.mark.parametrize("classes, winner", [
    ([0, 1, 1, 2], 1),
    ([0, 1, 1, 0], 0),  # a tie: first seen
    ([None, 1, 0, 0, 1], 1),  # a tie, whatever the numbers are
    ([None, None, None, 0], 3),  # None never wins
    ([None, None], None),
    ([], None),
    ([5], 0),
])
def test_majority(classes, winner):
    assert majority(classes) == winner


def test_best_takes_the_highest_score_among_answers():
    assert best([0, 1, 0], [0.2, 0.9, 0.5]) == 1
    assert best([0, 1, None], [0.2, 0.3, 0.9]) == 1
    assert best([0, 1, 2], [0.5, 0.7, 0.7]) == 1
    assert best([None], [1.0]) is None


def test_weighted_sums_scores_over_equal_answers():
    # Class 0: 0.4 + 0.5 = 0.9 beats the best single sample, class 1 with 0.8.
    assert weighted([0, 1, 0], [0.4, 0.8, 0.5]) == 0
    assert weighted([0, 1, 0], [0.1, 0.8, 0.5]) == 1
    assert weighted([1, 0, 0], [0.5, 0.25, 0.25]) == 0  # a tie: first seen
    assert weighted([None, 3], [9.0, -1.0]) == 1
    assert weighted([None, None], [1.0, 1.0]) is None
    # 0.1 + 0.2 and 0.3 differ by rounding only in the last digit; an exact sum decides.
    assert weighted([0, 1, 0, 1], [0.1, 0.3, 0.2, 0.0]) == 0


@pytest.mark.parametrize("select", [best, weighted])
def test_scores_must_fit(select):
    with pytest.raises(ValueError, match="2 classes but 1 scores"):
        select([0, 1], [0.5])
    with pytest.raises(ValueError, match="sample 1 is not finite"):
        select([0, 1], [0.5, float("nan")])
