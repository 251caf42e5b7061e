# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes of one run on this machine: started, watched, ended together."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ttc_jax.core.places import in_bucket, make_directory, path_of

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
POLL_S = 0.2
GRACE_S = 10.0  # for the others, once one has failed


def run_here(argv: Sequence[str], count: int, workdir: str) -> None:
    """Runs `ttc run` with `argv` in `count` processes; each sees one of the accelerators, if any.

    The first speaks for all; what another one says goes to WORKDIR/process-I.log, or for a
    work directory in a bucket to a directory of this machine that is printed.

    Raises:
      ValueError: count is below 1.
      OSError: a process failed, which ends all; what was stored is kept.
    """
    if count < 1:
        raise ValueError(f"--local_processes is {count}; there is at least one")
    directory = path_of(workdir)
    if in_bucket(directory):  # logs grow by appending
        directory = Path(tempfile.mkdtemp(prefix="ttc-logs-"))
        print(f"logs of the other processes: {directory}", file=sys.stderr)
    make_directory(directory)
    logs = [None, *(directory / f"process-{i}.log" for i in range(1, count))]
    address = f"localhost:{_free_port()}"
    running: list[subprocess.Popen] = []
    try:
        for i, log in enumerate(logs):
            running.append(_start([*argv, f"--coordinator={address}"], i, count, log))
        _watch(running, logs)
    finally:
        _end(running)


def _start(argv: Sequence[str], index: int, count: int, log: Path | None) -> subprocess.Popen:
    command = [sys.executable, "-m", "ttc_jax", "run", *argv]
    command += [f"--processes={count}", f"--process={index}"]
    own = os.environ | {"JAX_LOCAL_DEVICE_IDS": str(index)}
    start = partial(subprocess.Popen, command, env=own, preexec_fn=_end_with_parent)
    if log is None:
        return start()
    with open(log, "ab") as file:
        return start(stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def _end_with_parent() -> None:
    """Has Linux kill this process when its parent is killed, which could not end it any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(running: Sequence[subprocess.Popen], logs: Sequence[Path | None]) -> None:
    while True:
        codes = [process.poll() for process in running]
        for index, code in enumerate(codes):
            if code:
                said = f"; it says why in {logs[index]}" if logs[index] else ""
                how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
                raise OSError(
                    f"process {index} of {len(running)} ended {how}{said}. The same command goes "
                    f"on with what is stored"
                )
        if None not in codes:
            return
        time.sleep(POLL_S)


def _end(running: Sequence[subprocess.Popen]) -> None:
    for process in running:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + GRACE_S
    for process in running:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]
