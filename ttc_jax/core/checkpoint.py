# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training run: arrays by step, each whole or not there, on any mesh.

In a bucket a checkpoint is one object, STEP.tar, of what orbax writes in a directory of this
machine: orbax itself knows but one kind of bucket. Every process of a run then holds all arrays
for a moment, and the first one writes.
"""

import shutil
import tarfile
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from ttc_jax.core.files import upload
from ttc_jax.core.mesh import on_mesh, path_name
from ttc_jax.core.places import WorkdirError, in_bucket, path_of

_PARTIAL = "*.orbax-checkpoint-tmp*"  # the names of what is not complete


class _Keep(ocp.training.preservation_policies.PreservationPolicy):
    """Keeps the steps that it was told to; None keeps all."""

    def __init__(self):
        self.steps: Collection[int] | None = None

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        """See orbax."""
        return [self.steps is None or found.step in self.steps for found in checkpoints]


class Checkpoints:
    """The checkpoints in a directory; use as a context manager, from every process alike.

    What a killed run left half-written is removed when the directory is opened.
    """

    def __init__(self, directory: Path):
        self.directory = path_of(directory)
        self._policy = _Keep()
        self._bucket = _Bucket(self.directory) if in_bucket(self.directory) else None
        self._here = self._bucket.here if self._bucket else self.directory
        self._open()

    def _open(self) -> None:
        # Not by orbax, which does it some time later, and fails at it on all hosts but the first.
        if jax.process_index() == 0 or self._bucket:
            for left in self._here.glob(_PARTIAL):
                shutil.rmtree(left, ignore_errors=True)
        with self._processes():
            self._checkpointer = ocp.training.Checkpointer(
                str(self._here), preservation_policy=self._policy
            )

    def _processes(self) -> ocp.Context:
        """Those that take part in what orbax does: in a directory of its own each one alone."""
        context = ocp.Context()
        if self._bucket and jax.process_count() > 1:
            own = context.multiprocessing
            own.primary_host = jax.process_index()
            own.active_processes = {jax.process_index()}
            own.barrier_sync_key_prefix = f"process_{jax.process_index()}"
        return context

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc: object) -> None:
        with self._processes():
            self._checkpointer.close()
        if self._bucket:
            self._bucket.close()

    @property
    def steps(self) -> list[int]:
        """Steps of which there is a checkpoint, in order."""
        if self._bucket:
            return list(self._bucket.steps)
        return sorted(found.step for found in self._checkpointer.checkpoints)

    def save(self, step: int, state: Any, note: Mapping, keep: Collection[int] = ()) -> None:
        """Store the arrays of `state` and a note of JSON values; then drop what is not in `keep`.

        Earlier checkpoints are dropped only once this one is complete. Does nothing for a step that
        is stored already.

        Raises:
          WorkdirError: it cannot be written, as on a full disk; the earlier ones are still there.
        """
        if step in self.steps:
            return
        self._policy.steps = {step, *keep}
        note = {"note": dict(note), "shapes": _shapes(state)}
        try:
            with self._processes():
                whole = jax.tree.map(_whole, state) if self._bucket else state
                self._checkpointer.save(step, whole, custom_metadata=note)
            if self._bucket:
                self._bucket.put(step, self._policy.steps)
        except WorkdirError:
            raise
        except Exception as error:  # tensorstore raises ValueErrors for what the system refused
            self._open()  # the space of what was written of it is free again
            raise WorkdirError(
                f"cannot write checkpoint {step} in {self.directory}: {_short(error)}; free space "
                f"and repeat the command: it continues from "
                f"{f'step {self.steps[-1]}' if self.steps else 'the start'}"
            ) from error

    def note(self, step: int) -> dict:
        """The note stored with a step."""
        return self._metadata(step)["note"]

    def restore(self, step: int, like: Any) -> Any:
        """The arrays of a step, placed as `like` says (arrays or ShapeDtypeStructs with shardings).

        Raises:
          ValueError: the checkpoint holds other arrays, or arrays of other shapes.
        """
        stored, wanted = self._metadata(step)["shapes"], _shapes(like)
        for name in dict.fromkeys([*wanted, *stored]):
            if stored.get(name) != wanted.get(name):
                raise ValueError(
                    f"checkpoint {step} in {self.directory} has {name} of shape "
                    f"{stored.get(name, 'nothing')}, the model to be trained "
                    f"{wanted.get(name, 'nothing')}: they differ in shape, adapters or optimiser; "
                    f"pass another --workdir, or go back to those settings"
                )
        if not self._bucket or jax.process_count() == 1:
            return self._checkpointer.load(step, like)
        with self._processes():
            plain = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), like)
            loaded = self._checkpointer.load(step, plain)
        return jax.tree.map(lambda array, leaf: on_mesh(array, leaf.sharding), loaded, like)

    def _metadata(self, step: int) -> dict:
        if self._bucket and self._bucket.fetch(step):
            self._open()  # orbax lists a directory once
        return self._checkpointer.checkpointables_metadata(step).custom_metadata


class _Bucket:
    """Checkpoints as objects, and the directory of this machine that they are packed from.

    `steps` are those in the bucket, in order, known to all processes alike.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._temporary = tempfile.TemporaryDirectory(prefix="ttc-checkpoints-")
        self.here = Path(self._temporary.name) / "steps"
        self.here.mkdir()
        self.steps = sorted(int(path.stem) for path in directory.glob("*.tar"))

    def put(self, step: int, keep: Collection[int]) -> None:
        """Stores what lies under the step; drops steps that are not in `keep`, there and here."""
        dropped = [old for old in self.steps if old not in keep]
        if jax.process_index() == 0:
            self._pack(step)
            for old in dropped:
                self._object(old).unlink(missing_ok=True)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"ttc/checkpoint/{step}")
        self.steps = sorted({step, *self.steps} - set(dropped))

    def _pack(self, step: int) -> None:
        packed = self.here.parent / f"{step}.tar"
        with tarfile.open(packed, "w") as tar:
            tar.add(self._folder(step), arcname=self._folder(step).name)
        try:
            upload(packed, self._object(step))
        finally:
            packed.unlink()

    def fetch(self, step: int) -> bool:
        """Brings a step here; whether it was not here before."""
        if self._folder(step).is_dir():
            return False
        with self._object(step).open("rb") as source:
            with tarfile.open(fileobj=source, mode="r|") as tar:
                tar.extractall(self.here, filter="data")
        return True

    def close(self) -> None:
        """Removes the directory of this machine."""
        self._temporary.cleanup()

    def _object(self, step: int) -> Path:
        return self._directory / f"{step:08d}.tar"

    def _folder(self, step: int) -> Path:
        return self.here / str(step)


def _whole(leaf: jax.Array) -> jax.Array:
    """The array, as numpy where processes share it; all of them call this."""
    if leaf.is_fully_addressable:
        return leaf
    return multihost_utils.process_allgather(leaf, tiled=True)


def _shapes(state: Any) -> dict[str, list[int]]:
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {path_name(path) or "state": list(leaf.shape) for path, leaf in leaves}


def _short(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:300]
