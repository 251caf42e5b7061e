# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's figures about revisions: 6, 7, 8, 10, 11, 15 and 16."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ttc_jax.report.figures.lacking import lacking
from ttc_jax.report.figures.search import (
    ACCURACY,
    BUDGET,
    bars_said,
    bin_names,
    binning,
    greedy_point,
    line,
    optimal_lines,
    said,
)
from ttc_jax.report.plots import Bars, Figure, Line, Panel
from ttc_jax.study.curves import Measured, curve_of
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.likelihood import LIKELIHOOD
from ttc_jax.study.optimum import Optimum

RATIO = "sequential to parallel ratio, s / p"
_WIDEST = 128  # the paper's budget for ratios by bin
_SHOWN = "revise(s=16,p=16)"

_VERIFIERS = {
    "orm_history": "ORM with the attempts before",
    "orm": "ORM without them",
    "prm": "the base model's PRM",
}

Grid = Mapping[tuple[int, int], Measured]


def by_attempt(evidence: Evidence) -> Figure:
    """Figure 6 left (ICLR 9): accuracy of an attempt by its place in the chain."""
    key, title, source = "6L", "Accuracy along a chain of revisions", "Figure 6, left"
    attempts = evidence.attempts()
    if len(attempts) < 2:
        return _no_chains(evidence, key, title, source)
    y = tuple(evidence.intervals(attempts))
    points = Line("revision model, pass@1", "revise", tuple(range(1, len(y) + 1)), y, scatter=True)
    note = said([points])
    panel = Panel("", "attempt", "pass@1", (points,), log_x=False, note=note)
    caption = "Every attempt sees the last four before it."
    if lost := evidence.lost_share():
        caption += (
            f" Of the right attempts that were revised, {lost.mean:.0%} "
            f"[{lost.low:.0%}, {lost.high:.0%}] became wrong."
        )
    return Figure(key, title, source, caption, (panel,))


def directions(evidence: Evidence) -> Figure:
    """Figure 6 right: one chain of N attempts against N attempts side by side."""
    key, title, source = "6R", "Sequential and parallel", "Figure 6, right"
    lines = []
    for rule, how in (("hierarchical", "best-of-N weighted"), ("majority", "majority")):
        grid = evidence.grid(rule)
        for name, look, place in (("sequential", "sequential", 0), ("parallel", "parallel", 1)):
            if curve := _edge(evidence, grid, place):
                dashed = rule == "majority"
                lines.append(line(evidence, curve, look, f"{name}, {how}", dashed))
    if not lines:
        return _no_chains(evidence, key, title, source)
    lines += revision_controls(evidence, (0, 1))
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    caption = "All attempts are the revision model's. Solid: chosen by the verifier, within a "
    return Figure(key, title, source, caption + "chain and then across.", (panel,))


def revision_controls(evidence: Evidence, places: Sequence[int]) -> list[Line]:
    """What needs no verifier: greedy answers, and attempts chosen by the policy's likelihood.

    Fully sequential (place 0) or parallel ones (1); the greedy answers are the base model's where
    the revision model has none.
    """
    lines = greedy_point(evidence, "revision") or greedy_point(evidence)
    grid = evidence.grid("hierarchical", LIKELIHOOD)
    for place in places:
        if curve := _edge(evidence, grid, place):
            name = f"{('sequential', 'parallel')[place]}, likelihood"
            lines.append(line(evidence, curve, LIKELIHOOD, name, dashed=place == 1))
    return lines


def _edge(evidence: Evidence, grid: Grid, place: int):
    """The curve of fully sequential (0) or fully parallel (1) budgets."""
    points = [m for ratio, m in sorted(grid.items()) if ratio[1 - place] == 1]
    return curve_of("", points) if len(points) > 1 else None


def ratios(evidence: Evidence) -> tuple[Figure, Figure]:
    """Figure 7: what ratio of sequential to parallel is best, overall (left) and by bin (right)."""
    left = _ratios(evidence, "7L", "hierarchical", "Figure 7, left")
    title, source = "Sequential to parallel ratio by difficulty", "Figure 7, right"
    bins, grid = evidence.bins("oracle"), evidence.grid("hierarchical")
    if not left.panels:
        return left, _no_chains(evidence, "7R", title, source)
    if bins is None:
        return left, lacking(evidence).bins("7R", title, source, "oracle")
    panel = _ratio_bars(grid, bins, "", evidence)
    return left, Figure("7R", title, source, binning("oracle"), (panel,))


def ratios_by_majority(evidence: Evidence) -> Figure:
    """Figure 10: figure 7 without a verifier."""
    found = _ratios(evidence, "10", "majority", "Figure 10")
    bins = evidence.bins("oracle")
    if not found.panels or bins is None:
        return found
    bars = _ratio_bars(evidence.grid("majority"), bins, "by oracle difficulty", evidence)
    return replace(found, panels=(*found.panels, bars))


def _ratios(evidence: Evidence, key: str, rule: str, source: str) -> Figure:
    title = "Sequential to parallel ratio" + (", majority" if rule == "majority" else "")
    lines = _ratio_lines(evidence, evidence.grid(rule))
    if not lines:
        return _no_chains(evidence, key, title, source)
    panel = Panel("", RATIO, ACCURACY, tuple(lines), note=said(lines))
    caption = "One line for each budget N = s x p; at its ends all attempts are side by side, or "
    return Figure(key, title, source, caption + "one after the other.", (panel,))


def _ratio_lines(evidence: Evidence, grid: Grid) -> list[Line]:
    """Accuracy over s / p, one line for each budget that has three ratios or more."""
    lines = []
    for n in sorted({s * p for s, p in grid}):
        pairs = sorted((s, p) for s, p in grid if s * p == n)
        if len(pairs) > 2:
            y = evidence.intervals([grid[pair].right for pair in pairs])
            lines.append(Line(f"N = {n}", f"budget_{n}", tuple(s / p for s, p in pairs), tuple(y)))
    return lines


def _ratio_bars(grid: Grid, bins: Sequence[np.ndarray], title: str, evidence: Evidence) -> Panel:
    """One bar for each ratio in every bin, at the largest budget up to the paper's."""
    budgets = {s * p for s, p in grid if s * p <= _WIDEST}
    n = max((n for n in budgets if sum(s * p == n for s, p in grid) > 2), default=max(budgets))
    bars = []
    pairs = sorted(pair for pair in grid if math.prod(pair) == n)
    for i, (s, p) in enumerate(pairs):
        y = tuple(evidence.intervals([grid[s, p].right], members)[0] for members in bins)
        bars.append(Bars(f"s:p = {s}:{p}", "ratio", y, shade=i / max(1, len(pairs) - 1)))
    names = bin_names(bins)
    return Panel(
        ", ".join(filter(None, [title, f"N = {n}"])), "difficulty bin (1 is the easiest)", ACCURACY,
        groups=names,
        bars=tuple(bars), note=bars_said(bars, names),
    )  # fmt: skip


def ratios_by_predicted(evidence: Evidence) -> Figure:
    """Figure 11: ratios by predicted difficulty, with and without a verifier."""
    key, title, source = "11", "Ratios by predicted difficulty", "Figure 11"
    bins = evidence.bins("predicted")
    if bins is None:
        return lacking(evidence).bins(key, title, source, "predicted")
    panels = []
    for rule, name in (("hierarchical", "best-of-N weighted"), ("majority", "majority")):
        if grid := evidence.grid(rule):
            panels.append(_ratio_bars(grid, bins, name, evidence))
    if not panels:
        return _no_chains(evidence, key, title, source)
    return Figure(key, title, source, binning("predicted"), tuple(panels))


def optimal_revisions(optimum: Optimum) -> Figure:
    """Figure 8: the best ratio for each bin against fully parallel sampling."""
    evidence = optimum.evidence
    key, title, source = "8", "Compute-optimal revisions", "Figure 8"
    lines = []
    for rule in ("hierarchical", "majority"):
        if curve := _edge(evidence, evidence.grid(rule), 1):
            name = "parallel" + (", majority" if rule == "majority" else "")
            lines.append(line(evidence, curve, "parallel", name, rule == "majority"))
            lines += optimal_lines(optimum, "revisions", rule)
    if not lines:
        return _no_chains(evidence, key, title, source)
    lines += revision_controls(evidence, (1,))
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    return Figure(
        key,
        title,
        source,
        "Solid: chosen by the verifier; dashed: by majority or likelihood.",
        (panel,),
    )


def revision_verifiers(evidence: Evidence) -> Figure:
    """Figure 15: which verifier chooses among revisions."""
    key, title, source = "15", "Verifiers for revisions", "Figure 15"
    panels = []
    for panel_title, kinds in (
        ("the revision model's ORM or the base model's PRM", ("orm_history", "prm")),
        ("an ORM with or without the attempts before", ("orm_history", "orm")),
    ):
        lines = []
        for kind in kinds:
            if curve := _edge(evidence, evidence.grid("hierarchical", kind), 0):
                look = "base_prm" if kind == "prm" else kind
                lines.append(line(evidence, curve, look, f"sequential, {_VERIFIERS[kind]}"))
        if len(lines) < 2:
            continue
        if curve := _edge(evidence, evidence.grid("hierarchical", kinds[0]), 1):
            lines.append(line(evidence, curve, "parallel", "parallel"))
        lines += revision_controls(evidence, (0,))
        panels.append(Panel(panel_title, BUDGET, ACCURACY, tuple(lines), note=said(lines)))
    if not panels:
        return lacking(evidence).figure(
            key, title, source, "revision runs against the revision ORM and another verifier",
            strategy=_SHOWN, scorer="outcome_history",
        )  # fmt: skip
    return Figure(key, title, source, "", tuple(panels))


def restem(evidence: Evidence) -> Figure:
    """Figure 16: the ReST^EM revision model, chosen by majority."""
    key, title, source = "16", "Revisions after ReST^EM", "Figure 16"
    lines = _ratio_lines(evidence, evidence.grid("majority", role="restem"))
    if not lines:
        return lacking(evidence).figure(
            key, title, source, "a revise run of a policy trained with train.kind=restem",
            strategy=_SHOWN, model="restem",
        )  # fmt: skip
    panel = Panel("", RATIO, ACCURACY, tuple(lines), note=said(lines))
    return Figure(key, title, source, "Chosen by majority.", (panel,))


def _no_chains(evidence: Evidence, key: str, title: str, source: str) -> Figure:
    return lacking(evidence).figure(
        key, title, source, "a revise run with several attempts in a chain, and several chains",
        strategy=_SHOWN, model="revision",
    )  # fmt: skip
