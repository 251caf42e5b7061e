# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of figure in the paper, from made-up numbers."""

import math
import zlib

import numpy as np

from ttc_jax.report.plots import Bars, Figure, Line, Panel, Star
from ttc_jax.study.stats import Interval

BUDGETS = tuple(2.0**n for n in range(9))
QUESTIONS = "accuracy on 500 questions"
GENERATIONS = "generation budget"


def near(mean: float, half: float = 0.035, n: int = 500) -> Interval:
    low, high = mean - half, mean + half
    if 0 <= mean <= 1:
        low, high = max(low, 0.0), min(high, 1.0)
    return Interval(mean, low, high, n)


def rising(start: float, end: float, name: str, bend: float = 0.55, x=BUDGETS) -> list[Interval]:
    """A curve that rises ever more slowly, with a little noise of its own."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    at = np.log2(np.asarray(x)) / max(np.log2(max(x)), 1)
    means = start + (end - start) * (1 - np.exp(-at / bend)) / (1 - math.exp(-1 / bend))
    return [near(float(m)) for m in np.clip(means + rng.normal(0, 0.004, len(means)), 0, 1)]


def line(name: str, look: str, start: float, end: float, x=BUDGETS, **more) -> Line:
    return Line(name, look, tuple(x), tuple(rising(start, end, name + look, x=x)), **more)


def curves(title: str, lines, x_label: str = GENERATIONS, **more) -> Panel:
    note = f"{title}: " + "; ".join(
        f"{one.name} goes from {100 * one.y[0].mean:.0f} % to {100 * one.y[-1].mean:.0f} %"
        for one in lines
    )
    return Panel(title, x_label, QUESTIONS, lines=tuple(lines), note=note, **more)


def search_by_method() -> Figure:
    lines = [
        line("majority", "majority", 0.10, 0.29),
        line("best-of-N, weighted", "best_of_n", 0.10, 0.375),
        line("beam, M = 4", "beam_4", 0.22, 0.36, x=BUDGETS[2:]),
        line("beam, M = √N", "beam_sqrt", 0.13, 0.345),
        line("lookahead, k = 1, M = √N", "lookahead_1_sqrt", 0.12, 0.33, x=BUDGETS[1:]),
        line("lookahead, k = 3, M = √N", "lookahead_3_sqrt", 0.11, 0.31, x=BUDGETS[2:]),
        line("lookahead, k = 3, M = 4", "lookahead_3_4", 0.16, 0.325, x=BUDGETS[4:]),
        line("DVTS, M = 4", "dvts_4", 0.2, 0.39, x=BUDGETS[2:]),
        line("REBASE", "rebase", 0.15, 0.4, x=BUDGETS[1:]),
    ]
    return Figure(
        "3L",
        "Comparing PRM search methods",
        "Figure 3, left",
        "At small budgets beam search is ahead of best-of-N; at large ones it falls behind.",
        (curves("Search against the PRM", lines),),
    )


def bars_by_bin(key: str = "3R", estimator: str = "oracle") -> Figure:
    groups = tuple(f"bin {b}" for b in range(1, 6))
    top = np.array([0.85, 0.6, 0.34, 0.16, 0.03])
    bars = []
    for look, name, slope in (
        ("beam_4", "beam, M = 4", -0.03),
        ("best_of_n", "best-of-N, weighted", 0.05),
        ("majority", "majority", 0.03),
    ):
        for i, budget in enumerate((4, 16, 64, 256)):
            means = top * 0.8 + slope * i * top
            y = tuple(near(float(m), 0.05 * math.sqrt(m), 100) for m in means)
            if look == "beam_4" and budget == 4:
                y = (*y[:4], None)
            bars.append(Bars(f"{name}, N = {budget}", look, y, stack=look, shade=i / 3))
    panel = Panel(
        "By bin of difficulty",
        f"{estimator} difficulty, 1 is easiest",
        QUESTIONS,
        groups=groups,
        bars=tuple(bars),
        note="In bins 1 and 2 beam search gets worse with more budget.",
    )
    return Figure(key, f"Search by difficulty ({estimator} bins)", f"Figure {key}", panels=(panel,))


def optimal_search() -> Figure:
    lines = [
        line("majority", "majority", 0.10, 0.29),
        line("ORM best-of-N, weighted", "orm", 0.10, 0.335),
        line("PRM best-of-N, weighted", "prm", 0.10, 0.37),
        line("compute-optimal, oracle bins", "oracle", 0.13, 0.4),
        line("compute-optimal, predicted bins", "predicted", 0.125, 0.385),
    ]
    return Figure(
        "4",
        "Compute-optimal search",
        "Figure 4",
        "Bins are cut on one half of the questions and scored on the other.",
        (curves("Compute-optimal search", lines),),
    )


def revisions() -> list[Figure]:
    steps = tuple(float(s) for s in range(1, 65))
    attempts = Line(
        "pass@1 of an attempt",
        "revise",
        steps,
        tuple(rising(0.18, 0.24, "attempt", 0.25, x=steps)),
        scatter=True,
    )
    first = Figure(
        "6L",
        "The revision model improves on itself",
        "Figure 6, left",
        "Mean of 4 chains of 64 attempts. It was trained on at most 4 attempts.",
        (curves("By attempt", [attempts], "revision step", log_x=False),),
    )
    x = BUDGETS[:7]
    lines = [
        line("sequential, weighted", "sequential", 0.18, 0.41, x=x),
        line("parallel, weighted", "parallel", 0.18, 0.39, x=x),
        line("sequential, majority", "sequential", 0.17, 0.38, x=x, dashed=True),
        line("parallel, majority", "parallel", 0.17, 0.35, x=x, dashed=True),
    ]
    second = Figure(
        "6R",
        "Sequential and parallel",
        "Figure 6, right",
        panels=(curves("One chain or many", lines),),
    )
    return [first, second]


def ratios(key: str = "7L", rule: str = "weighted") -> Figure:
    lines = []
    for power in range(9):
        budget = 2**power
        x = tuple(2.0**r for r in range(-power, power + 1, 2))
        peak = 0.18 + 0.028 * power
        y = tuple(near(peak - 0.0008 * (math.log2(r) - 2) ** 2 * (power / 4), 0.03) for r in x)
        lines.append(Line(f"N = {budget}", f"budget_{budget}", x, y))
    panel = curves("By ratio", lines, "sequential to parallel")
    return Figure(key, f"Chains, longer or more ({rule})", f"Figure {key}", panels=(panel,))


def ratio_bars(key: str = "7R") -> Figure:
    powers = range(-7, 8, 2)
    names = [f"1:{2**-p}" if p < 0 else f"{2**p}:1" for p in powers]
    bars = []
    for name, power in zip(names, powers, strict=True):
        tops = (0.88, 0.6, 0.42, 0.2, 0.11)
        y = tuple(
            near(top + 0.004 * power * (1.5 - b) * (b < 4) - 0.0003 * power**2, 0.04, 100)
            for b, top in enumerate(tops)
        )
        bars.append(Bars(name, f"ratio_{name}", y))
    panel = Panel(
        "N = 128",
        "oracle difficulty, 1 is easiest",
        QUESTIONS,
        groups=tuple(f"bin {b}" for b in range(1, 6)),
        bars=tuple(bars),
        note="Easy questions want one long chain.",
    )
    return Figure(key, "The best ratio depends on difficulty", f"Figure {key}", panels=(panel,))


def optimal_revisions() -> Figure:
    lines = []
    for rule, dashed, drop in (("weighted", False, 0.0), ("majority", True, 0.05)):
        lines += [
            line(f"compute-optimal, oracle, {rule}", "oracle", 0.18, 0.44 - drop, dashed=dashed),
            line(f"compute-optimal, predicted, {rule}", "predicted", 0.18, 0.42 - drop,
                 dashed=dashed),
            line(f"parallel, {rule}", "parallel", 0.18, 0.405 - drop, dashed=dashed),
        ]  # fmt: skip
    panel = curves("Compute-optimal revisions", lines)
    return Figure("8", "Compute-optimal revisions", "Figure 8", panels=(panel,))


def matched(key: str = "9", small: float = 0.6) -> Figure:
    panels = []
    ends = ((0.60, 0.90), (0.22, 0.62), (0.08, 0.45), (0.02, 0.18), (0.01, 0.03))
    larger = (0.82, 0.55, 0.42, 0.28, 0.12)
    for title in ("Revisions", "PRM search"):
        lines = [line(f"bin {b}", f"bin_{b}", *end) for b, end in enumerate(ends, start=1)]
        stars = tuple(
            Star("14x larger model, greedy", f"bin_{b}", x, near(y, 0.06, 100))
            for b, y in enumerate(larger, start=1)
            for x in (15.77, 63.37, 257.75)
        )
        marks = ((15.77, "R ≫ 1"), (63.37, "R ≈ 1"), (257.75, "R ≪ 1"))
        panels.append(
            curves(title, lines, "proportional to inference FLOPs", stars=stars, marks=marks)
        )
    return Figure(
        key,
        "Test-time compute against pretraining",
        f"Figure {key}",
        "A star below its line: the small model with test-time compute is better.",
        tuple(panels),
    )


def headline() -> Figure:
    values = ((0.216, 0.167, 0.054), (0.278, 0.035, -0.243), (0.118, -0.119, -0.372))
    bars = tuple(
        Bars(name, name, tuple(near(v, 0.05) for v in row))
        for name, row in zip(("easy", "medium", "hard"), values, strict=True)
    )
    right = Panel(
        "Revisions: test-time compute or pretraining",
        "inference to pretraining tokens",
        "relative change in accuracy",
        groups=("≪ 1", "≈ 1", "≫ 1"),
        bars=bars,
        note="Gains turn into losses as inference grows.",
    )
    left = curves(
        "Revisions",
        [
            line("compute-optimal, weighted", "oracle", 0.18, 0.44),
            line("parallel, weighted", "parallel", 0.18, 0.40),
            line("compute-optimal, majority", "oracle", 0.17, 0.39, dashed=True),
            line("parallel, majority", "parallel", 0.17, 0.36, dashed=True),
        ],
    )
    return Figure("1T", "The main results: revisions", "Figure 1, top", panels=(left, right))


def verifiers() -> list[Figure]:
    aggregates = [
        line("PRM, last", "last", 0.105, 0.37),
        line("PRM, min", "min", 0.105, 0.35),
        line("PRM, product", "prod", 0.105, 0.27),
        line("PRM, mean", "mean", 0.105, 0.36),
        line("ORM", "orm", 0.105, 0.34),
        line("majority", "majority", 0.105, 0.29),
    ]
    rules = [
        line("PRM, weighted", "prm", 0.105, 0.37),
        line("PRM, best", "prm", 0.105, 0.35, dashed=True),
        line("ORM, weighted", "orm", 0.105, 0.34),
        line("ORM, best", "orm", 0.105, 0.26, dashed=True),
        line("coverage", "coverage", 0.105, 0.8),
    ]
    history = [
        line("ORM with history", "orm_history", 0.18, 0.412),
        line("ORM without history", "orm", 0.18, 0.405),
        line("base-model PRM", "base_prm", 0.18, 0.40),
        line("parallel", "parallel", 0.18, 0.39),
    ]
    return [
        Figure("13", "How steps make a score", "Figure 13",
               panels=(curves("By aggregate", aggregates),)),
        Figure("iclr13", "Best-of-N, weighted or not", "ICLR, Figure 13",
               panels=(curves("By rule", rules),)),
        Figure("15", "Verifiers of revisions", "Figure 15",
               panels=(curves("With and without history", history),)),
    ]  # fmt: skip


def flops() -> Figure:
    def spent(scale: float):
        return tuple(scale * b for b in BUDGETS)

    lines = [
        line("small model, compute-optimal", "small", 0.1, 0.44, x=spent(3.1e11)),
        line("larger model, greedy", "large", 0.37, 0.37, x=(4.4e12,)),
        line("larger model, thinking", "large_thinking", 0.35, 0.5, x=spent(4.2e12)[:6]),
    ]
    return Figure(
        "flops",
        "Accuracy by FLOPs, everything counted",
        "not in the paper",
        "Policy, verifier, discarded branches and the estimate of difficulty.",
        (curves("Counted FLOPs", lines, "FLOPs per question"),),
    )


def weak_verifiers() -> Figure:
    panels = []
    for title in ("A: majority", "B: PRM, 20 % flipped", "C: PRM", "D: revisions, majority"):
        lines = [
            line(f"bin {b}", f"bin_{b}", *end)
            for b, end in enumerate(((0.6, 0.9), (0.2, 0.6), (0.08, 0.4), (0.02, 0.2)), start=1)
        ]
        panels.append(curves(title, lines, "proportional to inference FLOPs"))
    return Figure("iclr17", "Weaker verifiers", "ICLR, Figure 17", panels=tuple(panels))


def figures() -> list[Figure]:
    return [
        headline(),
        search_by_method(),
        bars_by_bin(),
        optimal_search(),
        *revisions(),
        ratios(),
        ratio_bars(),
        optimal_revisions(),
        matched(),
        ratios("10", "majority"),
        bars_by_bin("12", "predicted"),
        *verifiers(),
        weak_verifiers(),
        flops(),
        Figure(
            "16",
            "The ReST^EM model",
            "Figure 16",
            missing="a revise run of a policy trained with train.kind=restem",
            command="ttc run --config=configs/restem.py --workdir=runs/restem",
        ),
    ]
