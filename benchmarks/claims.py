# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's ten claims on recorded runs: the table of a report, and how many are shown.

Reads finished or unfinished runs at or below the directories, as `ttc report` does, and writes
nothing. What the parts of a claim are and when each is shown, is said in
`ttc_jax/study/search_claims.py`, `revision_claims.py` and `claims.py` there.

    python benchmarks/claims.py WORKDIR [WORKDIR ...] [--resamples 2000] [--commands]
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine import print_headline
from rich import box
from rich.console import Console
from rich.table import Column, Table

from ttc_jax.report.claims import counted, table, tally
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings

STYLES = {"shown": "bold green", "refuted": "bold red", "undecided": "bold yellow", "": "dim"}


def main() -> None:
    args = arguments()
    evidence = Evidence(find_runs(args.workdirs), ReportSettings(resamples=args.resamples))
    rows = table(Optimum(evidence))
    console = Console()
    console.print(
        f"{len(evidence.questions)} questions, {len(evidence.searches)} searches: {counted(rows)}"
    )
    console.print(shown(rows))
    if args.commands:
        lacking = {part["command"] for row in rows for part in row["parts"] if part["command"]}
        for command in sorted(lacking):
            console.print(command, soft_wrap=True, highlight=False)
    print_headline("claims", tally(rows))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workdirs", type=Path, nargs="+", metavar="WORKDIR")
    parser.add_argument("--resamples", type=int, default=2000, help="of the questions")
    parser.add_argument("--commands", action="store_true", help="print the runs that are lacking")
    return parser.parse_args()


def shown(rows: Sequence[Mapping]) -> Table:
    """The claims with their parts and, dim, what stands beside."""
    made = Table(
        Column("", justify="right"), "verdict", "what was measured", "claimed", box=box.SIMPLE_HEAD
    )
    for row in rows:
        made.add_row(str(row["number"]), _verdict(row), f"[bold]{row['claim']}[/]", "")
        for part in (*row["parts"], *row["beside"]):
            said = part["said"] + (f"; needs {part['needs']}" if part["needs"] else "")
            style = "" if part["verdict"] else "dim"
            made.add_row("", _verdict(part), _plain(said), part["expected"], style=style)
    return made


def _verdict(row: Mapping) -> str:
    verdict = row["verdict"]
    return f"[{STYLES[verdict]}]{verdict or 'beside'}[/]"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()
