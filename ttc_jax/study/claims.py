# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's ten claims, none of which needs its absolute numbers, tested on a report's runs."""

import math

from ttc_jax.study import revision_claims, search_claims
from ttc_jax.study.claim import (
    FEWER,
    REFUTED,
    SHOWN,
    Claim,
    Lack,
    Part,
    judged,
    noted,
    unmeasured,
)
from ttc_jax.study.curves import Curve
from ttc_jax.study.factor import compute_factor
from ttc_jax.study.matched import multiplier
from ttc_jax.study.optimum import KINDS, Optimum
from ttc_jax.study.stats import Interval

_LARGER = 14  # times the parameters
_STARS = {22.0: 16, 0.79: 64, 0.16: 256}  # R: the budget that the paper's figures show it at


def claims(optimum: Optimum) -> tuple[Claim, ...]:
    """All ten, in order, each with its verdict or with what it lacks."""
    evidence = optimum.evidence
    return (
        search_claims.weighting(evidence),
        search_claims.aggregates(evidence),
        search_claims.beam(evidence),
        search_claims.lookahead(evidence),
        search_claims.difficulty(evidence),
        revision_claims.progress(evidence),
        revision_claims.selection(evidence),
        revision_claims.ratio(evidence),
        optimal(optimum),
        stars(),
    )


def optimal(optimum: Optimum) -> Claim:
    """Claim 9: how many times fewer generations compute-optimal search and revisions need.

    The factor is that of `compute_factor`, over predicted bins, for what best-of-N weighted (or
    parallel sampling) reaches at its largest budget; it must be above 1. Whatever of search and
    revisions there is counts. With the estimate of difficulty paid for it stands beside.
    """
    parts, beside = [], []
    for kind in ("search", "revisions"):
        allocation = optimum.allocation(kind, "predicted", KINDS[kind])
        rival = optimum.rival(kind)
        if allocation is None or rival is None:
            continue
        for charged in (False, True):
            curve = Curve(f"compute-optimal {kind}", allocation.points(charged=charged))
            at = rival.points[-1].budget
            found = compute_factor(curve, rival, at, **optimum.evidence.boot)
            factor = Interval(found.mean, found.low, found.high, found.n)
            bound = f", {found.censored} that" if found.censored else ""
            name = f"compute-optimal {kind} against {rival.name} at N = {at:g}{bound}"
            if charged:
                beside.append(noted(f"{name}, difficulty paid for", factor, "times"))
            else:
                parts.append(judged(name, FEWER, factor, "times"))
    if not parts:
        lack = Lack(
            "best-of-N and beam search against the same PRM at several budgets, and at least 4 "
            "questions for each bin of predicted difficulty",
            "beam(N=16,M=4)",
        )
        parts.append(unmeasured("compute-optimal search against best-of-N", FEWER, lack))
    sentence = (
        "Compute-optimal strategies over predicted bins reach the accuracy of best-of-N with up to "
        "4 times fewer generations, the estimate of difficulty not counted."
    )
    return Claim(9, sentence, tuple(parts), tuple(beside))


def stars() -> Claim:
    """Claim 10, exact: the power of two nearest to k(R) = M + 3 (M - 1) / R for M = 14."""
    parts = []
    for ratio, budget in _STARS.items():
        k = multiplier(_LARGER, ratio, "arxiv")
        nearest = 2 ** round(math.log2(k))
        said = f"k = {k:.2f} at R = {ratio:g}, nearest to {nearest}"
        verdict = SHOWN if nearest == budget else REFUTED
        parts.append(Part(f"R = {ratio:g}", verdict, said, f"nearest to {budget}", unit="exact"))
    sentence = (
        "A model of 14 times the parameters equals 16, 64 and 256 generations of the small one at "
        "R = 22, 0.79 and 0.16."
    )
    return Claim(10, sentence, tuple(parts))
