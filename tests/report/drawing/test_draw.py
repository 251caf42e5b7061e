# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures as SVG: every point, bar, star and word that a spec asks for is there."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from report import gallery

from ttc_jax.report.drawing import draw
from ttc_jax.report.drawing.legend import Entry, entries, toned
from ttc_jax.report.drawing.looks import look
from ttc_jax.report.plots import Bars, Figure, Line, Panel, Star
from ttc_jax.study.stats import Interval

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
ROOT = Path(__file__).resolve().parent.parent.parent
FIGURES = {figure.key: figure for figure in gallery.figures() if figure.panels}
Y = Interval(0.5, 0.4, 0.6, 100)


def filled(svg: str, colour: str, tag: str = "use") -> int:
    """How many elements of a kind, bands left out, are filled with a colour."""
    styles = [one.get("style") or "" for one in ElementTree.fromstring(svg).iter(SVG + tag)]
    return sum(f"fill: {colour}" in style and "opacity" not in style for style in styles)


def words(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(SVG + "text")]


def lines_of(*lines: Line, **more) -> Panel:
    return Panel("title", "across", "upwards", lines=lines, **more)


def bars_of(*bars: Bars, **more) -> Panel:
    return Panel("title", "across", "upwards", groups=("one", "two"), bars=bars, **more)


@pytest.mark.parametrize("key", FIGURES)
def test_every_kind_of_figure_is_a_whole_file_of_its_own(key):
    svg = draw.svg(FIGURES[key])
    root = ElementTree.fromstring(svg)
    ids = Counter(element.get("id") for element in root.iter() if element.get("id"))
    assert max(ids.values()) == 1
    links = {element.get(LINK) for element in root.iter() if element.get(LINK)}
    assert all(link[0] == "#" and link[1:] in ids for link in links)
    assert not any(element.get("href") for element in root.iter())
    assert len(svg) < 120_000
    said = words(svg)
    for panel in FIGURES[key].panels:
        assert {panel.title, panel.x_label, f"{panel.y_label} (%)"} <= set(said)
    assert {entry.text for entry in entries(FIGURES[key].panels)} <= set(said)


def test_a_line_has_a_marker_at_every_point_and_a_band():
    line = Line("a", "oracle", (1.0, 2.0, 8.0), (Y, Y, Interval(0.7, 0.6, 0.8, 100)))
    svg = draw.panel_svg(lines_of(line))
    colour = look("oracle").colour
    assert filled(svg, colour) == 3
    assert f"fill: {colour}; fill-opacity: 0.11" in svg
    assert {"1", "2", "4", "8"} <= set(words(svg))


def test_dashed_lines_are_hollow_and_points_alone_have_no_line():
    colour = look("oracle").colour
    solid, dashed, points = (
        draw.panel_svg(lines_of(Line("a", "oracle", (1.0, 2.0), (Y, Y), **more)))
        for more in ({}, {"dashed": True}, {"scatter": True})
    )
    assert filled(dashed, "#ffffff") == 2 and filled(dashed, colour) == 0
    assert "stroke-dasharray" in dashed and "stroke-dasharray" not in solid
    assert filled(points, colour) == 2 and "fill-opacity" not in points
    assert solid.count(f"stroke: {colour}; stroke-width: 1.5") == 1
    assert f"stroke: {colour}; stroke-width: 1.5" not in points


def test_a_single_point_has_an_error_bar_and_a_line_without_points_nothing():
    svg = draw.panel_svg(lines_of(Line("a", "prm", (4.0,), (Y,)), Line("b", "orm", (), ())))
    assert filled(svg, look("prm").colour) == 1 and "fill-opacity" not in svg
    assert f"stroke: {look('prm').colour}; stroke-opacity: 0.35" in svg
    assert look("orm").colour not in svg


def test_stars_and_marked_lines():
    stars = tuple(Star("larger", f"bin_{b}", x, Y) for b in (1, 2) for x in (16.0, 64.0))
    line = Line("a", "majority", (1.0, 64.0), (Y, Y))
    svg = draw.panel_svg(lines_of(line, stars=stars, marks=((16.0, "R >> 1"), (64.0, "R = 1"))))
    assert filled(svg, look("bin_1").colour) == filled(svg, look("bin_2").colour) == 2
    assert {"R >> 1", "R = 1"} <= set(words(svg))


def test_bars_side_by_side_and_where_there_are_none():
    svg = draw.panel_svg(bars_of(Bars("a", "prm", (Y, Y)), Bars("b", "orm", (Y, None))))
    assert filled(svg, look("prm").colour, "path") == 2
    assert filled(svg, look("orm").colour, "path") == 1
    assert {"one", "two", "50.0"} <= set(words(svg))  # so few bars have their values on them


def edges(svg: str, colour: str) -> list[tuple[float, float, float]]:
    """Left, upper edge (counted downwards) and width of each bar of a colour."""
    found = []
    for path in ElementTree.fromstring(svg).iter(SVG + "path"):
        if f"fill: {colour}" in (path.get("style") or ""):
            numbers = [float(n) for n in path.get("d").split() if n[-1].isdigit()]
            x, y = numbers[::2], numbers[1::2]
            found.append((min(x), min(y), max(x) - min(x)))
    return found


def test_bars_of_a_stack_share_a_place_and_the_lowest_is_in_front():
    heights = {"N = 4": 0.3, "N = 16": 0.8, "N = 64": 0.5}
    bars = [
        Bars(f"beam, {name}", "beam_4", (Interval(y, y, y, 9), None), stack="beam", shade=i / 2)
        for i, (name, y) in enumerate(heights.items())
    ]
    svg = draw.panel_svg(bars_of(*bars))
    found = [edges(svg, toned("beam_4", bar.shade, stacked=True)) for bar in bars]
    assert [len(one) for one in found] == [1, 1, 1]
    (low,), (high,), (middle,) = found
    assert low[0] == middle[0] == high[0] and low[2] == middle[2] == high[2]
    assert low[1] > middle[1] > high[1]
    order = [svg.index(f"fill: {toned('beam_4', shade, stacked=True)}") for shade in (0.5, 1, 0)]
    assert order == sorted(order)


def test_bars_go_down_below_zero_and_have_signs():
    up, down = Interval(0.21, 0.2, 0.22, 9), Interval(-0.243, -0.26, -0.23, 9)
    svg = draw.panel_svg(bars_of(Bars("a", "easy", (up, down))))
    first, second = sorted(edges(svg, look("easy").colour))
    assert first[1] < second[1]
    assert {"+21.0", "\N{MINUS SIGN}24.3"} <= set(words(svg))
    assert "−20" in words(svg)


def test_values_in_words_are_not_percent():
    line = Line(
        "a", "prm", (1.0, 2.0), (Interval(2e12, 1e12, 3e12, 9), Interval(4e12, 3e12, 5e12, 9))
    )
    said = words(draw.panel_svg(lines_of(line, y_unit="FLOPs")))
    assert "upwards (FLOPs)" in said and "2 T" in said


def test_dollars_and_underscores_are_letters():
    svg = draw.panel_svg(
        lines_of(Line("a", "prm", (1.0, 2.0), (Y, Y)), marks=((2.0, "$5 < $a_b$"),))
    )
    assert "$5 < $a_b$" in words(svg)


def test_the_legend_names_what_is_drawn_alike_once():
    figure = gallery.matched()
    assert [entry.text for entry in entries(figure.panels)] == [
        "bin 1", "bin 2", "bin 3", "bin 4", "bin 5", "14x larger model, greedy",
    ]  # fmt: skip
    assert [entry.text for entry in entries(gallery.bars_by_bin().panels)] == [
        "beam, M = 4", "best-of-N, weighted", "majority", "N = 4", "N = 16", "N = 64", "N = 256",
    ]  # fmt: skip
    kinds = {entry.text: entry.kind for entry in entries(gallery.optimal_revisions().panels)}
    assert kinds["parallel, weighted"] == "line" and kinds["parallel, majority"] == "dashed"


@pytest.mark.parametrize("kind", ["line", "dashed", "scatter", "bar", "star"])
def test_a_swatch_shows_the_look(kind):
    svg = draw.swatch(Entry("x", kind, "" if kind in ("bar", "star") else "orm", "#178a5a"))
    ElementTree.fromstring(svg)
    assert "#178a5a" in svg
    assert ("stroke-dasharray" in svg) == (kind in ("line", "dashed"))
    assert len(list(ElementTree.fromstring(svg).iter(SVG + "use"))) == (kind != "bar")


def test_equal_figures_have_equal_bytes_in_another_process_too():
    code = (
        "import hashlib, sys; from report import gallery; from ttc_jax.report.drawing import draw\n"
        "figure = gallery.matched()\n"
        "print(hashlib.sha256(draw.svg(figure).encode() + draw.png(figure)).hexdigest())\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PYTHONHASHSEED": seed, "PATH": "/bin"},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1] != ""


def test_a_png_is_small_and_says_nothing_about_who_made_it():
    png = draw.png(gallery.optimal_search())
    assert png.startswith(b"\x89PNG") and len(png) < 120_000
    assert b"tEXt" not in png and b"matplotlib" not in png


def test_the_state_of_matplotlib_stays_as_it_was():
    before = dict(matplotlib.rcParams)
    draw.svg(gallery.optimal_search())
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        (bars_of(Bars("b", "b", (Y,))), "'b' has 1 bars for 2 groups"),
        (lines_of(Line("l", "l", (1.0, 2.0), (Y,))), "'l' has 2 x for 1 y"),
        (lines_of(), "panel 'title' has no values"),
        (bars_of(Bars("b", "b", (None, None))), "has no values"),
        (bars_of(Bars("b", "b", (Y, Y)), lines=(Line("l", "l", (1.0,), (Y,)),)), "both bars and"),
        (lines_of(Line("l", "l", (0.0,), (Y,))), "x is 0 on a logarithmic axis"),
    ],
)
def test_what_cannot_be_drawn_is_said(panel, message):
    with pytest.raises(ValueError, match=message):
        draw.panel_svg(panel)
    with pytest.raises(ValueError, match=message):
        draw.svg(Figure("k", "t", "s", panels=(panel,)))


def test_a_figure_without_data_says_what_it_lacks():
    with pytest.raises(ValueError, match="figure 16 has no panels: needs runs"):
        draw.draw(Figure("16", "t", "s", missing="needs runs"))
