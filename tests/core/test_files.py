# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole files or none, and a directory that does not take them is refused."""

import errno
import json
import os

import pytest

from ttc_jax.core import files
from ttc_jax.core.files import check_writable, write_bytes_atomic, write_json_atomic
from ttc_jax.core.places import WorkdirError


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

    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(WorkdirError, match="Permission denied.*--workdir"):
        check_writable(tmp_path)
