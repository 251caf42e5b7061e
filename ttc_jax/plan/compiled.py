# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What XLA says of a program that it compiled for a machine that is not there."""

from dataclasses import dataclass

from jax.sharding import Mesh

from ttc_jax.plan.chips import Chip
from ttc_jax.plan.collectives import Collective, in_text
from ttc_jax.plan.programs import Program
from ttc_jax.plan.roofline import floor


@dataclass(frozen=True)
class Compiled:
    """Bytes on each chip: of arguments, of temporaries, and all that is there at once.

    `seconds` are XLA's own estimate of a call, None where its compiler makes none.
    """

    arguments: int
    temporary: int
    total: int
    seconds: float | None
    collectives: tuple[Collective, ...]


def compile_for(program: Program, mesh: Mesh, chip: Chip) -> Compiled:
    """Compiles a program for the devices of a mesh.

    XLA counts the body of a loop once. Its estimate is scaled to all rounds by the roofline of the
    program with all of them and with one.
    """
    compiled = program.lower(mesh).compile()
    memory = compiled.memory_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    analysis = compiled.cost_analysis() or {}
    seconds = analysis.get("optimal_seconds", 0.0)
    found = in_text(compiled.as_text(), devices=mesh.size, trips=program.trips)
    rounds = 1.0
    if program.trips > 1:
        whole, once = (floor(c, chip, program.dtype) for c in (program.cost, program.once))
        rounds = whole.seconds / once.seconds
    return Compiled(
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
        kept + memory.temp_size_in_bytes,
        seconds * rounds if seconds > 0 else None,
        tuple(found),
    )
