# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Real processes of one run: what two, three or four make, killed or not, is what one makes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ttc_jax.__main__ import main
from ttc_jax.core.samples import read_samples

ROOT = Path(__file__).resolve().parent.parent
# Labels, a PRM trained of them on all processes together, and a beam search that it guides.
PIPELINE = """

full_config = get_config


def get_config(arg=None):
    config = full_config("tiny").unlock()
    config.order = ("labels", "prm_short", "test")
    config.stages.labels.data.count = 64
    config.stages.labels.model.path = "builtin:subset_sums_base"
    config.stages.prm_short.train.steps = 6
    config.stages.prm_short.train.evaluate_every = 3
    test = config.stages.test
    test.data.count = 40
    test.sweep.runs = (("beam(N=4,M=2)", {"scorer.path": "{workdir}/prm_short/model"}),)
    return config.lock()
"""

pytestmark = pytest.mark.multihost


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A folder with the config and a cache."""
    path = tmp_path_factory.mktemp("processes")
    text = (ROOT / "configs" / "quickstart.py").read_text()
    (path / "pipeline.py").write_text(text + PIPELINE)
    return path


def command(room: Path, name: str, *extra: str) -> list[str]:
    return [
        "run", f"--config={room / 'pipeline.py'}", f"--workdir={room / name}",
        f"--config.cache_dir={room / 'cache'}", *extra,
    ]  # fmt: skip


def start(room: Path, name: str, *extra: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "ttc_jax", *command(room, name, *extra)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=900)
    return said


@pytest.fixture(scope="module")
def alone(room) -> Path:
    """What one process leaves."""
    assert main(["ttc", *command(room, "alone")]) == 0
    return room / "alone"


def figures(workdir: Path) -> dict:
    """What results.json of the beam search says, without times."""
    (file,) = workdir.glob("test/beam*/results.json")
    results = json.loads(file.read_text())
    return {key: value for key, value in results.items() if key not in ("timing", "settings")}


def check_same(ours: Path, alone: Path) -> None:
    """Every sample once and with the same text, weights but for rounding, the same figures."""
    for samples in ("labels/samples", "test/beam*/samples"):
        (mine,), (theirs,) = ours.glob(samples), alone.glob(samples)
        rows, expected = read_samples(mine), read_samples(theirs)
        assert [(r.question, r.branch, r.text, r.role, r.verdict) for r in rows] == [
            (r.question, r.branch, r.text, r.role, r.verdict) for r in expected
        ]
        for row, other in zip(rows, expected, strict=True):
            np.testing.assert_allclose(row.scores, other.scores, atol=1e-5)
    one, other = (load_file(p / "prm_short/model/model.safetensors") for p in (ours, alone))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-5)
    assert figures(ours) == figures(alone)
    shards = list((ours / "labels/samples").iterdir())
    assert all(path.suffix == ".parquet" and path.name[0] != "." for path in shards)


def test_two_processes_make_what_one_makes(room, alone):
    said = finish(start(room, "two", "--local_processes=2"))
    assert "[3/3] test (sweep): done" in said, said
    check_same(room / "two", alone)
    runs = json.loads((room / "two/test/config.json").read_text())["runs"]
    assert [run["processes"] for run in runs] == [2]


def test_a_killed_process_ends_the_run_and_four_others_finish_it(room, alone):
    process = start(room, "killed", "--local_processes=2")
    until = time.monotonic() + 300
    while not list((room / "killed").glob("labels/samples/*.parquet")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    (*_, child) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    said = finish(process)
    assert process.returncode == 2
    assert "process 1 of 2 ended by SIGKILL" in said and "The same command goes on" in said
    assert not (room / "killed/results.json").exists()
    said = finish(start(room, "killed", "--local_processes=4"))
    assert "[3/3] test (sweep): done" in said, said
    check_same(room / "killed", alone)
    runs = json.loads((room / "killed/config.json").read_text())["runs"]
    assert [run["processes"] for run in runs] == [2, 4]


def test_a_process_with_another_config_is_refused(room):
    import socket

    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    cluster = [f"--coordinator={address}", "--processes=2"]
    first = start(room, "differ", *cluster, "--process=0")
    second = start(room, "differ", *cluster, "--process=1", "--config.seed=1")
    said = finish(second)
    first.kill()
    finish(first)
    assert second.returncode == 2
    assert "process 1 has a config with hash" in said and "process 0 has" in said
    assert not list(room.glob("differ/*/samples/*"))
