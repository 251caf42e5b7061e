# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""JSON-lines files, read with errors that name the file and the line."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One object of a JSON-lines file and where it stands (`line` counts from 1)."""

    path: str
    line: int
    fields: dict[str, Any]

    @property
    def where(self) -> str:
        """The place of the row, for error messages."""
        return f"{self.path}, line {self.line}"

    def text(self, name: str, default: str | None = None) -> str:
        """The field as text; a number is taken as it is written in JSON.

        Raises:
          ValueError: the field is missing (and has no default) or is neither text nor a number.
        """
        value = self.fields.get(name, default)
        if value is None:
            found = ", ".join(sorted(self.fields)) or "none"
            raise ValueError(f"{self.where}: field {name!r} is missing (fields found: {found})")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{self.where}: field {name!r} must be text, not {value!r}")
        return str(value)


def read_rows(path: str | Path, required: Sequence[str] = ()) -> Iterator[Row]:
    """Yields the rows of a JSON-lines file in file order; blank lines are passed over.

    Raises:
      FileNotFoundError: there is no such file.
      OSError: the file cannot be read.
      ValueError: a line is not UTF-8, not JSON or not a JSON object, or lacks a required field.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no data file {path}: name the directory or file that holds it")
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            row = Row(str(path), line, _object(f"{path}, line {line}", raw))
            for name in required:
                row.text(name)
            yield row


def _object(where: str, raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8 text ({error})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not valid JSON ({error.msg}, column {error.colno})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value
