# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How far a run is: one live line on a terminal, a plain line now and then elsewhere."""

import collections
import time
from collections.abc import Callable
from typing import ClassVar, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

PLAIN_EVERY_S = 15.0
RATE_WINDOW_S = 30.0
BAR = 24  # columns, where the rest of the line leaves as many


class _Line:
    """A bar and a line of text about `total` units of work, of which `done` were done before.

    The rate is that of the last half minute, so that compilation fades from it; the time left
    assumes that units go on being done as they were since the start.
    """

    UNIT: ClassVar[str]

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
        self._drawn = BarColumn(BAR)
        self._bar = Progress(
            self._drawn,
            TextColumn("{task.fields[status]}", table_column=Column(no_wrap=True)),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(
            "", total=total, completed=done, status=f"{done}/{total} {self.UNIT}, compiling"
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def _show(self, done: int, tokens: int, parts: list[str], note: str = "") -> None:
        """Shows units done and tokens since this display was made; `note` stands by their rate."""
        now = self._clock()
        self._window.append((now, tokens))
        while self._window[1][0] < now - RATE_WINDOW_S:
            self._window.popleft()
        rate = f"{_short(self._rate())} tok/s{note}"
        left = f"{self._left(done, now)} left"
        done += self._before
        line = ", ".join([f"{done}/{self._total} {self.UNIT}", *parts, rate, left])
        if self._console.is_terminal:
            self._drawn.bar_width = min(BAR, max(1, self._console.width - len(line) - 1))
            self._bar.update(self._task, completed=done, status=line)
        elif now - self._last_line >= PLAIN_EVERY_S or done == self._total:
            self._last_line = now
            self._console.print(line, highlight=False)

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


class ProgressDisplay(_Line):
    """Shows questions done, search rounds, live rows, pages, tokens per second and time left.

    Use as a context manager. One line, which fits 100 columns.
    """

    UNIT = "questions"

    def update(
        self,
        done: int,
        live_rows: int,
        rows: int,
        new_tokens: int,
        rounds: int | None = None,
        pages: int | None = None,
        pages_used: int = 0,
        lookahead: int = 0,
    ) -> None:
        """Shows the state.

        Questions done, tokens sampled and rounds (a step for one question each) count since this
        display was made; `lookahead` of the tokens were in rollouts. Of `pages` there are,
        `pages_used` are held now. Rounds and pages are left out where they are None.
        """
        parts = [f"{live_rows}/{rows} rows"]
        if rounds is not None:
            parts.insert(0, f"{_short(rounds)} rounds")
        if pages:
            parts.append(f"{pages_used / pages:.0%} pages")
        ahead = f" ({lookahead / new_tokens:.0%} ahead)" if lookahead else ""
        self._show(done, new_tokens, parts, ahead)


class TrainingDisplay(_Line):
    """Shows steps done, losses, model FLOPs utilisation, tokens per second and time left.

    Use as a context manager. One line, which fits 100 columns.
    """

    UNIT = "steps"

    def update(
        self, done: int, loss: float, tokens: int, held_out: float | None, mfu: float
    ) -> None:
        """Shows the state: steps and tokens since this display was made, the last losses."""
        parts = [f"loss {loss:.4g}"]
        if held_out is not None:
            parts.append(f"held out {held_out:.4g}")
        parts.append(f"{mfu:.0%} of peak")
        self._show(done, tokens, parts)


def _short(number: float) -> str:
    """At most six characters, such as 9,999 or 10k or 9,999k or 10M."""
    for unit, size in (("", 1), ("k", 1e3)):
        if number / size < 9999.5:
            return f"{number / size:,.0f}{unit}"
    return f"{number / 1e6:,.0f}M"
