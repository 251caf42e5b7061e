# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A claim of the paper, what tests it, and its verdict: shown, refuted, or undecided."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.folds import folds
from ttc_jax.study.stats import Interval, bootstrap

SHOWN, REFUTED, UNDECIDED = "shown", "refuted", "undecided"
MARGIN = 0.01  # of accuracy: a gain that is surely smaller is none
FLAT = 0.03  # of accuracy: the paper's hardest bin goes from 1 % to 3 %, which it calls no progress
LARGE = 0.2  # of right attempts: a share that is surely above is a large one (the paper's: 0.38)
LEAST = 8  # questions: a bootstrap of fewer says nothing


@dataclass(frozen=True)
class Expected:
    """What a claim says of a number.

    It is shown where the interval of the number lies between `low` and `high`, and refuted where it
    lies below `below` or above `above`; that comes first.
    """

    words: str
    low: float = -math.inf
    high: float = math.inf
    below: float = -math.inf
    above: float = math.inf

    def verdict(self, found: Interval) -> str:
        """The verdict from an interval, whose bounds may be infinite."""
        if found.high < self.below or found.low > self.above:
            return REFUTED
        above = self.low == -math.inf or found.low > self.low
        below = self.high == math.inf or found.high < self.high
        return SHOWN if above and below else UNDECIDED


MORE = Expected("above 0", low=0.0, below=0.0)
NO_LESS = Expected(f"not below 0 by {MARGIN:.0%}", low=-MARGIN, below=0.0)
NO_MORE = Expected(f"not above 0 by {MARGIN:.0%}", high=MARGIN, above=0.0)
LEVEL = Expected(f"within {FLAT:.0%} of 0", low=-FLAT, high=FLAT, below=-FLAT, above=FLAT)
MUCH = Expected(f"above {LARGE:.0%}", low=LARGE, below=LARGE)
FEWER = Expected("above 1", low=1.0, below=1.0)


@dataclass(frozen=True)
class Lack:
    """What a verdict needs: `what` in words, and the search that would supply it.

    `scorer` is the format of its verifier, `model` what its policy is trained as ("": the base).
    Without a strategy no single search would do.
    """

    what: str
    strategy: str = ""
    scorer: str = "steps"
    model: str = ""


@dataclass(frozen=True)
class Part:
    """One thing that a claim says, or (without a verdict) something to know beside it.

    Fields:
      name: what is compared.
      verdict: SHOWN, REFUTED, UNDECIDED, or "".
      said: what was measured, in words.
      expected: when it is shown, in words.
      found: the difference, with its interval over questions; None without data, or where exact.
      unit: "points" for differences of accuracy, "share", "times", "exact".
      lack: what there is too little of; None where nothing lacks.
    """

    name: str
    verdict: str
    said: str
    expected: str = ""
    found: Interval | None = None
    unit: str = "points"
    lack: Lack | None = None


@dataclass(frozen=True)
class Claim:
    """A claim of section 12 of the notes on the paper, by its number there.

    It is shown where every part is, refuted where any part is, else undecided. `beside` is what a
    reader should know and no verdict rests on.
    """

    number: int
    sentence: str
    parts: tuple[Part, ...]
    beside: tuple[Part, ...] = ()

    @property
    def verdict(self) -> str:
        """SHOWN, REFUTED or UNDECIDED."""
        verdicts = {part.verdict for part in self.parts}
        if REFUTED in verdicts:
            return REFUTED
        return SHOWN if verdicts == {SHOWN} else UNDECIDED

    @property
    def deciding(self) -> Part:
        """The first part of the claim's own verdict, if possible one that was measured."""
        own = [part for part in self.parts if part.verdict == self.verdict]
        return next((part for part in own if part.found is not None), own[0])

    @property
    def measured(self) -> str:
        """What was measured, as a sentence."""
        return "; ".join(part.said for part in self.parts) + "."


def judged(name: str, expected: Expected, found: Interval, unit: str = "points") -> Part:
    """A part with the verdict that its interval gives; undecided below `LEAST` questions."""
    words = f"{name}: {_shown(found, unit)}"
    if found.n < LEAST:
        lack = Lack(f"at least {LEAST} questions; it is over {found.n}")
        return Part(name, UNDECIDED, words, expected.words, found, unit, lack)
    return Part(name, expected.verdict(found), words, expected.words, found, unit)


def noted(name: str, found: Interval, unit: str = "points") -> Part:
    """Something to know beside a claim."""
    return Part(name, "", f"{name}: {_shown(found, unit)}", found=found, unit=unit)


def unmeasured(name: str, expected: Expected, lack: Lack) -> Part:
    """A part without data."""
    return Part(name, UNDECIDED, f"{name}: not measured", expected.words, lack=lack)


def difference(
    first: np.ndarray, second: np.ndarray, boot: Mapping, members: np.ndarray | None = None
) -> Interval:
    """The mean of `first - second`, f64[Q], over paired questions (or the indices `members`).

    Percentile bootstrap over questions. Equal values, of which it would make an interval of width
    0, get the rule of three: a question unlike n others that are alike has at most a chance of 3/n.
    """
    apart = first - second
    if members is not None:
        apart = apart[members]
    found = bootstrap(apart, **boot)
    if np.ptp(apart) > 1e-12:
        return found
    room = 3 / found.n
    return Interval(found.mean, max(-1.0, found.low - room), min(1.0, found.high + room), found.n)


def best_elsewhere(rows: Sequence[np.ndarray], questions: Sequence[str]) -> np.ndarray:
    """Of several rows f64[Q], for each half of the questions that which is best on the other half.

    f64[Q]: so no question helps to choose what it is scored with, and the best of several is not
    better by luck. Halves are `folds` of the ids; of equals the first row is taken.
    """
    table, apart = np.stack(rows), folds(questions)
    found = np.empty(table.shape[1])
    for fold in np.unique(apart):
        held = apart == fold
        found[held] = table[table[:, ~held].mean(axis=1).argmax(), held]
    return found


def by_budget(curve: Curve | None) -> dict[float, Measured]:
    """The points of a curve by their budget, none without a curve."""
    return {point.budget: point for point in curve.points} if curve else {}


def mean_right(points: Mapping[float, Measured], budgets: Sequence[float]) -> np.ndarray:
    """The mean of right over several budgets, f64[Q]."""
    return np.mean([points[budget].right for budget in budgets], axis=0)


def listed(budgets: Sequence[float]) -> str:
    """Budgets in words: "N = 4, 16"."""
    return f"N = {', '.join(f'{budget:g}' for budget in budgets)}"


def _shown(found: Interval, unit: str) -> str:
    values = found.mean, found.low, found.high
    if unit == "points":
        mean, low, high = (f"{round(100 * value, 1) + 0.0:+.1f}" for value in values)
        return f"{mean} points [{low}, {high}]"
    if unit == "share":
        mean, low, high = (f"{value:.1%}" for value in values)
        return f"{mean} [{low}, {high}]"
    mean, low, high = ("∞" if math.isinf(value) else f"{value:.2g}" for value in values)
    return f"{mean} times [{low}, {high}]"
