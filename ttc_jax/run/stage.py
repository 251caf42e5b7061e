# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One job in one work directory: alone or as a stage of a pipeline, it is checked and run here."""

from collections.abc import Mapping, Sequence

from ml_collections import ConfigDict
from rich.console import Console

from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.records import RunRecord
from ttc_jax.data.sources import Question
from ttc_jax.model.settings import read_json
from ttc_jax.run import labels, lessons, probe, search, sweep, train
from ttc_jax.run.place import Launch

# Each has check(config), depends_on(config, questions), report(results, path) and
# run(config, questions, place): the results, None in all processes of a team but one.
JOBS = {"search": search, "sweep": sweep, "labels": labels, "train": train, "probe": probe}
# What jobs that learn from another's work directory find missing there, or wrong with it.
SOURCES = {"train": lessons.check_source, "probe": probe.check_source}


def check(config: ConfigDict) -> None:
    """ValueError for a setting that cannot work, whatever lies on the disk."""
    if config.job not in JOBS:
        raise ValueError(f"job is {config.job!r}; there are {', '.join(JOBS)}, pipeline")
    JOBS[config.job].check(config)


def check_source(config: ConfigDict) -> None:
    """ValueError or FileNotFoundError where the job cannot learn from what its config names."""
    if config.job in SOURCES:
        SOURCES[config.job](config)


def depends_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """All that the results depend on, as flat JSON values by key."""
    return {"job": config.job} | JOBS[config.job].depends_on(config, questions)


def run(
    config: ConfigDict,
    questions: Sequence[Question],
    depends: Mapping,
    record: RunRecord,
    launch: Launch,
) -> dict:
    """Runs the job, or what is left of it, writes results.json and prints what it says.

    `depends` is what `depends_on` says, and what `record` was opened with. Every process of a team
    does its part and comes back with the same results.
    """
    job, place, file = JOBS[config.job], launch.place(record, config), record.path / "results.json"
    results = job.run(config, questions, place)
    if results is not None:
        write_json_atomic(file, results | {"settings": depends})
    launch.team.wait()
    results = read_json(file)
    if launch.team.leads:
        shown = job.report(results, record.path)
        Console(highlight=False, markup=False).print(*shown, sep="\n", soft_wrap=True)
    launch.team.wait()  # for the report, too
    return results
