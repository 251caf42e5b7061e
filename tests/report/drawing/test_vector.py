# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""SVG texts by hand: what is left of a file, and what becomes of it inside a page."""

import re
from xml.etree import ElementTree

from ttc_jax.report.drawing.colours import at_night
from ttc_jax.report.drawing.vector import cleaned, declared, inlined, variable

FILE = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"
  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="10pt" height="5pt" viewBox="0 0 10 5" \
xmlns="http://www.w3.org/2000/svg" version="1.1">
 <metadata><a href="http://example.org/"/></metadata>
 <defs>
  <style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style>
 </defs>
 <!-- text -->
 <g id="figure_1">
  <defs><path id="m1" d="M 0.123456 -1.987654"/></defs>
  <use xlink:href="#m1" x="1.23456" style="fill: #0b62b5; fill-opacity: 0.11"/>
  <g clip-path="url(#p1)"/>
  <text style="font-size: 9px; font-family: 'DejaVu Sans', 'X'; text-anchor: middle" \
transform="rotate(-0 1 2)">#1f2328 is 0.123456 &lt; 1</text>
 </g>
 <defs><clipPath id="p1"><rect width="2"/></clipPath></defs>
</svg>
"""


def test_what_is_not_needed_goes():
    svg = cleaned(FILE)
    root = ElementTree.fromstring(svg)
    assert "example.org" not in svg and "DTD" not in svg and "text -->" not in svg
    assert "figure_1" not in svg and "<style" not in svg
    assert root.get("stroke-linejoin") == "round" and "DejaVu Sans" in root.get("font-family")
    assert 'd="M 0.12 -1.99"' in svg and 'x="1.23"' in svg and "rotate" not in svg
    assert 'style="font-size: 9px; text-anchor: middle"' in svg
    assert "#1f2328 is 0.123456 &lt; 1" in svg  # text is left alone


def test_a_part_of_a_page_has_names_and_colours_of_the_page():
    svg = inlined(cleaned(FILE), "f3", 'a "b" & c')
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg" and root.get("role") == "img" and root.get("aria-label") == 'a "b" & c'
    assert root.get("width") is None and root.get("viewBox") == "0 0 10 5"
    assert 'href="#f3-m1"' in svg and 'id="f3-m1"' in svg and "url(#f3-p1)" in svg
    assert "xmlns" not in svg and "http" not in svg and "DejaVu" not in svg
    assert "fill: var(--c-0b62b5); fill-opacity: 0.11" in svg
    assert "#1f2328 is" in svg
    assert ElementTree.fromstring(inlined(cleaned(FILE), "x")).get("aria-hidden") == "true"


def test_every_colour_of_a_page_is_declared_once():
    parts = [variable("fill: #0b62b5"), variable("#b8390b #0b62b5"), "#123456"]
    assert declared(parts) == "--c-0b62b5:#0b62b5;--c-b8390b:#b8390b;"
    night = dict(re.findall(r"--c-(\w+):(#\w+);", declared(parts, night=True)))
    assert night == {digits: at_night(f"#{digits}") for digits in ("0b62b5", "b8390b")}
