# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a job leaves what it makes, and what all runs of one command have in common."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.core.metrics import Metrics, metrics_file
from ttc_jax.core.records import RunRecord
from ttc_jax.core.samples import stored_questions
from ttc_jax.core.team import Team
from ttc_jax.data.sources import Question
from ttc_jax.run import settings
from ttc_jax.run.models import Models


@dataclass(frozen=True)
class Launch:
    """The command that was given, the changes it made to the config, the cache and the models.

    `team` are the processes that were given it.
    """

    command: Sequence[str]
    overrides: Mapping
    cache_dir: Path
    models: Models
    team: Team = field(default_factory=Team)

    def place(self, record: RunRecord, config: ConfigDict) -> "Place":
        """Notes in a work directory that a run of `config` starts there; its place.

        All processes of the team come here together.
        """
        stored = stored_questions(record.path / "samples")  # before any of them goes on
        record.start(
            config=config.to_dict(),
            overrides=self.overrides,
            device=settings.device(),
            command=self.command,
        )
        metrics = Metrics(metrics_file(record.path, self.team.index), record.n_starts)
        return Place(record.path, metrics, record.n_starts, self, stored)


@dataclass(frozen=True)
class Place:
    """The work directory of this start of a run.

    `start` counts from 1; every line of `metrics` names it. `stored` are the ids of the questions
    of which there were samples when it began.
    """

    path: Path
    metrics: Metrics
    start: int
    launch: Launch
    stored: frozenset[str] = frozenset()

    @property
    def cache_dir(self) -> Path:
        """The user's cache."""
        return self.launch.cache_dir

    @property
    def team(self) -> Team:
        """The processes that work here."""
        return self.launch.team

    def finishes(self, questions: Sequence[Question]) -> bool:
        """Whether this process is to make the results: all samples are there, and it is the first.

        To be asked by every process once it has stored its own.
        """
        there = stored_questions(self.path / "samples")
        whole = all(question.id in there for question in questions)
        return whole and self.team.claim(f"results/{self.path}")

    @property
    def command(self) -> str:
        """The command that began this start, as one line for a shell."""
        return shlex.join(["ttc", *self.launch.command[1:]])
