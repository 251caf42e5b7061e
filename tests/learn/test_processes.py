# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Two real processes train one model, as hosts of a pod do."""

import json
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from learn.training import CHILD, go, own_learner, stored

pytestmark = [pytest.mark.multihost, pytest.mark.usefixtures("quick_compilation")]

PROCESS = """
address, number, mesh = sys.argv[2], int(sys.argv[3]), tuple(map(int, sys.argv[4].split("x")))
jax.config.update("jax_num_cpu_devices", int(sys.argv[5]))
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, num_processes=2, process_id=number)
done = go(directory, on=own_learner(mesh, fsdp=True, dropout=0.0), steps=10, evaluate_every=10)
print([found["loss"] for found in done.history.evaluations])
"""


def two_processes(directory, mesh: str, devices: int) -> list[str]:
    """What each printed last."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    args = [sys.executable, "-c", CHILD + PROCESS, str(directory), address]
    running = [
        subprocess.Popen(
            [*args, str(number), mesh, str(devices)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for number in range(2)
    ]
    try:
        said = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], said[0][1] + said[1][1]
    return [out.strip().splitlines()[-1] for out, _ in said]


def test_two_processes_train_as_one_does(tmp_path):
    # Without dropout: its masks are by place in the batch, which the shares change.
    done = go(tmp_path / "one", on=own_learner(dropout=0.0), steps=10, evaluate_every=10)
    said = two_processes(tmp_path / "two", "2x1", 1)
    assert said[0] == said[1]
    losses = [found["loss"] for found in done.history.evaluations]
    np.testing.assert_allclose(json.loads(said[0]), losses, rtol=1e-6)
    (ours, note), (theirs, other) = (stored(tmp_path / name, 10) for name in ("two", "one"))
    assert note["tokens"] == other["tokens"] and note["batches"] == other["batches"]
    for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)
