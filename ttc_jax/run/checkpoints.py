# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint stands for, where results depend on it."""

from ttc_jax.core.places import path_of
from ttc_jax.model.load import NAMED
from ttc_jax.model.settings import read_json
from ttc_jax.verify.likelihood import LIKELIHOOD


def identity(path: str) -> str:
    """What decides the weights at a path, among the settings that results depend on.

    Of a checkpoint that a stage of a pipeline trained, that is the stage and the key of its
    settings, wherever the pipeline lies; of any other it is the path. A training job leaves its
    checkpoint in a folder of its work directory, so its config.json lies beside that folder.
    """
    if path in ("", LIKELIHOOD) or path.startswith(NAMED):  # names, not paths
        return path
    made = read_json(path_of(path).parent / "config.json")
    stage = made["config"].get("stage", "") if "samples_depend_on" in made else ""
    return f"stage {stage}, {made['key']}" if stage else path
