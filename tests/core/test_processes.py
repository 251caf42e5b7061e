# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Processes named by flags or found in a cluster; bad names end `ttc run` at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest
from core.test_roll_call import free_port

from ttc_jax.core import processes, roll_call

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = [sys.executable, "-m", "ttc_jax", "run", f"--config={ROOT / 'configs' / 'quickstart.py'}"]
# What SLURM sets in the second of two processes on two machines.
SLURM = {
    "SLURM_JOB_ID": "100",
    "SLURM_STEP_NODELIST": "gpu[07-08],login1",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "3",
}
SLURM_ADDRESS = ("gpu07", 65535 - 2**12 + 1 + 100)  # JAX's rule
CHILD = """
import sys
from ttc_jax.core import processes

if len(sys.argv) > 1:
    processes.start(sys.argv[1], 2, int(sys.argv[2]), 60)
else:
    processes.start(timeout_s=60)
import jax
from jax.experimental.multihost_utils import process_allgather
print(jax.process_index(), process_allgather(jax.numpy.array(jax.process_index() + 5)).tolist())
"""


@pytest.fixture
def calls(monkeypatch) -> list:
    """What would have been done of the roll call and by JAX, in order."""
    made = []
    monkeypatch.setattr(roll_call, "gather", lambda *args: made.append(("gather", *args)))
    monkeypatch.setattr(roll_call, "join", lambda *args: made.append(("join", *args)))
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda *args, **_: made.append(("initialize", *args))
    )
    return made


def end(running: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    try:
        said = [process.communicate(timeout=180) for process in running]
    finally:
        for process in running:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(running, said, strict=True)]


def started(command: list[str], **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | env,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a:1", 2, None), "--process missing; several processes need all of --coordinator="),
        (("a:1", None, None), "--processes and --process missing"),
        ((None, 2, 0), "--coordinator missing"),
        ((None, None, 0), "--coordinator and --processes missing"),
        (("a:1", 2, 2), "--process is 2 of --processes=2; they are numbered from 0 to 1"),
        (("a:1", 2, -1), "--process is -1 of --processes=2"),
        ((None, 1, 1), "--coordinator missing"),
        (("a:1", 0, 0), "--processes is 0; there is at least one"),
        (("a", 2, 0), "--coordinator is 'a'; write HOST:PORT"),
        (("a:0", 2, 0), "--coordinator is 'a:0'"),
        (("a:65536", 2, 0), "--coordinator is 'a:65536'"),
        (("http://a:80", 2, 0), "--coordinator is 'http://a:80'"),
        (("fd00::2:8476", 2, 0), "such as 10.0.0.2:8476 or [fd00::2]:8476"),
    ],
)
def test_bad_arguments_are_refused(calls, arguments, words):
    with pytest.raises(ValueError) as caught:
        processes.start(*arguments)
    assert words in str(caught.value) and not calls


@pytest.mark.parametrize("timeout_s", [0, -1.5])
def test_a_time_that_is_none_is_refused(timeout_s):
    with pytest.raises(ValueError, match=f"--coordinator_timeout_s is {timeout_s:g}"):
        processes.start(timeout_s=timeout_s)


def test_one_process_initialises_nothing(calls, monkeypatch):
    processes.start()
    processes.start(None, 1)
    processes.start("a:1", 1, 0)
    for name, value in (SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}).items():
        monkeypatch.setenv(name, value)
    processes.start()
    assert calls == []


def test_flags_name_the_processes(calls, monkeypatch):
    for name, value in SLURM.items():  # which flags overrule
        monkeypatch.setenv(name, value)
    processes.start("[fd00::2]:8476", 3, 0, 9)
    processes.start("10.0.0.2:8476", 3, 2, 9)
    processes.start(None, 1)
    assert calls == [
        ("gather", 8476, 3, 9),
        ("initialize", "[fd00::2]:8476", 3, 0, None),
        ("join", ("10.0.0.2", 8476), 2, 3, 9),
        ("initialize", "10.0.0.2:8476", 3, 2, None),
    ]


@pytest.mark.parametrize("own", [None, "0,1"])
def test_slurm_tells_the_processes(calls, monkeypatch, own):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    if own:
        monkeypatch.setenv("JAX_LOCAL_DEVICE_IDS", own)
    processes.start(timeout_s=9)
    address = ":".join(map(str, SLURM_ADDRESS))
    devices = None if own else [3]
    assert calls == [("join", SLURM_ADDRESS, 1, 2, 9), ("initialize", address, 2, 1, devices)]


def test_open_mpi_tells_the_processes(calls, monkeypatch):
    monkeypatch.setenv("OMPI_MCA_orte_hnp_uri", "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911")
    for name, value in {"SIZE": "4", "RANK": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(f"OMPI_COMM_WORLD_{name}", value)
    processes.start()
    assert [call[0] for call in calls] == ["join", "initialize"]
    assert calls[0][1][0] == "10.96.0.1" and calls[1][2:] == (4, 2, [0])


def test_a_cluster_that_does_not_tell_is_an_error_with_a_way_out(calls, monkeypatch):
    for name, value in (SLURM | {"SLURM_NTASKS": "two"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError, match=r"JAX detects a cluster .*'two'.*say --processes=1"):
        processes.start()
    processes.start(None, 1)
    assert calls == []


def test_an_address_alone_does_not_make_a_cluster(calls, monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "10.0.0.2:8476")
    with pytest.raises(ValueError, match="JAX_COORDINATOR_ADDRESS is 10.0.0.2:8476, but no"):
        processes.start()


@pytest.mark.multihost
def test_two_processes_of_which_one_has_flags_and_one_is_told_by_slurm_add_up():
    address = f"localhost:{free_port()}"
    command = [sys.executable, "-c", CHILD]
    env = SLURM | {"JAX_COORDINATOR_ADDRESS": address, "SLURM_LOCALID": "0"}
    done = end([started([*command, address, "0"]), started(command, **env)])
    assert [code for code, *_ in done] == [0, 0], done
    assert [out.splitlines()[-1] for _, out, _ in done] == ["0 [5, 6]", "1 [5, 6]"]


FAILING = """
import sys, time
from ttc_jax import __main__
from ttc_jax.core import processes

address, number = sys.argv[1], int(sys.argv[2])

class Command:
    USAGE = ""

    @staticmethod
    def main(argv):
        processes.start(address, 2, number, 60)
        print("joined", flush=True)
        if number == 1:
            raise ValueError("a wrong setting")
        time.sleep(600)

__main__.COMMANDS["fail"] = Command
sys.exit(__main__.main(["ttc", "fail"]))
"""


@pytest.mark.multihost
def test_a_process_that_fails_and_one_that_is_told_to_end_wait_for_nobody():
    address = f"localhost:{free_port()}"
    command = [sys.executable, "-c", FAILING, address]
    waiting, failing = started([*command, "0"]), started([*command, "1"])
    try:
        ((code, _, said),) = end([failing])
        assert code == 2 and "error: a wrong setting" in said
        assert waiting.poll() is None
        begin = time.monotonic()
        waiting.terminate()
        assert waiting.wait(timeout=120) == -signal.SIGTERM
        assert time.monotonic() - begin < 10
    finally:
        waiting.kill()


def test_the_command_line_ends_with_2_and_names_what_is_missing(tmp_path):
    address = f"localhost:{free_port()}"
    flags = [f"--workdir={tmp_path}", "--processes=3", "--coordinator_timeout_s=1"]
    begin = time.monotonic()
    alone, refused = end(
        [
            started([*RUN, *flags, f"--coordinator={address}", "--process=1"]),
            started([*RUN, *flags, f"--coordinator={address}", "--process=3"]),
        ]
    )
    (waiting,) = end([started([*RUN, *flags, f"--coordinator={address}", "--process=0"])])
    assert time.monotonic() - begin < 30
    assert [alone[0], waiting[0], refused[0]] == [2, 2, 2]
    assert f"error: process 1 of 3 was not called by process 0 at {address}" in alone[2]
    assert "error: 2 of 3 processes did not come within 1 s: 1, 2; start" in waiting[2]
    assert "error: --process is 3 of --processes=3" in refused[2]
    assert not list(tmp_path.iterdir())
