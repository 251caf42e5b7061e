# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A run's hold on its work directory, and config.json, which says what was run there and when.

One process, or one team of them, at a time holds a work directory.
"""

import datetime
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ttc_jax.core import lock
from ttc_jax.core.files import check_writable, write_json_atomic
from ttc_jax.core.places import path_of
from ttc_jax.core.team import Team

PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "math-verify",
    "tokenizers", "rapidfuzz",
)  # fmt: skip


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
        self.path = path_of(workdir)
        self.team, self._lock = team or Team(), None
        if self.team.leads:
            check_writable(self.path)
            self._lock = lock.hold(self.path)
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
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "RunRecord":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


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
