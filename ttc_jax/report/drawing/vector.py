# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""SVG as text: a file with nothing in it that is not needed, and a part of an HTML page."""

import re
from collections.abc import Iterable
from html import escape

from ttc_jax.report.drawing.colours import at_night

FONTS = "'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif"
_LINES = 'stroke-linejoin="round" stroke-linecap="butt"'
_COLOUR = re.compile(r"#([0-9a-f]{6})\b")
_VARIABLE = re.compile(r"var\(--c-([0-9a-f]{6})\)")


def cleaned(svg: str) -> str:
    """The SVG without what matplotlib adds to it, coordinates rounded to 1/100 of a point.

    The document type, metadata, comments and ids that nothing refers to go. The style that
    matplotlib gives to all elements, of a whole page too, and the fonts move to the root.
    """
    svg = re.sub(r"<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", lambda tag: _shorter(tag[0]), svg)
    svg = svg.replace("<svg ", f'<svg {_LINES} font-family="{FONTS}" ', 1)
    used = set(re.findall(r"(?:url\(|href=\")#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r"<g>\s*</g>", "", svg)
    return re.sub(r"\s*\n\s*", "\n", svg)


def inlined(svg: str, prefix: str, label: str = "") -> str:
    """The root element of a cleaned SVG, for use in an HTML page.

    Its ids begin with `prefix`, which must be another for every SVG of a page; its letters are
    those of the page; and every colour is a variable of the page, declared by `declared`. With a
    label it is an image of that name, without one an ornament.
    """
    box = re.search(r'viewBox="[^"]*"', svg)[0]
    body = svg[svg.index(">", svg.index("<svg")) + 1 :].strip()
    body = body.replace("xlink:href=", "href=")
    body = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
    body = re.sub(r"<[^>]*>", lambda tag: variable(tag[0]), body)
    name = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return f"<svg {box} {name} {_LINES}>{body}"


def variable(text: str) -> str:
    """The text with every colour in it as a variable of the page."""
    return _COLOUR.sub(r"var(--c-\1)", text)


def declared(parts: Iterable[str], *, night: bool = False) -> str:
    """Declarations of all colours that occur as variables in these parts of a page."""
    colours = sorted({f"#{digits}" for part in parts for digits in _VARIABLE.findall(part)})
    values = (at_night(colour) if night else colour for colour in colours)
    return "".join(f"--c-{c[1:]}:{v};" for c, v in zip(colours, values, strict=True))


def _shorter(tag: str) -> str:
    """A tag whose numbers have at most two decimals, without fonts and turns by nothing."""
    tag = re.sub(r"font-family: [^;\"]*;? ?| transform=\"rotate\(-?0 [^\"]*\"", "", tag)
    return re.sub(r"-?\d+\.\d{3,}(?:e-?\d+)?", lambda number: _rounded(number[0]), tag)


def _rounded(number: str) -> str:
    return f"{float(number):.2f}".rstrip("0").rstrip(".")
