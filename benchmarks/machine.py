# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine can do at best: the rates that floors are computed from."""

import json
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp


def seconds(fn: Callable, *args, repeats: int = 5) -> float:
    """Least wall time of one call of fn(*args), which is warmed up first."""
    jax.block_until_ready(fn(*args))
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(fn(*args))
        best = min(best, time.perf_counter() - start)
    return best


def matmul_flops(dtype, size: int) -> float:
    """FLOP/s of one large square matrix product."""
    x = jnp.ones((size, size), dtype)
    return 2 * size**3 / seconds(jax.jit(jnp.matmul), x, x)


def copy_bytes(size: int) -> float:
    """Bytes per second read and written by an elementwise pass over `size` bytes."""
    x = jnp.ones((size // 4,), jnp.float32)
    return 2 * size / seconds(jax.jit(lambda x: x + 1), x)


def print_table(headers: list[str], rows: list[list]) -> None:
    """Right-aligned columns, numbers with three significant digits."""
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for line in (headers, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def print_headline(benchmark: str, headline: dict[str, float]) -> None:
    """The last line of a benchmark, in JSON."""
    device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    rounded = {name: round(value, 4) for name, value in headline.items()}
    print(json.dumps({"benchmark": benchmark, "device": device, "headline": rounded}))
