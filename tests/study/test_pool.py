# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Pools of graded candidates from rows set by hand."""

import math

import numpy as np
import pytest
from study.synthetic_runs import HISTORY, REVISION, write_run

from ttc_jax.core.samples import Sample, SampleStore
from ttc_jax.study.pool import Classes, common, number_answers, read_pools, rescored, split
from ttc_jax.study.runs import find_runs

RIGHT, WRONG, NONE, LATE = "correct", "wrong", "unparsed", "timeout"
ONE = ["q000"]


def candidate(branch, answer, verdict, value=None, scores=None, finish="stop") -> Sample:
    if scores is None:
        scores = () if value is None else (value,)
    return Sample(
        "q000", branch, "text", ("text",), (0,), (1, 2, 3), verdict, -1.0, finish, answer=answer,
        value=value, scores=scores, place=branch, flops={"decode": 10.0 + branch, "verify": 2.0},
    )  # fmt: skip


def prompt(gold="7") -> Sample:
    return Sample(
        "q000", -1, "What?", (), (), (1,), "", 0.0, "step", answer=gold, parent=None,
        role="prompt", flops={"prefill": 100.0, "verifier_prefill": 50.0},
    )  # fmt: skip


def run_of(path, *rows, strategy="best_of_n(N=4)", **settings):
    """A run of one question with these rows."""
    write_run(path, strategy, questions=1, answered=0, **settings)
    store = SampleStore(path / "samples")
    store.append([prompt(), *rows])
    store.flush()
    return find_runs([path])[0]


def pool_of(path, *rows, **settings):
    run = run_of(path, *rows, **settings)
    return read_pools(run, ONE, number_answers([run]))["q000"]


def test_a_pool_holds_what_was_graded(tmp_path):
    pool = pool_of(
        tmp_path / "run",
        candidate(0, "8", WRONG, 0.25), candidate(1, None, NONE, 0.5),
        candidate(2, "7", RIGHT, 0.75, scores=(0.5, 0.75)), candidate(3, "7.0", RIGHT, 1.0),
    )  # fmt: skip
    assert pool.question == "q000" and len(pool) == 4 and pool.chain == 0
    assert pool.classes.tolist() == [1, -1, 0, 0] and pool.classes.dtype == np.int32
    assert pool.right.tolist() == [False, False, True, True]
    assert pool.values.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert pool.steps == ((0.25,), (0.5,), (0.5, 0.75), (1.0,))
    assert pool.tokens.tolist() == [3, 3, 3, 3]
    assert pool.own["decode"].tolist() == [10, 11, 12, 13] and pool.own["prefill"].sum() == 0
    assert pool.flops == {"decode": 46, "prefill": 100, "verifier_prefill": 50, "verify": 8}
    assert not any(pool.discarded.values()) and pool.timeouts == 0


def test_what_could_not_be_graded_in_time_is_left_out_and_counted(tmp_path):
    pool = pool_of(
        tmp_path / "run", candidate(0, "8", WRONG, 0.25), candidate(1, "9", LATE, 0.5),
        candidate(2, "7", RIGHT, 0.75),
    )  # fmt: skip
    assert pool.timeouts == 1 and pool.right.tolist() == [False, True]
    assert pool.values.tolist() == [0.25, 0.75] and len(pool.steps) == 2
    assert pool.own["decode"].tolist() == [10, 12]
    assert pool.flops["decode"] == 33  # it was paid for


def test_a_late_attempt_keeps_its_place_in_its_chain(tmp_path):
    rows = [candidate(0, "8", WRONG), candidate(1, "9", LATE), candidate(2, "7", RIGHT),
            candidate(3, "7", RIGHT)]  # fmt: skip
    chains = {"strategy": "revise(s=2,p=2)", "policy": REVISION, "verifier": None}
    pool = pool_of(tmp_path / "run", *rows, **chains)
    assert pool.chain == 2 and pool.timeouts == 1
    assert pool.classes.tolist() == [1, -2, 0, 0]
    assert pool.right.tolist() == [False, False, True, True]
    with pytest.raises(ValueError, match="'q000' has 3 candidates, not whole chains of 2"):
        pool_of(tmp_path / "broken", *rows[:3], **chains)


def test_without_a_verifier_values_are_nan(tmp_path):
    pool = pool_of(tmp_path / "run", candidate(0, "7", RIGHT), verifier=None)
    assert math.isnan(pool.values[0]) and pool.steps == ((),)


def test_only_stored_questions_have_a_pool_in_the_order_asked_for(tmp_path):
    write_run(tmp_path / "run", "best_of_n(N=2)", questions=5, answered=3)
    (run,) = find_runs([tmp_path])
    pools = read_pools(run, ["q004", "q002", "q000"], number_answers([run]))
    assert list(pools) == ["q002", "q000"]


def test_answers_are_numbered_alike_in_all_runs(tmp_path):
    rows = {
        "a": [candidate(0, "8", WRONG), candidate(1, r"\frac{1}{2}", WRONG)],
        "b": [candidate(0, "0.5", WRONG), candidate(1, "8.0", WRONG), candidate(2, "7", RIGHT)],
    }
    runs = [run_of(tmp_path / name, *own, verifier=None) for name, own in rows.items()]
    for order in (runs, runs[::-1]):
        classes = number_answers(order)
        a, b = (read_pools(run, ONE, classes)["q000"].classes.tolist() for run in runs)
        assert a == b[1::-1] and len(set(a)) == 2  # 8 and 8.0, the half and 0.5
        assert b[2] == 0 and 0 not in a  # the gold answer comes first
        assert (a, b) == ([2, 1], [1, 2, 0])


def test_classes_of_answers():
    classes = Classes({"q": {"7": 0, "8": 1}})
    assert classes.of("q", ["8", None, "7"]).tolist() == [1, -1, 0]
    with pytest.raises(ValueError, match="there are none"):
        number_answers([])


def test_values_by_another_aggregate(tmp_path):
    pool = pool_of(
        tmp_path / "run", candidate(0, "8", WRONG, 0.25, scores=(0.5, 0.75, 0.25)),
        candidate(1, None, NONE, 0.0, scores=(), finish="unread"),
    )  # fmt: skip
    expected = {"last": 0.25, "min": 0.25, "prod": 0.09375, "mean": 0.5}
    for name, value in expected.items():
        assert rescored(pool, name).values.tolist() == [value, 0.0]
    assert rescored(pool, "last").values.tolist() == pool.values.tolist()
    with pytest.raises(ValueError, match="no aggregate 'max'; there are last, min, prod, mean"):
        rescored(pool, "max")
    bare = pool_of(tmp_path / "bare", candidate(0, "7", RIGHT), verifier=None)
    with pytest.raises(ValueError, match="'q000' were not scored"):
        rescored(bare, "min")


def test_parts_of_a_pool_cost_what_they_would_have_cost_alone(tmp_path):
    rows = [candidate(i, "7", RIGHT, 0.5) for i in range(4)] + [candidate(4, "9", LATE, 0.5)]
    pool = pool_of(tmp_path / "run", *rows)
    first, rest = split(pool, 1)
    assert len(first) == 1 and len(rest) == 3
    assert first.timeouts == 0 and rest.timeouts == 1
    assert first.own["decode"].tolist() == [10] and rest.own["decode"].tolist() == [11, 12, 13]
    assert first.flops == {"decode": 10, "prefill": 100, "verifier_prefill": 50, "verify": 2}
    # The late one counts with the rest.
    assert rest.flops == {"decode": 50, "prefill": 100, "verifier_prefill": 50, "verify": 8}
    for m in (0, 4):
        with pytest.raises(ValueError, match=f"{m} of the 4 candidates"):
            split(pool, m)


def test_chains_are_not_cut(tmp_path):
    write_run(
        tmp_path / "run", "revise(s=3,p=2)", questions=1, policy=REVISION, verifier=HISTORY
    )
    (run,) = find_runs([tmp_path])
    pool = read_pools(run, ONE, number_answers([run]))["q000"]
    first, rest = split(pool, 3)
    assert first.steps + rest.steps == pool.steps and first.chain == 3
    with pytest.raises(ValueError, match="2 attempts are not whole chains of 3"):
        split(pool, 2)


def test_common_questions_have_a_candidate_everywhere(tmp_path):
    write_run(tmp_path / "some", "best_of_n(N=2)", questions=4, answered=3)
    write_run(tmp_path / "all", "best_of_n(N=1)", questions=4)
    runs = find_runs([tmp_path])
    classes, ids = number_answers(runs), [f"q{i:03d}" for i in range(4)]
    pools = [read_pools(run, ids, classes) for run in runs]
    assert common(pools) == ("q000", "q001", "q002")
    assert common(pools[:1]) == tuple(ids) and common([]) == ()
    empty = pool_of(tmp_path / "late", candidate(0, "9", LATE, 0.5))
    assert len(empty) == 0 and empty.timeouts == 1
    assert common([{"q000": empty}, *pools]) == ()
