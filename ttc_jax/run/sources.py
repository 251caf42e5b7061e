# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of the runs that a policy was fitted to, made ready for a new question."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ttc_jax.core.places import path_of
from ttc_jax.model.load import NAMED
from ttc_jax.run import settings
from ttc_jax.search.names import parse
from ttc_jax.search.sampling import BestOfN
from ttc_jax.study.fitted import FittedPolicy
from ttc_jax.verify.likelihood import LIKELIHOOD


def of_entries(policy: FittedPolicy, changes: Mapping[str, str]) -> dict[str, ConfigDict]:
    """The config of each run that entries of a policy come from.

    `changes` are settings ("group.name") that are to differ, as texts.

    Raises:
      ValueError: a setting that there is not, that it cannot be, or that would make one checkpoint
        of several.
      FileNotFoundError: a checkpoint is not where the runs had it.
    """
    for key in sorted({"model.path", "scorer.path"} & changes.keys()):
        group = key.split(".")[0]
        paths = {source[group]["path"] for source in policy.sources.values()} - {""}
        if len(paths) > 1:
            raise ValueError(
                f"--config.{key} would stand for {' and '.join(sorted(paths))} alike; put the "
                f"checkpoints where the policy's runs had them"
            )
    configs = {name: _changed(source, changes) for name, source in policy.sources.items()}
    for config in configs.values():
        _check(config)
    return configs


def of_difficulty(policy: FittedPolicy, changes: Mapping[str, str]) -> ConfigDict:
    """The config that the difficulty of a question is to be estimated with.

    For a probe that is the model and the prompt it was made with. For samples it is that of the run
    estimator["source"]; without that of a run with a verifier, best-of-N before others, of equals
    the first by name. Errors as in `of_entries`, and ValueError where no run will do.
    """
    name = policy.estimator["name"]
    config = _probed(policy, changes) if name == "probe" else _sampled(policy, changes)
    _check(config)
    return config


def _probed(policy: FittedPolicy, changes: Mapping[str, str]) -> ConfigDict:
    made = policy.estimator["probe"].get("made_with")
    if made is None:
        raise ValueError(
            "the policy's probe does not say which model and prompt it is for; make it again with "
            "a probe job, and the policy with `ttc report`"
        )
    alike = [s for s in policy.sources.values() if s["model"]["path"] == made["model.path"]]
    config = _changed((alike or list(policy.sources.values()))[0], changes)
    with config.unlocked():
        config.update_from_flattened_dict({k: v for k, v in made.items() if k not in changes})
        config.scorer.path = ""
    return config


def _sampled(policy: FittedPolicy, changes: Mapping[str, str]) -> ConfigDict:
    configs = {name: _changed(policy.sources[name], changes) for name in sorted(policy.sources)}
    if policy.estimator.get("source") in configs:
        configs = {"": configs[policy.estimator["source"]]}
    scored = [config for config in configs.values() if config.scorer.path]
    if not scored:
        raise ValueError(
            "the policy tells difficulty from a verifier's values, and its runs have no verifier: "
            "pass --config.scorer.path=DIR and --config.scorer.format=NAME"
        )
    plain = [c for c in scored if isinstance(parse(c.search.strategy), BestOfN)]
    return (plain or scored)[0]


def _changed(source: Mapping[str, Any], changes: Mapping[str, str]) -> ConfigDict:
    """The config of a run with changes, for one question at a time."""
    config = ConfigDict(dict(source))
    for key, text in changes.items():
        *groups, name = key.split(".")
        part: Any = config
        for group in groups:
            part = part.get(group) if isinstance(part, ConfigDict) else None
        if not isinstance(part, ConfigDict) or name not in part:
            raise ValueError(f"--config.{key}: the runs of the policy have no such setting")
        try:
            part[name] = text if isinstance(part[name], str) else ast.literal_eval(text)
        except (TypeError, ValueError, SyntaxError) as error:
            raise ValueError(
                f"--config.{key}={text}: give a value like {part[name]!r}, which the runs had"
            ) from error
    config.mesh.data = 1  # a question stays on one replica
    config.engine.pages = config.scorer.pages = config.engine.questions = 0
    return config.lock()


def _check(config: ConfigDict) -> None:
    settings.check_sampling(config, stepwise=False)
    for group in ("model", "scorer"):
        path = config[group].path
        named = path in ("", LIKELIHOOD) or path.startswith(NAMED)
        if not named and not path_of(path).exists():
            raise FileNotFoundError(
                f"no checkpoint at {path} (seen from {Path.cwd()}), the {group}.path of a run that "
                f"the policy was fitted to; pass --config.{group}.path=DIR"
            )
