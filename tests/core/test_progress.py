# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Plain lines off a terminal, not too many of them, and rates over a recent window."""

import io

from rich.console import Console
from rich.text import Text

from ttc_jax.core.progress import ProgressDisplay, TrainingDisplay


def lines_of(updates, *, total=10, done=0, terminal=False, width=120) -> str:
    """What is shown for (seconds, done, live rows, rows, new tokens, ...) tuples."""
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, force_terminal=terminal, width=width, legacy_windows=False)
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


def test_a_search_shows_rounds_pages_and_lookahead():
    (line,) = lines_of([(20, 2, 4, 8, 1000, 31, 400, 100, 250)]).splitlines()
    assert line == (
        "2/10 questions, 31 rounds, 4/8 rows, 25% pages, 50 tok/s (25% ahead), 0:01:20 left"
    )
    (line,) = lines_of([(20, 2, 4, 8, 1000, 0, 400, 0)]).splitlines()
    assert line == "2/10 questions, 0 rounds, 4/8 rows, 0% pages, 50 tok/s, 0:01:20 left"


def test_large_numbers_stay_on_one_line_of_100_columns():
    state = (9_999, 512, 512, 4_000_000_000, 123_456, 10_000, 10_000, 4_000_000_000)
    shown = lines_of([(99_999, *state)], total=12_000, terminal=True, width=100)
    (line,) = [Text.from_ansi(line).plain for line in shown.splitlines() if "rounds" in line]
    assert line.rstrip().endswith(
        "9999/12000 questions, 123k rounds, 512/512 rows, 100% pages, 40k tok/s (100% ahead), "
        "5:33:32 left"
    )


def test_steps_losses_utilisation_and_the_time_left():
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, width=100, force_terminal=False)
    with TrainingDisplay(100, 40, console=console, clock=lambda: now[0]) as display:
        now[0] = 20.0
        display.update(10, 0.51234, 5000, None, 0.424)
        now[0] = 40.0
        display.update(20, 0.25, 10_000, 0.75, 0.5)
    first, second = out.getvalue().splitlines()
    assert first == "50/100 steps, loss 0.5123, 42% of peak, 250 tok/s, 0:01:40 left"
    assert second.startswith("60/100 steps, loss 0.25, held out 0.75, 50% of peak, 250 tok/s")
