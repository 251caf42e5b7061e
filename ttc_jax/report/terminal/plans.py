# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A plan as it is shown on a terminal, from the facts of `plan.facts`."""

from collections.abc import Iterator, Mapping

from rich import box
from rich.table import Column, Table


def shown(plan: Mapping) -> Iterator[Table | str]:
    """The machine, each stage with its programs, and the whole."""
    chip, mesh = plan["chip"], plan["mesh"]
    yield (
        f"{plan['topology']}: {plan['devices']} x {chip['name']} with {_bytes(chip['memory'])} "
        f"each, {plan['processes']} processes, mesh data={mesh['data']}, model={mesh['model']}"
    )
    yield plan["model"]
    for stage in plan["stages"]:
        yield ""
        yield f"{stage['name']} ({stage['job']}): {stage['what']}"
        yield _programs(stage)
        yield from _details(stage)
        yield from _batch(stage, plan["processes"])
        rate, least = stage["tokens_per_second"], _time(stage["floor_seconds"])
        yield (
            f"{stage['tokens']:,.0f} tokens in {_time(stage['seconds'])}, {rate:,.0f} per second; "
            f"at least {least}"
        )
    yield ""
    if plan["meshes"]:
        yield _meshes(plan)
    yield from (f"assumed: {text}" for text in plan["assumptions"])
    verdict = "fits" if plan["fits"] else "DOES NOT FIT"
    yield (
        f"{verdict}: {plan['hours']:.3g} hours on {plan['topology']} "
        f"({plan['chip_hours']:.3g} chip hours), {plan['tokens_per_second']:,.0f} tokens per "
        f"second; at least {plan['floor_seconds'] / 3600:.3g} hours"
    )


def _programs(stage: Mapping) -> Table:
    names = ("weights", "keys, values", "temporary", "total", "HBM", "floor", "binds", "XLA")
    right = (Column(name, justify="right", no_wrap=True) for name in ("calls", *names))
    table = Table(Column("program", no_wrap=True), *right, box=box.SIMPLE_HEAD)
    for p in stage["programs"]:
        sizes = (p[f"{name}_bytes"] for name in ("weights", "pool", "temporary", "total"))
        mark = "" if p["fits"] else " !"
        table.add_row(
            p["name"], f"{p['calls']:,.0f}", *map(_bytes, sizes),
            f"{100 * p['hbm_share']:.0f} %{mark}", _time(p["floor_seconds"]), p["binds"],
            "-" if p["xla_seconds"] is None else _time(p["xla_seconds"]),
        )  # fmt: skip
    return table


def _details(stage: Mapping) -> Iterator[str]:
    for p in stage["programs"]:
        yield f"{p['name']}: {p['size']}"
        if p["refused"]:
            yield f"  XLA refuses it: {p['refused']}"
        if p["collectives"]:
            listed = ", ".join(
                f"{c['times']} x {c['kind']} of {_bytes(c['bytes'])} over {c['group']}"
                for c in p["collectives"][:4]
            )
            more = len(p["collectives"]) - 4
            rest = f" and {more} smaller kinds" if more > 0 else ""
            found = "" if p["compiled"] else " (foretold)"
            yield f"  {listed}{rest}; {_bytes(p['sent_bytes'])} sent by a chip{found}"


def _batch(stage: Mapping, processes: int) -> Iterator[str]:
    rows, largest = stage["rows"], stage["largest_rows"]
    if stage["questions_wanted"] > stage["questions"]:
        yield (
            f"{stage['questions']} questions in flight fit, {stage['questions_wanted']} would "
            f"keep all {rows} rows busy"
        )
    of = ""
    if stage["job"] != "train" and processes > 1:  # training is on all devices together
        rows, largest, of = rows // processes, largest // processes, " of a process"
    if stage["job"] != "probe":
        yield f"{rows} rows{of}; the largest batch that fits has about {largest}"


def _meshes(plan: Mapping) -> Table:
    right = (Column(name, justify="right") for name in ("data", "model", "time by analysis"))
    table = Table(*right, "", box=box.SIMPLE_HEAD)
    for one in plan["meshes"]:
        chosen = (one["data"], one["model"]) == (plan["mesh"]["data"], plan["mesh"]["model"])
        says = one["why"] or ("fits" if one["fits"] else "does not fit")
        time = "-" if one["why"] else _time(one["seconds"])
        says += ", chosen" if chosen else ""
        table.add_row(str(one["data"]), str(one["model"]), time, says)
    return table


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
