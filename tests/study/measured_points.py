# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Measured points with figures set by hand."""

import numpy as np

from ttc_jax.study.curves import Measured


def measured(strategy, budget, right, flops=None, rule="weighted", source="run") -> Measured:
    """A point of one value of right per question; FLOPs are the budget unless given."""
    right = np.asarray(right, np.float64)
    flops = budget if flops is None else flops
    return Measured(
        f"{strategy}(N={budget:g})", rule, budget, right, np.full(right.shape, float(flops)), source
    )
