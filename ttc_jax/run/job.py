# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One command: a config and a work directory, in which the job is begun or continued."""

from collections.abc import Mapping, Sequence

import jax
from ml_collections import ConfigDict
from rich.console import Console

from ttc_jax.core.records import RunRecord, write_json_atomic
from ttc_jax.run import labels, probe, search, settings, sweep, train
from ttc_jax.run.models import Models
from ttc_jax.run.place import Launch

# Each has check(config), depends_on(config, questions), run(config, questions, place) and
# report(results, path).
JOBS = {"search": search, "sweep": sweep, "labels": labels, "train": train, "probe": probe}


def run(
    config: ConfigDict, workdir: str, *, overrides: Mapping = {}, command: Sequence[str] = ()
) -> dict:
    """Runs the job of `config`, or what is left of it, in `workdir`; returns its results.

    What is finished is stored as the job goes on; results.json is written at its end, and what it
    says is printed.

    Raises:
      ValueError: a setting, a question or the work directory does not fit; nothing was done.
      OSError: a file is missing, or the work directory cannot be written.
    """
    # ---------------------------------------------------------------- settings and questions
    if config.job not in JOBS:
        raise ValueError(f"job is {config.job!r}; there are {', '.join(JOBS)}")
    job = JOBS[config.job]
    job.check(config)
    cache_dir = settings.cache_dir(config.cache_dir)
    jax.config.update("jax_compilation_cache_dir", str(cache_dir / "xla"))
    questions = settings.questions(config, cache_dir)
    depends = {"job": config.job} | job.depends_on(config, questions)

    # ---------------------------------------------------------------- work directory
    launch = Launch(tuple(command), overrides, cache_dir, Models(cache_dir))
    with RunRecord(workdir, depends=depends) as record:
        place = launch.place(record, config)
        results = job.run(config, questions, place) | {"settings": depends}
        write_json_atomic(record.path / "results.json", results)
        shown = job.report(results, record.path)
        Console(highlight=False, markup=False).print(*shown, sep="\n", soft_wrap=True)
    return results
