# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A lease in a bucket: refused while it is held, taken over when its holder is gone or silent."""

import json
import os
import subprocess
import sys
import time

import pytest
from directory_bucket import install

from ttc_jax.core import lock
from ttc_jax.core.places import WorkdirError, path_of


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "b").mkdir()
    install(tmp_path)
    return path_of("gs://b/run")


def noted(directory, **changes) -> dict:
    """Writes what another holder would have, and returns it."""
    found = {"holder": "other", "host": "elsewhere", "machine": "other", "process": 1} | changes
    found = {"time": time.time()} | found
    (directory / ".lock").write_text(json.dumps(found))
    return found


def test_a_held_lease_is_refused_and_a_released_one_is_free(directory):
    held = lock.hold(directory)
    with pytest.raises(WorkdirError, match=rf"gs://b/run: process {os.getpid()} of .* 0 s ago"):
        lock.hold(directory)
    held.release()
    assert not (directory / ".lock").exists()
    lock.hold(directory).release()


def test_the_lease_of_another_machine_is_taken_over_when_it_is_silent(directory):
    noted(directory, time=time.time() - 100)
    with pytest.raises(WorkdirError, match="of elsewhere, heard of 100 s ago.*after 180 s"):
        lock.hold(directory)
    noted(directory, time=time.time() - lock.LEASE_S - 1)
    lock.hold(directory).release()


def test_the_lease_of_a_process_of_this_machine_that_ended_is_taken_over(directory):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    noted(directory, machine=lock._machine(), process=ended.pid)
    lock.hold(directory).release()
    noted(directory, machine=lock._machine(), process=os.getppid())
    with pytest.raises(WorkdirError, match=f"process {os.getppid()} of elsewhere"):
        lock.hold(directory)


def test_a_lease_is_refreshed_and_one_that_was_taken_over_interrupts(directory, monkeypatch):
    monkeypatch.setattr(lock, "REFRESH_S", 0.02)
    held = lock.hold(directory)
    first = json.loads((directory / ".lock").read_text())["time"]
    until = time.monotonic() + 10
    while json.loads((directory / ".lock").read_text())["time"] == first:
        assert time.monotonic() < until
        time.sleep(0.01)
    with pytest.raises(KeyboardInterrupt):
        while time.monotonic() < until:  # a refresh may be about to write
            (directory / ".lock").write_text(
                json.dumps({"holder": "other", "host": "elsewhere", "process": 1, "time": 0})
            )
            time.sleep(0.05)
    held.release()
    assert json.loads((directory / ".lock").read_text())["holder"] == "other"
