# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What lies on the paths to candidates, against walks over trees of nodes."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from study.synthetic_runs import HISTORY, ORM, REVISION, write_run

from ttc_jax.core.samples import Sample, SampleStore, by_question, candidates, read_samples
from ttc_jax.search.recorder import stored_tree
from ttc_jax.study.paths import read_paths

QUESTIONS = [f"q{i:03d}" for i in range(6)]


def total(rows) -> Counter:
    return sum((Counter(row.flops) for row in rows), Counter())


def same(found, expected) -> bool:
    """Equal FLOPs by phase, phases without any left out."""
    return {p: c for p, c in found.items() if c} == pytest.approx(dict(expected))


@pytest.mark.parametrize("strategy, settings", [
    ("best_of_n(N=5)", {}),
    ("best_of_n(N=1)", {}),
    ("best_of_n(N=4)", {"verifier": None}),
    ("best_of_n(N=4)", {"verifier": ORM}),
    ("beam(N=8,M=4)", {}),
    ("lookahead(N=4,M=2,k=1)", {}),
    ("dvts(N=8,M=4)", {}),
    ("rebase(N=6)", {}),
    ("revise(s=6,p=2)", {"policy": REVISION, "verifier": HISTORY}),
], ids=str)  # fmt: skip
def test_paths_are_those_of_the_stored_trees(tmp_path, strategy, settings):
    run = write_run(tmp_path / "run", strategy, questions=6, **settings)
    paths = read_paths(run / "samples", QUESTIONS)
    assert list(paths.rows) == QUESTIONS
    for rows in by_question(read_samples(run / "samples")):
        name, at = rows[0].question, paths.rows[rows[0].question]
        tree, flops = stored_tree(rows), {row.branch: row for row in rows}
        assert paths.answers[at] == [row.answer for row in candidates(rows)]
        assert paths.verdicts[at] == [row.verdict for row in candidates(rows)]
        assert paths.tokens[at].tolist() == [
            sum(len(node.tokens) for node in c.path) for c in tree.candidates
        ]
        assert paths.steps[at] == [tuple(c.all_scores) for c in tree.candidates]
        values = [math.nan if c.value is None else c.value for c in tree.candidates]
        np.testing.assert_array_equal(paths.values[at], values)

        walks = []  # of each candidate, with the prompt that it began at
        for c in tree.candidates:
            first = c.path[0].parent
            walks.append({first.number, *(node.number for node in c.path)})
        visits = Counter(number for walk in walks for number in walk)
        assert same(paths.flops[name], total(rows))
        assert same(paths.discarded[name], total(r for r in rows if r.branch not in visits))
        for i, walk in enumerate(walks):
            alone = [flops[n] for n in walk if visits[n] == 1 and n != -1]
            mine = {phase: cost[at][i] for phase, cost in paths.own.items()}
            assert same(mine, total(alone))


def test_only_what_is_asked_for_and_stored_is_read(tmp_path):
    run = write_run(tmp_path / "run", "best_of_n(N=2)", questions=6, answered=4)
    paths = read_paths(run / "samples", ["q003", "q001", "q005"])
    assert list(paths.rows) == ["q001", "q003"] and len(paths.answers) == 4
    assert read_paths(run / "samples", []).rows == {}
    assert read_paths(run / "nowhere", QUESTIONS).rows == {}


def row(branch, parent=-1, role="candidate", place=-1, **settings) -> Sample:
    defaults = {"verdict": "wrong", "answer": str(branch), "logprob": 0.0, "finish": "stop"}
    return Sample(
        "q", branch, "text", ("text",), (0,), (1, 2), parent=parent, role=role, place=place,
        **(defaults | settings),
    )  # fmt: skip


def store(directory, *rows) -> None:
    samples = SampleStore(directory)
    samples.append(rows)
    samples.flush()


def test_candidates_stand_in_the_order_of_the_strategy(tmp_path):
    store(tmp_path, row(2, place=0), row(0, place=2), row(5, place=1), row(1, role="pruned"))
    assert read_paths(tmp_path, ["q"]).answers == ["2", "5", "0"]


def test_early_samples_have_no_prompt_and_no_place(tmp_path):
    store(tmp_path, row(1, flops={"decode": 3.0}), row(0, flops={"decode": 2.0}))
    paths = read_paths(tmp_path, ["q"])
    assert paths.answers == ["0", "1"] and paths.own["decode"].tolist() == [2.0, 3.0]


def test_what_the_verifier_could_not_read_has_no_steps(tmp_path):
    unread = {"scores": (), "value": 0.0, "finish": "unread"}
    scores = (0.5, 0.25)
    store(
        tmp_path,
        row(0, role="expanded", scores=scores, value=0.25, finish="step"),
        row(1, parent=0, **unread), row(2, parent=0, scores=(1.0,), value=1.0),
    )  # fmt: skip
    assert read_paths(tmp_path, ["q"]).steps == [(), (0.5, 0.25, 1.0)]


@pytest.mark.parametrize("rows, message", [
    ((row(0, scores=(0.5, math.nan), value=0.5),), "sample 0 of question 'q' .* has a score that"),
    ((row(0, value=0.5), row(1, value=math.nan)), "sample 1 .* has a value that is not a number"),
    ((row(0, value=0.5), row(1)), "sample 1 .* has no value, though others have"),
    ((row(0), row(3, parent=2)), "sample 3 .* continues one that is not stored"),
    ((row(0), row(1, parent=1)), "sample 1 .* continues one sampled after it"),
    ((row(0, parent=-2),), "sample 0 .* continues one that is not stored"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_cannot_be_right_is_named(tmp_path, rows, message):
    store(tmp_path, *rows)
    with pytest.raises(ValueError, match=message):
        read_paths(tmp_path, ["q"])


def test_shards_are_read_as_one(tmp_path):
    samples = SampleStore(tmp_path)
    for name in ("b", "a"):
        samples.append([replace(row(i, value=0.5, scores=(0.5,)), question=name) for i in (0, 1)])
        samples.flush()
    paths = read_paths(tmp_path, ["a", "b"])
    assert paths.rows == {"a": slice(0, 2), "b": slice(2, 4)}
    assert paths.steps == [(0.5,)] * 4
