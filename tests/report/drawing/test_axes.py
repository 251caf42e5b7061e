# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Axes and ticks by hand."""

import pytest

from ttc_jax.report.drawing.axes import columns, engineering, x_scale, y_scale
from ttc_jax.report.plots import Bars, Line, Panel, Star
from ttc_jax.study.stats import Interval


def panel(*x: float, **more) -> Panel:
    y = tuple(Interval(0.4, 0.3, 0.5, 9) for _ in x)
    return Panel("p", "x", "y", lines=(Line("a", "a", x, y),), **more)


def labels(*x: float, **more) -> list[str]:
    return [text for _, text in x_scale(panel(*x, **more)).ticks]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1, "1"), (999, "999"), (999.6, "1 k"), (1234, "1.23 k"), (1.5e12, "1.5 T"),
        (3e17, "300 P"), (-2.5e9, "-2.5 G"), (0.25, "0.25"), (1e33, "1000 Q"),
        (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_numbers_have_si_prefixes(value, text):
    assert engineering(value) == text


def test_budgets_are_marked_at_powers_of_two():
    assert labels(1, 2, 4, 16) == ["1", "2", "4", "8", "16"]
    assert labels(16, 256) == ["16", "32", "64", "128", "256"]
    assert labels(1, 2048) == ["1", "4", "16", "64", "256", "1024"]


def test_an_axis_that_goes_below_one_is_one_of_ratios():
    assert labels(0.25, 1, 8) == ["1:4", "1:2", "1:1", "2:1", "4:1", "8:1"]
    assert labels(2**-8, 2**8) == [
        "1:256", "1:64", "1:16", "1:4", "1:1", "4:1", "16:1", "64:1", "256:1",
    ]  # fmt: skip


def test_flops_are_marked_in_decades():
    scale = x_scale(panel(2e11, 3e14))
    assert scale.base == 10
    assert [text for _, text in scale.ticks] == ["100 G", "1 T", "10 T", "100 T", "1 P"]
    assert [text for _, text in x_scale(panel(2e12, 9e12)).ticks][:3] == ["1 T", "2 T", "5 T"]


def test_stars_and_marks_lie_within_the_axis():
    star = Star("s", "large", 300.0, Interval(0.9, 0.8, 0.95, 9))
    scale = x_scale(panel(2, 4, stars=(star,), marks=((1.0, "here"),)))
    assert scale.low < 1 and scale.high > 300
    y = y_scale(panel(2, 4, stars=(star,)))
    assert y.low < 30 and y.high > 95


def test_linear_axes_have_no_ticks_of_their_own():
    scale = x_scale(panel(1, 64, log_x=False))
    assert scale.base is None and scale.ticks == () and scale.low < 1 < 64 < scale.high


def test_zero_has_no_logarithm():
    with pytest.raises(ValueError, match="panel 'p': x is 0 on a logarithmic axis"):
        x_scale(panel(0, 4))


def test_percent_never_go_below_zero_and_bars_stand_on_it():
    low = Line("a", "a", (1.0,), (Interval(0.01, -1e-18, 0.5, 9),))
    assert y_scale(Panel("p", "x", "y", lines=(low,))).low == 0
    words = Panel("p", "x", "y", lines=(low,), y_unit="nats")
    assert y_scale(words).low < 0 < y_scale(words).high < 1
    bars = Bars("b", "b", (Interval(0.4, 0.3, 0.5, 9), None))
    scale = y_scale(Panel("p", "x", "y", groups=("1", "2"), bars=(bars,)))
    assert scale.low == 0 and scale.high > 50
    down = Bars("b", "b", (Interval(-0.4, -0.5, -0.3, 9),))
    scale = y_scale(Panel("p", "x", "y", groups=("1",), bars=(down,)))
    assert scale.low < -50 and scale.high == 0


def test_a_legend_has_as_many_columns_as_fit():
    assert columns(["a", "b", "c"], 9, 9) == 3
    assert columns(["a" * 60, "b" * 60], 5, 9) == 1
    assert columns(["a" * 90], 1, 9) == 1
    # Two rows of two, not one of three and one of one.
    assert columns(["a" * 12] * 4, 5, 9) == 2
