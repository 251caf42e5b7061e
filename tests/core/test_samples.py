# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Samples come back as they went in, a question at a time, none lost and none twice."""

import errno
import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ttc_jax.core import records
from ttc_jax.core.places import WorkdirError
from ttc_jax.core.samples import (
    SCHEMA,
    Sample,
    SampleStore,
    candidates,
    read_columns,
    read_outline,
    read_samples,
    stored_questions,
)
from ttc_jax.core.team import Team


def sample(question="q1", branch=0, **changes) -> Sample:
    values = {
        "question": question,
        "branch": branch,
        "text": "1 + 1\nis 2",
        "steps": ["1 + 1\n", "is 2"],
        "offsets": [0, 6],
        "tokens": [5, 6, 7],
        "verdict": "correct",
        "logprob": -1.25,
        "finish": "stop",
        "answer": "2",
        "scores": [0.5, 0.25],
        "flops": {"prefill": 1e9, "decode": 2.5e12},
        "value": 0.25,
        "ahead": "so",
        "ahead_scores": [0.125],
        "usage": {"decode": 3, "verify": 4},
    }
    return Sample(**values | changes)


def test_samples_come_back_as_they_went_in(tmp_path):
    plain = {"answer": None, "scores": [], "flops": {}, "value": None, "ahead": "", "usage": {}}
    rows = [
        sample(branch=1, parent=0, round=3, place=0, ahead_scores=[], **plain),
        sample(branch=0, role="expanded", verdict=""),
        sample(branch=-1, role="prompt", verdict="", parent=None, usage={"pages": 7}),
    ]
    store = SampleStore(tmp_path)
    store.append(rows)
    assert store.waiting == 1 and store.read() == []
    store.flush()
    assert store.waiting == 0
    assert SampleStore(tmp_path).read() == rows[::-1]


def test_a_shard_holds_whole_questions_in_one_schema(tmp_path):
    store = SampleStore(tmp_path)
    for name in ("a", "b"):
        store.append([sample(name, 0), sample(name, 1)])
    store.flush()
    store.append([sample("c", 0)])
    store.flush()
    store.flush()
    shards = sorted(tmp_path.glob("*.parquet"))
    assert [path.name for path in shards] == ["000000.parquet", "000001.parquet"]
    tables = [pq.read_table(path) for path in shards]
    assert tables[0]["question"].to_pylist() == ["a", "a", "b", "b"]
    assert all(table.schema.equals(SCHEMA) for table in tables)
    assert SampleStore(tmp_path).done() == {"a", "b", "c"}


def test_nothing_is_stored_twice(tmp_path):
    store = SampleStore(tmp_path)
    store.append([sample("a")])
    with pytest.raises(ValueError, match="'a' is stored already"):
        store.append([sample("a", 1)])
    store.flush()
    for reader in (store, SampleStore(tmp_path)):
        with pytest.raises(ValueError, match="'a' is stored already"):
            reader.append([sample("a")])
    with pytest.raises(ValueError, match="same branch twice"):
        store.append([sample("b"), sample("b")])
    with pytest.raises(ValueError, match=r"\['b', 'c'\]"):
        store.append([sample("b"), sample("c")])
    with pytest.raises(ValueError, match="one question"):
        store.append([])


def test_a_copied_shard_is_noticed(tmp_path):
    store = SampleStore(tmp_path)
    store.append([sample("a")])
    store.flush()
    shutil.copy(tmp_path / "000000.parquet", tmp_path / "000007.parquet")
    with pytest.raises(ValueError, match="000007.parquet repeats question 'a'"):
        SampleStore(tmp_path)


def test_half_written_files_are_cleared_and_broken_shards_named(tmp_path):
    store = SampleStore(tmp_path)
    store.append([sample("a")])
    store.flush()
    whole = (tmp_path / "000000.parquet").read_bytes()
    (tmp_path / ".000001.parquet.tmp").write_bytes(whole[:100])
    assert SampleStore(tmp_path).done() == {"a"}
    assert [path.name for path in tmp_path.iterdir()] == ["000000.parquet"]
    (tmp_path / "000001.parquet").write_bytes(whole[:-50])
    with pytest.raises(ValueError, match="000001.parquet cannot be read.*delete it"):
        SampleStore(tmp_path)


def test_a_full_disk_loses_nothing_that_was_taken(tmp_path, monkeypatch):
    store = SampleStore(tmp_path)
    store.append([sample("a")])
    with monkeypatch.context() as patch:

        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(records.os, "fsync", full)
        with pytest.raises(WorkdirError, match="000000.parquet: No space left"):
            store.flush()
    assert not list(tmp_path.iterdir()) and store.done() == frozenset()
    store.flush()
    assert [row.question for row in SampleStore(tmp_path).read()] == ["a"]


def test_a_plain_sample_needs_no_fields_of_a_search(tmp_path):
    store = SampleStore(tmp_path)
    store.append([Sample("q", 0, "hm", ["hm"], [0], [7], "unparsed", -1.0, "length")])
    store.flush()
    (row,) = store.read()
    assert (row.role, row.parent, row.place, row.value) == ("candidate", -1, -1, None)
    assert (row.ahead, row.ahead_scores, row.usage) == ("", [], {})
    assert candidates([row]) == [row]


def test_candidates_come_in_the_order_of_the_strategy():
    rows = [sample(branch=i, place=place) for i, place in enumerate((0, 2, 1, 3))]
    others = [sample(branch=9, role="pruned"), sample(branch=-1, role="prompt")]
    assert [row.branch for row in candidates([*others, *rows])] == [0, 2, 1, 3]
    unplaced = [sample(branch=i, place=-1) for i in (2, 0, 1)]
    assert [row.branch for row in candidates(unplaced)] == [0, 1, 2]


def test_one_question_and_the_outline_of_all(tmp_path):
    store = SampleStore(tmp_path)
    store.append([sample("b", 0, role="pruned", verdict=""), sample("b", 1, verdict="wrong")])
    store.append([sample("a")])
    store.flush()
    store.append([sample("c")])
    store.flush()
    assert [(s.question, s.branch) for s in read_samples(tmp_path, "b")] == [("b", 0), ("b", 1)]
    assert read_samples(tmp_path, "d") == []
    outline = read_outline(tmp_path)
    assert list(outline) == ["a", "b", "c"]
    assert outline["b"] == [("pruned", ""), ("candidate", "wrong")]


def test_columns_of_all_shards(tmp_path):
    store = SampleStore(tmp_path)
    for name in ("q2", "q1"):
        store.append([sample(name, branch=1), sample(name, branch=0, value=None)])
        store.flush()
    table = read_columns(tmp_path, ["value", "question"])
    assert table.column_names == ["value", "question"]
    assert table["question"].to_pylist() == ["q2", "q2", "q1", "q1"]
    assert table["value"].to_pylist() == [0.25, None, 0.25, None]
    none = read_columns(tmp_path / "none", ["question", "flops"])
    assert none.schema.names == ["question", "flops"] and not len(none)


def test_shards_of_an_earlier_version_are_named(tmp_path):
    store = SampleStore(tmp_path)
    store.append([sample("a")])
    store.flush()
    shard = tmp_path / "000000.parquet"
    old = [name for name in SCHEMA.names if name not in ("role", "usage")]
    pq.write_table(pq.read_table(shard).select(old), shard)
    for read in (SampleStore, read_samples, read_outline):
        with pytest.raises(ValueError, match="earlier version, without role, usage; delete .*or"):
            read(tmp_path)


def test_a_foreign_shard_is_named(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "000000.parquet")
    with pytest.raises(ValueError, match="without question, branch"):
        SampleStore(tmp_path)


def test_processes_of_a_team_write_shards_of_their_own(tmp_path):
    team = [Team(index, 3) for index in range(3)]
    for left in (".000001.parquet.tmp", ".000000-1.parquet.tmp", ".000004-7.parquet.tmp"):
        (tmp_path / left).write_bytes(b"cut")
    second = SampleStore(tmp_path, team[1])
    # It clears up for itself, and for a process that there is not any more.
    assert [path.name for path in tmp_path.iterdir()] == [".000001.parquet.tmp"]
    first = SampleStore(tmp_path, team[0])
    assert not list(tmp_path.iterdir())
    for store, names in ((second, "ab"), (first, "c"), (second, "d")):
        for name in names:
            store.append([sample(name)])
        store.flush()
    shards = sorted(path.name for path in tmp_path.iterdir())
    assert shards == ["000000-1.parquet", "000000.parquet", "000001-1.parquet"]
    assert [row.question for row in read_samples(tmp_path)] == list("abcd")
    assert stored_questions(tmp_path) == SampleStore(tmp_path, team[2]).done() == set("abcd")
    assert stored_questions(tmp_path / "nothing") == frozenset()
