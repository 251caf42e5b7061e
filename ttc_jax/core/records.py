# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves in its work directory: config.json, metrics.jsonl and whole files only.

A file is written under a temporary name, synced and renamed, so a reader sees all of it or none of
it whenever the process dies. One process, or one team of them, at a time holds a work directory.
"""

import datetime
import fcntl
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ttc_jax.core.team import Team

PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "math-verify",
    "tokenizers", "rapidfuzz",
)  # fmt: skip
TEMPORARY = ".tmp"
PROBE_BYTES = 1 << 20  # what a nearly full disk must still take before a run may start


class WorkdirError(OSError):
    """A work directory that cannot be written, is full, or is in use; says where and what to do."""


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Leaves `path` holding exactly `data`, or as it was.

    Raises:
      WorkdirError: the directory is not writable or the disk is full; no temporary file is left.
    """
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
        raise _unwritable(path, error) from error


def write_json_atomic(path: Path, value: Any) -> None:
    """Leaves `path` holding `value` as indented JSON, or as it was (see `write_bytes_atomic`)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes_atomic(path, (text + "\n").encode("utf-8"))


def check_writable(directory: Path) -> None:
    """Makes `directory` and proves that it takes files.

    Raises:
      WorkdirError: it cannot be made or written, or its disk is full.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from error
    probe = directory / ".probe"
    write_bytes_atomic(probe, b"\0" * PROBE_BYTES)
    probe.unlink()


class RunRecord:
    """A work directory that this process holds until `close` (or its end, however it comes).

    Where it is one of a `team`, all of them open it, and the first holds and writes it.
    """

    def __init__(
        self, workdir: str | os.PathLike, *, depends: Mapping[str, Any], team: Team | None = None
    ):
        """Opens a work directory, new or left by an earlier run.

        `depends` is all that stored samples depend on, as flat JSON values by key.

        Raises:
          WorkdirError: it cannot be written, its disk is full, or another process holds it.
          ValueError: its samples were made with other values of `depends`.
        """
        self.path = Path(workdir).expanduser().absolute()
        self.team, self._lock = team or Team(), None
        if self.team.leads:
            check_writable(self.path)
            self._lock = _lock(self.path)
        self.team.wait()
        self._depends = json.loads(json.dumps(dict(depends), sort_keys=True))
        self._runs: list[dict] = []
        try:
            self._continue()
        except BaseException:
            self.close()
            raise

    def _continue(self) -> None:
        """Takes over the list of earlier starts; refuses samples of another kind."""
        file = self.path / "config.json"
        if not file.exists():
            return
        try:
            old = json.loads(file.read_text(encoding="utf-8"))
            before, self._runs = old["samples_depend_on"], list(old["runs"])
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{file} is not a run record ({error}); pass another --workdir"
            ) from error
        keys = sorted(before.keys() | self._depends.keys())
        changed = [key for key in keys if before.get(key) != self._depends.get(key)]
        if changed:
            shown = "; ".join(
                f"{key} was {before.get(key)!r}, now {self._depends.get(key)!r}" for key in changed
            )
            raise ValueError(
                f"what is in {self.path} was made with other settings: {shown}. "
                "Pass another --workdir, or go back to those settings"
            )

    def start(
        self, *, config: Mapping, overrides: Mapping, device: str, command: Sequence[str]
    ) -> None:
        """Writes config.json: the settings now, and one entry for each start of the run."""
        if not self.team.leads:
            self.team.wait()
            self._continue()
            return
        self._runs.append(
            {
                "processes": self.team.count,
                "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "command": list(command),
                "overrides": dict(overrides),
                "device": device,
                "host": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
                "git_commit": git_commit(),
                "versions": versions(),
            }
        )
        record = {
            "key": key_of(self._depends),
            "samples_depend_on": self._depends,
            "config": dict(config),
            "runs": self._runs,
        }
        write_json_atomic(self.path / "config.json", record)
        self.team.wait()

    @property
    def n_starts(self) -> int:
        """How often the run was started here, this time included."""
        return len(self._runs)

    def close(self) -> None:
        """Lets another process use the directory."""
        if self._lock is not None:
            os.close(self._lock)

    def __enter__(self) -> "RunRecord":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Metrics:
    """Appends one JSON object a line to a file, whole lines only."""

    def __init__(self, path: Path):
        """Opens `path`; a last line cut short by a kill is removed.

        Raises:
          WorkdirError: the file cannot be written.
        """
        self.path = path
        try:
            with open(path, "a+b") as file:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        except OSError as error:
            raise _unwritable(path, error) from error

    def append(self, values: Mapping[str, Any]) -> None:
        """Adds one line.

        Raises:
          WorkdirError: the disk is full.
        """
        line = json.dumps(dict(values), allow_nan=False) + "\n"
        try:
            with open(self.path, "ab", buffering=0) as file:
                file.write(line.encode("utf-8"))
        except OSError as error:
            raise _unwritable(self.path, error) from error


def metrics_file(directory: Path, process: int) -> Path:
    """Where a process of a run notes what it does: metrics.jsonl, metrics-1.jsonl, ..."""
    return directory / (f"metrics-{process}.jsonl" if process else "metrics.jsonl")


def read_metrics(path: Path) -> Iterator[dict]:
    """The lines of a metrics file; a last line without its end is left out."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def read_all_metrics(directory: Path) -> Iterator[dict]:
    """The lines of all processes of a run, each with its "process"."""
    for path in sorted(directory.glob("metrics*.jsonl")):
        process = int(path.stem.partition("-")[2] or 0)
        for line in read_metrics(path):
            yield line | {"process": process}


def key_of(depends: Mapping[str, Any]) -> str:
    """16 hex digits that name these settings, whatever the order of their keys."""
    text = json.dumps(dict(depends), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def code_key() -> str:
    """16 hex digits that name the source code of this package."""
    package, found = Path(__file__).resolve().parent.parent, hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions of Python, this package and the packages that samples and verdicts depend on."""
    found = {"python": platform.python_version()}
    for name in ("ttc_jax", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of the checkout that this package runs from, "+" added if it has changes."""
    package = Path(__file__).resolve().parent.parent
    try:
        top, commit = _git(package, "rev-parse", "--show-toplevel", "HEAD").split()
        if Path(top).resolve() != package.parent:
            return None  # installed inside somebody else's checkout
        changed = _git(package, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return commit + ("+" if changed.strip() else "")


def _git(directory: Path, *args: str) -> str:
    command = ["git", "-C", str(directory), *args]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def _lock(directory: Path) -> int:
    """A locked file descriptor; the system drops the lock when the process ends in any way."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise WorkdirError(
            f"another process is running in {directory}; wait for it, or pass another --workdir"
        ) from error
    return descriptor


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> WorkdirError:
    return WorkdirError(
        f"cannot write {path}: {error.strerror or error}; free space or pass another --workdir, "
        "then repeat the command: what is stored already is kept"
    )
