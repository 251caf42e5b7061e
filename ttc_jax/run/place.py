# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a job leaves what it makes."""

from dataclasses import dataclass
from pathlib import Path

from ttc_jax.core.records import Metrics


@dataclass(frozen=True)
class Place:
    """The work directory of this start of a job, the user's cache, and the command that began it.

    `start` counts from 1; every line of `metrics` names it.
    """

    path: Path
    cache_dir: Path
    metrics: Metrics
    start: int
    command: str
