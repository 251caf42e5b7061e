# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Difficulty that a probe job has predicted from the questions alone."""

import json
from collections.abc import Sequence

import numpy as np

from ttc_jax.study.difficulty import Difficulty
from ttc_jax.study.runs import Run


def probed(runs: Sequence[Run], questions: Sequence[str]) -> Difficulty | None:
    """The estimate of the first probe job that has one for all questions; None without any."""
    for run in runs:
        file = run.path / "difficulty.json"
        if run.job != "probe" or not file.exists():
            continue
        ease = json.loads(file.read_text(encoding="utf-8"))
        if all(question in ease for question in questions):
            results = json.loads((run.path / "results.json").read_text(encoding="utf-8"))
            cost = results["flops"]["difficulty"] / len(ease)
            return Difficulty(
                "probe", np.array([ease[question] for question in questions], np.float64), None,
                np.full(len(questions), cost), 0.0, True,
            )  # fmt: skip
    return None
