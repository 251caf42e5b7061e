# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A policy fitted on all questions: what to do with a new one and a budget, and why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from ttc_jax.study.bins import place
from ttc_jax.study.difficulty import Shrinkage
from ttc_jax.study.policy import UNITS, Allocation
from ttc_jax.study.probe import Probe

_SHOWN = 5  # of what was considered
ESTIMATORS = ("predicted", "few", "probe")


@dataclass(frozen=True)
class Considered:
    """A candidate that was within the budget, with its mean right on the bin's questions."""

    strategy: str
    rule: str
    accuracy: float


@dataclass(frozen=True)
class Entry:
    """What a bin (0 the easiest) is given at a budget.

    `accuracy` is cross-validated, `low` and `high` bound its interval over `n` questions. `source`
    is the run whose settings apply, `flops` the mean per question there, `generations` the budget
    of the strategy itself, `agreed` the share of folds that chose it too. `considered`: the best
    candidates in order.
    """

    bin: int
    budget: float
    strategy: str
    rule: str
    source: str
    accuracy: float
    low: float
    high: float
    n: int
    flops: float
    generations: float
    agreed: float
    considered: tuple[Considered, ...]


@dataclass(frozen=True)
class FittedPolicy:
    """A policy that puts a new question in a bin and looks up the strategy for a budget.

    Attributes:
      unit: of all budgets, "generations" or "flops".
      estimator: how ease is told, as JSON values: {"name": "predicted", "samples": m} (mean
        verifier value), {"name": "few", "samples": m, "mean", "between", "within"} (`Shrinkage` of
        verifier values), or {"name": "probe", "probe": `Probe.to_json()`}. Of the first
        two, "source" is the run whose settings its samples are drawn with.
      edges: thresholds of ease between bins, for `bins.place`.
      table: one entry for every bin and budget.
      sources: settings of each run that an entry comes from.
      made_from: what else is worth keeping, such as the number of questions.

    Raises:
      ValueError: a field that is malformed, or entries missing or twice; the field is named.
    """

    unit: str
    estimator: Mapping[str, Any]
    edges: tuple[float, ...]
    table: tuple[Entry, ...]
    sources: Mapping[str, Mapping[str, Any]]
    made_from: Mapping[str, Any]

    def __post_init__(self):
        if self.unit not in UNITS:
            raise ValueError(f"unit is {self.unit!r}, not one of {', '.join(UNITS)}")
        _check_estimator(self.estimator)
        try:
            place(0.0, self.edges)
        except ValueError as error:
            raise ValueError(f"edges: {error}") from error
        n_bins = len(self.edges) + 1
        places = [(entry.bin, entry.budget) for entry in self.table]
        for at, entry in enumerate(self.table):
            if not 0 <= entry.bin < n_bins:
                raise ValueError(f"table[{at}].bin is {entry.bin}; edges make {n_bins} bins")
            if places.index(places[at]) != at:
                raise ValueError(f"table[{at}] has the bin and budget of an earlier entry")
            if entry.source not in self.sources:
                raise ValueError(f"table[{at}].source {entry.source!r} is not among sources")
        missing = {(b, budget) for b in range(n_bins) for budget in self.budgets} - set(places)
        if missing or not self.table:
            raise ValueError(f"table lacks entries for (bin, budget) {sorted(missing)}")

    @property
    def budgets(self) -> tuple[float, ...]:
        """The budgets fitted, rising."""
        return tuple(sorted({entry.budget for entry in self.table}))

    @property
    def samples(self) -> int:
        """Generations per question that the estimate of ease takes, 0 for a probe."""
        return int(self.estimator.get("samples", 0))

    def ease(self, given: ArrayLike) -> tuple[float, float | None]:
        """Ease of a new question and its standard deviation, where the estimate has one.

        `given` is what the estimator works on: verifier values of samples f64[m], or features of
        the prompt f64[D] for a probe.

        Raises:
          ValueError: no or non-finite values, or features of another width.
        """
        if self.estimator["name"] == "probe":
            return float(Probe.from_json(self.estimator["probe"]).predict(given)), None
        if self.estimator["name"] == "few":
            return _shrinkage(self.estimator).estimate(given)
        # With nothing known of other questions the estimate is the mean itself.
        return Shrinkage(mean=0.0, between=1.0, within=0.0).estimate(given)[0], None

    def choose(self, ease: float, budget: float, unit: str) -> Entry:
        """The entry for a question of that ease: of the largest fitted budget within `budget`.

        Raises:
          ValueError: ease that is not finite, another unit, or a budget below all fitted ones.
        """
        if not math.isfinite(ease):
            raise ValueError(f"ease is {ease}: it must be finite")
        if unit != self.unit:
            raise ValueError(f"the policy is fitted in {self.unit}: give the budget in them")
        if not budget >= self.budgets[0]:
            raise ValueError(
                f"the smallest budget fitted is {self._words(self.budgets[0])}, more than "
                f"{budget:g}: raise the budget, or fit a policy with a smaller one"
            )
        largest = max(b for b in self.budgets if b <= budget)
        number = int(place(ease, self.edges))
        return next(e for e in self.table if (e.bin, e.budget) == (number, largest))

    def why(self, ease: float, budget: float, unit: str, spread: float | None = None) -> str:
        """In words, what `choose` chooses and what else there was."""
        entry = self.choose(ease, budget, unit)
        sure = "" if spread is None else f" (standard deviation {spread:.2f})"
        text = (
            f"Ease {ease:.2f}{sure}, by {self._estimate_words()}, puts the question in bin "
            f"{entry.bin + 1} of {len(self.edges) + 1}, where 1 is the easiest. "
        )
        if entry.budget != budget:
            text += f"The largest budget fitted within {self._words(budget)} is used. "
        text += (
            f"At {self._words(entry.budget)}, {entry.strategy} with {entry.rule} was best there: "
            f"{entry.accuracy:.1%} right in cross-validation [{entry.low:.1%}, {entry.high:.1%}] "
            f"on {entry.n} questions; {entry.agreed:.0%} of the folds chose it."
        )
        own, others = [], []
        for one in entry.considered:
            same = (one.strategy, one.rule) == (entry.strategy, entry.rule)
            (own if same else others).append(one)
        if not others:
            return text + " Nothing else was within the budget."
        listed = ", ".join(f"{o.strategy} with {o.rule} {o.accuracy:.1%}" for o in others)
        shown = f"{own[0].accuracy:.1%}" if own else "its"
        return f"{text} On all questions of the bin it has {shown}; also considered: {listed}."

    def _words(self, budget: float) -> str:
        if self.unit == "flops":
            return f"{budget:.4g} FLOPs"
        return f"{budget:g} generation" + "s" * (budget != 1)

    def _estimate_words(self) -> str:
        if self.estimator["name"] == "probe":
            return "a probe of the prompt"
        plural = "s" * (self.samples != 1)
        shrunk = ", drawn towards that of all questions" if self.estimator["name"] == "few" else ""
        return f"the verifier's mean value over {self.samples} sample{plural}{shrunk}"


def fit(
    allocation: Allocation,
    estimator: Mapping[str, Any],
    edges: Sequence[float],
    sources: Mapping[str, Mapping[str, Any]],
    made_from: Mapping[str, Any],
    *,
    n_resamples: int = 10_000,
) -> FittedPolicy:
    """The policy of an allocation for new questions; see `FittedPolicy` for arguments and errors.

    Raises:
      ValueError: also when the bins were made from a difficulty that needs the answers.
    """
    if allocation.difficulty is not None and not allocation.difficulty.label_free:
        raise ValueError(
            f"the bins were made from {allocation.difficulty.name} difficulty, which needs the "
            f"answers: allocate over bins of one of {', '.join(ESTIMATORS)}"
        )
    table = tuple(
        Entry(
            bin=choice.bin,
            budget=choice.budget,
            strategy=choice.candidate.strategy,
            rule=choice.candidate.rule,
            source=choice.candidate.source,
            accuracy=choice.accuracy.mean,
            low=choice.accuracy.low,
            high=choice.accuracy.high,
            n=choice.accuracy.n,
            flops=choice.flops,
            generations=float(choice.candidate.budget),
            agreed=choice.agreed,
            considered=tuple(
                Considered(c.strategy, c.rule, a) for c, a in choice.considered[:_SHOWN]
            ),
        )
        for choice in allocation.choices(n_resamples=n_resamples)
    )
    used = {entry.source for entry in table} | {estimator.get("source")}
    kept = {name: settings for name, settings in sources.items() if name in used}
    return FittedPolicy(allocation.unit, estimator, tuple(edges), table, kept, made_from)


def _shrinkage(estimator: Mapping[str, Any]) -> Shrinkage:
    return Shrinkage(**{name: float(estimator[name]) for name in ("mean", "between", "within")})


def _check_estimator(estimator: Mapping[str, Any]) -> None:
    """Raises ValueError unless `estimator` is one that `FittedPolicy` describes."""
    name = estimator.get("name")
    if name not in ESTIMATORS:
        raise ValueError(f"estimator.name is {name!r}, not one of {', '.join(ESTIMATORS)}")
    samples = estimator.get("samples")
    if name != "probe" and (type(samples) is not int or samples < 1):
        raise ValueError(f"estimator.samples is {samples!r}, not a whole number of at least 1")
    try:
        if name == "probe":
            Probe.from_json(estimator["probe"])
        elif name == "few":
            _shrinkage(estimator)
    except KeyError as error:
        raise ValueError(f"estimator.{error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"estimator: {error}") from error
