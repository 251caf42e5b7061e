# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of figures: read back from CSV as they were, and as readable tables."""

import csv
import io

import pytest
from report import gallery

from ttc_jax.report.drawing.sheet import COLUMNS, csv_text, sheets
from ttc_jax.report.plots import Bars, Figure, Line, Panel, Star
from ttc_jax.study.stats import Interval

FIGURES = {figure.key: figure for figure in gallery.figures() if figure.panels}


def read(figure: Figure) -> list[dict[str, str]]:
    text = csv_text(figure)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    return list(csv.DictReader(io.StringIO(text)))


def interval(row: dict[str, str]) -> Interval:
    return Interval(*(float(row[key]) for key in ("mean", "low", "high")), int(row["n"]))


@pytest.mark.parametrize("key", FIGURES)
def test_a_csv_file_holds_every_number_exactly(key):
    rows = iter(read(FIGURES[key]))
    for panel in FIGURES[key].panels:
        expected = [("line", line.name, x, y) for line in panel.lines
                    for x, y in zip(line.x, line.y, strict=True)]  # fmt: skip
        expected += [("bar", bars.name, group, y) for bars in panel.bars
                     for group, y in zip(panel.groups, bars.y, strict=True) if y]  # fmt: skip
        expected += [("star", star.name, star.x, star.y) for star in panel.stars]
        for kind, series, x, y in expected:
            row = next(rows)
            assert (row["panel"], row["kind"], row["series"]) == (panel.title, kind, series)
            assert (row["x"] if kind == "bar" else float(row["x"])) == x
            assert interval(row) == y and row["unit"] == "%"
        for x, label in panel.marks:
            row = next(rows)
            assert (row["kind"], row["series"], float(row["x"])) == ("mark", label, x)
            assert row["mean"] == row["n"] == row["unit"] == ""
    assert next(rows, None) is None


def test_names_of_all_kinds_survive():
    names = ('a, "b"', "line\nbreak", "=1+1", "ü √ $")
    y = Interval(1 / 3, 0.1, 0.7, 3)
    figure = Figure(
        "k", "title", "s", panels=(
            Panel("", "x", "y", groups=names, bars=(Bars(names[0], "a", (y,) * 4),), y_unit="s"),
        ),
    )  # fmt: skip
    rows = read(figure)
    assert [row["x"] for row in rows] == list(names)
    assert {row["series"] for row in rows} == {names[0]} and rows[0]["panel"] == "title"
    assert [interval(row) for row in rows] == [y] * 4 and rows[0]["unit"] == "s"


def test_tables_have_a_row_for_each_x_and_a_column_for_each_series():
    y = Interval(0.5, 0.25, 0.75, 9)
    panel = Panel(
        "p", "N", "accuracy", 
        lines=(Line("a", "a", (1.0, 4.0), (y, y)), Line("b", "b", (4.0,), (y,))),
        stars=(Star("s", "s", 15.77, y),),
    )  # fmt: skip
    first, stars = sheets(Figure("k", "t", "s", panels=(panel,)))
    text = "50.0 [25.0, 75.0]"
    assert first.header == ("N", "a", "b")
    assert first.rows == (("1", text, ""), ("4", text, text))
    assert stars.header == ("stars", "N", "accuracy") and stars.rows == (("s", "15.77", text),)


def test_tables_of_bars_have_a_column_for_each_group():
    y = Interval(2e13, 1e13, 3e13, 9)
    panel = Panel("", "bin", "cost", groups=("1", "2"), bars=(Bars("a", "a", (y, None)),),
                  y_unit="FLOPs")  # fmt: skip
    (sheet,) = sheets(Figure("k", "t", "s", panels=(panel,)))
    assert sheet.title == "t" and sheet.header == ("bin", "1", "2")
    assert sheet.rows == (("a", "20 T [10 T, 30 T]", ""),)
