# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy and cost over the budget: what runs came to, question by question."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measured:
    """What a strategy with a selection rule came to at one budget, question by question.

    Fields:
      strategy: its full name; of a point taken from a larger pool that of the smaller budget.
      rule: "majority", "best", "weighted", "hierarchical" or "coverage".
      budget: in generations.
      right: f64[Q], the chance that the selected answer is right.
      flops: f64[Q], counted FLOPs of all that the strategy and the rule need.
      source: name of the run that it was measured in.
    """

    strategy: str
    rule: str
    budget: float
    right: np.ndarray
    flops: np.ndarray
    source: str


@dataclass(frozen=True)
class Curve:
    """One series: points by rising budget."""

    name: str
    points: tuple[Measured, ...]
