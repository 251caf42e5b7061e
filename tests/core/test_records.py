# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole files or none, one holder a directory, and no mixing of settings in one directory."""

import errno
import json
import os
import subprocess
import sys

import pytest

from ttc_jax.core import records
from ttc_jax.core.records import (
    Metrics,
    RunRecord,
    WorkdirError,
    check_writable,
    git_commit,
    key_of,
    read_metrics,
    write_bytes_atomic,
    write_json_atomic,
)

DEPENDS = {"seed": 0, "sample.n": 4}


def start(record, **changes):
    values = {"config": {"seed": 0}, "overrides": {}, "device": "cpu", "command": ["ttc", "run"]}
    record.start(**values | changes)


def test_write_json_atomic_replaces_the_whole_file(tmp_path):
    path = tmp_path / "x.json"
    write_json_atomic(path, {"a": "a" * 1000})
    write_json_atomic(path, {"é": 1.5})
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": 1.5}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_not_a_number_is_no_result(tmp_path):
    with pytest.raises(ValueError):
        write_json_atomic(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a Linux device")
def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "x.json"
    write_bytes_atomic(path, b"old")
    (tmp_path / ".x.json.tmp").symlink_to("/dev/full")
    with pytest.raises(WorkdirError, match=r"x\.json: No space left.*--workdir"):
        write_bytes_atomic(path, b"new" * 100_000)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_is_reported_before_the_run(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(WorkdirError, match="No space left on device; free space"):
        RunRecord(tmp_path / "run", depends=DEPENDS)
    assert not list((tmp_path / "run").iterdir())


def test_a_path_below_a_file_cannot_be_a_workdir(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkdirError, match="file.*--workdir"):
        check_writable(tmp_path / "file" / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WorkdirError, match="Permission denied"):
        check_writable(tmp_path)


def test_a_directory_that_refuses_files_is_refused(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(records, "open", refuse, raising=False)
    with pytest.raises(WorkdirError, match="Permission denied.*--workdir"):
        check_writable(tmp_path)


def test_config_json_lists_every_start(tmp_path):
    for command in (["first"], ["second"]):
        with RunRecord(tmp_path, depends=DEPENDS) as record:
            start(record, command=command, config={"report": command[0]})
    saved = json.loads((tmp_path / "config.json").read_text())
    assert [run["command"] for run in saved["runs"]] == [["first"], ["second"]]
    assert saved["config"] == {"report": "second"}
    assert saved["samples_depend_on"] == DEPENDS
    assert saved["key"] == key_of({"sample.n": 4, "seed": 0})
    assert {"python", "jax", "flax"} <= saved["runs"][0]["versions"].keys()


def test_other_settings_are_refused_by_name(tmp_path):
    with RunRecord(tmp_path, depends=DEPENDS) as record:
        start(record)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(ValueError, match=r"sample\.n was 4, now 8\. Pass another --workdir"):
        RunRecord(tmp_path, depends=DEPENDS | {"sample.n": 8})
    with pytest.raises(ValueError, match=r"extra was None, now 1"):
        RunRecord(tmp_path, depends=DEPENDS | {"extra": 1})
    assert (tmp_path / "config.json").read_bytes() == before
    RunRecord(tmp_path, depends=dict(reversed(DEPENDS.items()))).close()


def test_tuples_and_lists_are_the_same_setting(tmp_path):
    with RunRecord(tmp_path, depends={"stop": ("a", "b")}) as record:
        start(record)
    RunRecord(tmp_path, depends={"stop": ["a", "b"]}).close()


def test_a_foreign_config_json_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text("[1, 2")
    with pytest.raises(ValueError, match="not a run record"):
        RunRecord(tmp_path, depends=DEPENDS)
    assert (tmp_path / "config.json").read_text() == "[1, 2"


def test_one_process_at_a_time(tmp_path):
    code = (
        "import sys; from ttc_jax.core.records import RunRecord, WorkdirError\n"
        "try: RunRecord(sys.argv[1], depends={})\n"
        "except WorkdirError as error: print(error)\n"
        "else: print('open')"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with RunRecord(tmp_path, depends={}):
        assert "another process is running in" in other()
    assert other() == "open\n"


def test_metrics_drop_a_line_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    Metrics(path).append({"step": 0, "rate": 1.5})
    with open(path, "a") as file:
        file.write('{"step": 1, "ra')
    assert list(read_metrics(path)) == [{"step": 0, "rate": 1.5}]
    Metrics(path).append({"step": 1})
    assert list(read_metrics(path)) == [{"step": 0, "rate": 1.5}, {"step": 1}]


def test_git_commit_is_of_this_checkout():
    commit = git_commit()
    assert commit is None or len(commit.rstrip("+")) == 40
