# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures from samples whose verdicts are set by hand."""

import itertools
import math
from dataclasses import replace

import pytest

from ttc_jax.core.samples import Sample
from ttc_jax.data.sources import Question
from ttc_jax.study.summary import (
    Outcome,
    by_level,
    counts,
    figures,
    likelihoods,
    outcome,
    selected,
    winners,
)

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


def scored(*rows: tuple[str | None, str, float | None]) -> list[Sample]:
    """Candidates of (answer, verdict, value)."""
    plain = samples_of(*(row[:2] for row in rows))
    return [replace(sample, value=row[2]) for sample, row in zip(plain, rows, strict=True)]


def voted(level, graded, correct, majority, likelihood=None) -> Outcome:
    selected = {"majority": majority, "likelihood": likelihood}
    return Outcome(level, graded, correct, selected)


def outcome_of(*pairs) -> Outcome:
    return outcome(Question("q", "?", "7", level=3), samples_of(*pairs), classes)


def test_majority_follows_the_most_frequent_answer():
    assert outcome_of(("7", RIGHT), ("8", WRONG), ("7", RIGHT)) == voted(3, 3, 2, True, True)
    assert outcome_of(("7", RIGHT), ("8", WRONG), ("8", WRONG)) == voted(3, 3, 1, False, True)


def test_samples_without_an_answer_are_graded_but_do_not_vote():
    assert outcome_of((None, NONE), (None, NONE), ("7", RIGHT)) == voted(3, 3, 1, True, True)
    assert outcome_of((None, NONE), (None, NONE)) == voted(3, 2, 0, False, False)


def test_only_candidates_count_and_in_the_order_of_the_strategy():
    rows = samples_of(("8", WRONG), ("7", RIGHT), ("7", RIGHT), ("8", WRONG))
    other = [
        replace(rows[0], branch=9, role="pruned", verdict="", answer=None),
        replace(rows[0], branch=-1, role="prompt", verdict="", answer="7"),
    ]
    question = Question("q", "?", "7", level=3)
    assert outcome(question, [*rows, *other], classes) == voted(3, 4, 2, False, False)
    placed = [replace(row, place=3 - i) for i, row in enumerate(rows[:3])]
    placed.append(replace(rows[3], place=0, answer="7", verdict=RIGHT))
    assert outcome(question, placed[:2], classes) == voted(3, 2, 1, True, True)


def test_each_rule_selects_in_its_own_way():
    rows = scored(
        ("7", RIGHT, 0.3), ("7", RIGHT, 0.3), ("7", RIGHT, 0.3), ("8", WRONG, 0.5),
        ("8", WRONG, 0.6), ("9", WRONG, 0.8), (None, NONE, 0.99), (None, NONE, None),
    )  # fmt: skip
    assert winners(rows, classes) == {"majority": 0, "best": 5, "weighted": 3}
    assert selected(rows, classes) == {
        "majority": True,
        "best": False,
        "weighted": False,
        "coverage": True,
    }


def test_chains_select_within_before_they_select_across():
    rows = scored(
        ("8", WRONG, 0.9), ("8", WRONG, 0.8),
        ("7", RIGHT, 0.4), ("8", WRONG, 0.3),
        ("7", RIGHT, 0.6), ("9", WRONG, 0.5),
    )  # fmt: skip
    found = winners(rows, classes, chain=2)
    assert found == {"majority": 0, "best": 0, "weighted": 0, "hierarchical": 2}
    assert selected(rows, classes, chain=2)["hierarchical"] is True
    assert "hierarchical" not in selected(samples_of(("7", RIGHT), ("8", WRONG)), classes, chain=2)
    with pytest.raises(ValueError, match="6 candidates are not whole chains of 4"):
        winners(rows, classes, chain=4)


def test_an_answered_candidate_without_a_value_is_refused():
    with pytest.raises(ValueError, match="candidate 1 of 'q' has no value"):
        winners(scored(("7", RIGHT, 0.5), ("7", RIGHT, None)), classes)


def test_no_answer_selects_nothing_and_a_time_out_stays_undecided():
    assert selected(scored((None, NONE, 0.5)), classes) == {
        "majority": False,
        "best": False,
        "weighted": False,
        "coverage": False,
    }
    late = scored(("x", LATE, 0.9), ("7", RIGHT, 0.1))
    assert selected(late, classes) == {
        "majority": None,
        "best": None,
        "weighted": None,
        "coverage": True,
    }
    assert selected(late[:1], classes)["coverage"] is None


def test_a_search_has_a_figure_for_each_rule():
    rows = scored(("7", RIGHT, 0.3), ("8", WRONG, 0.5))
    found = figures([outcome(Question("q", "?", "7"), rows, classes)], n=16, ks=(), **SETTINGS)
    assert {name: value.mean for name, value in found.items()} == {
        "majority@16": 1.0,
        "likelihood@16": 1.0,
        "best@16": 0.0,
        "weighted@16": 0.0,
        "coverage@16": 1.0,
    }


def test_the_likelihood_is_that_of_the_whole_path_by_token():
    def row(branch, parent, n, logprob, answer=None):
        made = {"answer": answer, "verdict": RIGHT if answer == "7" else WRONG} if answer else {}
        (plain,) = samples_of((None, ""))
        role = "candidate" if answer else "expanded"
        return replace(plain, branch=branch, parent=parent, tokens=[1] * n, logprob=logprob,
                       role=role, **made)  # fmt: skip

    prompt = replace(row(-1, None, 9, 0.0, ""), role="prompt")
    rows = [prompt, row(0, -1, 1, -3.0), row(1, 0, 9, -1.0, "7"), row(2, -1, 2, -1.0, "8"),
            row(3, -1, 1, -0.6, "8")]  # fmt: skip
    found = likelihoods(rows)
    assert found == pytest.approx([math.exp(-0.4), math.exp(-0.5), math.exp(-0.6)])
    assert outcome(Question("q", "?", "7"), rows, classes).selected["likelihood"] is True


def test_a_time_out_is_not_wrong():
    assert outcome_of(("x", LATE), ("7", RIGHT)) == voted(3, 1, 1, None)
    assert outcome_of(("x", LATE), ("7", RIGHT), ("7", RIGHT)) == voted(3, 2, 2, True, None)
    outcomes = [voted(1, 4, 1, True), voted(1, 0, 0, None)]
    found = figures(outcomes, n=4, ks=(1, 4), **SETTINGS)
    assert {name: value.mean for name, value in found.items()} == {
        "pass@1": 0.25,
        "pass@4": 1.0,
        "majority@4": 1.0,
    }
    assert found["pass@1"].n == 1


def test_a_figure_without_any_graded_question_is_left_out():
    assert figures([voted(1, 0, 0, None)], n=4, ks=(1,), **SETTINGS) == {}


def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample():
    verdicts = [True, False, False, True, False]
    for k in (1, 2, 3, 5):
        subsets = [any(s) for s in itertools.combinations(verdicts, k)]
        found = figures([voted(None, 5, 2, False)], n=5, ks=(k,), **SETTINGS)
        assert found[f"pass@{k}"].mean == pytest.approx(sum(subsets) / len(subsets))


def test_levels_in_order_and_questions_without_one_only_under_all():
    outcomes = [voted(level, 1, 1, True) for level in (2, 1, None, 2)]
    groups = by_level(outcomes)
    assert {name: len(members) for name, members in groups.items()} == {"all": 4, "1": 1, "2": 2}
    assert list(groups) == ["all", "1", "2"]


def test_counts_show_every_verdict():
    samples = samples_of(("7", RIGHT), (None, NONE), ("x", LATE))
    found = counts(samples)
    assert found["verdicts"] == {"correct": 1, "wrong": 0, "unparsed": 1, "timeout": 1}
    assert (found["questions"], found["samples"], found["tokens"]) == (1, 3, 6)
    assert found["finishes"] == {"stop": 3}


def test_counts_take_verdicts_of_candidates_and_the_cost_of_everything():
    step, late = samples_of(("7", RIGHT), ("x", LATE))
    rows = [
        replace(step, flops={"decode": 2.0}, usage={"decode": 2, "pages": 5}),
        replace(step, branch=2, role="pruned", verdict="", flops={"decode": 3.0, "verify": 1.0}),
        replace(step, branch=-1, role="prompt", verdict="", usage={"prefill": 9, "pages": 7}),
        replace(late, question="r", usage={"decode": 2, "pages": 6}),
    ]
    found = counts(rows)
    assert (found["questions"], found["samples"], found["tokens"]) == (2, 2, 6)
    assert found["verdicts"] == {"correct": 1, "wrong": 0, "unparsed": 0, "timeout": 1}
    assert found["finishes"] == {"stop": 2}
    assert found["flops"] == {"decode": 5.0, "verify": 1.0}
    assert found["usage"] == {"decode": 4, "pages": 7, "prefill": 9}
