# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Colours of figures and pages: mixtures and ramps of them, and what becomes of one at night.

A colour is a string "#rrggbb". Colours are mixed in OKLab, where equal distances look alike.
"""

from collections.abc import Sequence

import numpy as np

INK = "#1f2328"
SOFT = "#57606a"
GRID = "#e3e6ea"
PAPER = "#ffffff"

# Ten hues that stay apart for readers with any common colour blindness (see tests/study).
BLUE = "#0b62b5"
VERMILION = "#b8390b"
TEAL = "#178a5a"
PURPLE = "#7d1a5c"
GOLD = "#b0901c"
INDIGO = "#3d1a90"
SKY = "#4f9ae6"
ROSE = "#df709c"
GREY = "#59616a"
VIOLET = "#8822ee"

RISING = ("#c9a227", "#d2622a", "#a3316f", "#5b2a86", "#1d2a63")  # light to dark
OPPOSED = (BLUE, "#9a9fa6", VERMILION)

# OKLab (Ottosson 2020): linear sRGB to cone responses, and their cube roots to L, a, b.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Lightness by day and by night: paper turns dark, ink light, and an order of shades is kept.
_DAY = (0.0, 0.45, 0.65, 0.9, 1.0)
_NIGHT = (0.97, 0.76, 0.66, 0.36, 0.19)


def mix(first: str, second: str, share: float) -> str:
    """The colour that holds `share` (0 to 1) of the second and the rest of the first."""
    return _hex((1 - share) * _oklab(first) + share * _oklab(second))


def ramp(colours: Sequence[str], at: float) -> str:
    """The colour at `at` (cut off to 0 to 1) on the way through all of `colours`."""
    place = min(max(at, 0.0), 1.0) * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    return mix(colours[first], colours[first + 1], place - first)


def at_night(colour: str) -> str:
    """The colour that stands for this one on a dark page: of the same hue, its lightness turned."""
    lightness, *hue = _oklab(colour)
    turned = float(np.interp(lightness, _DAY, _NIGHT))
    return _hex(np.array([turned, *hue]))


def _oklab(colour: str) -> np.ndarray:
    if len(colour) != 7 or colour[0] != "#":
        raise ValueError(f"colour {colour!r} is not written #rrggbb")
    srgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return _LAB @ np.cbrt(_CONES @ linear)


def _hex(lab: np.ndarray) -> str:
    linear = np.linalg.solve(_CONES, np.linalg.solve(_LAB, lab) ** 3).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * float(value)):02x}" for value in srgb)
