# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Parquet files, each written whole or not at all, and their columns as Python values."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ttc_jax.core.files import write_bytes_atomic
from ttc_jax.core.places import in_bucket


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Leaves `path` holding the rows, with the schema and its metadata, or as it was.

    Raises:
      WorkdirError: the directory is not writable or the disk is full.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    write_bytes_atomic(path, sink.getvalue().to_pybytes())


def open_table(path: Path) -> pq.ParquetFile:
    """A Parquet file; one in a bucket is read whole. Raises as pyarrow and the bucket do."""
    return pq.ParquetFile(pa.BufferReader(path.read_bytes()) if in_bucket(path) else path)


def values_of(column: pa.Array) -> list:
    """What `column.to_pylist()` gives, with a dict for each map; several times as fast.

    Lists and maps must not be null themselves.
    """
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        ends = column.offsets.to_numpy().tolist()
        if pa.types.is_list(kind):
            values = values_of(column.values)
            return [values[start:end] for start, end in pairwise(ends)]
        pairs = list(zip(values_of(column.keys), values_of(column.items), strict=True))
        return [dict(pairs[start:end]) for start, end in pairwise(ends)]
    if column.null_count:  # numpy has no integers that may be missing
        return column.to_pylist()
    return column.to_numpy(zero_copy_only=False).tolist()
