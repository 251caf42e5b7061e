# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training run: arrays by step, each whole or not there, on any mesh."""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from ttc_jax.core.mesh import path_name
from ttc_jax.core.places import WorkdirError

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
        self.directory = Path(directory).absolute()
        self._policy = _Keep()
        self._open()

    def _open(self) -> None:
        # Not by orbax, which does it some time later, and fails at it on all hosts but the first.
        if jax.process_index() == 0:
            for left in self.directory.glob(_PARTIAL):
                shutil.rmtree(left, ignore_errors=True)
        self._checkpointer = ocp.training.Checkpointer(
            str(self.directory), preservation_policy=self._policy
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc: object) -> None:
        self._checkpointer.close()

    @property
    def steps(self) -> list[int]:
        """Steps of which there is a checkpoint, in order."""
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
            self._checkpointer.save(step, state, custom_metadata=note)
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
        return self._checkpointer.load(step, like)

    def _metadata(self, step: int) -> dict:
        return self._checkpointer.checkpointables_metadata(step).custom_metadata


def _shapes(state: Any) -> dict[str, list[int]]:
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {path_name(path) or "state": list(leaf.shape) for path, leaf in leaves}


def _short(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:300]
