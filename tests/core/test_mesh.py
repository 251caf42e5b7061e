# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The share of a batch that a process brings follows from where its devices lie on the mesh."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ttc_jax.core.mesh import data_share, make_mesh


def shares(processes, monkeypatch) -> list:
    """The share of every process, where [data, model] devices belong to these processes."""
    devices = [[SimpleNamespace(process_index=p) for p in row] for row in processes]
    mesh, found = SimpleNamespace(devices=np.array(devices, object)), []
    for process in range(max(map(max, processes)) + 1):
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        found.append(data_share(mesh))
    return found


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([[0], [0], [1], [1]], [(0, 2), (1, 2)]),
        ([[0, 0], [1, 1]], [(0, 2), (1, 2)]),
        ([[0, 0, 1, 1]], [(0, 1), (0, 1)]),
        ([[0, 1], [0, 1], [2, 3], [2, 3]], [(0, 2), (0, 2), (1, 2), (1, 2)]),
        ([[1], [0]], [(1, 2), (0, 2)]),
    ],
)
def test_processes_with_the_same_data_shards_bring_the_same_rows(processes, expected, monkeypatch):
    assert shares(processes, monkeypatch) == expected


@pytest.mark.parametrize("processes", [[[0], [1], [0]], [[0], [0], [1]], [[0], [1], [1], [0]]])
def test_processes_that_cannot_share_evenly(processes, monkeypatch):
    with pytest.raises(ValueError, match="every process needs as many, side by side"):
        shares(processes, monkeypatch)


def test_a_process_alone_brings_all():
    assert data_share(make_mesh(4, 2)) == (0, 1)
