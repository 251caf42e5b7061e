# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One command: a config and a work directory, in which the job is begun or continued."""

import json
from collections.abc import Mapping, Sequence

import jax
from ml_collections import ConfigDict

from ttc_jax.core.records import RunRecord, code_key, key_of
from ttc_jax.core.team import Team
from ttc_jax.run import pipeline, settings, stage
from ttc_jax.run.models import Models
from ttc_jax.run.place import Launch
from ttc_jax.run.weights import check_weights


def run(
    config: ConfigDict, workdir: str, *, overrides: Mapping = {}, command: Sequence[str] = ()
) -> dict:
    """Runs the job of `config`, or what is left of it, in `workdir`; returns its results.

    What is finished is stored as the job goes on; results.json is written at its end, and what it
    says is printed.

    Raises:
      ValueError: a setting, a question or the work directory does not fit; nothing was done, or, of
        a pipeline, none of the stage that is named.
      OSError: a file is missing, or the work directory cannot be written.
    """
    cache_dir = settings.cache_dir(config.cache_dir)
    team = Team.of_jax()
    if team.count > 1:
        text = json.dumps(config.to_dict(), default=str, sort_keys=True)
        team.agree("a config with hash", key_of({"config": text}))
        team.agree("code with hash", code_key())
    launch = Launch(tuple(command), overrides, cache_dir, Models(cache_dir), team)
    jax.config.update("jax_compilation_cache_dir", str(cache_dir / "xla"))
    if config.job == "pipeline":
        return pipeline.run(config, workdir, launch)
    stage.check(config)
    stage.check_source(config)
    check_weights({"": config}, config)
    with team.leader_first():
        questions = settings.questions(config, cache_dir)
    depends = stage.depends_on(config, questions)
    with RunRecord(workdir, depends=depends, team=team) as record:
        return stage.run(config, questions, depends, record, launch)
