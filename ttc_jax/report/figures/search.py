# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's figures about search against a verifier: 3, 4, 12, 13, 14 and ICLR 13."""

from collections.abc import Sequence

import numpy as np

from ttc_jax.report.figures.lacking import lacking
from ttc_jax.report.plots import Bars, Figure, Line, Panel
from ttc_jax.study.curves import Curve
from ttc_jax.study.evidence import ESTIMATORS, Evidence
from ttc_jax.study.likelihood import LIKELIHOOD, RULES
from ttc_jax.study.optimum import Optimum

BUDGET = "generation budget"
ACCURACY = "accuracy"
_BAR_BUDGETS = (4, 16, 64, 256)
_AGGREGATES = ("last", "min", "prod", "mean")


def line(
    evidence: Evidence, curve: Curve, look: str, name: str = "", dashed: bool = False, members=None
) -> Line:
    """A curve over its budgets, with intervals over all questions or some (their indices)."""
    return Line(
        name or curve.name,
        look,
        tuple(point.budget for point in curve.points),
        tuple(evidence.intervals([point.right for point in curve.points], members)),
        dashed,
    )


def said(lines: Sequence[Line], what: str = "accuracy") -> str:
    """In words where each line begins and ends."""
    parts = []
    for one in lines:
        if not one.x:
            continue
        first, last = one.y[0].mean, one.y[-1].mean
        parts.append(f"{one.name} {first:.1%} at {one.x[0]:g}, {last:.1%} at {one.x[-1]:g}")
    return f"{what}: " + "; ".join(parts) if parts else ""


def controls(evidence: Evidence) -> list[Line]:
    """What nothing was trained for and no vote is counted: greedy answers, and the likelihood."""
    lines = greedy_point(evidence)
    for rule in RULES:
        if curve := evidence.best_of_n(rule, LIKELIHOOD):
            name = f"likelihood best-of-N, {rule}"
            lines.append(line(evidence, curve, LIKELIHOOD, name, dashed=rule == "best"))
    return lines


def greedy_point(evidence: Evidence, role: str = "base") -> list[Line]:
    """The greedy answers of the policy in a role, where there are some."""
    greedy = evidence.greedy_answers(role)
    if greedy is None:
        return []
    return [Line("greedy", "pass", (1.0,), tuple(evidence.intervals([greedy.right])), scatter=True)]


def bin_names(bins: Sequence[np.ndarray]) -> tuple[str, ...]:
    """What bins are called, the easiest "1"."""
    return tuple(str(number + 1) for number in range(len(bins)))


def binning(estimator: str) -> str:
    """In words what bins were made from."""
    return {
        "oracle": "Bins by pass@1, from samples that are used for nothing else.",
        "predicted": "Bins by the verifier's mean score of samples that are used for nothing else.",
    }[estimator]


def optimal_lines(
    optimum: Optimum, kind: str, rule: str = "weighted", charged: bool = False
) -> list[Line]:
    """Allocations over bins of every estimate; `charged` with what the estimate cost."""
    found = []
    for estimator in ESTIMATORS:
        allocation = optimum.allocation(kind, estimator, rule)
        if allocation is None:
            continue
        x = allocation.charged_budgets if charged else allocation.budgets
        suffix = ", majority" if rule == "majority" else ""
        found.append(
            Line(
                f"compute-optimal, {estimator} bins{suffix}",
                estimator,
                tuple(float(budget) for budget in x),
                tuple(optimum.evidence.intervals(allocation.right)),
                dashed=rule == "majority",
            )
        )
    return found


def selection_lines(evidence: Evidence, kinds: Sequence[str]) -> list[Line]:
    """Majority voting, and best-of-N weighted by each kind of verifier."""
    lines = []
    if majority := evidence.best_of_n("majority"):
        lines.append(line(evidence, majority, "majority", "majority"))
    for kind in kinds:
        if curve := evidence.best_of_n("weighted", kind):
            lines.append(line(evidence, curve, kind, f"{kind.upper()} best-of-N weighted"))
    return lines


def methods(evidence: Evidence) -> Figure:
    """Figure 3 left: every recorded search beside best-of-N and majority."""
    key, title, source = "3L", "PRM search methods", "Figure 3, left"
    curves = evidence.searches_by("weighted")
    if not curves or not evidence.best_of_n("weighted"):
        return lacking(evidence).figure(
            key, title, source, "a best-of-N run and a beam search against the same PRM",
            strategy="beam(N=16,M=4)",
        )  # fmt: skip
    lines = []
    for rule, look in (("majority", "majority"), ("weighted", "best_of_n"), ("best", "best")):
        if curve := evidence.best_of_n(rule):
            name = rule if rule == "majority" else f"best-of-N, {rule}"
            lines.append(line(evidence, curve, look, name))
    curves = {**curves, **evidence.searches_by("weighted", kind=LIKELIHOOD)}
    lines += [line(evidence, curve, family) for family, curve in curves.items()]
    lines += controls(evidence)
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    return Figure(
        key, title, source, "Answers are chosen by best-of-N weighted, unless named otherwise; "
        "lookahead's budget counts its rollouts, N(k + 1).", (panel,),
    )  # fmt: skip


def search_by_bin(evidence: Evidence, key: str, estimator: str) -> Figure:
    """Figures 3 right and 12: bars of rising budget in every bin of difficulty."""
    source = {"oracle": "Figure 3, right", "predicted": "Figure 12"}[estimator]
    title = f"Search by {estimator} difficulty"
    bins, beams = evidence.bins(estimator), evidence.searches_by("weighted")
    if bins is None:
        return lacking(evidence).bins(key, title, source, estimator)
    if not beams:
        return lacking(evidence).figure(
            key, title, source, "a beam search against a PRM", strategy="beam(N=16,M=4)"
        )
    family = "beam_4" if "beam_4" in beams else next(iter(beams))
    series = [
        (beams[family].name, family, beams[family]),
        ("best-of-N weighted", "best_of_n", evidence.best_of_n("weighted")),
        ("majority", "majority", evidence.best_of_n("majority")),
        ("likelihood best-of-N weighted", LIKELIHOOD, evidence.best_of_n("weighted", LIKELIHOOD)),
    ]
    likely = evidence.searches_by("weighted", kind=LIKELIHOOD)
    if likely:
        own = f"likelihood_{family}"
        own = own if own in likely else next(iter(likely))
        series.append((likely[own].name, own, likely[own]))
    bars = []
    for name, look, curve in series:
        points = [p for p in curve.points if p.budget in _BAR_BUDGETS] if curve else []
        for point in points:
            y = tuple(evidence.intervals([point.right], members)[0] for members in bins)
            shade = _BAR_BUDGETS.index(point.budget) / (len(_BAR_BUDGETS) - 1)
            bars.append(Bars(f"{name}, N = {point.budget:g}", look, y, stack=look, shade=shade))
    if not bars:
        budgets = ", ".join(f"N = {budget}" for budget in _BAR_BUDGETS)
        return lacking(evidence).figure(
            key, title, source, f"runs at some of {budgets}", strategy="beam(N=16,M=4)"
        )
    if greedy := evidence.greedy_answers("base"):
        y = tuple(evidence.intervals([greedy.right], members)[0] for members in bins)
        bars.append(Bars("greedy", "pass", y))
    panel = Panel(
        "", "difficulty bin (1 is the easiest)", ACCURACY, groups=bin_names(bins),
        bars=tuple(bars), note=bars_said(bars, bin_names(bins)),
    )  # fmt: skip
    return Figure(key, title, source, binning(estimator), (panel,))


def bars_said(bars: Sequence[Bars], groups: Sequence[str]) -> str:
    """In words the bars of each series."""
    parts = []
    for one in bars:
        values = (
            f"{group}: {value.mean:.0%}"
            for group, value in zip(groups, one.y, strict=True)
            if value is not None
        )
        parts.append(f"{one.name} ({', '.join(values)})")
    return "; ".join(parts)


def optimal_search(optimum: Optimum) -> Figure:
    """Figure 4: the best search for each bin against one search for all."""
    evidence = optimum.evidence
    key, title, source = "4", "Compute-optimal search", "Figure 4"
    if not evidence.searches_by("weighted"):
        return lacking(evidence).figure(
            key, title, source, "a beam search against a PRM at two budgets or more",
            strategy="beam(N=16,M=4)",
        )  # fmt: skip
    best = optimal_lines(optimum, "search")
    if not best:
        return lacking(evidence).bins(key, title, source, "oracle")
    lines = selection_lines(evidence, ("orm", "prm")) + best + controls(evidence)
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    return Figure(
        key, title, source, "Strategies are chosen on one fold of the questions of a bin and "
        "scored on the other; the cost of estimating difficulty is left out, as in the paper.",
        (panel,),
    )  # fmt: skip


def aggregates(evidence: Evidence) -> Figure:
    """Figure 13 (ICLR 14): which number of a solution's step scores to compare."""
    key, title, source = "13", "Step scores to one score", "Figure 13"
    lines = []
    for name in _AGGREGATES:
        if curve := evidence.best_of_n("weighted", "prm", aggregate=name):
            lines.append(line(evidence, curve, name, f"PRM {name}"))
    if not lines:
        return lacking(evidence).figure(
            key, title, source, "a best-of-N run against a PRM", strategy="best_of_n(N=64)"
        )
    lines += selection_lines(evidence, ("orm",)) + controls(evidence)
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    return Figure(key, title, source, "Best-of-N weighted.", (panel,))


def verifiers(evidence: Evidence) -> Figure:
    """Figure 14 (ICLR 15): process against outcome verifier."""
    key, title, source = "14", "PRM and ORM", "Figure 14"
    lines = selection_lines(evidence, ("prm", "orm"))
    if sum(one.look in ("prm", "orm") for one in lines) < 2:
        return lacking(evidence).figure(
            key, title, source, "best-of-N runs against a PRM and against an ORM",
            strategy="best_of_n(N=64)", scorer="outcome",
        )  # fmt: skip
    lines += controls(evidence)
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    return Figure(key, title, source, "Best-of-N weighted, from the same samples.", (panel,))


def weighting(evidence: Evidence) -> Figure:
    """ICLR figure 13: best-of-N with and without adding up equal answers."""
    key, title, source = "iclr13", "Best-of-N, weighted and not", "ICLR figure 13"
    lines = []
    for kind in ("prm", "orm"):
        for rule in ("weighted", "best"):
            if curve := evidence.best_of_n(rule, kind):
                name = f"{kind.upper()} best-of-N" + (" weighted" if rule == "weighted" else "")
                lines.append(line(evidence, curve, kind, name, dashed=rule == "best"))
    if not lines:
        return lacking(evidence).figure(
            key, title, source, "a best-of-N run against a verifier", strategy="best_of_n(N=64)"
        )
    if majority := evidence.best_of_n("majority"):
        lines.append(line(evidence, majority, "majority", "majority"))
    lines += controls(evidence)
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    return Figure(key, title, source, "Solid: weighted; dashed: the highest score.", (panel,))
