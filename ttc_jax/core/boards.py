# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures for TensorBoard, where it is installed."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from ttc_jax.core.places import in_bucket


class Board:
    """Scalars by step in a directory that `tensorboard --logdir` shows; nothing without it.

    Use as a context manager.
    """

    def __init__(self, directory: Path, *, writes: bool = True):
        """One process of a team `writes`, and none in a bucket: these files grow by appending."""
        self._writer = None
        writes = writes and not in_bucket(directory)
        if writes and importlib.util.find_spec("tensorboard") is not None:
            from tensorboard.summary import Writer

            self._writer = Writer(str(directory))

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, step: int, values: Mapping[str, object]) -> None:
        """Notes the numbers among the values."""
        if self._writer is None:
            return
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, step=step)
