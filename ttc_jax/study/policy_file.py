# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A fitted policy as a small JSON file."""

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.places import path_of
from ttc_jax.study.fitted import Considered, Entry, FittedPolicy

FORMAT = 1
_SHARES = ("accuracy", "low", "high", "agreed")


def write(policy: FittedPolicy, path: str | Path) -> None:
    """Leaves the policy at `path`, whole or not at all; OSError if it cannot be written."""
    write_json_atomic(path_of(path), {"format": FORMAT} | asdict(policy))


def read(path: str | Path) -> FittedPolicy:
    """The policy that `write` left at `path`.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not such a file; the message names file and field.
    """
    path = path_of(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a policy file: it is not JSON ({error})") from error
    try:
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise ValueError(f"format is not {FORMAT}; write the file again with this version")
        policy = {f.name: _field(value, f.name, f.name) for f in fields(FittedPolicy)}
        for name in ("estimator", "sources", "made_from"):
            if not isinstance(policy[name], dict):
                raise ValueError(f"{name} is not an object")
        edges, table = (_list(policy[name], name) for name in ("edges", "table"))
        policy["edges"] = tuple(_number(x, f"edges[{at}]", float) for at, x in enumerate(edges))
        policy["table"] = tuple(_entry(row, f"table[{at}]") for at, row in enumerate(table))
        return FittedPolicy(**policy)
    except ValueError as error:
        raise ValueError(f"{path} is not a policy file: {error}") from error


def _entry(value: Any, name: str) -> Entry:
    below = f"{name}.considered"
    listed = _list(_field(value, "considered", below), below)
    considered = [_record(Considered, one, f"{below}[{at}]") for at, one in enumerate(listed)]
    return _record(Entry, value, name, considered=tuple(considered))


def _record(kind: type, value: Any, name: str, **known: Any) -> Any:
    """A `kind` of texts and numbers from a JSON object, but for the fields that are known."""
    found = dict(known)
    for field in fields(kind):
        if field.name in known:
            continue
        at = f"{name}.{field.name}"
        part = _field(value, field.name, at)
        if field.type is str and not isinstance(part, str):
            raise ValueError(f"{at} is {part!r}, not a text")
        found[field.name] = part if field.type is str else _number(part, at, field.type)
        if field.name in _SHARES and not 0 <= found[field.name] <= 1:
            raise ValueError(f"{at} is {part!r}; it must lie in [0, 1]")
    return kind(**found)


def _field(value: Any, key: str, name: str) -> Any:
    if not isinstance(value, dict) or key not in value:
        raise ValueError(f"{name} is missing")
    return value[key]


def _list(value: Any, name: str) -> list:
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")
    return value


def _number(value: Any, name: str, kind: type) -> float | int:
    if type(value) not in (int, kind) or not math.isfinite(value):
        words = "a whole number" if kind is int else "a finite number"
        raise ValueError(f"{name} is {value!r}, not {words}")
    return kind(value)
