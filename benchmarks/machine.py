# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine can do at best, and where the time of a run goes."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

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


def copy_bytes(size: int) -> float:
    """Bytes per second read and written by an elementwise pass over `size` bytes."""
    x = jnp.ones((size // 4,), jnp.float32)
    return 2 * size / seconds(jax.jit(lambda x: x + 1), x)


def read_bytes(size: int) -> float:
    """Bytes per second read by a product of a matrix of `size` bytes with a vector."""
    matrix = jnp.ones((size // (4 * 8192), 8192), jnp.float32)
    return size / seconds(jax.jit(lambda matrix, x: matrix @ x), matrix, jnp.ones((8192,)))


class Clock:
    """Seconds and calls by label, from timers put around functions and the device work they start.

    A timer within another one counts for its own label only, so that labels add up to the whole.
    """

    def __init__(self):
        self.seconds, self.calls = Counter(), Counter()
        self._inner: list[float] = []

    @contextmanager
    def on(self, label: str) -> Iterator[None]:
        """Counts what is done inside, and calls of other timers inside apart from it."""
        start = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent, inner = time.perf_counter() - start, self._inner.pop()
            self.seconds[label] += spent - inner
            self.calls[label] += 1
            if self._inner:
                self._inner[-1] += spent

    def around(self, owner, name: str, label: Callable[..., str]):
        """A context in which calls of owner.name count for label(*arguments)."""
        fn = getattr(owner, name)

        def timed(*args, **kwargs):
            with self.on(label(*args, **kwargs)):
                return jax.block_until_ready(fn(*args, **kwargs))

        return mock.patch.object(owner, name, timed)


@contextmanager
def compilations() -> Iterator[Counter]:
    """Counts programs compiled (or read from the compilation cache) inside, and their seconds."""
    counts = Counter()

    def listen(event: str, seconds: float, **_) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counts.update(programs=1, seconds=seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield counts
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def print_table(headers: list[str], rows: list[list]) -> None:
    """Right-aligned columns, numbers with three significant digits."""
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for line in (headers, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def print_headline(benchmark: str, headline: dict[str, float], device: str = "") -> None:
    """The last line of a benchmark, in JSON; `device` where it is not that of this machine."""
    device = device or f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    rounded = {name: round(value, 4) for name, value in headline.items()}
    print(json.dumps({"benchmark": benchmark, "device": device, "headline": rounded}))
