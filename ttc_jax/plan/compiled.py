# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What XLA says of a program that it compiled for a machine that is not there."""

from dataclasses import dataclass

from jax.sharding import Mesh

from ttc_jax.plan.chips import Chip
from ttc_jax.plan.collectives import Collective, in_text
from ttc_jax.plan.programs import Program
from ttc_jax.plan.roofline import Cost, floor


@dataclass(frozen=True)
class Compiled:
    """Bytes on each chip: of arguments, of temporaries, and all that is there at once.

    `seconds` are XLA's estimate of a call: the compiler's own where it makes one, else the time of
    the FLOPs and bytes that it counts. It counts bytes between operations even where they never
    leave the chip, so the program may be faster.
    """

    arguments: int
    temporary: int
    total: int
    seconds: float
    collectives: tuple[Collective, ...]


def compile_for(program: Program, mesh: Mesh, chip: Chip) -> Compiled:
    """Compiles a program for the devices of a mesh.

    XLA counts the body of a loop once. Its estimate is therefore scaled to all rounds, by the
    roofline of the program with all of them and with one.
    """
    compiled = program.lower(mesh).compile()
    memory = compiled.memory_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    analysis = compiled.cost_analysis()
    seconds = analysis.get("optimal_seconds", 0.0)
    if seconds <= 0:  # as of TPU programs that wait for each other
        counted = Cost(analysis["flops"], analysis["bytes accessed"])
        seconds = floor(counted, chip, program.dtype).seconds
    found = in_text(compiled.as_text(), devices=mesh.size, trips=program.trips)
    rounds = 1.0
    if program.trips > 1:
        whole, once = (floor(c, chip, program.dtype) for c in (program.cost, program.once))
        rounds = whole.seconds / once.seconds
    return Compiled(
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
        kept + memory.temp_size_in_bytes,
        seconds * rounds,
        tuple(found),
    )
