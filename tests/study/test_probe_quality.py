# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The quality of estimates of difficulty against counting all pairs."""

import numpy as np
import pytest

from ttc_jax.study.probe_quality import quality


def test_auc_counts_every_pair_of_a_right_and_a_wrong_sample():
    random = np.random.default_rng(0)
    samples = random.integers(1, 6, 30)
    right = random.integers(0, samples + 1)
    ease = random.integers(0, 8, 30) / 8  # with ties
    good = np.repeat(ease, right)
    bad = np.repeat(ease, samples - right)
    wins = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    assert quality(ease, right, samples).auc == pytest.approx(wins, abs=1e-12)


def test_the_right_order_its_reverse_and_none():
    right, samples = [0, 1, 2, 4], [4, 4, 4, 4]
    assert quality([0.1, 0.2, 0.3, 0.4], right, samples).spearman == pytest.approx(1)
    assert quality([0.4, 0.3, 0.2, 0.1], right, samples).spearman == pytest.approx(-1)
    flat = quality([0.5] * 4, right, samples)
    assert flat.spearman is None and flat.auc == 0.5
    assert quality([0.1, 0.9], [0, 4], [4, 4]).auc == 1
    assert quality([0.1, 0.9], [4, 4], [4, 4]).auc is None
