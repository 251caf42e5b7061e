# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures are there for TensorBoard where it is installed, and nothing happens where it is not."""

import importlib.util

import pytest

from ttc_jax.core.boards import Board


def test_scalars_are_written_by_step(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Board(tmp_path) as board:
        board.add(3, {"loss": 0.5, "note": "not a number"})
        board.add(4, {"loss": 0.25, "tokens": 7})
    found = EventAccumulator(str(tmp_path)).Reload()
    assert set(found.Tags()["tensors"]) == {"loss", "tokens"}
    shown = [(e.step, e.tensor_proto.float_val[0]) for e in found.Tensors("loss")]
    assert shown == [(3, 0.5), (4, 0.25)]


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with Board(tmp_path / "board") as board:
        board.add(1, {"loss": 1.0})
    assert not (tmp_path / "board").exists()
