# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A plan as JSON values: what is printed, and what tables are made of."""

from collections.abc import Iterator
from dataclasses import asdict

from ttc_jax.plan import topologies
from ttc_jax.plan.collectives import sent
from ttc_jax.plan.outlook import Foreseen, Outlook, Part
from ttc_jax.plan.topologies import Topology
from ttc_jax.plan.work import Reading, Sampling, Training, Work


def facts(found: Outlook) -> dict:
    """Everything that is known of an experiment on a machine."""
    chip, stages = found.topology.chip, [_stage(one, found) for one in found.stages]
    tokens = sum(one["tokens"] for one in stages)
    return {
        "topology": found.topology.name,
        "devices": found.topology.devices,
        "processes": found.topology.processes,
        "chip": asdict(chip),
        "mesh": {"data": found.data, "model": found.model},
        "meshes": [asdict(one) for one in found.tried],
        "model": _model(found),
        "assumptions": list(_assumptions(found)),
        "stages": stages,
        "fits": found.fits,
        "tokens": tokens,
        "seconds": found.seconds,
        "floor_seconds": sum(one["floor_seconds"] for one in stages),
        "hours": found.seconds / 3600,
        "chip_hours": found.seconds / 3600 * found.topology.devices,
        "tokens_per_second": tokens / found.seconds,
    }


def _model(found: Outlook) -> str:
    """What the numbers rest on, in words."""
    parts = [part for one in found.stages for part in one.parts]
    done = sum(part.compiled or bool(part.refused) for part in parts)
    if done:
        return f"compiled: XLA's programs for {done} of {len(parts)} entries, analysis for the rest"
    return "analytic: no program was compiled, " + _why(found.topology)


def _why(topology: Topology) -> str:
    if topology.chip.platform != "tpu":
        return f"as is only done for TPUs, and {topology.name} is none"
    if topologies.compiles(topology):
        return "as --compile=0 says"
    return "as libtpu is not installed (pip install 'ttc_jax[plan]')"


def _stage(one: Foreseen, found: Outlook) -> dict:
    chip, work = found.topology.chip, one.stage.work
    floor = sum(part.use.calls * part.floor.seconds for part in one.parts)
    return {
        "name": work.name,
        "job": work.job,
        "what": _what(work),
        "rows": one.stage.rows,
        "questions": one.stage.questions * found.data,
        "questions_wanted": one.stage.wanted * found.data,
        "largest_rows": one.largest,
        "tokens": one.stage.tokens,
        "seconds": one.seconds,
        "floor_seconds": floor,
        "tokens_per_second": one.stage.tokens / one.seconds,
        "fits": one.fits(chip),
        "programs": [_part(part, found) for part in one.parts],
    }


def _what(work: Work) -> str:
    if isinstance(work, Sampling):
        return f"{work.strategy} over {len(work.questions)} questions"
    if isinstance(work, Training):
        return f"{work.steps} steps of {work.batch} examples"
    return f"{len(work.questions)} questions read"


def _part(part: Part, found: Outlook) -> dict:
    return {
        "name": part.use.program.name,
        "size": part.use.program.size,
        "calls": part.use.calls,
        "compiled": part.compiled,
        "refused": part.refused,
        "weights_bytes": part.needs.weights,
        "pool_bytes": part.needs.pool,
        "temporary_bytes": part.needs.temporary,
        "total_bytes": part.needs.total,
        "hbm_share": part.needs.total / found.topology.chip.memory,
        "fits": part.fits(found.topology.chip),
        "flops": part.use.program.cost.flops,
        "moved_bytes": part.use.program.cost.bytes,
        "collectives": [asdict(one) for one in part.collectives],
        "sent_bytes": sent(part.collectives),
        "floor_seconds": part.floor.seconds,
        "binds": part.floor.binds,
        "xla_seconds": part.xla_seconds,
        "seconds": part.seconds,
    }


def _assumptions(found: Outlook) -> Iterator[str]:
    """What has been taken for granted."""
    works = [one.stage.work for one in found.stages]
    lengths = {(w.mean, w.step) for w in works if isinstance(w, Sampling)}
    for mean, step in sorted(lengths):
        yield f"solutions have {mean} tokens, their steps {step}"
    if lengths:
        yield "all rows of a batch are busy"
        yield "every segment is preceded by a fork; rows hold whole solutions all the time"
    if any(isinstance(w, Training) for w in works):
        yield "training goes on to its last step; choosing a checkpoint by samples is left out"
    if any(isinstance(w, Reading) for w in works):
        yield "a probe reads the questions of its own job; those of its source come on top"
    for other in sorted({w.policy.attention for w in works if isinstance(w, Sampling)} - {"xla"}):
        yield f"attention is planned as that of plain XLA, where the run takes {other}"
    shapes = {shape for work in works for shape in work.shapes}
    for heads in sorted({s.kv_heads for s in shapes if s.kv_heads % found.model}):
        yield f"{heads} kv heads are held whole by each of {found.model} shards"
    yield (
        "devices never wait for the host, and no operation takes time to start: for models so "
        "small that their operations take microseconds, times are far too short"
    )
    if found.topology.devices > 1:
        yield "collectives run along one axis of the torus, without their latency"
