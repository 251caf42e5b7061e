# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How a report is made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportSettings:
    """Bins, folds, ratios and intervals of a report.

    `n_bins` bins of equal size, or with `absolute` those of fixed thresholds of ease; `n_folds` of
    cross-validation; `samples` that estimate difficulty (0: half of the pool); `ratios` R of
    inference to pretraining tokens; intervals of `confidence` from `resamples` of the questions.

    Raises:
      ValueError: a number is out of range.
    """

    n_bins: int = 5
    absolute: bool = False
    n_folds: int = 2
    samples: int = 0
    ratios: tuple[float, ...] = (0.16, 0.79, 22.0)
    resamples: int = 2000
    confidence: float = 0.95

    def __post_init__(self):
        for name, low in (("n_bins", 1), ("n_folds", 2), ("samples", 0), ("resamples", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}")
        if not self.ratios or not all(0 < ratio < float("inf") for ratio in self.ratios):
            raise ValueError(f"R is {self.ratios}; give one or more positive numbers")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence is {self.confidence}; it must lie between 0 and 1")
