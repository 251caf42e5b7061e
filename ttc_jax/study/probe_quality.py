# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How well an estimate of difficulty tells questions apart whose samples were graded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ttc_jax.study.bins import spearman


@dataclass(frozen=True)
class Quality:
    """`spearman` of ease with pass@1, and `auc`; None where they are not defined.

    `auc` is the chance that the question of a right sample is told to be easier than that of a
    wrong one; questions of equal ease count half.
    """

    spearman: float | None
    auc: float | None


def quality(ease: ArrayLike, right: ArrayLike, samples: ArrayLike) -> Quality:
    """The quality of `ease` f64[Q] where `right` of `samples` i64[Q] samples are right.

    Ease must not come from these samples.
    """
    ease = np.asarray(ease, np.float64)
    c, n = np.asarray(right, np.float64), np.asarray(samples, np.float64)
    _, place = np.unique(ease, return_inverse=True)
    rights, wrongs = np.bincount(place, c), np.bincount(place, n - c)
    below = np.cumsum(wrongs) - wrongs
    pairs = rights.sum() * wrongs.sum()
    auc = float(rights @ (below + wrongs / 2) / pairs) if pairs else None
    return Quality(spearman(ease, c / n), auc)
