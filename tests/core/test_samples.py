# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Samples come back as they went in, a question at a time, none lost and none twice."""

import errno
import os
import shutil

import pyarrow.parquet as pq
import pytest

from ttc_jax.core import records
from ttc_jax.core.records import WorkdirError
from ttc_jax.core.samples import SCHEMA, Sample, SampleStore


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
    }
    return Sample(**values | changes)


def test_samples_come_back_as_they_went_in(tmp_path):
    rows = [sample(branch=1, answer=None, scores=[], flops={}, parent=0), sample(branch=0)]
    store = SampleStore(tmp_path)
    store.append(rows)
    assert store.waiting == 1 and store.read() == []
    store.flush()
    assert store.waiting == 0
    assert SampleStore(tmp_path).read() == [rows[1], rows[0]]


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
