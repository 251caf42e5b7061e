# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole files only: a reader sees all of a file or none, whenever the process that writes dies.

On this machine a file is written under a temporary name, synced and renamed. In a bucket it is one
object, which appears when all of it is there.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ttc_jax.core.places import WorkdirError, in_bucket, make_directory

TEMPORARY = ".tmp"
PROBE_BYTES = 1 << 20  # what a nearly full disk must still take before a run may start

_CHUNK = 1 << 23


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Leaves `path` holding exactly `data`, or as it was.

    Raises:
      WorkdirError: the directory is not writable or the disk is full; no temporary file is left.
    """
    if in_bucket(path):
        try:
            path.write_bytes(data)
        except Exception as error:  # clients of buckets have errors of their own
            raise unwritable(path, error) from error
        return
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass  # the first error says more than this one
        raise unwritable(path, error) from error


def upload(source: Path, path: Path) -> None:
    """Leaves `path`, in a bucket, holding what the file `source` does, or as it was.

    Raises:
      WorkdirError: the bucket does not take it.
    """
    try:
        with open(source, "rb") as file, path.open("wb") as target:
            shutil.copyfileobj(file, target, _CHUNK)
    except Exception as error:  # clients of buckets have errors of their own
        raise unwritable(path, error) from error


def write_json_atomic(path: Path, value: Any) -> None:
    """Leaves `path` holding `value` as indented JSON, or as it was (see `write_bytes_atomic`)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes_atomic(path, (text + "\n").encode("utf-8"))


def check_writable(directory: Path) -> None:
    """Makes `directory` and proves that it takes files.

    Raises:
      WorkdirError: it cannot be made or written, its disk is full, or there is no such bucket.
    """
    try:
        make_directory(directory)
    except OSError as error:
        raise unwritable(directory, error) from error
    probe = directory / ".probe"
    write_bytes_atomic(probe, b"\0" * (1 if in_bucket(directory) else PROBE_BYTES))
    try:
        probe.unlink()
    except Exception as error:  # a bucket may take objects and keep them
        raise unwritable(probe, error) from error


def unwritable(path: Path, error: Exception) -> WorkdirError:
    """The error for a path that could not be written, and what to do."""
    if in_bucket(path):
        lines = str(error).strip().splitlines()
        why = ": ".join([type(error).__name__, *(line[:300] for line in lines[:1])])
        return WorkdirError(
            f"cannot write {path}: {why}; see that the "
            f"bucket exists and that your credentials may write, list and delete there, or pass "
            f"another --workdir, then repeat the command: what is stored already is kept"
        )
    return WorkdirError(
        f"cannot write {path}: {getattr(error, 'strerror', None) or error}; free space or pass "
        "another --workdir, then repeat the command: what is stored already is kept"
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
