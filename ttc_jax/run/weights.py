# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the checkpoints that jobs read are there, seen before any of the jobs starts."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.model.load import check_checkpoint
from ttc_jax.model.shape import PRESET, preset
from ttc_jax.run import sweep
from ttc_jax.verify.likelihood import LIKELIHOOD

_RUNS = "sweep.runs"


def check_weights(
    jobs: Mapping[str, ConfigDict], whole: ConfigDict, workdir: Path | None = None
) -> None:
    """Raises unless there are weights for all models that these jobs read.

    `whole` is the config that the command line changes: that of the one job, called "", or of a
    pipeline with stages of these names in `workdir`, where they leave checkpoints for each other.

    Raises:
      ValueError: a model without a path, or a preset, which is a shape without weights; all such
        settings are named. Or, of a sweep or a pipeline, a checkpoint that is damaged or not
        supported.
      FileNotFoundError: there is nothing at a path, likewise.
    """
    lacking: dict[str, str] = {}
    for name, config in jobs.items():
        for key, path in _paths(config):
            if path.startswith(PRESET):
                preset(path.removeprefix(PRESET))  # an unknown one is told first
            if not path or path.startswith(PRESET):
                lacking |= dict.fromkeys(_settings(whole, name, key, path), path)
            elif not name and config.job != "sweep":
                continue  # it loads its models first thing, and says best itself what is wrong
            elif workdir is None or not path.startswith(f"{workdir}/"):
                try:
                    check_checkpoint(path, tokenizer_only=_from_scratch(config))
                except (FileNotFoundError, ValueError) as error:
                    setting = _settings(whole, name, key, path)[0]
                    raise type(error)(f"{setting} = {path!r}: {error}") from error
    if lacking:
        found = "; ".join(f"{setting} is {path!r}" for setting, path in lacking.items())
        flags = [f"--config.{name}=DIR" for name in lacking if not name.endswith(_RUNS)]
        shapes = any(lacking.values()) * "a preset is a shape alone, for `ttc plan`; "
        raise ValueError(
            f"no weights: {found}; {shapes}pass {' '.join(flags) or f'a directory in {_RUNS}'}, a "
            f"downloaded Hugging Face directory with config.json, *.safetensors and the tokenizer"
        )


def _paths(config: ConfigDict) -> Iterator[tuple[str, str]]:
    """The checkpoints that a single job reads, each with the setting that names it."""
    runs = sweep.check(config).values() if config.job == "sweep" else [config]
    for own in runs:
        for group in ("model", "scorer") if own.job == "search" else ("model",):
            path = own[group].path
            if group == "model" or path not in ("", LIKELIHOOD):
                yield _RUNS if path != config[group].path else f"{group}.path", path


def _settings(whole: ConfigDict, name: str, key: str, path: str) -> list[str]:
    """The settings of the whole config that a path of a stage comes from: the outermost ones."""
    if not name:
        return [key]
    outer = [
        f"{group}.{at}"
        for group, values in whole.items()
        if isinstance(values, ConfigDict) and group != "stages"
        for at, value in values.items()
        if at == "path" and value == path
    ]
    return outer or [f"stages.{name}.{key}"]


def _from_scratch(config: ConfigDict) -> bool:
    """Whether a job needs no more of a checkpoint than its tokenizer."""
    return config.job == "train" and config.train.scratch.layers > 0
