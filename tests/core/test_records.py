# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One holder a directory, and no mixing of settings in one directory."""

import errno
import json
import os
import subprocess
import sys

import pytest

from ttc_jax.core import records
from ttc_jax.core.places import WorkdirError
from ttc_jax.core.records import RunRecord, git_commit, key_of

DEPENDS = {"seed": 0, "sample.n": 4}


def start(record, **changes):
    values = {"config": {"seed": 0}, "overrides": {}, "device": "cpu", "command": ["ttc", "run"]}
    record.start(**values | changes)


def test_a_full_disk_is_reported_before_the_run(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(WorkdirError, match="No space left on device; free space"):
        RunRecord(tmp_path / "run", depends=DEPENDS)
    assert not list((tmp_path / "run").iterdir())


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
        "import sys; from ttc_jax.core.places import WorkdirError\n"
        "from ttc_jax.core.records import RunRecord\n"
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


def test_git_commit_is_of_this_checkout():
    commit = git_commit()
    assert commit is None or len(commit.rstrip("+")) == 40
