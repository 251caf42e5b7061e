# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a figure: as CSV, and as tables to be read beneath it."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ttc_jax.report.drawing.axes import engineering, scaled
from ttc_jax.report.plots import Figure, Panel
from ttc_jax.study.stats import Interval

COLUMNS = ("panel", "kind", "series", "x", "mean", "low", "high", "n", "unit")


@dataclass(frozen=True)
class Sheet:
    """A table of texts; the first column of `rows` names the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def csv_text(figure: Figure) -> str:
    """All numbers of a figure, one line each (see `COLUMNS`), at full precision.

    `kind` is "line", "bar", "star" or "mark"; x is a number, or for a bar the name of its group.
    Values of unit "%" are shares in [0, 1]. A mark, which has no value, has its label as `series`.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for panel in figure.panels:
        title = panel.title or figure.title
        writer.writerows({"panel": title, "unit": panel.y_unit} | row for row in _rows(panel))
    return out.getvalue()


def _rows(panel: Panel) -> Iterator[Mapping[str, object]]:
    for line in panel.lines:
        for x, y in zip(line.x, line.y, strict=True):
            yield {"kind": "line", "series": line.name, "x": float(x)} | _numbers(y)
    for bars in panel.bars:
        for group, y in zip(panel.groups, bars.y, strict=True):
            if y is not None:
                yield {"kind": "bar", "series": bars.name, "x": group} | _numbers(y)
    for star in panel.stars:
        yield {"kind": "star", "series": star.name, "x": float(star.x)} | _numbers(star.y)
    for x, label in panel.marks:
        yield {"kind": "mark", "series": label, "x": float(x), "unit": ""}


def _numbers(y: Interval) -> dict[str, float]:
    return {"mean": y.mean, "low": y.low, "high": y.high, "n": y.n}


def sheets(figure: Figure) -> list[Sheet]:
    """For each panel a table of x (or groups) by series, and one of its stars."""
    found = []
    for panel in figure.panels:
        title = panel.title or figure.title
        if panel.bars:
            found.append(_of_bars(title, panel))
        elif panel.lines:
            found.append(_of_lines(title, panel))
        if panel.stars:
            stars = tuple(
                (star.name, number(star.x), written(panel, star.y)) for star in panel.stars
            )
            found.append(Sheet(title, ("stars", panel.x_label, panel.y_label), stars))
    return found


def _of_lines(title: str, panel: Panel) -> Sheet:
    values = [dict(zip(line.x, line.y, strict=True)) for line in panel.lines]
    rows = [
        (number(x), *(written(panel, of.get(x)) for of in values))
        for x in sorted({x for of in values for x in of})
    ]
    return Sheet(title, (panel.x_label, *(line.name for line in panel.lines)), tuple(rows))


def _of_bars(title: str, panel: Panel) -> Sheet:
    rows = [(bars.name, *(written(panel, y) for y in bars.y)) for bars in panel.bars]
    return Sheet(title, (panel.x_label, *panel.groups), tuple(rows))


def number(x: float) -> str:
    """A value on the x axis."""
    return engineering(x) if abs(x) >= 1e4 else f"{x:.4g}"


def written(panel: Panel, y: Interval | None) -> str:
    """A value with its interval, in the unit of the panel; empty without one."""
    if y is None:
        return ""
    mean, low, high = (
        engineering(value) if abs(value) >= 1e4 else f"{value:.1f}" for value in scaled(panel, y)
    )
    return f"{mean} [{low}, {high}]"
