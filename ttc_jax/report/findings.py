# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a report says, as plain values: the content of its results.json."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ttc_jax.core.flops import CONVENTIONS
from ttc_jax.report import claims
from ttc_jax.report.headline import controls_of, headlines, said_of, savings, warnings
from ttc_jax.study.bins import agreement
from ttc_jax.study.comparison import Match
from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.evidence import ESTIMATORS, Evidence
from ttc_jax.study.exchange import Exchange
from ttc_jax.study.likelihood import LIKELIHOOD, RULES
from ttc_jax.study.optimum import KINDS, Optimum
from ttc_jax.study.policy import Allocation
from ttc_jax.study.roles import policy_of
from ttc_jax.study.runs import Run
from ttc_jax.study.stats import Interval


def findings(exchange: Exchange, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything of a report but its figures and examples, as JSON values."""
    optimum, evidence = exchange.optimum, exchange.evidence
    saved = list(savings(optimum))
    timings = {run.name: run.timing() for run in runs}
    return {
        "headline": headlines(exchange, saved),
        "claims": claims.table(optimum),
        "questions": _questions(evidence),
        "allocation": list(_allocations(optimum)),
        "factors": [
            asdict(saving)
            | {"factor": _finite(asdict(saving.factor)), "bold": saving.factor.claims}
            for saving in saved
        ],
        "matched": list(_matched(exchange)),
        "break_even": list(_break_evens(exchange)),
        "selection": list(_selection(evidence)),
        "controls": [
            asdict(control) | {"beats": control.beats, "sentence": said_of(control)}
            for control in controls_of(evidence)
        ],
        "verifier_quality": [
            {"kind": kind, "run": run} | asdict(one)
            for kind, (run, steps) in evidence.verifier_quality().items()
            for one in steps
        ],
        "ledger": [_ledger(evidence, run, timings[run.name]) for run in runs],
        "difficulty": list(_difficulty(optimum)),
        "runs": [_run(evidence, run, timings[run.name]["seconds"]) for run in runs],
        "versions": dict(runs[0].versions),
        "configs": {run.name: dict(run.config) for run in runs},
        # Last, since it gathers what was noted on the way.
        "warnings": warnings(evidence),
    }


def _questions(evidence: Evidence) -> dict[str, Any]:
    bins = evidence.bins("oracle")
    difficulty = evidence.difficulty("oracle")
    found = {"n": len(evidence.questions), "bins": [], "pass@1": []}
    for members in bins or []:
        (right,) = evidence.intervals([difficulty.ease], members)
        found["bins"].append(len(members))
        found["pass@1"].append(asdict(right))
    return found


def _selection(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Best-of-N by every way to choose that there is, the controls first, and greedy answers."""
    if greedy := evidence.greedy_answers("base"):
        yield _chosen(evidence, "greedy", "", [greedy])
    ways = [("majority", "", "majority", None)]
    ways += [(f"likelihood, {rule}", LIKELIHOOD, rule, LIKELIHOOD) for rule in RULES]
    ways += [(f"{kind.upper()}, {rule}", kind, rule, kind)
             for kind in ("prm", "orm") for rule in ("weighted", "best")]  # fmt: skip
    for name, kind, rule, scored in ways:
        if curve := evidence.best_of_n(rule, scored):
            yield _chosen(evidence, name, kind, curve.points)


def _chosen(evidence: Evidence, name: str, kind: str, points: Sequence[Measured]) -> dict[str, Any]:
    values = evidence.intervals([point.right for point in points])
    return {
        "name": name,
        "kind": kind,
        "points": [
            {"budget": point.budget, "accuracy": asdict(value), "flops": float(point.flops.mean())}
            for point, value in zip(points, values, strict=True)
        ],
    }


def _allocations(optimum: Optimum) -> Iterator[dict[str, Any]]:
    evidence = optimum.evidence
    for kind, rule in KINDS.items():
        for estimator in ESTIMATORS:
            for unit in ("generations", "flops"):
                found = optimum.allocation(kind, estimator, rule, unit)
                if found is not None:
                    table = {"kind": kind, "estimator": estimator, "unit": unit}
                    if unit == "generations" and kind != "revisions":
                        table["controls"] = _beside(evidence, found)
                    yield table | _table(evidence, found)


def _table(evidence: Evidence, found: Allocation) -> dict[str, Any]:
    """Strategies by bin and budget, and what the whole allocation comes to."""
    choices = found.choices(n_resamples=evidence.settings.resamples)
    rows = []
    for number in range(found.fitted.shape[1]):
        cells = [
            {
                "strategy": choice.candidate.strategy,
                "rule": choice.candidate.rule,
                "accuracy": asdict(choice.accuracy),
                "flops": choice.flops,
                "agreed": choice.agreed,
            }
            for choice in choices
            if choice.bin == number
        ]
        rows.append({"bin": str(number + 1), "cells": cells})
    return {
        "budgets": found.budgets.tolist(),
        "rows": rows,
        "overall": [asdict(one) for one in evidence.intervals(found.right)],
        "in_sample": found.in_sample.mean(axis=1).tolist(),
        "flops": found.flops.mean(axis=1).tolist(),
        "charged": found.charged_budgets.tolist(),
        "charged_flops": found.charged_flops.mean(axis=1).tolist(),
    }


def _beside(evidence: Evidence, found: Allocation) -> dict[str, list]:
    """What the controls come to at each budget of an allocation, None where they have none."""
    rows: dict[str, list] = {}
    for row in _selection(evidence):
        if row["kind"] in ("", LIKELIHOOD):
            known = {point["budget"]: point["accuracy"] for point in row["points"]}
            if row["name"] == "greedy":  # whatever the budget
                known = dict.fromkeys(found.budgets.tolist(), row["points"][0]["accuracy"])
            rows[row["name"]] = [known.get(budget) for budget in found.budgets.tolist()]
    return {name: values for name, values in rows.items() if any(values)}


def small_curve(exchange: Exchange) -> tuple[str, Curve] | None:
    """The small model's best-founded curve: compute-optimal search, revisions, or best-of-N."""
    optimum = exchange.optimum
    for kind, rule in list(KINDS.items())[:2]:
        if curve := optimum.curve(kind, "oracle", rule):
            return f"compute-optimal {kind}", curve
    for rule in ("weighted", "majority"):
        if curve := exchange.evidence.best_of_n(rule):
            return f"best-of-N, {rule}", curve
    return None


def _matched(exchange: Exchange) -> Iterator[dict[str, Any]]:
    """The small model against the larger one, greedy and thinking, under every convention."""
    small = small_curve(exchange) if exchange.possible else None
    if small is None:
        return
    name, curve = small
    for convention in CONVENTIONS:
        for large, points in (("greedy", [exchange.greedy]), ("thinking", exchange.thinking)):
            if not points:
                continue
            matches = exchange.matches(curve, convention, large=points)
            for ratio in exchange.ratios:
                for budget in sorted({point.budget for point in points}):
                    own = [m for m in matches if (m.R, m.large_budget) == (ratio, budget)]
                    yield {
                        "convention": convention,
                        "small": name,
                        "large": large,
                        "large_budget": budget,
                        "R": ratio,
                        "k": next(m.budget for m in own if m.bin is None),
                        "rows": [_match(match) for match in own],
                    }


def _match(match: Match) -> dict[str, Any]:
    return {
        "bin": "all" if match.bin is None else str(match.bin + 1),
        "small": _interval(match.small),
        "large": _interval(match.large),
        "difference": _interval(match.difference),
        "relative": match.relative,
        "verdict": match.verdict,
        "capped": match.capped,
        "used": match.used,
    }


def _break_evens(exchange: Exchange) -> Iterator[dict[str, Any]]:
    small = small_curve(exchange) if exchange.possible else None
    if small is None or exchange.pair.saved <= 0:
        return
    for convention in CONVENTIONS:
        for one in exchange.break_evens(small[1], convention):
            found = asdict(one) | {"sentence": one.words(), "convention": convention}
            found["bin"] = "all" if one.bin is None else str(one.bin + 1)
            yield _finite(found)


def _ledger(evidence: Evidence, run: Run, timing: Mapping) -> dict[str, Any]:
    """What a run cost: useful FLOPs by phase, those discarded apart, and what was executed."""
    executed = timing["ledger"]
    spent, discarded = evidence.spent.get(run.name, (None, Counter()))
    if spent is None:
        spent = Counter({phase: counts["useful"] for phase, counts in executed.items()})
    return {
        "run": run.name,
        "useful": {phase: flops - discarded[phase] for phase, flops in sorted(spent.items())},
        "discarded": float(sum(discarded.values())),
        "executed": sum(c.get("executed", 0) for c in executed.values()) or None,
        "bytes": sum(c.get("bytes", 0) for c in executed.values()) or None,
        "seconds": timing["seconds"] or None,
    }


def _difficulty(optimum: Optimum) -> Iterator[dict[str, Any]]:
    """Every estimate: its cost, how far it agrees with the oracle, and what it is good for."""
    evidence = optimum.evidence
    oracle = evidence.bin_numbers("oracle")
    for estimator in ESTIMATORS:
        numbers, known = evidence.bin_numbers(estimator), evidence.difficulty(estimator)
        if numbers is None:
            continue
        found = {
            "estimator": estimator,
            "samples": known.samples,
            "flops": float(known.flops.mean()),
            "label_free": known.label_free,
        }
        if oracle is not None:
            found |= {"agreement": (same := agreement(numbers, oracle)).equal}
            found |= {"spearman": same.spearman}
        for kind, rule in KINDS.items():
            if allocation := optimum.allocation(kind, estimator, rule):
                (accuracy,) = evidence.intervals([allocation.right[-1]])
                found |= {
                    "accuracy": asdict(accuracy),
                    "budget": float(allocation.budgets[-1]),
                    "kind": kind,
                }
                break
        yield found


def _run(evidence: Evidence, run: Run, seconds: float) -> dict[str, Any]:
    search = run.job == "search"
    spent, _ = evidence.spent.get(run.name, ({}, {}))
    return {
        "name": run.name,
        "job": run.job,
        "strategy": str(run.strategy) if search else run.job,
        "policy": _model(policy_of(run)) if search else None,
        "verifier": _model(run.verifier) if run.verifier else None,
        "done": evidence.stored.get(run.name),
        "expected": len(run.questions) if search else None,
        "seconds": seconds or None,
        "flops": float(sum(spent.values())) if spent else None,
        "device": run.device,
        "commit": run.git_commit,
        "command": run.command,
    }


def _model(model) -> str:
    size = f", {model.params:,} parameters" if model.params else ""
    return f"{model.path} ({model.kind}{size})"


def _interval(value: Interval | None) -> dict[str, float] | None:
    return None if value is None else asdict(value)


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: bounds that there are not become null."""
    return {
        key: [_number(one) for one in value] if isinstance(value, tuple) else _number(value)
        for key, value in values.items()
    }


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
