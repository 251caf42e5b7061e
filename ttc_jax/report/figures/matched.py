# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's figures about compute: 1, 9 and ICLR 17, and lifetimes by counted FLOPs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ttc_jax.report.figures.lacking import lacking
from ttc_jax.report.figures.revisions import revision_controls
from ttc_jax.report.figures.search import (
    ACCURACY,
    BUDGET,
    controls,
    line,
    optimal_lines,
    said,
    selection_lines,
)
from ttc_jax.report.plots import Bars, Figure, Line, Panel, Star
from ttc_jax.study.curves import Curve, curve_of
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.exchange import Exchange
from ttc_jax.study.likelihood import LIKELIHOOD, RULES
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.stats import Interval

_FLIPPED = 0.2  # of the scores of the weak verifier, ICLR figure 17
_INFERENCE = "generations, proportional to inference FLOPs"


def overview(exchange: Exchange) -> Figure:
    """Figure 1: what test-time compute brings, and when it beats a larger model."""
    optimum, evidence = exchange.optimum, exchange.evidence
    title, source = "What thinking longer brings", "Figure 1"
    panels = []
    for kind, rule, name in (
        ("revisions", "hierarchical", "Revisions"),
        ("search", "weighted", "Search by a PRM"),
    ):
        lines = _against(evidence, kind) + optimal_lines(optimum, kind, rule)
        if len(lines) < 2:
            continue
        lines += controls(evidence) if kind == "search" else revision_controls(evidence, (1,))
        panels.append(Panel(name, BUDGET, ACCURACY, tuple(lines), note=said(lines)))
        curve = optimum.curve(kind, "oracle", rule) if exchange.possible else None
        if curve is not None:
            relative = _relative(exchange, curve, name)
            if any(value for bar in relative.bars for value in bar.y):
                panels.append(relative)
    if not panels:
        return lacking(evidence).figure(
            "1", title, source, "a beam search or revisions beside best-of-N, and bins",
            strategy="beam(N=16,M=4)",
        )  # fmt: skip
    caption = "Compute-optimal strategies are cross-validated."
    if exchange.possible:
        caption += (
            " Bars: accuracy of the small model at the budget that costs as much as a greedy "
            "answer of the larger one, relative to the accuracy of that answer."
        )
    return Figure("1", title, source, caption, tuple(panels))


def _against(evidence: Evidence, kind: str) -> list[Line]:
    if kind == "search":
        return selection_lines(evidence, ("orm", "prm"))
    points = [m for (s, _), m in sorted(evidence.grid("hierarchical").items()) if s == 1]
    return [line(evidence, curve_of("parallel", points), "parallel")] if points else []


def _relative(exchange: Exchange, curve: Curve, name: str) -> Panel:
    """Bars of the relative change for easy, medium and hard questions at each R."""
    numbers = exchange.evidence.bin_numbers("oracle")
    labels, groups = thirds(int(numbers.max()) + 1)
    matches = exchange.matches(curve, numbers=groups[numbers])
    ratios = exchange.ratios
    bars = []
    for number, label in enumerate(labels):
        found = {m.R: m for m in matches if m.bin == number}
        y = tuple(_share(found[ratio].difference, found[ratio].large) for ratio in ratios)
        bars.append(Bars(label, f"bin_{1 + 2 * number}", y))
    return Panel(
        f"{name}: against {exchange.pair.large_params / exchange.pair.small_params:.3g} times the "
        "parameters",
        "inference to pretraining tokens",
        "relative change in accuracy",
        groups=tuple(f"R = {ratio:g}" for ratio in ratios),
        bars=tuple(bars),
        note="; ".join(
            f"{one.name}: "
            + ", ".join(
                f"{v.mean:+.0%} at R = {r:g}" for r, v in zip(ratios, one.y, strict=True) if v
            )
            for one in bars
        ),
    )


def thirds(n_bins: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of groups of bins, and the group of each: two fifths easy, two fifths hard."""
    ends = max(1, round(0.4 * n_bins))
    if n_bins < 3:
        names = ("all",) if n_bins == 1 else ("easy", "hard")
        return names, np.arange(n_bins)
    groups = np.ones(n_bins, np.int64)
    groups[:ends], groups[-ends:] = 0, 2
    return ("easy", "medium", "hard"), groups


def _share(difference: Interval | None, of: Interval) -> Interval | None:
    """A difference relative to an accuracy, taken as known."""
    if difference is None or not of.mean:
        return None
    return Interval(*(value / of.mean for value in (difference.mean, difference.low,
                                                    difference.high)), difference.n)  # fmt: skip


def by_flops(exchange: Exchange) -> Figure:
    """Figure 9: accuracy in each bin over inference, the larger model at equal cost."""
    optimum, source = exchange.optimum, "Figure 9"
    title = "A small model that thinks longer, a larger one that answers at once"
    panels = []
    for kind, rule, name in (
        ("revisions", "hierarchical", "revisions"),
        ("search", "weighted", "search by a PRM"),
    ):
        if curve := optimum.curve(kind, "oracle", rule):
            panels.append(_by_bin(exchange, curve, name))
    return _or_missing(exchange, "9", title, source, panels)


def weak_verifiers(exchange: Exchange) -> Figure:
    """ICLR figure 17: figure 9 with no verifier, a noisy one, and the one there is."""
    evidence = exchange.evidence
    curves = [
        ("A: majority, no verifier", evidence.best_of_n("majority")),
        (f"B: PRM, {_FLIPPED:.0%} of scores flipped", evidence.best_of_n("weighted", "prm",
                                                                         flipped=_FLIPPED)),
        ("C: PRM", evidence.best_of_n("weighted", "prm")),
        ("D: majority over revisions", _sequential(evidence)),
        ("E: likelihood, no verifier", evidence.best_of_n("weighted", LIKELIHOOD)),
    ]  # fmt: skip
    panels = [_by_bin(exchange, curve, name) for name, curve in curves if curve]
    return _or_missing(exchange, "iclr17", "Weak verifiers", "ICLR figure 17", panels)


def _sequential(evidence: Evidence) -> Curve | None:
    points = [m for (_, p), m in evidence.grid("majority").items() if p == 1]
    return curve_of("sequential", points) if len(points) > 1 else None


def _or_missing(
    exchange: Exchange, key: str, title: str, source: str, panels: Sequence[Panel]
) -> Figure:
    missing = lacking(exchange.evidence)
    if exchange.evidence.bins("oracle") is None:
        return missing.bins(key, title, source, "oracle")
    if not panels:
        return missing.figure(
            key, title, source, "a beam search or revisions beside best-of-N",
            strategy="beam(N=16,M=4)",
        )  # fmt: skip
    if not exchange.possible:
        return missing.figure(
            key, title, source, "greedy answers (sample.temperature=0) of a larger model",
            strategy="best_of_n(N=1)", model="large", scorer="",
        )  # fmt: skip
    caption = "Stars: greedy answers of the larger model, at the budget that costs as much for R "
    return Figure(key, title, source, caption + "inference tokens per pretraining token. A star "
                  "below its line: think longer.", tuple(panels))  # fmt: skip


def _by_bin(exchange: Exchange, curve: Curve, name: str) -> Panel:
    evidence = exchange.evidence
    bins = evidence.bins("oracle") or []
    lines = [
        line(evidence, curve, f"bin_{number + 1}", f"bin {number + 1}", members=members)
        for number, members in enumerate(bins)
    ]
    stars, marks = [], []
    if exchange.possible:
        for ratio, budget in zip(exchange.ratios, exchange.budgets(), strict=True):
            marks.append((budget, f"R = {ratio:g}"))
            stars += [
                Star("larger model, greedy", f"bin_{number + 1}", budget, value)
                for number, members in enumerate(bins)
                for value in evidence.intervals([exchange.greedy.right], members)
            ]
    return Panel(
        name, _INFERENCE, ACCURACY, tuple(lines), stars=tuple(stars), marks=tuple(marks),
        note=said(lines),
    )  # fmt: skip


def lifetimes(exchange: Exchange) -> Figure:
    """Accuracy over all that a model costs in its life, the larger one thinking too."""
    key, title, source = "lifetime", "Both models think, by counted FLOPs", "not in the paper"
    evidence, panels = exchange.evidence, []
    if not exchange.possible:
        return lacking(evidence).figure(
            key, title, source, "greedy answers (sample.temperature=0) of a larger model",
            strategy="best_of_n(N=1)", model="large", scorer="",
        )  # fmt: skip
    small = evidence.best_of_n("weighted") or evidence.best_of_n("majority")
    for ratio in exchange.ratios:
        lines = []
        if small:
            lines.append(_lifetime(exchange, "small", small.points, ratio, False))
        if exchange.thinking:
            lines.append(_lifetime(exchange, "large_thinking", exchange.thinking, ratio, True))
        (one,) = exchange.lifetimes([exchange.greedy], ratio, True)
        star = Star("larger model, greedy", "large", one.flops, one.right)
        panels.append(
            Panel(
                f"R = {ratio:g} queries per pretraining token", "FLOPs per pretraining token",
                ACCURACY, tuple(lines), stars=(star,), note=said(lines),
            )
        )  # fmt: skip
    return Figure(
        key, title, source, "Pretraining and inference together, as counted, verifiers included; "
        "both models are taken to be trained on the same number of tokens.", tuple(panels),
    )  # fmt: skip


def _lifetime(exchange: Exchange, look: str, points, ratio: float, large: bool) -> Line:
    found = exchange.lifetimes(points, ratio, large)
    name = f"{'larger' if large else 'small'} model, best-of-N"
    x, y = zip(*((one.flops, one.right) for one in found), strict=True)
    return Line(name, look, x, y)


def costs(optimum: Optimum) -> Figure:
    """Accuracy over counted FLOPs per question of everything that was recorded."""
    evidence = optimum.evidence
    lines = []
    for rule, look in (("majority", "majority"), ("best", "best"), ("weighted", "best_of_n")):
        if curve := evidence.best_of_n(rule):
            lines.append(_priced(evidence, curve, look, f"best-of-N, {rule}"))
    for kind in ("prm", LIKELIHOOD):
        for family, curve in evidence.searches_by("weighted", kind=kind).items():
            lines.append(_priced(evidence, curve, family, curve.name))
    lines += _priced_controls(evidence)
    panel = Panel("", "FLOPs per question", ACCURACY, tuple(lines), note=said(lines))
    if not lines:
        return lacking(evidence).figure(
            "flops", "Accuracy by FLOPs", "not in the paper", "a best-of-N run",
            strategy="best_of_n(N=64)",
        )  # fmt: skip
    return Figure(
        "flops", "Accuracy by FLOPs", "not in the paper", "Counted FLOPs of policy and verifier, "
        "discarded branches included; the verifier only where its scores are read.", (panel,),
    )  # fmt: skip


def _priced(evidence: Evidence, curve: Curve, look: str, name: str, dashed: bool = False) -> Line:
    x = tuple(float(point.flops.mean()) for point in curve.points)
    return Line(name, look, x, tuple(evidence.intervals([p.right for p in curve.points])), dashed)


def _priced_controls(evidence: Evidence) -> list[Line]:
    """`search.controls` over their FLOPs."""
    lines = []
    if greedy := evidence.greedy_answers("base"):
        one = _priced(evidence, Curve("greedy", (greedy,)), "pass", "greedy")
        lines.append(replace(one, scatter=True))
    for rule in RULES:
        if curve := evidence.best_of_n(rule, LIKELIHOOD):
            name = f"likelihood best-of-N, {rule}"
            lines.append(_priced(evidence, curve, LIKELIHOOD, name, rule == "best"))
    return lines


def difficulty_cost(optimum: Optimum) -> Figure:
    """What compute-optimal search is worth once the estimate of difficulty is paid for."""
    key, title, source = "difficulty", "What knowing the difficulty costs", "not in the paper"
    lines = optimal_lines(optimum, "search")
    if not lines:
        return lacking(optimum.evidence).bins(key, title, source, "oracle")
    charged = optimal_lines(optimum, "search", charged=True)
    lines += [Line(f"{one.name}, charged", one.look, one.x, one.y, dashed=True) for one in charged]
    if curve := optimum.evidence.best_of_n("weighted"):
        lines.append(line(optimum.evidence, curve, "best_of_n", "best-of-N weighted"))
    lines += controls(optimum.evidence)
    panel = Panel("", BUDGET, ACCURACY, tuple(lines), note=said(lines))
    return Figure(
        key, title, source, "Solid: the estimate is free, as in the paper; dashed: its samples are "
        "added to the budget of every question.", (panel,),
    )  # fmt: skip
