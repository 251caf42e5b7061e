# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which ('data', 'model') meshes a machine and a model allow."""

from collections.abc import Sequence

from jax.sharding import AbstractMesh, AxisType

from ttc_jax.model.shape import ModelShape
from ttc_jax.plan.topologies import Topology


def parse(text: str) -> tuple[int, int]:
    """(data, model) of "data=32,model=8"; an axis that is left out is 1.

    Raises:
      ValueError: another axis, or a size that is no whole number of at least 1.
    """
    sizes = {"data": 1, "model": 1}
    for part in text.split(","):
        axis, _, size = part.strip().partition("=")
        if axis not in sizes or not size.isdecimal() or int(size) < 1:
            raise ValueError(f"--mesh={text}: write it as data=32,model=8")
        sizes[axis] = int(size)
    return sizes["data"], sizes["model"]


def check(data: int, model: int, topology: Topology, shapes: Sequence[ModelShape]) -> None:
    """ValueError, with the numbers, for a mesh that does not fit devices, machines or heads."""
    if data * model != topology.devices:
        raise ValueError(
            f"a mesh of data={data} x model={model} has {data * model} devices, {topology.name} "
            f"has {topology.devices}; choose sizes whose product that is"
        )
    if model > topology.local:
        raise ValueError(
            f"model={model} spreads a replica over {model} devices, a machine of {topology.name} "
            f"has {topology.local}, and a replica lies in one process; take model="
            f"{topology.local} or less"
        )
    for shape in shapes:
        if shape.heads % model:
            raise ValueError(
                f"model={model} does not divide the {shape.heads} query heads of a {shape.family} "
                f"of width {shape.width}; take one of {_divisors(topology, shape.heads)}"
            )


def sensible(topology: Topology, shapes: Sequence[ModelShape]) -> list[tuple[int, int]]:
    """(data, model) over all devices: `model` a power of two that divides all kv heads.

    It is at most the devices of one machine: a process works on its own ones.
    """
    found, model = [], 1
    while topology.local % model == 0 and not any(s.kv_heads % model for s in shapes):
        found.append((topology.devices // model, model))
        model *= 2
    return found


def mesh(data: int, model: int) -> AbstractMesh:
    """A mesh without devices: enough to lay arrays out."""
    axis_types = (AxisType.Auto, AxisType.Auto)
    return AbstractMesh((data, model), ("data", "model"), axis_types=axis_types)


def _divisors(topology: Topology, heads: int) -> str:
    devices, most = topology.devices, topology.local
    return ", ".join(str(n) for n in range(1, most + 1) if devices % n == 0 and heads % n == 0)
