# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the axes of a panel begin and end, where they have ticks, and how numbers are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ttc_jax.report.plots import Panel
from ttc_jax.study.stats import Interval

MANY = 1e6  # values on x from which on decades are marked instead of doublings: FLOPs
_ROUNDING = 1e-6  # of the room at an end: less than this below 0 is 0
DOUBLINGS = 11  # the most that are all marked
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")


@dataclass(frozen=True)
class Scale:
    """An axis: what it shows at least, its ticks with their labels, and the base of its logarithm.

    `base` is None for a linear axis.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    base: int | None = None


def engineering(value: float, digits: int = 3) -> str:
    """A number to `digits` significant digits with an SI prefix: 1.5e12 is "1.5 T"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits - 1}e}")
    power = min(max(math.floor(math.log10(abs(rounded)) / 3), 0), len(_PREFIXES) - 1)
    return f"{float(f'{rounded / 1000**power:.{digits}g}'):g} {_PREFIXES[power]}".rstrip()


def x_scale(panel: Panel) -> Scale:
    """The x axis of a panel with lines.

    Logarithmic ones have ticks at powers of two, as ratios where values below 1 occur ("1:4"), or
    at powers of ten with SI prefixes where values reach a million.

    Raises:
      ValueError: a logarithmic axis with a value that is not positive.
    """
    values = [x for line in panel.lines for x in line.x]
    values += [star.x for star in panel.stars] + [x for x, _ in panel.marks]
    low, high = min(values), max(values)
    if not panel.log_x:
        room = 0.03 * (high - low) or 0.5
        return Scale(low - room, high + room)
    if low <= 0:
        raise ValueError(f"panel {panel.title!r}: x is {low:g} on a logarithmic axis")
    base = 10 if high >= MANY else 2
    room = 1.4 if base == 2 else (high / low) ** 0.04 * 1.05
    return Scale(low / room, high * room, _powers(low, high, base), base)


def _powers(low: float, high: float, base: int) -> tuple[tuple[float, str], ...]:
    """Ticks of a logarithmic axis."""
    first, last = (math.log(value, base) for value in (low, high))
    if base == 10:
        parts = (1,) if last - first > 2 else (1, 3) if last - first > 1 else (1, 2, 5)
        powers = range(math.floor(first), math.ceil(last) + 1)
        ticks = [part * 10.0**power for power in powers for part in parts]
        return tuple((tick, engineering(tick)) for tick in ticks)
    powers = range(round(first - 0.25), round(last + 0.25) + 1)
    step = math.ceil(len(powers) / DOUBLINGS)
    shown = [power for power in powers if power % step == 0]
    return tuple((2.0**power, _doubled(power, ratios=low < 1)) for power in shown)


def _doubled(power: int, ratios: bool) -> str:
    if not ratios:
        return f"{2**power}" if power < 14 else engineering(2.0**power)
    return f"1:{2**-power}" if power < 0 else f"{2**power}:1"


def y_scale(panel: Panel) -> Scale:
    """The y axis of a panel, in percent where that is its unit; bars stand on 0."""
    intervals = [y for line in panel.lines for y in line.y] + [star.y for star in panel.stars]
    intervals += [y for bars in panel.bars for y in bars.y if y is not None]
    ends = [end for y in intervals for end in scaled(panel, y)]
    low, high = min(ends), max(ends)
    if panel.bars:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    least = low > -_ROUNDING * room and (panel.bars or panel.y_unit == "%")
    most = high < _ROUNDING * room and panel.bars
    return Scale(max(low - room, 0.0) if least else low - room, 0.0 if most else high + room)


def scaled(panel: Panel, y: Interval) -> tuple[float, float, float]:
    """Mean, low and high of a value in the unit of the panel."""
    unit = 100 if panel.y_unit == "%" else 1
    return unit * y.mean, unit * y.low, unit * y.high


def columns(labels: Sequence[str], inches: float, size: float) -> int:
    """The most columns of a legend of letters of `size` points that fit into so many inches."""
    widths = [0.56 * size * len(label) + 5.2 * size for label in labels]
    fitting = [n for n in range(1, len(widths) + 1) if _width(widths, n) <= 72 * inches]
    rows = math.ceil(len(widths) / max(fitting, default=1))
    return math.ceil(len(widths) / rows)


def _width(widths: Sequence[float], n: int) -> float:
    """The width of a legend of n columns, filled one by one, each as wide as its widest entry."""
    rows, longer = divmod(len(widths), n)
    starts = [at * rows + min(at, longer) for at in range(n + 1)]
    return sum(max(widths[a:b]) for a, b in pairwise(starts))
