# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Machines by name: TPU slices, GPUs in one box, this machine's processor."""

import importlib.util
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import jax

from ttc_jax.plan.chips import CHIPS, Chip, measured_cpu

# Slices that can be had. Source: the pages of the chips in `CHIPS`.
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_DEEP = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16",
         "8x16x16", "16x16x16")  # fmt: skip
SLICES: dict[str, tuple[str, ...]] = {"v5e": _FLAT, "v6e": _FLAT, "v5p": _DEEP}
_MOST_GPUS = 8  # that one switch joins
# Chips of one machine of a TPU slice. v5e and v6e with eight chips are one machine too.
_MACHINE = 4
_ONE_MACHINE = ("v5e:2x4", "v6e:2x4")


@dataclass(frozen=True)
class Topology:
    """`devices` chips of one kind, `local` of them in each machine, where one process has them."""

    name: str
    chip: Chip
    devices: int
    local: int

    @property
    def processes(self) -> int:
        """One for each machine."""
        return self.devices // self.local


def topology(name: str) -> Topology:
    """The machine called `name`: v5e:16x16, h100, 8xh100 or cpu, say.

    Raises:
      ValueError: there is none of that name; the known ones are listed.
    """
    kind, colon, slice_ = name.partition(":")
    if colon and slice_ in SLICES.get(kind, ()):
        count = math.prod(map(int, slice_.split("x")))
        local = count if name in _ONE_MACHINE else min(count, _MACHINE)
        return Topology(name, CHIPS[kind], count, local)
    found = re.fullmatch(r"(?:(\d+)x)?(\w+)", name)
    if found and found[2] in CHIPS and found[2] not in SLICES:
        count = int(found[1] or 1)
        if 1 <= count <= _MOST_GPUS:
            return Topology(name, CHIPS[found[2]], count, count)
    if name == "cpu":
        return Topology(name, measured_cpu(), 1, 1)
    gpus = [chip for chip in CHIPS if chip not in SLICES]
    known = [f"{kind}:{{{','.join(slices)}}}" for kind, slices in SLICES.items()]
    known += [f"{gpu} or {{1..{_MOST_GPUS}}}x{gpu}" for gpu in gpus] + ["cpu"]
    raise ValueError(f"unknown topology {name!r}; there are {'; '.join(known)}")


def compiles(topology: Topology) -> bool:
    """Whether programs can be compiled for it here: it is made of TPUs, and libtpu is installed."""
    return topology.chip.platform == "tpu" and importlib.util.find_spec("libtpu") is not None


def devices(topology: Topology) -> Sequence[jax.Device]:
    """The devices of a TPU slice, to compile for; there need be none. Needs libtpu."""
    from jax.experimental import topologies

    # libtpu would ask the network what machine this is, and wait for an answer.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    # It would be loaded by one process at a time, as a TPU can have one user only.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    how = {"chips_per_host_bounds": [1, 1, 1]} if topology.devices == 1 else {}
    return topologies.get_topology_desc(platform="tpu", topology_name=topology.name, **how).devices
