# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a legend says: one entry for all series of a figure that are drawn alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ttc_jax.report.drawing.colours import GREY, INK, PAPER, mix, ramp
from ttc_jax.report.drawing.looks import RAMPS, look
from ttc_jax.report.plots import Panel


@dataclass(frozen=True)
class Entry:
    """A text, and how the series looks: `kind` is "line", "dashed", "scatter", "bar" or "star".

    `look` is empty for bars and stars, which have a colour only.
    """

    text: str
    kind: str
    look: str
    colour: str


def entries(panels: Sequence[Panel]) -> list[Entry]:
    """The entries of the legend of all panels together, each once, in the order of the series.

    Bars in stacks, called "what, which", have an entry for each `what` in its colour, and then one
    for each `which` in its shade of grey. Stars of one name and several colours have one in grey.
    """
    found: list[Entry] = []
    for panel in panels:
        for line in panel.lines:
            kind = "scatter" if line.scatter else "dashed" if line.dashed else "line"
            found.append(Entry(line.name, kind, line.look, look(line.look).colour))
        shades = []
        for bars in panel.bars:
            if bars.stack:
                what, _, which = bars.name.rpartition(", ")
                found.append(
                    Entry(what or bars.stack, "bar", "", toned(bars.look, 0.75, stacked=True))
                )
                shades.append(Entry(which, "bar", "", _tint(GREY, bars.shade)))
            else:
                found.append(Entry(bars.name, "bar", "", toned(bars.look, bars.shade)))
        found += shades
    found += _stars(panels)
    return list(dict.fromkeys(found))


def _stars(panels: Sequence[Panel]) -> Iterator[Entry]:
    colours: dict[str, set[str]] = {}
    for panel in panels:
        for star in panel.stars:
            colours.setdefault(star.name, set()).add(look(star.look).colour)
    for name, used in colours.items():
        yield Entry(name, "star", "", used.pop() if len(used) == 1 else GREY)


def toned(name: str, shade: float, stacked: bool = False) -> str:
    """The colour of bars of this look and shade (see `Bars`)."""
    if name in RAMPS:
        return ramp(RAMPS[name], shade)
    colour = look(name).colour
    return _tint(colour, shade) if stacked else mix(colour, INK, shade)


def _tint(colour: str, shade: float) -> str:
    return mix(PAPER, colour, 0.3 + 0.7 * shade)
