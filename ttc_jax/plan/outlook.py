# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Time and memory of a whole experiment on a machine, and the mesh and the batch to choose."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jax.errors import JaxRuntimeError

from ttc_jax.core.mesh import make_mesh
from ttc_jax.plan import meshes, topologies
from ttc_jax.plan.chips import Chip
from ttc_jax.plan.collectives import Collective, sent
from ttc_jax.plan.compiled import Compiled, compile_for
from ttc_jax.plan.memory import Needs
from ttc_jax.plan.programs import Program
from ttc_jax.plan.roofline import Cost, Floor, floor
from ttc_jax.plan.stage import Stage, Use, stage
from ttc_jax.plan.topologies import Topology
from ttc_jax.plan.work import Reading, Work

_MOST_ROWS = 1 << 16
# What XLA says of programs, by what tells them apart; a text where it refused one.
Known = Mapping[tuple, Compiled | str]


@dataclass(frozen=True)
class Part:
    """A program of a stage: how often it is called, and what one call takes.

    `seconds` are XLA's estimate where the program was compiled, and never below the roofline.
    `refused` is what XLA said of a program that does not fit.
    """

    use: Use
    needs: Needs
    collectives: Sequence[Collective]
    floor: Floor
    xla_seconds: float | None
    compiled: bool
    refused: str = ""

    @property
    def seconds(self) -> float:
        """Of one call."""
        return max(self.floor.seconds, self.xla_seconds or 0.0)

    def fits(self, chip: Chip) -> bool:
        """Whether a chip has room for it."""
        return not self.refused and self.needs.total <= chip.memory


@dataclass(frozen=True)
class Foreseen:
    """A stage, its programs, and the most rows that fit (0: not even the fewest)."""

    stage: Stage
    parts: tuple[Part, ...]
    largest: int

    @property
    def seconds(self) -> float:
        """Of the whole stage, as if the device never waited for the host."""
        return sum(part.use.calls * part.seconds for part in self.parts)

    def fits(self, chip: Chip) -> bool:
        """Whether a chip has room for all of its programs."""
        return all(part.fits(chip) for part in self.parts)


@dataclass(frozen=True)
class Tried:
    """A mesh that was weighed: by analysis, seconds and whether it fits; or why it cannot work."""

    data: int
    model: int
    seconds: float = 0.0
    fits: bool = False
    why: str = ""


@dataclass(frozen=True)
class Outlook:
    """An experiment on a machine.

    `tried` are the meshes that were weighed, none where the mesh was given.
    """

    topology: Topology
    data: int
    model: int
    stages: tuple[Foreseen, ...]
    tried: tuple[Tried, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(one.seconds for one in self.stages)

    @property
    def fits(self) -> bool:
        """Whether all stages do."""
        return all(one.fits(self.topology.chip) for one in self.stages)


def outlook(
    works: Sequence[Work],
    topology: Topology,
    mesh: tuple[int, int] | None = None,
    *,
    compiled: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Outlook:
    """How an experiment fares on a machine, on a given mesh or the best of the sensible ones.

    Of its programs the `compiled` that take longest are compiled for the machine, which needs
    libtpu. `say` is told what goes on.

    Raises:
      ValueError: the mesh does not fit the machine or the models, or the job no mesh; says why.
    """
    shapes = [shape for work in works for shape in work.shapes]
    if mesh is not None:
        meshes.check(*mesh, topology, shapes)
        return _on(works, topology, mesh, compiled, say)
    tried = [_weighed(works, topology, one) for one in meshes.sensible(topology, shapes)]
    possible = sorted((t for t in tried if not t.why), key=lambda t: (not t.fits, t.seconds))
    if not possible:
        reasons = "; ".join(f"data={t.data},model={t.model}: {t.why}" for t in tried)
        raise ValueError(f"no mesh of {topology.name} will do: {reasons}")
    for choice in possible:
        found = _on(works, topology, (choice.data, choice.model), compiled, say)
        if found.fits or not choice.fits or choice is possible[-1]:
            break
    return Outlook(topology, found.data, found.model, found.stages, tuple(tried))


def _weighed(works: Sequence[Work], topology: Topology, mesh: tuple[int, int]) -> Tried:
    abstract, chip = meshes.mesh(*mesh), topology.chip
    try:
        stages = [_foreseen(one, chip, {}, 0) for one in _stages(works, abstract, chip)]
    except ValueError as error:
        return Tried(*mesh, why=str(error))
    return Tried(*mesh, sum(s.seconds for s in stages), all(s.fits(chip) for s in stages))


def _stages(works: Sequence[Work], mesh, chip: Chip) -> Iterator[Stage]:
    for work in works:
        try:
            yield stage(work, mesh, chip)
        except ValueError as error:
            raise ValueError(f"{work.name}: {error}") from error


def _on(works, topology: Topology, mesh: tuple[int, int], most: int, say) -> Outlook:
    abstract, chip = meshes.mesh(*mesh), topology.chip
    stages = list(_stages(works, abstract, chip))
    known: dict[tuple, Compiled | str] = {}
    if most:
        devices = make_mesh(*mesh, topologies.devices(topology))
        for program in _heaviest(stages, chip)[:most]:
            say(f"compiling {program.name} ({program.size}) for {topology.name}")
            try:
                known[_key(program)] = compile_for(program, devices, chip)
            except JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                known[_key(program)] = str(error).splitlines()[0]
    found = tuple(
        _foreseen(one, chip, known, _largest(one, abstract, chip, known)) for one in stages
    )
    return Outlook(topology, *mesh, found)


def _heaviest(stages: Sequence[Stage], chip: Chip) -> list[Program]:
    """Programs from those that take longest on, alike ones once: with the largest pool."""
    spent: dict[tuple, float] = {}
    chosen: dict[tuple, Use] = {}
    for use in (use for one in stages for use in one.uses):
        program = use.program
        key = _key(program)
        spent[key] = (
            spent.get(key, 0.0) + use.calls * floor(program.cost, chip, program.dtype).seconds
        )
        if key not in chosen or chosen[key].needs.pool < use.needs.pool:
            chosen[key] = use
    order = sorted(spent, key=spent.__getitem__, reverse=True)
    return [chosen[key].program for key in order]


def _key(program: Program) -> tuple:
    return program.name, program.size, program.cost


def _foreseen(one: Stage, chip: Chip, known: Known, largest: int) -> Foreseen:
    return Foreseen(one, tuple(_part(use, chip, known.get(_key(use.program))) for use in one.uses),
                    largest)  # fmt: skip


def _part(use: Use, chip: Chip, xla: Compiled | str | None) -> Part:
    program, needs = use.program, use.needs
    if not isinstance(xla, Compiled):
        least = floor(program.cost, chip, program.dtype)
        return Part(use, needs, program.collectives, least, None, False, xla or "")
    real = Cost(program.cost.flops, program.cost.bytes, sent(xla.collectives))
    return Part(
        use,
        Needs(needs.weights, needs.pool, xla.temporary),
        xla.collectives,
        floor(real, chip, program.dtype),
        xla.seconds,
        True,
    )


def _largest(one: Stage, mesh, chip: Chip, known: Known) -> int:
    """The most rows that fit, of those that are asked for, doubled or halved again and again.

    Estimated temporaries are corrected by what XLA needs for the batch that was compiled. A probe's
    batch is not for choosing: 0.
    """
    if isinstance(one.work, Reading):
        return 0
    ratio: dict[str, float] = {}
    for use in one.uses:
        xla = known.get(_key(use.program))
        if isinstance(xla, Compiled) and use.program.temporary:
            ratio[use.program.name] = xla.temporary / use.program.temporary

    def fits(rows: int) -> bool:
        try:
            tried = stage(one.work.with_rows(rows), mesh, chip)
        except ValueError:
            return False
        needs = (
            use.needs.weights
            + use.needs.pool
            + use.program.temporary * ratio.get(use.program.name, 1.0)
            for use in tried.uses
        )
        return max(needs) <= chip.memory and tried.questions == tried.wanted

    rows, fewest = one.rows, mesh.shape["data"]
    while not fits(rows):
        if rows % (2 * fewest):
            return 0
        rows //= 2
    while rows >= one.rows and 2 * rows <= _MOST_ROWS and fits(2 * rows):
        rows *= 2
    return rows
