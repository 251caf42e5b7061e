# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Verifiers made weaker on purpose."""

import zlib
from dataclasses import replace

import numpy as np

from ttc_jax.study.pool import Pool


def noisy(pool: Pool, share: float) -> Pool:
    """The pool with a share of its values, drawn at random, in place of v 1 - v.

    Source: ICLR version, figure 17 (a weak verifier).
    """
    rng = np.random.default_rng(zlib.crc32(pool.question.encode("utf-8")))
    flip = rng.random(len(pool)) < share
    return replace(pool, values=np.where(flip, 1 - pool.values, pool.values))
