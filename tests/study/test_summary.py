# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures from samples whose verdicts are set by hand."""

import itertools

import pytest

from ttc_jax.core.samples import Sample
from ttc_jax.data.sources import Question
from ttc_jax.study.summary import Outcome, by_level, counts, figures, outcome

RIGHT, WRONG, NONE, LATE = "correct", "wrong", "unparsed", "timeout"
SETTINGS = {"resamples": 200, "confidence": 0.95, "seed": 0}


def samples_of(*pairs: tuple[str | None, str]) -> list[Sample]:
    return [
        Sample("q", i, "text", ["text"], [0], [1, 2], verdict, -1.0, "stop", answer)
        for i, (answer, verdict) in enumerate(pairs)
    ]


def classes(answers):
    """Equal texts are equal answers."""
    seen = list(dict.fromkeys(a for a in answers if a is not None))
    return [None if a is None else seen.index(a) for a in answers]


def outcome_of(*pairs) -> Outcome:
    return outcome(Question("q", "?", "7", level=3), samples_of(*pairs), classes)


def test_majority_follows_the_most_frequent_answer():
    assert outcome_of(("7", RIGHT), ("8", WRONG), ("7", RIGHT)) == Outcome(3, 3, 2, True)
    assert outcome_of(("7", RIGHT), ("8", WRONG), ("8", WRONG)) == Outcome(3, 3, 1, False)


def test_samples_without_an_answer_are_graded_but_do_not_vote():
    assert outcome_of((None, NONE), (None, NONE), ("7", RIGHT)) == Outcome(3, 3, 1, True)
    assert outcome_of((None, NONE), (None, NONE)) == Outcome(3, 2, 0, False)


def test_a_time_out_is_not_wrong():
    assert outcome_of(("x", LATE), ("7", RIGHT)) == Outcome(3, 1, 1, None)
    assert outcome_of(("x", LATE), ("7", RIGHT), ("7", RIGHT)) == Outcome(3, 2, 2, True)
    outcomes = [Outcome(1, 4, 1, True), Outcome(1, 0, 0, None)]
    found = figures(outcomes, n=4, ks=(1, 4), **SETTINGS)
    assert {name: value.mean for name, value in found.items()} == {
        "pass@1": 0.25,
        "pass@4": 1.0,
        "majority@4": 1.0,
    }
    assert found["pass@1"].n == 1


def test_a_figure_without_any_graded_question_is_left_out():
    assert figures([Outcome(1, 0, 0, None)], n=4, ks=(1,), **SETTINGS) == {}


def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample():
    verdicts = [True, False, False, True, False]
    for k in (1, 2, 3, 5):
        subsets = [any(s) for s in itertools.combinations(verdicts, k)]
        found = figures([Outcome(None, 5, 2, False)], n=5, ks=(k,), **SETTINGS)
        assert found[f"pass@{k}"].mean == pytest.approx(sum(subsets) / len(subsets))


def test_levels_in_order_and_questions_without_one_only_under_all():
    outcomes = [Outcome(level, 1, 1, True) for level in (2, 1, None, 2)]
    groups = by_level(outcomes)
    assert {name: len(members) for name, members in groups.items()} == {"all": 4, "1": 1, "2": 2}
    assert list(groups) == ["all", "1", "2"]


def test_counts_show_every_verdict():
    samples = samples_of(("7", RIGHT), (None, NONE), ("x", LATE))
    found = counts(samples)
    assert found["verdicts"] == {"correct": 1, "wrong": 0, "unparsed": 1, "timeout": 1}
    assert (found["questions"], found["samples"], found["tokens"]) == (1, 3, 6)
    assert found["finishes"] == {"stop": 3}
