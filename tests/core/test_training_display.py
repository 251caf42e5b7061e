# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the line of a training run says."""

import io

from rich.console import Console

from ttc_jax.core.progress import TrainingDisplay


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
