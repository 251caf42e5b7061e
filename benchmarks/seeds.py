# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One experiment from several seeds: what each shows, and how far they lie apart.

Each directory holds the runs of one seed, as `ttc run --config=configs/quickstart.py:scratch
--config.seed=1` leaves them. Accuracies are of the same test questions; a difference is over paired
questions, and counts as shown when its 95 % interval excludes 0.

    python benchmarks/seeds.py WORKDIR WORKDIR [WORKDIR ...] [--resamples 2000]
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from machine import print_headline
from rich import box
from rich.console import Console
from rich.table import Column, Table

from ttc_jax.report.claims import table
from ttc_jax.study.claim import by_budget, difference
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.likelihood import LIKELIHOOD
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings
from ttc_jax.study.stats import Interval, bootstrap

BUDGETS = (4, 16, 64)
BEAMS = {"beam": "beam_4", "beam, distinct prefixes": "beam_4_distinct"}


def main() -> None:
    args = arguments()
    settings = ReportSettings(resamples=args.resamples)
    seeds = [measured(Evidence(find_runs([path]), settings)) for path in args.workdirs]
    console = Console()
    console.print(shown(seeds, [path.name for path in args.workdirs]))
    names = list(dict.fromkeys(name for seed in seeds for name in seed))
    headline = {"seeds": len(seeds)}
    for name in names:
        found = [seed[name] for seed in seeds if name in seed]
        if isinstance(found[0], Interval) and " less " in name:
            headline[f"{name}: above 0"] = sum(one.low > 0 for one in found)
            headline[f"{name}: below 0"] = sum(one.high < 0 for one in found)
    print_headline("seeds", headline)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workdirs", type=Path, nargs="+", metavar="WORKDIR")
    parser.add_argument("--resamples", type=int, default=2000, help="of the questions")
    return parser.parse_args()


def measured(evidence: Evidence) -> dict[str, Interval | str]:
    """By name: shares with intervals, and the verdicts on the claims."""
    found: dict[str, Interval | str] = dict(_policy(evidence))
    for kind, (_, steps) in evidence.verifier_quality().items():
        found |= {f"AUC within questions, {kind}": one.auc for one in steps if one.step is None}
    found |= dict(_selection(evidence))
    attempts = evidence.attempts()
    if attempts:
        found["revision, first attempt"] = bootstrap(attempts[0], **evidence.boot)
        found["revision, last attempt"] = bootstrap(attempts[-1], **evidence.boot)
        name = "revision, last less first attempt"
        found[name] = difference(attempts[-1], attempts[0], evidence.boot)
    for row in table(Optimum(evidence)):
        found[f"claim {row['number']}"] = row["verdict"]
    return found


def _policy(evidence: Evidence) -> Iterator[tuple[str, Interval]]:
    """pass@1, greedy and coverage, by bin of oracle difficulty."""
    points, greedy = by_budget(evidence.best_of_n("coverage")), evidence.greedy_answers("base")
    for number, members in enumerate(evidence.bins("oracle") or (), 1):
        if 1 in points:
            yield f"pass@1, bin {number}", bootstrap(points[1].right[members], **evidence.boot)
        if greedy:
            yield f"greedy, bin {number}", bootstrap(greedy.right[members], **evidence.boot)
        if 64 in points:
            yield f"pass@64, bin {number}", bootstrap(points[64].right[members], **evidence.boot)


def _selection(evidence: Evidence) -> Iterator[tuple[str, Interval]]:
    """Accuracy by rule and budget, and the differences that are to be shown."""
    rules = {
        "majority": evidence.best_of_n("majority"),
        "likelihood": evidence.best_of_n("weighted", LIKELIHOOD),
        "weighted": evidence.best_of_n("weighted", "prm"),
        "plain best": evidence.best_of_n("best", "prm"),
        "coverage": evidence.best_of_n("coverage"),
    }
    searches = evidence.searches_by("weighted")
    rules |= {name: searches[key] for name, key in BEAMS.items() if key in searches}
    for budget in BUDGETS:
        rights: Mapping[str, np.ndarray] = {
            name: points[budget].right
            for name, curve in rules.items()
            if budget in (points := by_budget(curve))
        }
        for name, right in rights.items():
            yield f"{name}, N = {budget}", bootstrap(right, **evidence.boot)
        for better, worse in (
            *(("weighted", control) for control in ("majority", "likelihood")),
            *((beam, rule) for beam in BEAMS for rule in rules if rule not in (*BEAMS, "coverage")),
        ):
            if better in rights and worse in rights:
                apart = difference(rights[better], rights[worse], evidence.boot)
                yield f"{better} less {worse}, N = {budget}", apart


def shown(seeds: Sequence[Mapping], names: Sequence[str]) -> Table:
    """A row for each figure: what every seed gives, their mean and their standard deviation."""
    made = Table(
        "", *(Column(name, justify="right") for name in names), Column("mean", justify="right"),
        Column("sd", justify="right"), box=box.SIMPLE_HEAD,
    )  # fmt: skip
    for row in dict.fromkeys(name for seed in seeds for name in seed):
        values = [seed.get(row) for seed in seeds]
        cells = [_cell(value) for value in values]
        means = [value.mean for value in values if isinstance(value, Interval)]
        spread = (np.mean(means), np.std(means, ddof=1)) if len(means) > 1 else ()
        made.add_row(row, *cells, *(f"{value:.3f}" for value in spread))
    return made


def _cell(value: Interval | str | None) -> str:
    if isinstance(value, Interval):
        return f"{value.mean:.3f} \\[{value.low:.3f}, {value.high:.3f}]"
    return value or ""


if __name__ == "__main__":
    main()
