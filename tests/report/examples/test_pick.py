# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Examples picked from runs made by hand, where it is known what there is to pick."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ttc_jax.core.samples import Sample, SampleStore
from ttc_jax.report.examples.branches import TEXT, cut, way
from ttc_jax.report.examples.cases import Examples
from ttc_jax.report.examples.pick import ATTEMPTS, QUESTION, Source, pick
from ttc_jax.search.names import parse

GOLD = "18"


def classes(answers: Sequence[str | None]) -> list[int | None]:
    """Equal texts are equal answers."""
    seen = list(dict.fromkeys(a for a in answers if a is not None))
    return [None if a is None else seen.index(a) for a in answers]


def row(question: str, branch: int, text: str, role: str, **fields) -> Sample:
    fields = {"verdict": "", "place": -1, "parent": -1, "value": None} | fields
    return Sample(
        question, branch, text, steps=[text], offsets=[0], tokens=[1], logprob=-1.0, finish="stop",
        role=role, **fields,
    )  # fmt: skip


def prompt(question: str, branch: int = -1) -> Sample:
    gold = GOLD if branch == -1 else None
    return row(question, branch, f"How many in {question}?", "prompt", parent=None, answer=gold)


def candidate(question: str, branch: int, answer: str | None, place: int = -1, **fields) -> Sample:
    verdict = "unparsed" if answer is None else "correct" if answer == GOLD else "wrong"
    text = "No idea." if answer is None else f"The answer is {answer}."
    fields = {"answer": answer, "verdict": verdict, "place": place} | fields
    return row(question, branch, text, "candidate", **fields)


def parallel(question: str, *answers: tuple[str | None, float | None]) -> list[Sample]:
    """Samples side by side, of (answer, value)."""
    found = [candidate(question, i, a, value=value) for i, (a, value) in enumerate(answers)]
    return [prompt(question), *found]


def beam(question: str, chosen: str, given_up: str, extra: int = 0) -> list[Sample]:
    """A kept and a pruned first step; of the kept one two candidates and a pruned solution."""
    return [
        prompt(question),
        row(question, 0, "First.\n", "expanded", value=0.6),
        row(question, 1, "Other.\n", "pruned", value=0.2),
        row(question, 2, f"The answer is {given_up}.", "pruned", parent=0, value=0.3),
        candidate(question, 3, chosen, 0, parent=0, value=0.9),
        candidate(question, 4, "7", 1, parent=0, value=0.5),
        *(row(question, 5 + i, "Aside.\n", "pruned", value=0.01 * i) for i in range(extra)),
    ]


def chain(question: str, *answers: Sequence[str]) -> list[Sample]:
    """Chains of attempts, the later ones from prompts of their own."""
    rows, n = [prompt(question)], len(answers[0])
    for turn in range(n):
        for number, attempts in enumerate(answers):
            parent = -1 if turn == 0 else -2 - (turn - 1) * len(answers) - number
            if turn:
                rows.append(prompt(question, parent))
            rows.append(
                candidate(question, turn * len(answers) + number, attempts[turn],
                          number * n + turn, parent=parent, round=2 * turn, value=0.5)
            )  # fmt: skip
    return rows


def source(directory: Path, name: str, strategy: str, *questions: list[Sample]) -> Source:
    store = SampleStore(directory / name)
    for rows in questions:
        store.append(rows)
    store.flush()
    return Source(name, directory / name, parse(strategy))


def test_a_solved_tree_shows_the_way_and_what_was_given_up(tmp_path):
    found = pick(
        [source(tmp_path, "beam", "beam(N=4,M=2)", beam("q2", GOLD, "5", extra=9),
                beam("q1", GOLD, "5", extra=2), beam("q0", "7", "5"))],
        classes,
    )  # fmt: skip
    (tree,) = found.trees
    assert tree.kind == "solved" and tree.asked.question == "q1"  # the smallest that is solved
    assert tree.asked.text == "How many in q1?" and tree.asked.gold == GOLD
    assert (tree.asked.run, tree.asked.strategy) == ("beam", "beam(N=4,M=2)")
    assert tree.asked.rule == "weighted" and (tree.chosen, tree.right, tree.nodes) == (3, 3, 7)
    (branch,) = tree.branches
    assert [level.step.number for level in branch.levels] == [0, 3] and branch.forks == ()
    assert [step.number for step in branch.levels[0].others] == [1, 5, 6]
    last = branch.levels[1]
    assert (last.step.state, last.step.verdict, last.step.answer) == ("candidate", "correct", GOLD)
    assert [(s.number, s.state, s.answer) for s in last.others] == [
        (2, "pruned", None), (4, "candidate", "7"),
    ]  # fmt: skip


def test_a_right_solution_that_was_given_up_is_found_by_its_answer(tmp_path):
    run = source(tmp_path, "beam", "beam(N=4,M=2)", beam("q0", "5", "6"), beam("q1", "5", GOLD))
    (tree,) = pick([run], classes).trees
    assert (tree.kind, tree.asked.question) == ("pruned", "q1")
    assert (tree.chosen, tree.right) == (3, 2)
    (branch,) = tree.branches
    assert [fork.levels[0].step.number for fork in branch.forks] == [2, 3]
    assert [step.number for step in branch.forks[0].levels[0].others] == [4]


def test_siblings_are_those_of_the_highest_value_and_branches_below_are_counted():
    rows = beam("q", GOLD, "5", extra=6)
    (branch,) = way(rows, [3])
    first = branch.levels[0]
    assert [step.number for step in first.others] == [1, 9, 10] and first.hidden == 4
    (other,) = way(rows, [1])
    assert [(s.number, s.state, s.below) for s in other.levels[0].others][0] == (0, "kept", 3)


def test_chains_that_gain_and_lose_the_right_answer(tmp_path):
    run = source(
        tmp_path, "revise", "revise(s=3,p=2)",
        chain("q0", ("1", "2", "3"), (GOLD, GOLD, GOLD)),
        chain("q1", ("1", "2", "3"), (GOLD, "1", "2")),
        chain("q2", ("1", GOLD, GOLD), ("1", "2", "3")),
    )  # fmt: skip
    corrected, lost = pick([run], classes).chains
    assert (corrected.kind, corrected.asked.question) == ("corrected", "q2")
    assert [(a.place, a.answer, a.verdict) for a in corrected.attempts] == [
        (1, "1", "wrong"), (2, GOLD, "correct"), (3, GOLD, "correct"),
    ]  # fmt: skip
    assert [a.chosen for a in corrected.attempts] == [False, True, False]
    assert (lost.kind, lost.asked.question, lost.asked.rule) == ("lost", "q1", "hierarchical")
    assert [a.answer for a in lost.attempts] == [GOLD, "1", "2"]


def test_of_a_long_chain_the_beginning_and_the_end_are_shown(tmp_path):
    answers = [str(i) for i in range(11)] + [GOLD]
    run = source(tmp_path, "revise", "revise(s=12,p=1)", chain("q", answers))
    (found,) = pick([run], classes).chains
    assert [a.place for a in found.attempts] == [*range(1, ATTEMPTS), 12]
    assert found.hidden == 12 - ATTEMPTS


def test_failures_of_choice_of_the_verifier_and_of_everybody(tmp_path):
    narrow = source(tmp_path, "narrow", "best_of_n(N=2)", parallel("q0", ("1", 0.9), (GOLD, 0.1)))
    wide = source(
        tmp_path, "wide", "best_of_n(N=5)",
        parallel("q1", ("1", 0.2), ("1", 0.9), ("1", 0.2), (GOLD, 0.8), (None, 1.0)),
        parallel("q2", ("3", 0.9), (GOLD, 0.5), (GOLD, 0.5), ("4", 0.1), ("5", 0.2)),
        parallel("q3", *[("3", 0.4)] * 5),
        parallel("q4", *[(GOLD, 0.4)] * 5),
    )  # fmt: skip
    unchosen, fooled, unsolved = pick([narrow, wide], classes).failures
    assert [f.kind for f in (unchosen, fooled, unsolved)] == ["unchosen", "fooled", "unsolved"]
    assert [f.asked.question for f in (unchosen, fooled, unsolved)] == ["q1", "q2", "q3"]
    assert [f.asked.rule for f in (unchosen, fooled, unsolved)] == ["weighted", "best", "weighted"]
    assert [(a.text, a.count, a.verdict, a.chosen) for a in unchosen.answers] == [
        ("1", 3, "wrong", True), (GOLD, 1, "correct", False), ("no answer", 1, "unparsed", False),
    ]  # fmt: skip
    assert unchosen.answers[0].total == pytest.approx(1.3)
    assert unchosen.answers[0].best == pytest.approx(0.9)
    assert unchosen.solutions == (("Selected", "The answer is 1."), ("Right", "The answer is 18."))
    assert fooled.solutions[0] == ("Highest score", "The answer is 3.")
    assert [name for name, _ in unsolved.solutions] == ["Selected"]


def test_without_a_verifier_majority_chooses_and_nobody_is_fooled(tmp_path):
    answers = [("1", None), ("1", None), (GOLD, None)]
    run = source(tmp_path, "plain", "best_of_n(N=3)", parallel("q", *answers))
    (failure,) = pick([run], classes).failures
    assert (failure.kind, failure.asked.rule) == ("unchosen", "majority")
    assert failure.answers[0].total is failure.answers[0].best is None


def test_what_does_not_occur_is_left_out(tmp_path):
    run = source(tmp_path, "easy", "best_of_n(N=2)", parallel("q", *[(GOLD, 0.9)] * 2))
    assert pick([run], classes) == Examples() == pick([], classes)


def test_long_texts_are_cut_in_the_middle(tmp_path):
    assert cut("  short \n", 9) == "short"
    assert cut("0123456789" * 10, 13) == "01234 … 56789"
    rows = parallel("q", ("1", 0.1), ("2", 0.2))
    rows[0] = row("q", -1, "word " * 2000, "prompt", parent=None, answer=GOLD)
    run = source(tmp_path, "long", "best_of_n(N=2)", rows)
    (failure,) = pick([run], classes).failures
    assert len(failure.asked.text) <= QUESTION and " … " in failure.asked.text
    tall = beam("q", GOLD, "5")
    tall[1] = row("q", 0, "x" * 5000, "expanded", value=0.6)
    assert len(way(tall, [3])[0].levels[0].step.text) <= TEXT


def test_the_same_samples_give_the_same_examples(tmp_path):
    rows = [beam(f"q{i}", GOLD, "5", extra=2) for i in range(3)]
    first = source(tmp_path, "run", "beam(N=4,M=2)", *rows)
    (tmp_path / "again").mkdir()
    again = source(tmp_path / "again", "run", "beam(N=4,M=2)", *rows[::-1])
    assert pick([first], classes) == pick([again], classes)
