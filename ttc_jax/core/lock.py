# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One holder of a work directory at a time.

On this machine the system locks a file, and drops the lock when the process ends in any way. In a
bucket the lock is an object with a lease: it names its holder, who writes it anew every REFRESH_S.
One that has not been for LEASE_S is taken over, and so, at once, is that of a process of this
machine that there is no more. Buckets have no test-and-set: of two that take a lock in the same
moment the first one finds at its next refresh that it is not the holder, and is interrupted.
"""

import _thread
import fcntl
import json
import os
import platform
import sys
import threading
import time
import uuid
from pathlib import Path

from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.places import WorkdirError, in_bucket

REFRESH_S = 20.0
LEASE_S = 180.0


def hold(directory: Path) -> "FileLock | Lease":
    """The lock of a work directory, held until its `release`.

    Raises:
      WorkdirError: another process holds it, or it cannot be written.
    """
    return Lease(directory) if in_bucket(directory) else FileLock(directory)


class FileLock:
    """A lock of the system on the file .lock."""

    def __init__(self, directory: Path):
        """Raises WorkdirError where another process has it."""
        self._descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise WorkdirError(
                f"another process is running in {directory}; wait for it, or pass another --workdir"
            ) from error

    def release(self) -> None:
        """Lets another process have it."""
        os.close(self._descriptor)


class Lease:
    """The object .lock of a bucket, written anew by a thread as long as it is held."""

    _here: set[str] = set()  # holders in this process

    def __init__(self, directory: Path):
        """Raises WorkdirError where another holder has written it within LEASE_S."""
        self._directory, self._path = directory, directory / ".lock"
        self._holder, self._released = uuid.uuid4().hex, threading.Event()
        if (found := self._read()) is not None:
            age = time.time() - found["time"]
            if age < LEASE_S and not self._gone(found):
                raise WorkdirError(
                    f"another process is running in {directory}: process {found['process']} of "
                    f"{found['host']}, heard of {max(0.0, age):.0f} s ago; wait for it, or pass "
                    f"another --workdir. If it was killed, its lock ends after {LEASE_S:.0f} s "
                    f"of silence"
                )
        self._write()
        self._here.add(self._holder)
        self._thread = threading.Thread(target=self._refresh, name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Lets another process have it."""
        self._released.set()
        self._thread.join()
        self._here.discard(self._holder)
        if self._is_mine(self._read()):
            self._path.unlink(missing_ok=True)

    def _refresh(self) -> None:
        while not self._released.wait(REFRESH_S):
            try:
                found = self._read()
                if found is None or self._is_mine(found):
                    self._write()
                    continue
            except Exception as error:  # the next time may go better, and a lease lasts longer
                print(f"{self._path}: {error}", file=sys.stderr)
                continue
            print(
                f"error: process {found['process']} of {found['host']} has taken over "
                f"{self._directory}; this one ends",
                file=sys.stderr,
            )
            _thread.interrupt_main()
            return

    def _read(self) -> dict | None:
        try:
            return json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None

    def _write(self) -> None:
        value = {
            "holder": self._holder,
            "host": platform.node(),
            "machine": _machine(),
            "process": os.getpid(),
            "time": time.time(),
        }
        write_json_atomic(self._path, value)

    def _is_mine(self, found: dict | None) -> bool:
        return found is not None and found["holder"] == self._holder

    def _gone(self, found: dict) -> bool:
        """Whether the holder was a process of this machine that has ended."""
        if found["machine"] != _machine() or found["holder"] in self._here:
            return False
        if found["process"] == os.getpid():  # this one, which does not hold it, has its number now
            return True
        try:
            os.kill(found["process"], 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


def _machine() -> str:
    """What the numbers of processes hold for: this start of this system, and of its container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: no machine is known to be this one
        return uuid.uuid4().hex
