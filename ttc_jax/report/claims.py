# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The verdicts on the paper's claims as plain values, with commands for what they lack."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ttc_jax.report.figures.lacking import lacking
from ttc_jax.study.claim import REFUTED, SHOWN, UNDECIDED, Claim, Part
from ttc_jax.study.claims import claims
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.stats import Interval


def table(optimum: Optimum) -> list[dict[str, Any]]:
    """One row for each claim: verdict, difference and sentences, its parts and what is beside.

    `difference` is that of the part that decides, whose name is `compared`, in shares (`unit`
    "points" or "share") or times; bounds that there are not are None.
    """
    return [_row(claim, optimum.evidence) for claim in claims(optimum)]


def tally(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The number of claims by verdict."""
    found = Counter(row["verdict"] for row in rows)
    return {verdict: found[verdict] for verdict in (SHOWN, REFUTED, UNDECIDED)}


def counted(rows: Sequence[Mapping[str, Any]]) -> str:
    """The tally in words: "6 shown, 1 refuted, 3 undecided"."""
    return ", ".join(f"{number} {verdict}" for verdict, number in tally(rows).items())


def _row(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    return {
        "number": claim.number,
        "claim": claim.sentence,
        "verdict": claim.verdict,
        "compared": _compared(claim),
        "difference": _interval(claim.deciding.found),
        "unit": claim.deciding.unit,
        "measured": claim.measured,
        "parts": [_part(part, evidence) for part in claim.parts],
        "beside": [_part(part, evidence) for part in claim.beside],
    }


def _compared(claim: Claim) -> str:
    """What the part that decides compares, or what it lacks."""
    part = claim.deciding
    if part.unit == "exact":
        return claim.measured.rstrip(".")
    missing = part.lack and part.found is None
    return f"{part.name}: needs {part.lack.what}" if missing else part.name


def _part(part: Part, evidence: Evidence) -> dict[str, Any]:
    found = {
        "name": part.name,
        "verdict": part.verdict,
        "expected": part.expected,
        "said": part.said,
        "difference": _interval(part.found),
        "unit": part.unit,
        "needs": "",
        "command": "",
    }
    if part.lack:
        own = part.lack
        figure = lacking(evidence).figure(
            "", "", "", own.what, strategy=own.strategy, scorer=own.scorer, model=own.model
        )
        found |= {"needs": own.what, "command": figure.command}
    return found


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {
        key: None if isinstance(value, float) and math.isinf(value) else value
        for key, value in asdict(found).items()
    }
