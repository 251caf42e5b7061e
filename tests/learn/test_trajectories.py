# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Revision data by the letter of the paper: how many wrong attempts, which ones, in what order."""

import random
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttc_jax.core.places import WorkdirError
from ttc_jax.core.samples import Sample
from ttc_jax.learn.trajectories import Trajectory, balanced, outcomes, restem, revisions
from ttc_jax.learn.trajectory_file import read_trajectories, write_trajectories

PROMPT = Sample("q0", -1, "How much?", [], [], [], "", 0.0, "", parent=None, role="prompt")


def sample(branch: int, text: str, verdict: str, question: str = "q0", **fields) -> Sample:
    """A candidate of one step; a node that is none where `role` says so."""
    return Sample(question, branch, text, [], [], [], verdict, 0.0, "stop", **fields)


def run(*candidates: tuple[str, str], question: str = "q0") -> list[Sample]:
    """The stored rows of a question whose candidates are (text, verdict)."""
    rows = [sample(i, text, v, question) for i, (text, v) in enumerate(candidates)]
    return [replace(PROMPT, question=question), *rows]


def edits(one: str, other: str) -> int:
    """Character-level edit distance, by the textbook."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


texts = st.text("ab \n", max_size=6).map(lambda text: text + "c")
verdicts = st.sampled_from(["correct", "wrong", "wrong", "unparsed", "timeout"])


def alike(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Equal texts with equal verdicts, as grading gives them."""
    known = {text.strip(): verdict for text, verdict in pairs}
    return [(text, known[text.strip()]) for text, _ in pairs]


runs = st.lists(st.tuples(texts, verdicts), min_size=1, max_size=12).map(alike)


@settings(max_examples=300, deadline=None)
@given(candidates=runs, most=st.integers(0, 5), seed=st.integers(0, 9))
def test_attempts_are_distinct_wrong_ones_and_the_last_is_the_nearest(candidates, most, seed):
    made, dropped = revisions(run(*candidates), most=most, seed=seed)
    kinds = Counter(verdict for _, verdict in candidates)
    wrong = [text for text, verdict in candidates if verdict == "wrong"]
    distinct = list(dict.fromkeys(text.strip() for text in wrong))
    assert [t.solution for t in made] == [text for text, v in candidates if v == "correct"]
    for trajectory in made:
        assert (trajectory.question, trajectory.correct) == ("q0", True)
        assert len(trajectory.attempts) <= min(most, len(distinct))
        assert set(trajectory.attempts) <= set(wrong)
        stripped = [text.strip() for text in trajectory.attempts]
        assert len(set(stripped)) == len(stripped)
        if stripped:
            target = trajectory.solution.strip()
            assert stripped[-1] == min(distinct, key=lambda text: edits(text, target))
    expected = Counter(
        unparsed=kinds["unparsed"], timeout=kinds["timeout"], repeated=len(wrong) - len(distinct),
        no_correct=not kinds["correct"], no_wrong=not wrong,
    )  # fmt: skip
    assert dropped == +expected


@settings(max_examples=100, deadline=None)
@given(candidates=runs, order=st.randoms(use_true_random=False), seed=st.integers(0, 9))
def test_draws_do_not_depend_on_the_order_of_rows_or_on_other_correct_ones(candidates, order, seed):
    rows = run(*candidates)
    made, dropped = revisions(rows, seed=seed)
    assert revisions(rows, seed=seed) == (made, dropped)
    mixed = order.sample(rows, len(rows))
    assert revisions(mixed, seed=seed) == (made, dropped)
    correct = [row for row in rows if row.verdict == "correct"]
    for row, trajectory in zip(correct, made, strict=True):
        alone = [other for other in rows if other is row or other.verdict != "correct"]
        assert revisions(alone, seed=seed)[0] == [trajectory]


@pytest.mark.parametrize(("wrong", "most"), [(9, 4), (2, 4), (4, 1), (3, 0), (0, 4)])
def test_how_many_is_uniform_over_what_there_is(wrong, most):
    rows = run(("right", "correct"), *((f"wrong {i}", "wrong") for i in range(wrong)))
    draws, chosen = 3000, Counter()
    counts: Counter = Counter()
    for seed in range(draws):
        (trajectory,), _ = revisions(rows, most=most, seed=seed)
        counts[len(trajectory.attempts)] += 1
        chosen.update(trajectory.attempts[:-1])
    kinds = min(wrong, most) + 1
    assert set(counts) == set(range(kinds))
    expected = draws / kinds
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 4 + 6 * (kinds - 1)  # beyond 1 in 10,000 for up to four degrees of freedom
    # All are as near, so the first is always last; the others come up equally often.
    assert "wrong 0" not in chosen
    if len(chosen) > 1:
        mean = sum(chosen.values()) / (wrong - 1)
        assert all(abs(count - mean) < 5 * mean**0.5 for count in chosen.values())


@settings(max_examples=100, deadline=None)
@given(candidates=runs, seed=st.integers(0, 9))
def test_gold_stands_in_the_place_of_every_wrong_candidate(candidates, seed):
    rows = run(*candidates)
    made, dropped = revisions(rows, seed=seed, gold="gold")
    plain, dropped_without = revisions(rows, seed=seed)
    assert dropped == dropped_without
    wanted = {"correct": lambda text: text, "wrong": lambda text: "gold"}
    expected = [wanted[v](text) for text, v in candidates if v in wanted]
    assert [t.solution for t in made] == expected
    # What there is without it stays as it was.
    kept = [
        t
        for t, (_, v) in zip(made, (c for c in candidates if c[1] in wanted), strict=True)
        if v == "correct"
    ]
    assert kept == plain
    wrong = {text for text, v in candidates if v == "wrong"}
    assert all(set(t.attempts) <= wrong and t.correct for t in made)


@settings(max_examples=100, deadline=None)
@given(candidates=runs, most=st.integers(1, 4), seed=st.integers(0, 9))
def test_a_right_answer_in_view_is_to_be_kept(candidates, most, seed):
    rows = run(*candidates)
    plain, _ = revisions(rows, most=most, seed=seed)
    made, _ = revisions(rows, most=most, seed=seed, kept=1.0)
    for trajectory, without in zip(made, plain, strict=True):
        assert trajectory.solution == without.solution == trajectory.attempts[-1]
        room = without.attempts[-(most - 1) :] if most > 1 else ()
        assert trajectory.attempts[:-1] == room
    some, _ = revisions(rows, most=most, seed=seed, kept=0.5)
    assert all(t in pair for t, *pair in zip(some, plain, made, strict=True))


def test_the_share_of_right_answers_in_view():
    rows = run(*[("right", "correct")] * 2000, ("wrong", "wrong"))
    made, _ = revisions(rows, kept=0.3)
    share = sum("right" in t.attempts for t in made) / len(made)
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / 2000) ** 0.5


def test_the_seed_the_question_and_the_branch_matter():
    pairs = [("right", "correct")] * 30 + [(f"wrong {i}", "wrong") for i in range(9)]
    first = [t.attempts for t in revisions(run(*pairs))[0]]
    assert len(set(first)) > 10
    assert [t.attempts for t in revisions(run(*pairs), seed=1)[0]] != first
    other, _ = revisions(run(*pairs, question="q1"))
    assert {t.question for t in other} == {"q1"}
    assert [t.attempts for t in other] != first


def test_stepwise_solutions_are_whole():
    rows = [
        PROMPT,
        sample(0, "3 + 4\n", "", role="expanded"),
        sample(1, "2 + 4\n", "", role="pruned"),
        sample(2, "= 7", "correct", parent=0, place=1),
        sample(3, "= 8", "wrong", parent=0, place=0),
    ]
    made = {revisions(rows, seed=seed)[0][0] for seed in range(20)}
    assert made == {
        Trajectory("q0", (), "3 + 4\n= 7"),
        Trajectory("q0", ("3 + 4\n= 8",), "3 + 4\n= 7"),
    }
    judged, _ = outcomes(rows)
    assert judged == [
        Trajectory("q0", (), "3 + 4\n= 8", correct=False),
        Trajectory("q0", (), "3 + 4\n= 7"),
    ]


# ------------------------------------------------------------------ chains


def chains(*of: str) -> list[Sample]:
    """Chains of attempts, one letter each: correct, wrong, unparsed or timed out.

    Branches are numbered round by round, as they are sampled.
    """
    names = {"c": "correct", "w": "wrong", "u": "unparsed", "t": "timeout"}
    length = len(of[0])
    return [
        PROMPT,
        *(
            sample(at * len(of) + i, f"{i}{at}", names[letter], place=i * length + at)
            for i, chain in enumerate(of)
            for at, letter in enumerate(chain)
        ),
    ]


def test_chains_end_at_their_first_correct_answer():
    rows = chains("wwcwc", "ccccc", "wuwwc", "wwwww", "wtcww", "wctww", "uuuuu")
    random.Random(0).shuffle(rows)
    made, dropped = restem(rows, chain=5)
    assert made == [
        Trajectory("q0", ("00", "01"), "02"),
        Trajectory("q0", (), "10"),
        Trajectory("q0", ("20", "21", "22", "23"), "24"),
        Trajectory("q0", ("50",), "51"),
    ]
    assert dropped == {"no_correct": 2, "timeout": 1}
    assert restem(rows, chain=5, memory=1)[0][2] == Trajectory("q0", ("23",), "24")


@settings(max_examples=100, deadline=None)
@given(
    letters=st.lists(st.text("cwut", min_size=4, max_size=4), min_size=1, max_size=5),
    memory=st.integers(1, 4),
)
def test_outcomes_are_every_attempt_with_what_its_prompt_had(letters, memory):
    made, dropped = outcomes(chains(*letters), chain=4, memory=memory)
    expected = []
    for i, chain in enumerate(letters):
        for at, letter in enumerate(chain):
            if letter in "cw":
                view = tuple(f"{i}{j}" for j in range(4) if at - memory <= j < at)
                expected.append(Trajectory("q0", view, f"{i}{at}", letter == "c"))
    assert made == expected
    every = "".join(letters)
    assert dropped == +Counter(unparsed=every.count("u"), timeout=every.count("t"))


lengths = st.lists(st.integers(0, 4), max_size=40)


@settings(max_examples=200, deadline=None)
@given(lengths=lengths, seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
def test_as_many_of_every_length(lengths, seed, order):
    every = [Trajectory(f"q{i % 3}", tuple("abcd"[:n]), f"{i // 2}") for i, n in enumerate(lengths)]
    kept = balanced(every, seed=seed)
    counts = Counter(lengths)
    fewest = min(counts.values(), default=0)
    assert Counter(len(t.attempts) for t in kept) == dict.fromkeys(counts, fewest)
    assert not Counter(kept) - Counter(every)
    left = iter(every)
    assert all(trajectory in left for trajectory in kept), "in the order given"
    mixed = order.sample(every, len(every))
    assert Counter(balanced(mixed, seed=seed)) == Counter(kept)


def test_balance_depends_on_the_seed():
    every = [Trajectory("q0", ("a",) * (i % 2), str(i)) for i in range(40)]
    every += [Trajectory("q1", ("a", "b"), str(i)) for i in range(5)]
    kept = [balanced(every, seed=seed) for seed in range(2)]
    assert kept[0] != kept[1]
    assert len(kept[0]) == len(kept[1]) == 15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: revisions(chains("cw"), most=-1), "most=-1: give the largest number"),
        (lambda: revisions(chains("cw"), kept=1.5), "kept=1.5, most=4: give a share"),
        (lambda: revisions(chains("cw"), kept=0.5, most=0), "most=0: give a share, and room"),
        (lambda: restem(chains("cwc"), chain=2), "'q0': 3 candidates are not whole chains of 2"),
        (lambda: outcomes(chains("cwc"), chain=2), "'q0': 3 candidates are not whole chains of 2"),
        (lambda: restem(chains("cw"), chain=0), "chain=0: give that of the strategy"),
        (lambda: outcomes(chains("cw"), memory=0), "memory=0: give that of the strategy"),
        (lambda: revisions([]), "samples of one question, got"),
        (lambda: revisions([PROMPT, sample(0, "a", "wrong", "q1")]), "got .'q0', 'q1'."),
    ],
)
def test_bad_requests_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ------------------------------------------------------------------ files

SOME = [
    Trajectory("q0", (), "3 + 4\n= 7\n"),
    Trajectory("q1", ("é\n\nx", ""), "\\boxed{8}", correct=False),
]


@pytest.mark.parametrize("made", [SOME, []], ids=["some", "none"])
def test_files_come_back_as_they_were(made, tmp_path):
    path = tmp_path / "revisions.parquet"
    provenance = {"samples": "run", "most": 4, "dropped": {"unparsed": 3}}
    write_trajectories(path, SOME[:1], {})
    write_trajectories(path, iter(made), provenance)
    assert read_trajectories(path) == (made, provenance)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_files_that_are_no_trajectories(tmp_path):
    path = tmp_path / "x.parquet"
    with pytest.raises(ValueError, match="no trajectories at .*x.parquet; make them first"):
        read_trajectories(path)
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ValueError, match="x.parquet cannot be read"):
        read_trajectories(path)
    write_trajectories(path, SOME, {"a": 1})
    table = pq.read_table(path)
    for bad, message in (
        (table.drop_columns("solution"), "has no column 'solution'"),
        (table.set_column(3, "correct", pa.array([1, 0])), "'correct' of .* holds int64"),
        (table.set_column(0, "question", pa.array(["q", None])), "holds string with 1 nulls"),
        (table.replace_schema_metadata(), "does not say where it comes from"),
    ):
        pq.write_table(bad, path)
        with pytest.raises(ValueError, match=message):
            read_trajectories(path)
    with pytest.raises(WorkdirError):
        write_trajectories(tmp_path / "missing" / "x.parquet", SOME, {})
