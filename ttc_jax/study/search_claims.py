# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's claims about selection and search against a verifier: 1 to 5.

Differences are of accuracy on the same questions, with bootstrap intervals over questions. Searches
choose their answer by best-of-N weighted; "plain" best-of-N takes the highest score.
"""

import numpy as np

from ttc_jax.study.claim import (
    LEVEL,
    MORE,
    NO_LESS,
    NO_MORE,
    Claim,
    Lack,
    best_elsewhere,
    by_budget,
    difference,
    judged,
    listed,
    mean_right,
    noted,
    unmeasured,
)
from ttc_jax.study.curves import Measured
from ttc_jax.study.evidence import Evidence

Points = dict[float, Measured]

_LOW = 4, 16  # the budgets at which beam search is to win
_BINS = 5
_POOL = "best_of_n(N=128)"  # half of a pool tells difficulty
_BEAM = "beam(N=64,M=4)"


def weighting(evidence: Evidence) -> Claim:
    """Claim 1, tested at the largest N.

    Weighted less plain best-of-N, by each verifier that there is, must not be below 0. The fall of
    plain best-of-N by an ORM is its accuracy at the best of the smaller N less that at the largest;
    the best N is chosen on the other half of the questions.
    """
    parts, beside, falls = [], [], []
    gain_name, fall_name = (
        "weighted less plain best-of-N",
        "plain best-of-N, the best smaller N less",
    )
    for kind in ("prm", "orm"):
        weighted = by_budget(evidence.best_of_n("weighted", kind))
        plain = by_budget(evidence.best_of_n("best", kind))
        if max(weighted, default=0) < 4:  # up to 2 both rules choose alike
            continue
        most = max(weighted)
        gain = difference(weighted[most].right, plain[most].right, evidence.boot)
        parts.append(judged(f"{kind.upper()} {gain_name} at N = {most:g}", NO_LESS, gain))
        fall = difference(_best_smaller(evidence, plain), plain[most].right, evidence.boot)
        what = f"{kind.upper()} {fall_name} N = {most:g}"
        if kind == "orm":
            falls.append(judged(what, MORE, fall))
        else:
            beside.append(noted(what, fall))
    if not parts:
        lack = Lack("a best-of-N run of several samples against a verifier", _POOL)
        parts.append(unmeasured(gain_name, NO_LESS, lack))
    if not falls:
        lack = Lack("a best-of-N run of many samples against an ORM", _POOL, "outcome")
        falls.append(unmeasured(f"ORM {fall_name} the largest", MORE, lack))
    parts += falls
    sentence = "Best-of-N weighted is at least as good as plain best-of-N, and plain best-of-N by"
    return Claim(1, f"{sentence} an ORM turns down at high N.", tuple(parts), tuple(beside))


def _best_smaller(evidence: Evidence, points: Points) -> np.ndarray:
    rows = [points[budget].right for budget in sorted(points)[:-1]]
    return best_elsewhere(rows, evidence.questions)


def aggregates(evidence: Evidence) -> Claim:
    """Claim 2: best-of-N weighted at the largest N by last, less by min and by prod.

    Values of the same samples are remade from the PRM's scores of steps. That its labels were soft
    ones by Monte Carlo is for the reader to know: a search does not note it.
    """
    curves = {
        name: by_budget(evidence.best_of_n("weighted", "prm", aggregate=name))
        for name in ("last", "min", "prod")
    }
    parts = []
    for name in ("min", "prod"):
        most = max(curves["last"], default=0)
        if most < 4:
            lack = Lack("a best-of-N run of several samples against a PRM", _POOL)
            parts.append(unmeasured(f"last less {name}", MORE, lack))
            continue
        found = difference(
            curves["last"][most].right, curves[name][most].right, evidence.boot
        )  # fmt: skip
        parts.append(judged(f"last less {name} at N = {most:g}", MORE, found))
    sentence = "With soft Monte Carlo labels the last score of a solution is a better value than"
    return Claim(2, f"{sentence} the least or the product of all.", tuple(parts))


def beam(evidence: Evidence) -> Claim:
    """Claim 3: beam M=4 less best-of-N weighted by the same PRM.

    At N = 4 to 16: the mean over the budgets that both have must be above 0. At the largest that
    both have, above 16: it must not be above 0.
    """
    beams, weighted, plain = _beams(evidence), *_best_of_n(evidence)
    both = sorted(set(beams) & set(weighted))
    low = [budget for budget in both if _LOW[0] <= budget <= _LOW[1]]
    high = [budget for budget in both if budget > _LOW[1]][-1:]
    parts, beside = [], []
    for budgets, expected, strategy, where in (
        (low, MORE, "beam(N=16,M=4)", "at N = 4 to 16"), (high, NO_MORE, _BEAM, "above N = 16"),
    ):  # fmt: skip
        name = "beam M=4 less best-of-N weighted"
        if not budgets:
            lack = _no_beam(beams, weighted, strategy, where)
            parts.append(unmeasured(f"{name} {where}", expected, lack))
            continue
        found = difference(mean_right(beams, budgets), mean_right(weighted, budgets), evidence.boot)
        parts.append(judged(f"{name}, {listed(budgets)}", expected, found))
        name = f"beam M=4 less plain best-of-N, {listed(budgets)}"
        found = difference(mean_right(beams, budgets), mean_right(plain, budgets), evidence.boot)
        beside.append(noted(name, found))
    if low and high:
        gaps = [mean_right(beams, some) - mean_right(weighted, some) for some in (low, high)]
        name = f"how far the gap closes from {listed(low)} to {listed(high)}"
        beside.append(noted(name, difference(*gaps, evidence.boot)))
    sentence = "Beam search with M = 4 beats best-of-N weighted at N = 4 to 16; the gap closes or"
    return Claim(3, f"{sentence} reverses at large N (the paper's: 256).", tuple(parts), (*beside,))


def lookahead(evidence: Evidence) -> Claim:
    """Claim 4: lookahead less beam search of the same width (M=4 or √N) at equal budgets N(k+1).

    The mean over the budgets that both have must not be above 0, for every lookahead there is.
    """
    curves = evidence.searches_by("weighted")
    weighted, plain = _best_of_n(evidence)
    parts, beside = [], []
    for key, curve in curves.items():
        if not key.startswith("lookahead_"):
            continue
        own, width = by_budget(curve), key.split("_", 2)[2]
        rival = _beams(evidence) if width == "4" else by_budget(curves.get(f"beam_{width}"))
        both = sorted(set(own) & set(rival))
        if not both:
            continue
        found = difference(mean_right(own, both), mean_right(rival, both), evidence.boot)
        parts.append(judged(f"{curve.name} less beam, {listed(both)}", NO_MORE, found))
        shared = [budget for budget in both if budget in weighted]
        for name, points in (("weighted", weighted), ("plain", plain)):
            if shared:
                gain = difference(
                    mean_right(own, shared), mean_right(points, shared), evidence.boot
                )  # fmt: skip
                what = f"{curve.name} less {name} best-of-N, {listed(shared)}"
                beside.append(noted(what, gain))
    if not parts:
        lack = Lack(
            "a lookahead and a beam search of the same width M and the same budget N(k+1)",
            "lookahead(N=16,M=4,k=3)",
        )
        parts.append(unmeasured("lookahead less beam", NO_MORE, lack))
    sentence = "At an equal budget of N(k+1) generations lookahead does not beat beam search."
    return Claim(4, sentence, tuple(parts), tuple(beside))


def difficulty(evidence: Evidence) -> Claim:
    """Claim 5, over five bins of oracle difficulty and the least and largest N from 4 on.

    Bins 1-2: the rise of beam M=4 must not be above 0, that of best-of-N weighted above 0. Bins
    3-4: beam less best-of-N weighted, mean over all N, above 0. Bin 5: the rise of either within
    `FLAT` of 0.
    """
    sentence = (
        "On the easy bins 1-2 beam search does not gain from a larger budget while best-of-N does; "
        "on bins 3-4 beam search is better; on bin 5 both stay flat."
    )
    names = (
        ("rise of beam M=4 on bins 1-2", NO_MORE), ("rise of best-of-N on bins 1-2", MORE),
        ("beam M=4 less best-of-N on bins 3-4", MORE), ("rise of beam M=4 on bin 5", LEVEL),
        ("rise of best-of-N on bin 5", LEVEL),
    )  # fmt: skip
    beams, weighted, plain = _beams(evidence), *_best_of_n(evidence)
    both = sorted(budget for budget in set(beams) & set(weighted) if budget >= _LOW[0])
    bins = evidence.bins("oracle")
    if bins is None or len(bins) != _BINS:
        lack = Lack(f"{_BINS} bins of oracle difficulty: best-of-N and more questions", _POOL)
    else:
        lack = _no_beam(beams, weighted, _BEAM, "at two budgets")
    if len(both) < 2 or bins is None or len(bins) != _BINS:
        return Claim(5, sentence, tuple(unmeasured(*name, lack) for name in names))
    easy, middle, hard = np.concatenate(bins[:2]), np.concatenate(bins[2:4]), bins[4]
    ends, boot = f", N = {both[0]:g} to {both[-1]:g}", evidence.boot

    def rise(points: Points, members: np.ndarray):
        return difference(points[both[-1]].right, points[both[0]].right, boot, members)

    def lead(rival: Points, members: np.ndarray):
        return difference(mean_right(beams, both), mean_right(rival, both), boot, members)

    found = (rise(beams, easy), rise(weighted, easy), lead(weighted, middle),
             rise(beams, hard), rise(weighted, hard))  # fmt: skip
    parts = (
        judged(name + ends, expected, one)
        for (name, expected), one in zip(names, found, strict=True)
    )
    beside = [
        noted(f"beam M=4 less {name} best-of-N on {where}, {listed(both)}", lead(rival, some))
        for name, rival in (("weighted", weighted), ("plain", plain))
        for where, some in (("bins 1-2", easy), ("bins 3-4", middle), ("bin 5", hard))
        if (name, where) != ("weighted", "bins 3-4")
    ]
    beside.append(noted(f"rise of plain best-of-N on bins 1-2{ends}", rise(plain, easy)))
    return Claim(5, sentence, tuple(parts), tuple(beside))


def _beams(evidence: Evidence) -> Points:
    """Beam search of width 4 by budget; at 16, where 4 is the root, it may be in that family."""
    families = evidence.searches_by("weighted")
    found = by_budget(families.get("beam_4"))
    at_root = by_budget(families.get("beam_sqrt"))
    return found | ({16.0: at_root[16.0]} if 16.0 in at_root else {})


def _best_of_n(evidence: Evidence) -> tuple[Points, Points]:
    """Best-of-N by the PRM, weighted and plain."""
    return tuple(by_budget(evidence.best_of_n(rule, "prm")) for rule in ("weighted", "best"))


def _no_beam(beams: Points, weighted: Points, strategy: str, where: str) -> Lack:
    """What is missing for a comparison: the beam search, or best-of-N as large as it."""
    what = f"beam M=4 and best-of-N by the same PRM {where}"
    if beams and max(weighted, default=0) < max(beams):
        return Lack(what, f"best_of_n(N={2 * max(beams):g})")
    return Lack(what, strategy)
