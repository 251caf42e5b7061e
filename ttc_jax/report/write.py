# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The report of runs: what they show as one page, its numbers, and policies for `ttc solve`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ttc_jax.report import claims
from ttc_jax.report.examples.pick import Source, pick
from ttc_jax.report.figures.every import figures
from ttc_jax.report.findings import findings
from ttc_jax.report.page import write_report
from ttc_jax.study import policy_file
from ttc_jax.study.bins import edges_of
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.exchange import Exchange
from ttc_jax.study.fitted import FittedPolicy, fit
from ttc_jax.study.optimum import KINDS, Optimum
from ttc_jax.study.runs import Run, find_runs
from ttc_jax.study.settings import ReportSettings
from ttc_jax.verify.grade import Grader

_FREE = ("few", "predicted", "probe")  # estimates that a new question has, the first there is
_FILES = {"generations": "policy.json", "flops": "policy_flops.json"}


def report(workdirs: Sequence[Path], out: Path, settings: ReportSettings) -> Iterator[str]:
    """Writes the report of all runs in `workdirs` to `out`; yields what to print.

    That is index.html with figures/ and results.json, and, where difficulty can be told without
    answers, a policy for budgets in generations (policy.json) and one for FLOPs
    (policy_flops.json). The same runs give the same files.

    Raises:
      ValueError: nothing to report on, runs that do not belong together, or samples that cannot be
        read.
      FileNotFoundError: a directory is not there.
      WorkdirError: `out` cannot be written.
    """
    runs = find_runs(workdirs)
    evidence = Evidence(runs, settings)
    exchange = Exchange(Optimum(evidence))
    drawn = figures(exchange)
    found = findings(exchange, runs)
    with Grader(**evidence.searches[0].config["grade"]) as grader:
        sources = [Source(run.name, run.path / "samples", run.strategy)
                   for run in evidence.searches]  # fmt: skip
        examples = pick(sources, grader.classes)
    page = write_report(out, found, drawn, examples)
    yield from found["headline"]
    yield f"claims: {claims.counted(found['claims'])}"
    yield from (f"note: {warning}" for warning in found["warnings"])
    lacking = sum(not figure.panels for figure in drawn)
    yield f"{len(drawn) - lacking} figures, {lacking} without data"
    for unit, policy in policies(exchange.optimum, runs).items():
        policy_file.write(policy, out / _FILES[unit])
        yield f"policy for budgets in {unit}: {out / _FILES[unit]}"
    yield f"report: {page}"


def policies(optimum: Optimum, runs: Sequence[Run]) -> dict[str, FittedPolicy]:
    """A policy for each unit of budgets, over bins that need no answers."""
    evidence = optimum.evidence
    configs = {run.name: run.config for run in evidence.searches}
    for estimator in _FREE:
        found = {}
        for unit in _FILES:
            allocation = optimum.allocation("everything", estimator, KINDS["everything"], unit)
            if allocation is not None:
                found[unit] = fit(
                    allocation,
                    _estimator(evidence, estimator, runs),
                    edges_of(evidence.difficulty(estimator).ease, allocation.bins),
                    configs,
                    {"questions": len(evidence.questions), "data": evidence.searches[0].depends.get(
                        "data.questions")},
                    n_resamples=evidence.settings.resamples,
                )  # fmt: skip
        if found:
            return found
    return {}


def _estimator(evidence: Evidence, name: str, runs: Sequence[Run]) -> Mapping[str, Any]:
    """How a new question's ease is told, as in `FittedPolicy`."""
    if name == "probe":
        files = (run.path / "probe.json" for run in runs if run.job == "probe")
        probe = next(file for file in files if file.exists())
        return {"name": name, "probe": json.loads(probe.read_text(encoding="utf-8"))}
    known = evidence.difficulty(name)
    found = {"name": name, "samples": round(known.samples), "source": evidence.estimates.run}
    return found | asdict(evidence.estimates.shrinkage()) if name == "few" else found
