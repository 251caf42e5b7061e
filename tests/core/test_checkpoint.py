# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints are whole or not there, and only those that are to stay do."""

import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from directory_bucket import install
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.checkpoint import Checkpoints
from ttc_jax.core.mesh import make_mesh
from ttc_jax.core.places import path_of

ROOT = Path(__file__).resolve().parents[2]


def state(value: float = 1.0) -> dict:
    return {"blocks/0/q": jnp.full((4, 8), value), "norm": jnp.arange(8.0), "step": jnp.int32(3)}


def test_arrays_and_notes_come_back_as_they_were(tmp_path):
    note = {"losses": [0.1, 1 / 3, float("inf")], "name": "é", "none": None, "deep": {"a": [1]}}
    with Checkpoints(tmp_path / "deep" / "run") as checkpoints:
        assert checkpoints.steps == []
        checkpoints.save(0, state(), note)
    with Checkpoints(tmp_path / "deep" / "run") as again:
        assert again.steps == [0] and again.note(0) == note
        restored = again.restore(0, state(0.0))
    for ours, theirs in zip(jax.tree.leaves(restored), jax.tree.leaves(state()), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_only_the_latest_and_what_is_to_be_kept_stay(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for step, keep in ((0, [0]), (5, [0]), (10, [5, 0]), (15, [5]), (20, [])):
            before = checkpoints.steps
            checkpoints.save(step, state(step), {"at": step}, keep)
            assert checkpoints.steps == sorted({s for s in before if s in keep} | {step})
        assert checkpoints.steps == [20]
    with Checkpoints(tmp_path) as again:  # nothing is dropped by opening
        assert again.steps == [20]
    assert [path.name for path in tmp_path.iterdir()] == ["20"]


def test_a_step_that_is_stored_is_left_alone(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(5, state(1.0), {"n": 1}, [])
        checkpoints.save(7, state(1.0), {"n": 1}, [5])
        checkpoints.save(7, state(2.0), {"n": 2}, [])
        assert checkpoints.note(7) == {"n": 1} and checkpoints.steps == [5, 7]
        assert float(checkpoints.restore(7, state())["blocks/0/q"][0, 0]) == 1.0


def test_what_was_half_written_is_gone_once_opened(tmp_path):
    # Killed while the new checkpoint has all its arrays but not yet its name.
    code = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "tests" / "core")!r}]
from pathlib import Path
from test_checkpoint import state
from ttc_jax.core.checkpoint import Checkpoints
with Checkpoints(Path({str(tmp_path)!r})) as checkpoints:
    checkpoints.save(1, state(1.0), {{"n": 1}})
    rename = os.rename
    def killing(source, target, **how):
        if "tmp" in str(source) and str(target).endswith("/2"):
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(source, target, **how)
    os.rename = killing
    checkpoints.save(2, state(2.0), {{"n": 2}}, [])
"""
    died = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len(list(tmp_path.iterdir())) == 2
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps == [1]
        assert [path.name for path in tmp_path.iterdir()] == ["1"]
        checkpoints.save(2, state(2.0), {"n": 2})
        assert checkpoints.steps == [2] and checkpoints.note(2) == {"n": 2}


@pytest.mark.parametrize(
    ("before", "after"), [((4, 2), (1, 1)), ((1, 1), (2, 4)), ((4, 1), (2, 1))]
)
def test_a_checkpoint_of_one_mesh_is_restored_on_another(before, after, tmp_path):
    def on(shape, like):
        mesh = make_mesh(*shape)
        specs = {"blocks/0/q": P("data", "model"), "norm": P("data"), "step": P()}
        return {p: jax.device_put(x, NamedSharding(mesh, specs[p])) for p, x in like.items()}

    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, on(before, state(7.0)), {})
        like = on(after, state(0.0))
        restored = checkpoints.restore(0, like)
    for path, array in restored.items():
        assert array.sharding == like[path].sharding
        np.testing.assert_array_equal(array, state(7.0)[path])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": jnp.zeros(9)}, r"norm of shape \[8\], the model to be trained \[9\]"),
        ({"norm": None}, r"norm of shape \[8\], the model to be trained nothing"),
        ({"extra": jnp.zeros(2)}, r"extra of shape nothing, the model to be trained \[2\]"),
    ],
)
def test_arrays_of_other_shapes_are_refused(change, message, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(4, state(), {})
        wanted = {path: x for path, x in (state() | change).items() if x is not None}
        with pytest.raises(ValueError, match=f"checkpoint 4 in {tmp_path} has {message}"):
            checkpoints.restore(4, wanted)


def test_in_a_bucket_a_step_is_one_object(tmp_path):
    (tmp_path / "b").mkdir()
    install(tmp_path)
    with Checkpoints(path_of("gs://b/run/checkpoints")) as checkpoints:
        checkpoints.save(1, state(1.0), {"n": 1})
        checkpoints.save(2, state(2.0), {"n": 2}, [1])
        checkpoints.save(3, state(3.0), {"n": 3}, [2])
        assert checkpoints.steps == [2, 3] and checkpoints.note(2) == {"n": 2}
    names = sorted(path.name for path in path_of("gs://b/run/checkpoints").iterdir())
    assert names == ["00000002.tar", "00000003.tar"]
    with Checkpoints(path_of("gs://b/run/checkpoints")) as again:
        assert again.steps == [2, 3]
        for step in (3, 2):
            assert again.note(step) == {"n": step}
            restored = again.restore(step, state())
            assert float(restored["blocks/0/q"][0, 0]) == step
        again.save(4, state(4.0), {"n": 4}, [])
        assert again.steps == [4]
