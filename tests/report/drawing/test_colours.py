# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Colours against WCAG contrast and a simulation of colour blindness (Machado et al. 2009)."""

from itertools import combinations

import numpy as np
import pytest

from ttc_jax.report.drawing import colours
from ttc_jax.report.drawing.colours import at_night, mix, ramp

PALETTE = (
    colours.BLUE, colours.VERMILION, colours.TEAL, colours.PURPLE, colours.GOLD, colours.INDIGO,
    colours.SKY, colours.ROSE, colours.GREY, colours.VIOLET,
)  # fmt: skip
# What is left of linear red, green and blue at full severity.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    srgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lightness_and_opponents(light: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, by the standard and not by the code that is tested."""
    xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                    [0.0193339, 0.1191920, 0.9503041]]) @ light.clip(0, 1)  # fmt: skip
    ratio = xyz / [0.95047, 1.0, 1.08883]
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(first: str, second: str) -> float:
    weights = (0.2126, 0.7152, 0.0722)
    low, high = sorted(float(linear(colour) @ weights) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("kind", BLINDNESS)
def test_hues_stay_apart_for_every_reader(kind):
    seen = {c: lightness_and_opponents(np.array(BLINDNESS[kind]) @ linear(c)) for c in PALETTE}
    nearest = min(np.linalg.norm(seen[a] - seen[b]) for a, b in combinations(PALETTE, 2))
    assert nearest > 9  # 2.3 is a difference that is just noticed


@pytest.mark.parametrize("night", [False, True])
def test_everything_stands_out_from_the_page(night):
    turned = at_night if night else str
    paper = turned(colours.PAPER)
    for colour in (*PALETTE, *colours.RISING, *colours.OPPOSED):
        assert contrast(turned(colour), paper) > (2.3 if colour == colours.RISING[0] else 2.6)
    for colour in (colours.INK, colours.SOFT):
        assert contrast(turned(colour), paper) > 4.5
    assert 1.05 < contrast(turned(colours.GRID), paper) < 2


def test_shades_keep_their_order_at_night():
    def light(colour):
        return float(linear(colour).sum())

    shades = [mix(colours.PAPER, colours.BLUE, share) for share in np.linspace(0, 1, 9)]
    assert sorted(shades, key=light) == shades[::-1]
    nights = [at_night(shade) for shade in shades]
    assert sorted(nights, key=light) == nights
    assert at_night("#000000") > "#e00000" and at_night("#ffffff") < "#202020"


def test_a_mixture_begins_and_ends_with_its_colours():
    assert mix("#102030", "#f0e0d0", 0) == "#102030"
    assert mix("#102030", "#f0e0d0", 1) == "#f0e0d0"
    assert mix("#000000", "#ffffff", 0.5) == "#636363"  # half the lightness: 0.125 of the light


def test_a_ramp_goes_through_all_its_colours():
    at = [ramp(colours.RISING, i / 4) for i in range(5)]
    assert at == list(colours.RISING)
    assert ramp(colours.RISING, -1) == at[0] and ramp(colours.RISING, 7) == at[-1]
    assert ramp(colours.RISING, 0.125) == mix(at[0], at[1], 0.5)


@pytest.mark.parametrize("colour", ["red", "#fff", "12345678"])
def test_other_notations_are_refused(colour):
    with pytest.raises(ValueError, match="rrggbb"):
        at_night(colour)
