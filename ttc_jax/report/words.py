# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How the report writes numbers; "–" for what is not known."""

from jinja2 import Undefined

from ttc_jax.report.drawing.axes import engineering
from ttc_jax.verify.grade import Verdict

NOTHING = "–"
_MARKS = {
    Verdict.CORRECT: ("✓", "right"),
    Verdict.WRONG: ("✗", "wrong"),
    Verdict.UNPARSED: ("", "no answer"),
    Verdict.TIMEOUT: ("", "grading timed out"),
}


def known(value: object) -> bool:
    return value is not None and not isinstance(value, Undefined)


def percent(share: float | None) -> str:
    """A share in percent, without the sign: 0.4321 is "43.2"."""
    return f"{100 * share:.1f}".replace("-0.0", "0.0") if known(share) else NOTHING


def signed(share: float | None) -> str:
    """A difference of shares in percent points: "+3.1"."""
    if not known(share):
        return NOTHING
    points = round(100 * share, 1)
    return f"{points:+.1f}".replace("-", "\N{MINUS SIGN}") if points else "0.0"


def times(factor: float | None) -> str:
    """How many times: "3.9 ×"; a bound that there is not is infinite."""
    return "∞" if factor is None else f"{factor:.2g} ×"


def amount(value: float | None) -> str:
    """A number as it is, with an SI prefix from ten thousand on; a text stays a text."""
    if not known(value) or isinstance(value, str):
        return value if isinstance(value, str) else NOTHING
    return engineering(value) if abs(value) >= 1e4 else f"{value:.4g}"


def si(value: float | None) -> str:
    """A number of FLOPs or bytes with its SI prefix and room for a unit: "3.1 T"."""
    if not known(value):
        return NOTHING
    text = engineering(value)
    return text if " " in text else text + " "


def duration(seconds: float | None) -> str:
    """A time in its two largest units: "3 h 26 min"."""
    if not known(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def score(value: float | None) -> str:
    return f"{value:.3f}" if known(value) else NOTHING


def mark(name: str) -> str:
    """What grading found, as a sign where there is one."""
    sign, said = _MARKS[Verdict(name)]
    return sign or said


def verdict(name: str) -> str:
    """What grading found, in words."""
    return " ".join(_MARKS[Verdict(name)]).strip()


def unit(name: str) -> str:
    """The unit of a budget in words."""
    return {"flops": "FLOPs per question"}.get(name, name)


def sentence(text: str) -> str:
    """A text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
