# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a job leaves what it makes, and what all runs of one command have in common."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.core.records import Metrics, RunRecord
from ttc_jax.run import settings
from ttc_jax.run.models import Models


@dataclass(frozen=True)
class Launch:
    """The command that was given, the changes it made to the config, the cache and the models."""

    command: Sequence[str]
    overrides: Mapping
    cache_dir: Path
    models: Models

    def place(self, record: RunRecord, config: ConfigDict) -> "Place":
        """Notes in a work directory that a run of `config` starts there; its place."""
        record.start(
            config=config.to_dict(),
            overrides=self.overrides,
            device=settings.device(),
            command=self.command,
        )
        metrics = Metrics(record.path / "metrics.jsonl")
        return Place(record.path, metrics, record.n_starts, self)


@dataclass(frozen=True)
class Place:
    """The work directory of this start of a run.

    `start` counts from 1; every line of `metrics` names it.
    """

    path: Path
    metrics: Metrics
    start: int
    launch: Launch

    @property
    def cache_dir(self) -> Path:
        """The user's cache."""
        return self.launch.cache_dir

    @property
    def command(self) -> str:
        """The command that began this start, as one line for a shell."""
        return shlex.join(["ttc", *self.launch.command[1:]])
