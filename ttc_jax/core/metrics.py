# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a run notes as it goes: one JSON object a line, whole lines only.

On this machine the lines of all starts of a process are one file, metrics.jsonl of the first
process, metrics-1.jsonl of the next. In a bucket, where nothing can be appended, those of each
start are an object of their own, metrics.1.jsonl, metrics.2.jsonl and metrics-1.1.jsonl, written
anew as it grows. Readers take either.
"""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ttc_jax.core.files import unwritable, write_bytes_atomic
from ttc_jax.core.places import in_bucket

FLUSH_S = 5.0  # in a bucket, how old a line may become before it is stored


class Metrics:
    """Appends lines to a file."""

    def __init__(self, path: Path, start: int = 1):
        """Opens `path` for the start of that number; a last line cut short by a kill is removed.

        Raises:
          WorkdirError: the file cannot be written.
        """
        self.path = path
        self._grown = None
        if in_bucket(path):
            self._grown = _Grown(path.with_name(f"{path.stem}.{start}{path.suffix}"))
            return
        try:
            with open(path, "a+b") as file:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        except OSError as error:
            raise unwritable(path, error) from error

    def append(self, values: Mapping[str, Any]) -> None:
        """Adds one line; in a bucket it is stored at once, or FLUSH_S after the one before.

        Raises:
          WorkdirError: the disk is full, or the bucket does not take it.
        """
        line = (json.dumps(dict(values), allow_nan=False) + "\n").encode("utf-8")
        if self._grown is not None:
            self._grown.append(line)
            return
        try:
            with open(self.path, "ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def flush(self) -> None:
        """Stores what is not stored yet, for readers; to be called where a job ends.

        Raises:
          WorkdirError: the bucket does not take it.
        """
        if self._grown is not None:
            self._grown.flush()


class _Grown:
    """An object of a bucket that grows, written whole now and then."""

    def __init__(self, path: Path):
        self._path, self._lock = path, threading.Lock()
        self._data = bytearray(path.read_bytes() if path.exists() else b"")
        self._stored, self._last = len(self._data), -FLUSH_S
        self._timer: threading.Timer | None = None

    def append(self, line: bytes) -> None:
        with self._lock:
            self._data += line
            wait = self._last + FLUSH_S - time.monotonic()
            if wait <= 0:
                self._store()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self._late)
                self._timer.start()  # not a daemon: the process ends when all is stored

    def flush(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._store()

    def _late(self) -> None:
        with self._lock:
            self._timer = None
            self._store()

    def _store(self) -> None:
        if len(self._data) > self._stored:
            write_bytes_atomic(self._path, bytes(self._data))
            self._stored, self._last = len(self._data), time.monotonic()


def metrics_file(directory: Path, process: int) -> Path:
    """Where a process of a run notes what it does: metrics.jsonl, metrics-1.jsonl, ..."""
    return directory / (f"metrics-{process}.jsonl" if process else "metrics.jsonl")


def read_metrics(path: Path) -> Iterator[dict]:
    """The lines of all starts in their order; a last line without its end is left out."""
    starts = {path.name: 0}
    for found in path.parent.glob(f"{path.stem}.*{path.suffix}"):
        if number := re.fullmatch(rf"{re.escape(path.stem)}\.(\d+)", found.stem):
            starts[found.name] = int(number[1])
    for name in sorted(starts, key=starts.get):
        if name == path.name and not path.exists():
            continue
        for line in (path.parent / name).read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def read_all_metrics(directory: Path) -> Iterator[dict]:
    """The lines of all processes of a run, each with its "process"."""
    names = (path.name for path in directory.glob("metrics*.jsonl"))
    found = (re.fullmatch(r"metrics(?:-(\d+))?(?:\.\d+)?\.jsonl", name) for name in names)
    for process in sorted({int(name[1] or 0) for name in found if name}):
        for line in read_metrics(metrics_file(directory, process)):
            yield line | {"process": process}
