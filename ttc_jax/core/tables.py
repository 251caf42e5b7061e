# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Parquet files, each written whole or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ttc_jax.core.records import write_bytes_atomic


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Leaves `path` holding the rows, with the schema and its metadata, or as it was.

    Raises:
      WorkdirError: the directory is not writable or the disk is full.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    write_bytes_atomic(path, sink.getvalue().to_pybytes())
