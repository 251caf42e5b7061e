# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that differ in their budget alone, which make one curve."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from ttc_jax.search.strategy import Strategy
from ttc_jax.study.runs import Run

_LABELS = {
    "best_of_n": "best-of-N", "beam": "beam", "lookahead": "lookahead", "dvts": "DVTS",
    "rebase": "REBASE", "revise": "revisions",
}  # fmt: skip
_NAMED = ("N", "M", "k", "s", "p")


@dataclass(frozen=True)
class Family:
    """Runs of one strategy by rising budget; `key` is for looking up, `label` for people."""

    key: str
    label: str
    runs: tuple[Run, ...]


def family(strategy: Strategy) -> tuple[str, str]:
    """Key and label of all that a strategy shares with those of other budgets.

    Such as ("beam_4", "beam M=4"), or ("lookahead_1_sqrt", "lookahead k=1, M=√N") where M is what
    it is without being given. Other parameters are named where they are not the default.
    """
    return _family(strategy, _settled(strategy))


def families(runs: Sequence[Run]) -> dict[str, Family]:
    """The families of searches, by key; runs of one policy and one verifier.

    A width may be both that of a family of fixed M and the root of N, as in beam(N=16,M=4): the run
    is then in both, if others have that M where it is not the root.
    """
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault(family(run.strategy), []).append(run)
    for run in runs:
        fixed = _family(run.strategy, False)
        if fixed in found and run not in found[fixed]:
            found[fixed].append(run)
    return {
        key: Family(key, label, tuple(sorted(own, key=lambda run: run.strategy.generations)))
        for (key, label), own in found.items()
    }


def _settled(strategy: Strategy) -> bool:
    """Whether M is the divisor of N nearest to its root."""
    return hasattr(strategy, "M") and replace(strategy, M=None).M == strategy.M


def _family(strategy: Strategy, root: bool) -> tuple[str, str]:
    key, said = [strategy.name], []
    if getattr(strategy, "k", 0):
        key.append(str(strategy.k))
        said.append(f"k={strategy.k}")
    if hasattr(strategy, "M"):
        key.append("sqrt" if root else str(strategy.M))
        said.append("M=√N" if root else f"M={strategy.M}")
    for field in fields(strategy):
        value = getattr(strategy, field.name)
        if field.name not in _NAMED and value != field.default:
            key.append(field.name if value is True else f"{field.name}_{value}")
            said.append(field.name if value is True else f"{field.name}={value}")
    label = f"{_LABELS[strategy.name]} {', '.join(said)}".rstrip()
    return "_".join(key), label
