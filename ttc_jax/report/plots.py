# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a figure shows, as plain numbers: drawn by `draw`, stored in results.json and as CSV."""

from dataclasses import dataclass

from ttc_jax.study.stats import Interval


@dataclass(frozen=True)
class Line:
    """A series over x with an interval at every point.

    `look` names what it stands for ("majority", "beam_4", "bin_1", ...): equal looks are drawn
    alike in all figures. `scatter` draws single points without a line.
    """

    name: str
    look: str
    x: tuple[float, ...]
    y: tuple[Interval, ...]
    dashed: bool = False
    scatter: bool = False


@dataclass(frozen=True)
class Bars:
    """One bar of a series for each group of its panel; None where there is none.

    Bars of equal `stack` are drawn over each other, the lowest in front, the others side by side;
    those of a stack are called "what, which", as in "beam, N = 16", and the legend says what and
    which apart. `shade` in [0, 1] is for series that differ in a number such as the budget: within
    a stack from a tint (0) to the colour of the look (1), elsewhere from that colour to a darker
    one, and of the looks "budget" and "ratio" the place on a ramp of colours.
    """

    name: str
    look: str
    y: tuple[Interval | None, ...]
    stack: str = ""
    shade: float = 0.0


@dataclass(frozen=True)
class Star:
    """A single marked value: the larger model's accuracy at the budget that it is matched to."""

    name: str
    look: str
    x: float
    y: Interval


@dataclass(frozen=True)
class Panel:
    """One pair of axes: lines over x, or bars over `groups`.

    `y_unit` is "%" (values are shares in [0, 1]) or a unit in words. `marks` are vertical lines
    (x, label). `note` says in words what is seen, for those who cannot see it.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    groups: tuple[str, ...] = ()
    bars: tuple[Bars, ...] = ()
    stars: tuple[Star, ...] = ()
    marks: tuple[tuple[float, str], ...] = ()
    log_x: bool = True
    y_unit: str = "%"
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure of the report; without panels one that lacks data.

    `key` is its number in the paper ("3L", "iclr13") or a name of our own; `missing` says what is
    lacking and `command` how to make it.
    """

    key: str
    title: str
    source: str
    caption: str = ""
    panels: tuple[Panel, ...] = ()
    missing: str = ""
    command: str = ""
