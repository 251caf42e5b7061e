# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Chips, topologies, meshes and the roofline, by hand."""

import pytest

from ttc_jax.model.shape import PRESETS
from ttc_jax.plan import meshes
from ttc_jax.plan.chips import CHIPS
from ttc_jax.plan.roofline import Cost, floor
from ttc_jax.plan.topologies import topology

LLAMA = PRESETS["meta-llama/Llama-3.1-8B-Instruct"]  # 32 heads, 8 kv heads
SMOLLM = PRESETS["HuggingFaceTB/SmolLM2-135M-Instruct"]  # 9 heads, 3 kv heads


@pytest.mark.parametrize(
    ("name", "chip", "devices", "local"),
    [("v5e:16x16", "v5e", 256, 4), ("v5p:2x2x4", "v5p", 16, 4), ("v5e:1x1", "v5e", 1, 1),
     ("v6e:2x4", "v6e", 8, 8), ("h100", "h100", 1, 1), ("8xa100", "a100", 8, 8)],
)  # fmt: skip
def test_machines_by_name(name, chip, devices, local):
    found = topology(name)
    assert (found.chip, found.devices, found.local) == (CHIPS[chip], devices, local)


def test_the_processor_is_measured():
    chip = topology("cpu").chip
    assert chip.memory > 1e8 and chip.flops > 1e8 and chip.bandwidth > 1e8


@pytest.mark.parametrize(
    "name", ["v9", "v5e:3x3", "v5e", "16xh100", "0xh100", "8xv5e", "", "v5p:2x2"]
)
def test_unknown_machines_are_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"unknown topology.*v5e:\{1x1,.*16x16\}.*h100.*cpu"):
        topology(name)


def test_every_chip_has_plausible_numbers_and_a_source():
    for chip in CHIPS.values():
        assert 16e9 <= chip.memory <= 200e9 and chip.source.startswith("https://")
        # Weights in bfloat16 are worth reading once for so many rows: some hundreds everywhere.
        assert 100 < chip.flops / chip.bandwidth < 600
        assert chip.link < chip.bandwidth and chip.int8 >= chip.flops


def test_meshes_that_do_not_fit_say_which_numbers():
    pod = topology("v5e:4x4")
    meshes.check(4, 4, pod, [LLAMA])
    with pytest.raises(ValueError, match="data=2 x model=4 has 8 devices, v5e:4x4 has 16"):
        meshes.check(2, 4, pod, [LLAMA])
    with pytest.raises(ValueError, match="model=2 does not divide the 9 query heads.*one of 1$"):
        meshes.check(8, 2, pod, [LLAMA, SMOLLM])
    with pytest.raises(ValueError, match="model=8.*a machine of v5e:4x4 has 4.*model=4 or less"):
        meshes.check(2, 8, pod, [LLAMA])
    meshes.check(1, 8, topology("v5e:2x4"), [LLAMA])  # one machine of eight
    meshes.check(1, 8, topology("8xh100"), [LLAMA])


def test_sensible_meshes_divide_machines_and_kv_heads():
    assert meshes.sensible(topology("v5e:4x4"), [LLAMA]) == [(16, 1), (8, 2), (4, 4)]
    assert meshes.sensible(topology("v6e:2x4"), [LLAMA])[-1] == (1, 8)
    assert meshes.sensible(topology("v5e:4x4"), [LLAMA, SMOLLM]) == [(16, 1)]
    assert meshes.sensible(topology("h100"), [LLAMA]) == [(1, 1)]


def test_meshes_are_written_as_in_configs():
    assert meshes.parse("data=32,model=8") == (32, 8)
    assert meshes.parse("model=4") == (1, 4)
    for text in ("data=0", "4x8", "data=a", "rows=2", ""):
        with pytest.raises(ValueError, match="data=32,model=8"):
            meshes.parse(text)


def test_the_longest_side_binds():
    chip = CHIPS["v5e"]
    cases = {"compute": Cost(394e12, 819e9, 0), "memory": Cost(197e12, 1638e9, 0),
             "links": Cost(0, 0, 200e9)}  # fmt: skip
    for side, cost in cases.items():
        found = floor(cost, chip, "bfloat16")
        assert (found.binds, found.seconds) == (side, pytest.approx(2.0))
    assert floor(Cost(495e12, 0), CHIPS["h100"], "float32").seconds == pytest.approx(1.0)
    assert floor(Cost(197e12, 0), chip, "float32").seconds == pytest.approx(1.0)
