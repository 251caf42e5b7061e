# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Results of a run as they are shown on a terminal."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich import box
from rich.table import Column, Table

from ttc_jax.study.summary import RULES


def report(results: Mapping, workdir: Path) -> Iterator[Table | str]:
    """What to print of results.json: figures by level, counts, speed, and where the files lie."""
    yield results["strategy"]
    yield figures_table(results["figures"])
    counts, timing = results["counts"], results["timing"]
    verdicts = ", ".join(f"{number} {name}" for name, number in counts["verdicts"].items())
    yield f"{counts['samples']} samples: {verdicts}"
    yield (
        f"{timing['tokens']:,} tokens in {timing['seconds']:.0f} s, "
        f"{timing['tokens_per_second']:.0f} per second, compilation included"
    )
    yield f"results: {workdir / 'results.json'}"
    yield f"samples: {workdir / 'samples'}"


def figures_table(figures: Mapping[str, Mapping]) -> Table:
    """One line a level, one column a figure: mean and interval, in percent; n questions."""
    names = [name for name in figures["all"] if name != "questions"]
    headers = [Column(name + " %", justify="right", overflow="fold") for name in names]
    table = Table("level", Column("n", justify="right"), *headers, box=box.SIMPLE_HEAD)
    for level, row in figures.items():
        cells = [_percent(row[name]) if name in row else "-" for name in names]
        table.add_row(level, str(row["questions"]), *cells)
    return table


def runs_table(runs: Mapping[str, Mapping]) -> Table:
    """One line a run by the name of its directory, one column a rule: what it selects, in percent.

    Of each run: its generations and its figures over all questions.
    """
    names = {name.split("@")[0] for run in runs.values() for name in run["figures"] if "@" in name}
    rules = [rule for rule in RULES if rule in names]
    right = [Column(name, justify="right") for name in ("n", *rules)]
    table = Table(Column("right, in %", no_wrap=True), *right, box=box.SIMPLE_HEAD)
    for name, run in runs.items():
        own = [run["figures"].get(f"{rule}@{run['generations']}") for rule in rules]
        cells = [f"{100 * value['mean']:.1f}" if value else "-" for value in own]
        table.add_row(name, str(run["figures"]["questions"]), *cells)
    return table


def _percent(value: Mapping[str, float]) -> str:
    mean, low, high = (100 * value[name] for name in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
