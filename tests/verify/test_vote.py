# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttc_jax.verify.vote import best, hierarchical, majority, weighted


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


def test_hierarchical_lets_the_best_of_every_chain_compete():
    chains = [range(0, 3), range(3, 6), range(6, 9)]
    classes = [0, 1, 0, 1, 1, 0, 2, 2, 2]
    scores = [0.3, 0.5, 0.4, 0.2, 0.6, 0.7, 0.1, 0.3, 0.2]
    # Chains: answer 0 with 0.3 + 0.4, so sample 2; answer 1 with 0.2 + 0.6, so sample 4; sample 7.
    # Among those 0.4, 0.6 and 0.3 of three answers; over all samples answer 0 would win.
    assert hierarchical(chains, classes, scores) == 4
    assert weighted(classes, scores) == 0
    # Two chains of one answer outweigh a better one, and the first of them is named.
    classes[6:] = [0, 0, 0]
    assert hierarchical(chains, classes, scores) == 2


def test_hierarchical_with_answers_missing_and_ties():
    assert hierarchical([[0, 1], [2, 3]], [None, None, None, 5], [0.9, 0.9, 0.9, 0.1]) == 3
    assert hierarchical([[0, 1]], [None, None], [0.5, 0.5]) is None
    assert hierarchical([], [], []) is None
    assert hierarchical([[], [0]], [1], [0.5]) == 0
    assert hierarchical([[1], [0]], [0, 1], [0.5, 0.5]) == 1  # a tie: the first chain
    assert hierarchical([[0, 1, 2]], [0, 0, 0], [0.2, 0.5, 0.5]) == 1  # a tie: the first attempt


def test_hierarchical_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="2 classes but 1 scores"):
        hierarchical([[0]], [0, 1], [0.5])
    with pytest.raises(ValueError, match="sample 0 is not finite"):
        hierarchical([[1]], [0, 1], [float("inf"), 0.5])
    for absent in (2, -1):
        with pytest.raises(ValueError, match=f"a chain names sample {absent} of 2"):
            hierarchical([[0, absent]], [0, 1], [0.5, 0.5])


def two_rounds(chains, classes, quarters):
    """The definition, with whole numbers for scores and a table of sums for every round."""
    def sums(samples):
        table = {}
        for i in samples:
            if classes[i] is not None:
                table[classes[i]] = table.get(classes[i], 0) + quarters[i]
        return table

    winners = []
    for chain in chains:
        table = sums(chain)
        if table:
            answer = next(c for c in table if table[c] == max(table.values()))
            top = max(quarters[i] for i in chain if classes[i] == answer)
            winners.append(next(i for i in chain if (classes[i], quarters[i]) == (answer, top)))
    table = sums(winners)
    return next((i for i in winners if table[classes[i]] == max(table.values())), None)


@given(st.lists(st.lists(st.tuples(st.sampled_from((None, 0, 1, 2)), st.integers(-1, 4)))))
def test_hierarchical_is_two_rounds_of_weighted_votes(drawn):
    samples = [sample for chain in drawn for sample in chain]
    classes, quarters = [c for c, _ in samples], [q for _, q in samples]
    ends = [sum(map(len, drawn[: i + 1])) for i in range(len(drawn))]
    chains = [range(end - len(chain), end) for end, chain in zip(ends, drawn, strict=True)]
    scores = [q / 4 for q in quarters]
    assert hierarchical(chains, classes, scores) == two_rounds(chains, classes, quarters)
