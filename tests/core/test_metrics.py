# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole lines only, of all starts."""

from ttc_jax.core.metrics import Metrics, read_metrics


def test_metrics_drop_a_line_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    Metrics(path).append({"step": 0, "rate": 1.5})
    with open(path, "a") as file:
        file.write('{"step": 1, "ra')
    assert list(read_metrics(path)) == [{"step": 0, "rate": 1.5}]
    Metrics(path).append({"step": 1})
    assert list(read_metrics(path)) == [{"step": 0, "rate": 1.5}, {"step": 1}]
