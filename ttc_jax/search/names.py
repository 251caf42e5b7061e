# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Strategies by name: reads back what a strategy prints."""

from collections.abc import Callable

from ttc_jax.search.beam import Beam
from ttc_jax.search.dvts import DVTS
from ttc_jax.search.rebase import Rebase
from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.strategy import Strategy

# For each name the class, the parameters that must be given, and those that may be.
_KNOWN: dict[str, tuple[Callable[..., Strategy], tuple[str, ...], tuple[str, ...]]] = {
    "best_of_n": (BestOfN, ("N",), ()),
    "beam": (Beam, ("N",), ("M", "rounds", "distinct")),
    "lookahead": (Beam, ("N", "k"), ("M", "rounds", "distinct")),
    "dvts": (DVTS, ("N",), ("M", "rounds")),
    "rebase": (Rebase, ("N",), ("T", "rounds")),
    "revise": (Revise, ("s", "p"), ("memory",)),
}


def parse(text: str) -> Strategy:
    """The strategy that `text` names, as in `beam(N=16,M=4)`: what `str()` of it prints.

    Parameters may come in any order and with spaces between them; those in brackets in the
    messages may be left out.

    Raises:
      ValueError: an unknown strategy, with the known ones; parameters that are unknown, missing,
        given twice or malformed; values that the strategy has no use for.
    """
    name, _, rest = text.strip().partition("(")
    if name not in _KNOWN:
        raise ValueError(f"unknown strategy {text!r}; known are {', '.join(map(_usage, _KNOWN))}")
    make, needed, optional = _KNOWN[name]
    if not rest.endswith(")"):
        raise ValueError(f"malformed {text!r}: write {_usage(name)}")
    inside = rest[:-1].strip()
    values: dict[str, int | float | bool] = {}
    for part in inside.split(",") if inside else ():
        key, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign:
            raise ValueError(f"malformed {part!r} in {text!r}: write {_usage(name)}")
        if key not in needed + optional:
            raise ValueError(f"unknown parameter {key!r} in {text!r}: write {_usage(name)}")
        if key in values:
            raise ValueError(f"parameter {key!r} is given twice in {text!r}: leave one out")
        values[key] = _value(value, part.strip(), text)
    missing = [key for key in needed if key not in values]
    if missing:
        raise ValueError(f"{text!r} lacks {', '.join(missing)}: write {_usage(name)}")
    return make(**values)


def _value(value: str, part: str, text: str) -> int | float | bool:
    """A value as it is printed."""
    if value in ("True", "False"):
        return value == "True"
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    raise ValueError(f"malformed {part!r} in {text!r}: give a number, True or False")


def _usage(name: str) -> str:
    """The name with its parameters, as in `dvts(N=..., [M=..., rounds=...])`."""
    _, needed, optional = _KNOWN[name]
    needs, may = (", ".join(f"{key}=..." for key in keys) for keys in (needed, optional))
    return f"{name}({needs}, [{may}])" if may else f"{name}({needs})"
