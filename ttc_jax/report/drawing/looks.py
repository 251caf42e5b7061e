# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How a series is drawn, by what it stands for: the same in every figure of a report.

A look differs from others of its figure in colour, marker and dashes at once, so that it is told
apart without colours too.
"""

import math
import re
import zlib
from dataclasses import dataclass, replace

from ttc_jax.report.drawing import colours
from ttc_jax.report.drawing.colours import OPPOSED, RISING, mix, ramp

SOLID: tuple[float, ...] = ()


@dataclass(frozen=True)
class Look:
    """A colour, one of matplotlib's markers, and lengths of dashes and gaps, none if solid."""

    colour: str
    marker: str = "o"
    dashes: tuple[float, ...] = SOLID


_DISC = Look(colours.BLUE, "o")
_UP = Look(colours.VERMILION, "^")
_DOWN = Look(colours.PURPLE, "v", (6, 2))
_DIAMOND = Look(colours.TEAL, "D", (6, 2, 1.5, 2))
_PLUS = Look(colours.GOLD, "P", (3.5, 1.5))
_CROSS = Look(colours.INDIGO, "X", (1.2, 1.6))
_HEXAGON = Look(colours.ROSE, "h", (8, 2, 1.5, 1.5, 1.5, 2))
_PENTAGON = Look(colours.SKY, "p", (10, 2))
_SQUARE = Look(colours.GREY, "s")
_THIN = Look(colours.INK, "d", (3.5, 1.5))
_CYCLE = (_DISC, _UP, _DOWN, _DIAMOND, _PLUS, _CROSS, _HEXAGON, _PENTAGON, _SQUARE)
_MARKERS = tuple(look.marker for look in _CYCLE)

_LOOKS = {
    "majority": _SQUARE,
    "best": _THIN,
    "weighted": _DISC,
    "hierarchical": _UP,
    "coverage": _PENTAGON,
    "pass": _PENTAGON,
    "likelihood": Look(colours.VIOLET, "*", (12, 2, 2, 2)),  # in every figure, beside any other
    "best_of_n": _DISC,
    "beam_4": _UP,
    "beam_sqrt": _DOWN,
    "lookahead_1_sqrt": _DIAMOND,
    "lookahead_1_4": Look(colours.TEAL, "<", (2, 1.2)),
    "lookahead_3_sqrt": _PLUS,
    "lookahead_3_4": _CROSS,
    "dvts_4": _HEXAGON,
    "dvts_sqrt": Look(colours.ROSE, ">", (2, 1.2)),
    "rebase": _PENTAGON,
    "revise": _DIAMOND,
    "sequential": _UP,
    "parallel": _PENTAGON,
    "oracle": _UP,
    "predicted": _DOWN,
    "few": _PLUS,
    "probe": _CROSS,
    "prm": _DISC,
    "orm": _DIAMOND,
    "orm_history": _UP,
    "base_prm": _DOWN,
    "last": _DISC,
    "min": _PLUS,
    "prod": _HEXAGON,
    "mean": _CROSS,
    "small": _DISC,
    "large": _UP,
    "large_thinking": _DOWN,
    "easy": Look(ramp(RISING, 0.0), "o"),
    "medium": Look(ramp(RISING, 0.5), "^", (6, 2)),
    "hard": Look(ramp(RISING, 1.0), "s", (3.5, 1.5)),
    "phase_prefill": Look(mix(colours.BLUE, colours.PAPER, 0.6)),
    "phase_revision_context": Look(mix(colours.BLUE, colours.PAPER, 0.35)),
    "phase_decode": Look(colours.BLUE),
    "phase_lookahead": Look(colours.SKY),
    "phase_rollout": Look(colours.INDIGO),
    "phase_verifier_prefill": Look(mix(colours.VERMILION, colours.PAPER, 0.6)),
    "phase_verify_context": Look(mix(colours.VERMILION, colours.PAPER, 0.35)),
    "phase_verify": Look(colours.VERMILION),
    "phase_verify_lookahead": Look(colours.GOLD),
    "phase_training": Look(colours.PURPLE),
    "phase_difficulty": Look(colours.TEAL),
    "phase_discarded": Look(colours.GREY),
}
RAMPS = {"budget": RISING, "ratio": OPPOSED}  # looks of bars whose `shade` is a place on a ramp
BINS = 5
MOST = 9  # doublings of a budget through which its colours run


def look(name: str) -> Look:
    """The look of what `name` stands for.

    Names made of a number have the colour of its place: "bin_1" (the easiest) to "bin_5",
    "budget_16" (generations), "ratio_1:4" or "ratio_0.25" (sequential to parallel). A search by the
    likelihood, such as "likelihood_beam_4", has the colour of that and all else of the search. An
    unknown name has the colour of one usual look and the marker of another, always the same.
    """
    kind, _, number = name.rpartition("_")
    if name in _LOOKS:
        return _LOOKS[name]
    if name.startswith("likelihood_"):
        return replace(look(name.removeprefix("likelihood_")), colour=colours.VIOLET)
    if kind == "bin" and number.isdecimal():
        at = int(number) - 1
        return Look(ramp(RISING, at / (BINS - 1)), _MARKERS[at % len(_MARKERS)])
    if kind == "budget" and (budget := _ratio(number)):
        at = max(round(math.log2(budget)), 0)
        return Look(ramp(RISING, at / MOST), _MARKERS[at % len(_MARKERS)])
    if kind == "ratio" and (ratio := _ratio(number)):
        at = math.log2(ratio)
        return Look(ramp(OPPOSED, (at + 8) / 16), _MARKERS[round(at) % len(_MARKERS)])
    number = zlib.crc32(name.encode("utf-8"))
    colour, form = (_CYCLE[at % len(_CYCLE)] for at in (number, number // len(_CYCLE)))
    return Look(colour.colour, form.marker, form.dashes)


def of_strategy(strategy: str) -> str:
    """The name of the look of a strategy such as "beam(N=16,M=4)" or "revise(s=4,p=2)"."""
    name, _, inside = strategy.partition("(")
    values = dict(re.findall(r"(\w+)=([\d.]+)", inside))
    if name == "revise" and {"s", "p"} <= values.keys():
        return f"ratio_{values['s']}:{values['p']}"
    width = "4" if values.get("M") == "4" else "sqrt"
    kind = f"lookahead_{values.get('k')}" if name == "lookahead" else name
    return f"{kind}_{width}" if f"{kind}_{width}" in _LOOKS else kind


def _ratio(text: str) -> float | None:
    """The positive number that "16", "0.25" or "1:4" stands for, None if it is no such number."""
    above, _, below = text.partition(":")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return None
    return value if 0 < value < math.inf else None
