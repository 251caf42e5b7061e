# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the FLOPs of a run went into, as shares of a bar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PHASES = (
    "prefill",
    "revision_context",
    "decode",
    "lookahead",
    "rollout",
    "verifier_prefill",
    "verify_context",
    "verify",
    "verify_lookahead",
    "training",
    "difficulty",
)


@dataclass(frozen=True)
class Spent:
    """A run's bar: shares by phase and of what was discarded, widths in percent of its row.

    `total` counts everything, `waste` is the discarded share of it; `ratio` how many times the
    counted FLOPs were executed, `speed` counted FLOPs per second; None where not known. `said` is
    the bar in words.
    """

    name: str
    total: float
    waste: float | None
    executed: float | None
    ratio: float | None
    seconds: float | None
    speed: float | None
    shares: tuple[tuple[str, float], ...]
    discarded_share: float
    width: float
    executed_width: float
    said: str


def spent(row: Mapping[str, Any], phases: Sequence[str]) -> Spent:
    """The bar of one entry of the ledger."""
    useful = {phase: row["useful"][phase] for phase in phases if row["useful"].get(phase)}
    discarded = row.get("discarded") or 0.0
    executed, seconds = row.get("executed"), row.get("seconds")
    total = sum(useful.values()) + discarded
    most = max(total, executed or 0.0) or 1.0
    parts = [*useful.items(), ("discarded", discarded)]
    said = ", ".join(f"{name.replace('_', ' ')} {part / (total or 1):.1%}" for name, part in parts)
    return Spent(
        name=row["run"],
        total=total,
        waste=discarded / total if total and discarded else None,
        executed=executed,
        ratio=executed / total if total and executed else None,
        seconds=seconds,
        speed=total / seconds if seconds else None,
        shares=tuple((phase, round(part / (total or 1), 5)) for phase, part in useful.items()),
        discarded_share=round(discarded / (total or 1), 5),
        width=round(100 * total / most, 2),
        executed_width=round(100 * (executed or 0.0) / most, 2),
        said=said,
    )


def used_phases(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The phases that occur, policy before verifier; unknown ones at the end, by name."""
    found = {phase for row in rows for phase, flops in row["useful"].items() if flops}
    return [*(p for p in PHASES if p in found), *sorted(found - set(PHASES))]
