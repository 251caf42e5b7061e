# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the series of a panel into the axes of a matplotlib figure."""

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ttc_jax.report.drawing import axes as scales
from ttc_jax.report.drawing.axes import scaled
from ttc_jax.report.drawing.colours import INK, PAPER, SOFT
from ttc_jax.report.drawing.legend import toned
from ttc_jax.report.drawing.looks import look
from ttc_jax.report.plots import Bars, Line, Panel, Star

POINTS = 9.0  # size of letters
CROWD = 4  # lines that still have bands of full strength
LABELLED = 12  # bars that still have their value written on them
BAR = 0.82  # of the distance between groups, all bars of a group together
MINUS = "\N{MINUS SIGN}"


def draw_panel(place: Axes, panel: Panel) -> None:
    """Draws the panel into `place`; raises as `check` does."""
    check(panel)
    place.grid(axis="y")
    place.tick_params(length=0, left=False, bottom=False, pad=4)
    place.set_xlabel(panel.x_label)
    unit = f" ({panel.y_unit})" if panel.y_unit else ""
    place.set_ylabel(panel.y_label + unit)
    place.set_title(panel.title, pad=20 if panel.marks else 8)
    up = scales.y_scale(panel)
    place.set_ylim(up.low, up.high)
    place.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if max(abs(up.low), abs(up.high)) >= 1e4:
        place.yaxis.set_major_formatter(FuncFormatter(lambda y, _: scales.engineering(y)))
    if panel.bars:
        _draw_bars(place, panel)
    else:
        _scale_x(place, panel)
        for number, line in enumerate(line for line in panel.lines if line.x):
            _draw_line(place, panel, line, 3 + number / 100)
        for star in panel.stars:
            _draw_star(place, panel, star)
        _draw_marks(place, panel)


def check(panel: Panel) -> None:
    """Refuses a panel that cannot be drawn.

    Raises:
      ValueError: there are no values, both bars and lines, bars that do not fit the groups, or x
        that do not fit the y of a line.
    """
    if panel.bars and (panel.lines or panel.stars or panel.marks):
        raise ValueError(f"panel {panel.title!r} has both bars and lines; give it one of them")
    for bars in panel.bars:
        if len(bars.y) != len(panel.groups):
            raise ValueError(
                f"panel {panel.title!r}: {bars.name!r} has {len(bars.y)} bars for "
                f"{len(panel.groups)} groups"
            )
    for line in panel.lines:
        if len(line.x) != len(line.y):
            raise ValueError(
                f"panel {panel.title!r}: {line.name!r} has {len(line.x)} x for {len(line.y)} y"
            )
    bars = [y for bars in panel.bars for y in bars.y if y is not None]
    if not (bars or panel.stars or any(line.x for line in panel.lines)):
        raise ValueError(f"panel {panel.title!r} has no values")


def _scale_x(place: Axes, panel: Panel) -> None:
    across = scales.x_scale(panel)
    if across.base:
        place.set_xscale("log", base=across.base)
        place.xaxis.set_minor_locator(NullLocator())
        place.set_xticks([at for at, _ in across.ticks], [text for _, text in across.ticks])
    place.set_xlim(across.low, across.high)


def _draw_line(place: Axes, panel: Panel, line: Line, height: float) -> None:
    """A line in its band, or where there is no line, points with error bars."""
    style = look(line.look)
    faint = 0.11 if len(panel.lines) <= CROWD else 0.06
    means, lows, highs = zip(*(scaled(panel, y) for y in line.y), strict=True)
    if line.scatter or len(line.x) == 1:
        place.vlines(line.x, lows, highs, color=style.colour, lw=0.8, alpha=0.35, zorder=height)
    else:
        place.fill_between(line.x, lows, highs, color=style.colour, alpha=faint, lw=0, zorder=2)
    place.plot(
        line.x, means, zorder=height, clip_on=False, **stroke(line.look, line.dashed, line.scatter)
    )


def stroke(name: str, dashed: bool, scatter: bool) -> dict:
    """How matplotlib draws a line of this look; dashed ones have hollow markers."""
    style = look(name)
    dashes = (3.2, 1.6) if dashed else style.dashes
    return {
        "color": style.colour,
        "marker": style.marker,
        "markersize": 3.6 if scatter else 5.0 if style.marker in "^vhpPX" else 4.4,
        "markerfacecolor": PAPER if dashed else style.colour,
        "markeredgecolor": style.colour if dashed else PAPER,
        "markeredgewidth": 1.1 if dashed else 0.5,
        "linewidth": 1.5,
        "linestyle": "none" if scatter else (0, dashes) if dashes else "-",
    }


def _draw_star(place: Axes, panel: Panel, star: Star) -> None:
    mean, low, high = scaled(panel, star.y)
    place.vlines([star.x], [low], [high], color=INK, lw=0.9, zorder=5)
    place.plot([star.x], [mean], zorder=6, clip_on=False, **pointed(look(star.look).colour))


def pointed(colour: str) -> dict:
    """How matplotlib draws a star of this colour."""
    return {
        "marker": "*",
        "markersize": 11,
        "markerfacecolor": colour,
        "markeredgecolor": INK,
        "markeredgewidth": 0.8,
        "linestyle": "none",
    }


def _draw_marks(place: Axes, panel: Panel) -> None:
    for x, label in panel.marks:
        place.axvline(x, color=SOFT, lw=0.9, ls=(0, (1, 2)), zorder=1)
        place.annotate(
            label,
            (x, 1),
            (0, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            color=SOFT,
            size=POINTS - 1,
        )


def _draw_bars(place: Axes, panel: Panel) -> None:
    """Bars by group: those of a stack over each other, the lowest in front, the others abreast."""
    stacks = list(dict.fromkeys(bars.stack or bars.name for bars in panel.bars))
    width = BAR / len(stacks)
    n_bars = sum(y is not None for bars in panel.bars for y in bars.y)
    named = n_bars <= LABELLED and not any(bars.stack for bars in panel.bars)
    for number, stack in enumerate(stacks):
        members = [bars for bars in panel.bars if (bars.stack or bars.name) == stack]
        for group in range(len(panel.groups)):
            middle = group + (number - (len(stacks) - 1) / 2) * width
            _draw_stack(place, panel, members, group, (middle, width), named)
    place.axhline(0, color=SOFT, lw=0.8, zorder=4)
    place.set_xlim(-0.5, len(panel.groups) - 0.5)
    wrapped = [textwrap.fill(name, 14) for name in panel.groups]
    place.set_xticks(range(len(panel.groups)), wrapped)
    if min(place.get_ylim()) < 0:
        place.spines.bottom.set_visible(False)


def _draw_stack(
    place: Axes,
    panel: Panel,
    members: Sequence[Bars],
    group: int,
    where: tuple[float, float],
    named: bool,
) -> None:
    middle, width = where
    sign = "+" if min(place.get_ylim()) < 0 else ""
    for number, bars in enumerate(members):
        if bars.y[group] is None:
            continue
        mean, low, high = scaled(panel, bars.y[group])
        # Higher bars lie further back; of equals the later one is seen.
        depth = 2 - abs(mean) / 1e3 + number / 1e6
        place.bar(
            middle,
            mean,
            0.9 * width,
            color=toned(bars.look, bars.shade, bool(bars.stack)),
            edgecolor=PAPER,
            lw=0.4,
            zorder=depth,
        )
        # Side by side within a stack, or else they would hide each other.
        at = middle + 0.62 * width * ((number + 0.5) / len(members) - 0.5)
        if not bars.stack:  # seen on dark bars too
            place.vlines([at], [low], [high], color=PAPER, lw=2, alpha=0.5, zorder=3)
        place.vlines([at], [low], [high], color=INK, lw=0.7, alpha=0.8, zorder=3)
        if named:
            place.annotate(
                f"{round(mean, 1) or 0.0:{sign if round(mean, 1) else ''}.1f}".replace("-", MINUS),
                (middle, min(low, 0.0) if mean < 0 else high),
                (0, -2 if mean < 0 else 2),
                textcoords="offset points",
                ha="center",
                va="top" if mean < 0 else "bottom",
                size=POINTS - 2,
                color=INK,
            )
