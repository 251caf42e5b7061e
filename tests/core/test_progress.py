# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Plain lines off a terminal, not too many of them, and rates over a recent window."""

import io

from rich.console import Console

from ttc_jax.core.progress import ProgressDisplay


def lines_of(updates, *, total=10, done=0, terminal=False) -> str:
    """What is shown for (seconds, done, live rows, rows, new tokens) tuples."""
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, force_terminal=terminal, width=120)
    with ProgressDisplay(total, done, console=console, clock=lambda: now[0]) as display:
        for now[0], *state in updates:
            display.update(*state)
    return out.getvalue()


def test_plain_lines_say_all_and_come_seldom():
    updates = [(t, min(t, 10), 8, 8, 100 * t) for t in range(1, 11)]
    lines = lines_of(updates).splitlines()
    assert lines == [
        "1/10 questions, 8/8 rows, 100 tok/s, 0:00:09 left",
        "10/10 questions, 8/8 rows, 100 tok/s, 0:00:00 left",
    ]


def test_questions_of_an_earlier_start_count_as_done_but_not_for_the_time_left():
    (line,) = lines_of([(20, 2, 4, 8, 10)], total=100, done=50).splitlines()
    assert line.startswith("52/100 questions, 4/8 rows") and "0:08:00 left" in line


def test_the_rate_forgets_the_compilation():
    updates = [(60, 0, 8, 8, 0), (80, 0, 8, 8, 2000), (100, 1, 8, 8, 4000)]
    assert "100 tok/s" in lines_of(updates).splitlines()[-1]


def test_nothing_done_yet_means_no_guess():
    assert "tok/s, ? left" in lines_of([(1, 0, 8, 8, 10)])


def test_a_terminal_gets_one_live_line():
    shown = lines_of([(1, 1, 8, 8, 50), (2, 2, 8, 8, 100)], terminal=True)
    assert "2/10" in shown and "tok/s" in shown
