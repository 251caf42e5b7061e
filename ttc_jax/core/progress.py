# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How far a run is: one live line on a terminal, a plain line now and then elsewhere."""

import collections
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

PLAIN_EVERY_S = 15.0
RATE_WINDOW_S = 30.0


class ProgressDisplay:
    """Shows questions done, live rows, tokens per second and time left. Use as a context manager.

    The rate is that of the last half minute, so that compilation fades from it; the time left
    assumes that questions go on finishing as they did since the start.
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._total, self._before = total, done
        self._start = clock()
        self._last_line = float("-inf")
        self._window = collections.deque([(self._start, 0)])
        self._bar = Progress(
            TextColumn("questions"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=done, status="compiling")

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def update(self, done: int, live_rows: int, rows: int, new_tokens: int) -> None:
        """Shows the state: questions done and tokens sampled since this display was made."""
        now = self._clock()
        self._window.append((now, new_tokens))
        while self._window[1][0] < now - RATE_WINDOW_S:
            self._window.popleft()
        status = f"{live_rows}/{rows} rows, {self._rate():,.0f} tok/s, {self._left(done, now)} left"
        done += self._before
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, status=status)
        elif now - self._last_line >= PLAIN_EVERY_S or done == self._total:
            self._last_line = now
            self._console.print(f"{done}/{self._total} questions, {status}", highlight=False)

    def _rate(self) -> float:
        (start, before), (end, after) = self._window[0], self._window[-1]
        return (after - before) / max(end - start, 1e-9)

    def _left(self, done: int, now: float) -> str:
        if done == 0:
            return "?"
        seconds = (now - self._start) / done * (self._total - self._before - done)
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}"
