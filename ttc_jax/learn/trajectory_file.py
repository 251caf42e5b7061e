# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectories as one Parquet file that says where they come from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from ttc_jax.core.places import path_of
from ttc_jax.core.tables import open_table, write_rows
from ttc_jax.learn.trajectories import Trajectory

_PROVENANCE = b"provenance"
SCHEMA = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("attempts", pa.list_(pa.string()), nullable=False),
        pa.field("solution", pa.string(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
    ]
)


def write_trajectories(
    path: Path, trajectories: Iterable[Trajectory], provenance: Mapping[str, Any]
) -> None:
    """Leaves `path` holding the trajectories in order, or as it was.

    `provenance` is what they were made from and how, as JSON values.

    Raises:
      WorkdirError: the file cannot be written.
    """
    text = json.dumps(dict(provenance), sort_keys=True, allow_nan=False)
    schema = SCHEMA.with_metadata({_PROVENANCE: text})
    rows = [asdict(trajectory) for trajectory in trajectories]
    write_rows(path_of(path), rows, schema)


def read_trajectories(path: Path) -> tuple[list[Trajectory], dict[str, Any]]:
    """The trajectories of a file, in order, and their provenance.

    Raises:
      ValueError: there is no such file, it is not one of trajectories, or lacks a column.
    """
    try:
        table = open_table(path_of(path)).read()
    except FileNotFoundError as error:
        raise ValueError(f"there are no trajectories at {path}; make them first") from error
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read ({error}); make its trajectories again") from error
    for field in SCHEMA:
        if field.name not in table.column_names:
            raise ValueError(f"{path} has no column {field.name!r}; make its trajectories again")
        column = table[field.name]
        if column.type != field.type or column.null_count:
            raise ValueError(
                f"column {field.name!r} of {path} holds {column.type} with {column.null_count} "
                f"nulls, not {field.type} without; make its trajectories again"
            )
    metadata = table.schema.metadata or {}
    if _PROVENANCE not in metadata:
        raise ValueError(f"{path} does not say where it comes from; make its trajectories again")
    rows = table.select(SCHEMA.names).to_pylist()
    made = [Trajectory(**row | {"attempts": tuple(row["attempts"])}) for row in rows]
    return made, json.loads(metadata[_PROVENANCE])
