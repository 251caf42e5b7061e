# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Draws figures: with matplotlib, but without its global state."""

import functools
import io
import math

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import Affine2D

from ttc_jax.report.drawing.axes import columns
from ttc_jax.report.drawing.colours import GRID, INK, PAPER, SOFT
from ttc_jax.report.drawing.legend import Entry, entries
from ttc_jax.report.drawing.panel import POINTS, check, draw_panel, pointed, stroke
from ttc_jax.report.drawing.vector import cleaned
from ttc_jax.report.plots import Figure, Panel

PANEL = (4.6, 3.15)  # inches
DPI = 130
SWATCH = (0.4, 0.16)  # inches
SCALE = Affine2D().scale(1 / 72)  # points to inches

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": POINTS,
    "axes.titlesize": POINTS,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": POINTS,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": POINTS - 0.5,
    "ytick.labelsize": POINTS - 0.5,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": POINTS - 0.5,
    "legend.handlelength": 2.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "ttc_jax",
    "svg.id": None,
    "path.simplify": False,
}


def draw(figure: Figure) -> Canvas:
    """The figure in matplotlib, with a legend of all its panels beneath them.

    Raises:
      ValueError: a figure without panels, or a panel that cannot be drawn: without values, with
        lines and bars at once, or with bars that do not fit its groups.
    """
    if not figure.panels:
        raise ValueError(f"figure {figure.key} has no panels: {figure.missing or 'nothing'}")
    across = len(figure.panels) if len(figure.panels) < 4 else 2 if len(figure.panels) == 4 else 3
    down = math.ceil(len(figure.panels) / across)
    for panel in figure.panels:
        check(panel)
    found = entries(figure.panels)
    with matplotlib.rc_context(STYLE):
        width = across * PANEL[0]
        labels = [entry.text for entry in found]
        abreast = columns(labels, width, POINTS)
        legend = 0.19 * math.ceil(len(labels) / abreast) + 0.1
        canvas = Canvas((width, down * PANEL[1] + legend), facecolor=PAPER, layout="constrained")
        grid = canvas.subplots(down, across, squeeze=False).ravel()
        for place, panel in zip(grid, figure.panels, strict=False):
            draw_panel(place, panel)
        for place in grid[len(figure.panels) :]:
            place.set_axis_off()
        canvas.legend(
            [_handle(entry) for entry in found],
            labels,
            loc="outside lower center",
            ncols=abreast,
            columnspacing=1.6,
        )
    return canvas


def svg(figure: Figure) -> str:
    """The whole figure as an SVG file, with its letters as text; raises as `draw` does."""
    return _saved_svg(draw(figure))


def png(figure: Figure) -> bytes:
    """The whole figure as a PNG file; raises as `draw` does."""
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        draw(figure).savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def panel_svg(panel: Panel) -> str:
    """One panel without a legend on no background, as an SVG file; raises as `draw` does."""
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(PANEL, facecolor="none", layout="constrained")
        draw_panel(canvas.subplots(), panel)
    return _saved_svg(canvas)


@functools.cache
def swatch(entry: Entry) -> str:
    """What stands beside a text of the legend, as an SVG file of its own."""
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(SWATCH, facecolor="none")
        width, height = (72 * inches for inches in SWATCH)
        handle = _handle(entry)
        if isinstance(handle, Line2D):
            ends = [0.5 * width] if handle.get_linestyle() == "None" else [0, 0.5 * width, width]
            handle.set_data(ends, [0.5 * height] * len(ends))
            handle.set_markevery([len(ends) // 2])
            handle.set_transform(SCALE + canvas.dpi_scale_trans)
        else:
            handle = Rectangle((0, 0.1), 1, 0.8, color=entry.colour, lw=0)
            handle.set_transform(canvas.transFigure)
        canvas.add_artist(handle)
    return _saved_svg(canvas)


def _saved_svg(canvas: Canvas) -> str:
    out = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context(STYLE):
        canvas.savefig(out, format="svg", metadata=metadata)
    return cleaned(out.getvalue())


def _handle(entry: Entry) -> Artist:
    """What stands beside a text of the legend."""
    if entry.kind == "bar":
        return Patch(facecolor=entry.colour, edgecolor="none")
    if entry.kind == "star":
        return Line2D([], [], **pointed(entry.colour))
    return Line2D([], [], **stroke(entry.look, entry.kind == "dashed", entry.kind == "scatter"))
