# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole lines only, of all starts."""

import time

from directory_bucket import install

from ttc_jax.core import metrics
from ttc_jax.core.metrics import Metrics, metrics_file, read_all_metrics, read_metrics
from ttc_jax.core.places import path_of


def test_metrics_drop_a_line_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    Metrics(path).append({"step": 0, "rate": 1.5})
    with open(path, "a") as file:
        file.write('{"step": 1, "ra')
    assert list(read_metrics(path)) == [{"step": 0, "rate": 1.5}]
    Metrics(path).append({"step": 1})
    assert list(read_metrics(path)) == [{"step": 0, "rate": 1.5}, {"step": 1}]


def test_in_a_bucket_every_start_has_an_object_that_grows(tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    install(tmp_path)
    directory = path_of("gs://b/run")
    monkeypatch.setattr(metrics, "FLUSH_S", 0.05)
    for start in (1, 10, 2):
        first = Metrics(metrics_file(directory, 0), start)
        first.append({"start": start, "step": 0})
        assert {"start": start, "step": 0, "process": 0} in read_all_metrics(directory)  # at once
        first.append({"start": start, "step": 1})
        first.flush()
    other = Metrics(metrics_file(directory, 3))
    for step in range(3):
        other.append({"start": 1, "step": step})
    until = time.monotonic() + 10
    expected = [(0, start, step) for start in (1, 2, 10) for step in (0, 1)]
    expected += [(3, 1, step) for step in range(3)]
    found = []
    while found != expected and time.monotonic() < until:  # the last lines follow by themselves
        time.sleep(0.01)
        lines = read_all_metrics(directory)
        found = [(line["process"], line["start"], line["step"]) for line in lines]
    assert found == expected
