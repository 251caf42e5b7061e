# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What stored rollouts say about each step, what is dropped, and the file of labels."""

from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ttc_jax.core.places import WorkdirError
from ttc_jax.core.samples import Sample
from ttc_jax.learn.labels import (
    SCHEMA,
    LabelledSolution,
    labelled,
    read_labels,
    summary_of,
    write_labels,
)


class Rows:
    """Stored rows of one question, added one after the other."""

    def __init__(self, question: str = "q"):
        root = Sample(question, -1, "How many?", (), (), [5, 6, 7], "", 0.0, "step", parent=None,
                      role="prompt", usage={"prefill": 2, "pages": 9})  # fmt: skip
        self.rows = [root]

    def add(self, parent: int, text: str, finish="step", verdict="", phase="decode") -> int:
        steps = [line for line in text.split("\n") if line.strip()]
        role = "candidate" if verdict else "expanded"
        number = len(self.rows) - 1
        self.rows.append(
            Sample(self.rows[0].question, number, text, steps, [text.index(s) for s in steps],
                   list(range(len(text))), verdict, 0.0, finish, parent=parent, role=role,
                   usage={phase: len(text)})
        )  # fmt: skip
        return number

    def end(self, parent: int, text: str, verdict: str, finish="stop") -> int:
        return self.add(parent, text, finish, verdict)

    def roll(self, parent: int, *verdicts: str) -> None:
        for verdict in verdicts:
            self.add(parent, "r", "stop", verdict, "rollout")


def test_values_are_the_shares_of_right_rollouts():
    rows = Rows()
    first = rows.add(-1, "a\n")
    second = rows.add(first, "b\n")
    rows.roll(first, "correct", "wrong", "wrong", "correct", "correct")
    rows.end(second, "c", "correct")
    rows.end(second, "d", "wrong")
    rows.roll(second, "wrong", "wrong")
    solutions, dropped = labelled(rows.rows)
    assert not dropped
    assert solutions == [
        LabelledSolution("q", ("a", "b", "c"), (0.6, 0.0, 1.0), (5, 2, 0), True, 1, "a\nb\nc"),
        LabelledSolution("q", ("a", "b", "d"), (0.6, 0.0, 0.0), (5, 2, 0), False, 1, "a\nb\nd"),
    ]


def test_a_rollout_without_an_answer_is_wrong_and_one_that_timed_out_does_not_count():
    rows = Rows()
    first, other = rows.add(-1, "a\n"), rows.add(-1, "b\n")
    rows.roll(first, "correct", "unparsed", "timeout", "correct", "wrong")
    rows.roll(other, "timeout", "timeout")
    rows.end(first, "c", "wrong")
    rows.end(other, "c", "wrong")
    one, two = labelled(rows.rows)[0]
    assert (one.values, one.rollouts) == ((0.5, 0.0), (4, 0))
    assert (two.values, two.rollouts) == ((None, 0.0), (0, 0))


def test_steps_inside_a_node_have_no_value_and_blank_nodes_have_no_step():
    rows = Rows()
    first = rows.add(-1, "a\nb\n")
    blank = rows.add(first, " \n")
    rows.roll(first, "correct", "wrong")
    rows.roll(blank, "wrong", "wrong")
    last = rows.add(blank, "c\n")
    rows.roll(last, "wrong", "wrong")
    rows.end(last, "\n", "correct")
    [solution] = labelled(rows.rows)[0]
    assert solution.steps == ("a", "b", "c")
    assert solution.values == (None, 0.5, 1.0), "the last step of all has the verdict"
    assert solution.rollouts == (0, 2, 0)
    assert solution.text == "a\nb\n \nc\n\n"


def test_samples_that_cannot_be_learned_from_are_dropped_and_counted():
    rows = Rows()
    first, _, third = (rows.add(-1, text) for text in ("a\n", "a\n", "b\n"))
    rows.roll(first, "correct")
    rows.roll(third, "correct")
    rows.end(-1, "9", "correct")
    rows.end(-1, "9", "correct", "length")  # cut, but after its answer
    rows.end(-1, "hm", "unparsed")
    rows.end(-1, "hm", "unparsed", "length")
    rows.end(-1, "hm", "timeout")
    rows.end(first, "9", "wrong")
    rows.end(first, "9", "wrong")
    for text in ("c\n", "c\n", "d\n"):  # given up after all rounds
        rows.add(third, text)
    solutions, dropped = labelled(rows.rows)
    assert [(s.text, s.correct, s.count) for s in solutions] == [("9", True, 2), ("a\n9", False, 2)]
    assert dropped == {"unparsed": 1, "length": 1, "timeout": 1, "rounds": 3}


def test_samples_that_go_on_from_a_prefix_are_its_rollouts():
    rows = Rows()
    rows.end(-1, "a\nb\nc", "correct")
    rows.end(-1, "a\nb\nc", "correct")
    rows.end(-1, "a\n\nb\nd", "wrong")  # a blank line more: the same steps
    rows.end(-1, "a\nb\n", "wrong")  # ended behind the prefix
    rows.end(-1, "a\nb", "correct")  # ended before its newline
    rows.end(-1, "a\nb\ne", "timeout")
    rows.end(-1, "a\nx\n", "unparsed", "length")
    rows.end(-1, "\n", "unparsed")
    solutions, dropped = labelled(rows.rows, rollouts=False)
    assert dropped == {"timeout": 1, "length": 1, "unparsed": 1}
    assert [(s.steps, s.values, s.rollouts, s.count) for s in solutions] == [
        (("a", "b", "c"), (3 / 6, 2 / 4, 1.0), (6, 4, 0), 2),
        (("a", "b", "d"), (3 / 6, 2 / 4, 0.0), (6, 4, 0), 1),
        (("a", "b"), (3 / 6, 0.0), (6, 0), 1),
        (("a", "b"), (3 / 6, 1.0), (6, 0), 1),
    ]


def test_rows_of_two_questions_are_refused():
    with pytest.raises(ValueError, match=r"one question, got \['p', 'q'\]"):
        labelled([*Rows("p").rows, *Rows("q").rows])


def test_a_summary():
    rows, hopeless = Rows(), Rows("p")
    first = rows.add(-1, "a\n")
    rows.roll(first, "correct", "timeout", "wrong")
    rows.end(first, "9", "correct")
    rows.end(first, "9", "correct")
    rows.end(-1, "8", "wrong")
    other = hopeless.add(-1, "a\n")
    hopeless.roll(other, "timeout")
    hopeless.end(other, "1", "wrong")
    hopeless.end(-1, "hm", "unparsed")
    solutions, dropped = [], Counter()
    for of_one in (rows.rows, hopeless.rows):
        found, lost = labelled(of_one)
        solutions += found
        dropped += lost
    assert summary_of([*rows.rows, *hopeless.rows], solutions, dropped) == {
        "questions": 2,
        "without_correct": ["p"],
        "samples": 5,
        "kept": 4,
        "correct": 2,
        "solutions": 3,
        "dropped": {"unparsed": 1},
        "steps": 5,
        "steps_without_value": 1,
        "rollouts": {"correct": 1, "timeout": 2, "wrong": 1},
        "usage": {"prefill": 4, "decode": 10, "rollout": 4},
    }


# ------------------------------------------------------------------ the file

SOLUTIONS = [
    LabelledSolution("q1", ("a", "b"), (1 / 3, 1.0), (3, 0), True, 2, "a\nb"),
    LabelledSolution("q1", ("ä", "\\frac{1}{2}"), (None, 0.0), (0, 0), False, 1, "ä\n\\frac{1}{2}"),
    LabelledSolution("q2", ("c",), (0.0,), (0,), False, 14, "c"),
]
PROVENANCE = {"strategy": "monte_carlo()", "seed": 3, "model": {"path": "modèle"}, "sizes": [1, 2]}


def test_labels_come_back(tmp_path):
    write_labels(tmp_path / "labels.parquet", SOLUTIONS, PROVENANCE)
    assert read_labels(tmp_path / "labels.parquet") == (SOLUTIONS, PROVENANCE)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.parquet"]
    write_labels(tmp_path / "labels.parquet", [], {})
    assert read_labels(tmp_path / "labels.parquet") == ([], {})


def test_a_file_written_by_other_means(tmp_path):
    path = tmp_path / "labels.parquet"
    rows = [{"question": "q", "steps": ["a"], "values": [0.25], "rollouts": [4], "correct": False,
             "count": 1, "text": "a", "more": 1}]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    solution = LabelledSolution("q", ("a",), (0.25,), (4,), False, 1, "a")
    assert read_labels(path) == ([solution], {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": (0.5, 1.25)}, r"question 'q1': step 2 of 2 \('b'\) has the value 1.25;"),
        ({"values": (-0.5, 1.0)}, r"step 1 of 2 \('a'\) has the value -0.5"),
        ({"values": (float("nan"), 1.0)}, r"step 1 of 2 \('a'\) has the value nan"),
        ({"values": (0.5, float("inf"))}, r"step 2 of 2 \('b'\) has the value inf"),
        ({"values": (0.5,)}, "question 'q1': 2 steps, 1 values and 2 numbers of rollouts"),
        ({"rollouts": ()}, "2 steps, 2 values and 0 numbers of rollouts"),
        ({"steps": (), "values": (), "rollouts": ()}, "0 steps, 0 values"),
        ({"count": 0}, "question 'q1': count is 0; it must be at least 1"),
    ],
    ids=str,
)
def test_bad_labels_are_named(change, message, tmp_path):
    path = tmp_path / "bad.parquet"
    write_labels(path, [SOLUTIONS[2], replace(SOLUTIONS[0], **change)], {})
    with pytest.raises(ValueError, match=rf"bad\.parquet, .*{message}"):
        read_labels(path)


def test_files_that_are_no_labels(tmp_path):
    path = tmp_path / "labels.parquet"
    with pytest.raises(FileNotFoundError, match="no labels at .*labels.parquet; label questions"):
        read_labels(path)
    path.write_bytes(b"PAR1 and nothing")
    with pytest.raises(ValueError, match="labels.parquet cannot be read .*; label the questions"):
        read_labels(path)
    table = pa.Table.from_pylist([], schema=SCHEMA).drop_columns(["values", "text"])
    pq.write_table(table, path)
    with pytest.raises(ValueError, match="labels.parquet lacks values, text; label the questions"):
        read_labels(path)


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(WorkdirError):
        write_labels(tmp_path / "none" / "labels.parquet", SOLUTIONS, {})
