# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What XLA says of a program that it compiled for a machine that is not there."""

from dataclasses import dataclass

from jax.sharding import Mesh

from ttc_jax.plan.chips import Chip
from ttc_jax.plan.collectives import Collective, in_text
from ttc_jax.plan.hlo import cycles
from ttc_jax.plan.programs import Program


@dataclass(frozen=True)
class Compiled:
    """Bytes on each chip: of arguments, of temporaries, and all that is there at once.

    `seconds` are XLA's estimate of a call, without collectives: the cycles that the compiler
    expects of each operation, a loop's with all its rounds, at the clock of the chip. It is
    cautious: of a large matrix product it expects 1.1 (v5e, v5p) to 1.4 times (v6e) the least time,
    of a pass over memory 2.5 to 2.8 times.
    """

    arguments: int
    temporary: int
    total: int
    seconds: float
    collectives: tuple[Collective, ...]


def compile_for(program: Program, mesh: Mesh, chip: Chip) -> Compiled:
    """Compiles a program for the devices of a mesh.

    Raises:
      ValueError: the compiler says nothing of cycles, as those of other chips than TPUs.
    """
    compiled = program.lower(mesh).compile()
    memory = compiled.memory_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    text = compiled.as_text()
    expected = cycles(text, program.trips)
    if not expected or not chip.clock:
        raise ValueError(f"XLA expects no cycles of {program.name} ({program.size})")
    return Compiled(
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
        kept + memory.temp_size_in_bytes,
        expected / chip.clock,
        tuple(in_text(text, devices=mesh.size, trips=program.trips)),
    )
