# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The factors by which compute is saved, as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SIGNS = {"at least": "≥ ", "at most": "≤ "}


@dataclass(frozen=True)
class Savings:
    """Rows of a name and a (factor, interval, bold) for each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...]


def savings(factors: Sequence[Mapping[str, Any]]) -> Savings:
    """The factors by strategy and bins, and by unit, with difficulty for free and paid for.

    Entries without a `factor`, which are sentences only, are left out.
    """
    found: dict[str, dict[str, tuple[str, str, bool]]] = {}
    columns: dict[str, None] = {}
    for entry in factors:
        if "factor" in entry:
            column = {"flops": "FLOPs"}.get(entry["unit"], entry["unit"]) + (
                ", difficulty paid for" if entry["charged"] else ""
            )
            columns[column] = None
            row = f"{entry['kind']}, {entry['estimator']} bins"
            found.setdefault(row, {})[column] = _cell(entry)
    rows = (
        (name, tuple(cells.get(column, ("–", "", False)) for column in columns))
        for name, cells in found.items()
    )
    return Savings(tuple(columns), tuple(rows))


def _cell(entry: Mapping[str, Any]) -> tuple[str, str, bool]:
    factor = entry["factor"]
    if not factor.get("mean"):
        return "never as good", "", False
    ends = ("∞" if end is None else f"{end:.2g}" for end in (factor["low"], factor["high"]))
    text = f"{_SIGNS.get(factor.get('censored', ''), '')}{factor['mean']:.2g} ×"
    return text, f"[{', '.join(ends)}]", bool(entry.get("bold"))
