# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the figures of a report come to, in sentences that say no more than the intervals do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ttc_jax.study.comparison import THINK, TRAIN, Match
from ttc_jax.study.curves import Curve
from ttc_jax.study.evidence import ESTIMATORS, Evidence
from ttc_jax.study.exchange import Exchange
from ttc_jax.study.factor import Factor, compute_factor
from ttc_jax.study.likelihood import LIKELIHOOD, RULES, Control
from ttc_jax.study.optimum import KINDS, Optimum
from ttc_jax.study.stats import Interval, paired_bootstrap


@dataclass(frozen=True)
class Saving:
    """How much less compute an allocation needs than its rival at the rival's largest budget."""

    kind: str
    estimator: str
    charged: bool
    unit: str
    sentence: str
    factor: Factor


def shown(value: Interval) -> str:
    """A share in percent with its interval."""
    return f"{value.mean:.1%} [{value.low:.1%}, {value.high:.1%}]"


def savings(optimum: Optimum) -> Iterator[Saving]:
    """Compute-optimal strategies against best-of-N and parallel sampling.

    For every kind and estimate of difficulty, in generations and in counted FLOPs, uncharged and
    charged with the estimate.
    """
    evidence = optimum.evidence
    for kind in ("search", "revisions"):
        rival, rule = optimum.rival(kind), KINDS[kind]
        if rival is None:
            continue
        name, at = rival.name, rival.points[-1].budget
        for estimator in ESTIMATORS:
            allocation = optimum.allocation(kind, estimator, rule)
            if allocation is None:
                continue
            for charged in (False, True):
                own = f"Compute-optimal {kind} over {estimator} bins"
                curve = Curve(own, allocation.points(charged=charged))
                own += ", the estimate of difficulty paid for," if charged else ""
                for unit, words in (("generations", "generations"), ("flops", "counted FLOPs")):
                    found = compute_factor(curve, rival, at, unit=unit, **evidence.boot)
                    sentence = _sentence(own, name, at, words, found)
                    yield Saving(kind, estimator, charged, unit, sentence, found)


def _sentence(own: str, rival: str, at: float, words: str, factor: Factor) -> str:
    goal = f"the {factor.accuracy:.1%} of {rival} at {at:g} generations"
    if factor.censored == "at most":
        return f"{own} does not come to {goal} within the budgets that it was given."
    # What is at least a saving of so many times costs at most their inverse.
    more = float(f"{factor.mean:.2g}") <= 1  # as it is shown
    bound = ("at most " if more else "at least ") if factor.censored else ""
    ends = (factor.low, factor.high)
    if more:
        ends = tuple(1 / end if end else float("inf") for end in reversed(ends))
    low, high = ("any number" if end == float("inf") else f"{end:.2g}" for end in ends)
    times = f"{bound}{1 / factor.mean if more else factor.mean:.2g} times [{low}, {high}]"
    known = "" if factor.claims else "; that may be no difference at all"
    return f"{own} needs {times} {'as many' if more else 'fewer'} {words} for {goal}{known}."


def headlines(exchange: Exchange, saved: Sequence[Saving]) -> list[str]:
    """The answer of the report, in a few sentences; `saved` are all `savings`."""
    evidence = exchange.evidence
    found = [*_best(evidence), *(said_of(control) for control in controls_of(evidence))]
    free: dict[str, dict[str, str]] = {}
    for saving in saved:
        if saving.unit == "generations" and not saving.charged:
            free.setdefault(saving.kind, {})[saving.estimator] = saving.sentence
    for sentences in free.values():
        found += [sentences[name] for name in ("predicted", "oracle") if name in sentences][:1]
    if exchange.possible:
        found += _verdicts(exchange)
    elif evidence.roles.large is None:
        found.append("No larger model was run, so whether a bigger model is better is not known.")
    return found


def _best(evidence: Evidence) -> Iterator[str]:
    """The best single strategy at the largest budget of best-of-N, beside majority."""
    curves = [evidence.best_of_n(rule) for rule in ("majority", "best", "weighted")]
    curves += list(evidence.searches_by("weighted").values())
    likely = [evidence.best_of_n(rule, LIKELIHOOD) for rule in RULES]
    likely += list(evidence.searches_by("weighted", kind=LIKELIHOOD).values())
    points = [(point, "") for curve in curves if curve for point in curve.points]
    points += [(point, " by likelihood") for curve in likely if curve for point in curve.points]
    if not points:
        return
    top, by = max(
        points, key=lambda p: (round(float(p[0].right.mean()), 9), -p[0].budget, p[0].strategy)
    )
    (accuracy,) = evidence.intervals([top.right])
    one = greedy = ""
    if curves[0]:  # majority of one sample
        (first,) = evidence.intervals([curves[0].points[0].right])
        one = f"one sample is right {shown(first)} of the time, "
    if answers := evidence.greedy_answers("base"):
        (value,) = evidence.intervals([answers.right])
        greedy = f"the greedy answer {shown(value)}, "
    yield (
        f"{len(evidence.questions)} questions: {one}{greedy}{top.strategy} with {top.rule}{by}, "
        f"the best strategy, {shown(accuracy)}."
    )


def controls_of(evidence: Evidence) -> list[Control]:
    """The verifiers that there are, each against the likelihood."""
    found = (evidence.control(kind) for kind in ("prm", "orm"))
    return [control for control in found if control]


def said_of(control: Control) -> str:
    """In words whether a verifier beats the likelihood."""
    return (
        f"The {control.kind.upper()} {'beats' if control.beats else 'does not beat'} the "
        f"likelihood, the control that nothing was trained for: best-of-N weighted less that by "
        f"likelihood ({control.rule}) at {control.budget:g} generations is "
        f"{shown(control.difference)}."
    )


def _verdicts(exchange: Exchange) -> Iterator[str]:
    """For each R what is better, overall and in which bins."""
    times = exchange.pair.large_params / exchange.pair.small_params
    for kind in ("search", "revisions"):
        curve = exchange.optimum.curve(kind, "oracle", KINDS[kind])
        if curve is None:
            continue
        matches = exchange.matches(curve)
        parts = []
        for ratio in exchange.ratios:
            own = [match for match in matches if match.R == ratio]
            parts.append(f"at R = {ratio:g} {_verdict(own)}")
        yield (
            f"Compute-optimal {kind} against a greedy model of {times:.3g} times the parameters, "
            f"at equal FLOPs and R inference tokens per pretraining token: {'; '.join(parts)}."
        )


def _verdict(matches: list[Match]) -> str:
    overall = next(match for match in matches if match.bin is None)
    text = overall.verdict
    if overall.difference is not None:
        text += f" (difference {shown(overall.difference)})"
    for verdict in (THINK, TRAIN):
        bins = [
            str(match.bin + 1)
            for match in matches
            if match.bin is not None and match.verdict == verdict
        ]
        if bins and verdict != overall.verdict:
            text += f"{' and' if ', but' in text else ', but'} {verdict} in bin"
            text += f"{'s' * (len(bins) > 1)} {', '.join(bins)}"
    return text


def warnings(evidence: Evidence) -> list[str]:
    """What may mislead: unfinished runs, time-outs, verifiers that are of no use."""
    found = []
    for run in evidence.unfinished:
        found.append(
            f"{run.name} has stored too few of its {len(run.questions)} questions to count; "
            f"continue it: {run.command}"
        )
    for run in evidence.searches:
        lacking = len(run.questions) - evidence.stored[run.name]
        if lacking:
            found.append(
                f"{run.name} lacks {lacking} of {len(run.questions)} questions; the report is over "
                f"the {len(evidence.questions)} that every run has. Continue it: {run.command}"
            )
        if late := evidence.timeouts[run.name]:
            found.append(f"{run.name}: grading timed out for {late} candidates, left out.")
        if run.config["scorer"]["path"] and run.config["scorer"].get("untrained"):
            found.append(f"{run.name}: its verifier is untrained, so its choices mean nothing.")
    found += _verifier(evidence)
    return [*found, *evidence.notes]


def _verifier(evidence: Evidence) -> Iterator[str]:
    """Whether the verifier beats counting votes, at the largest budget."""
    majority = evidence.best_of_n("majority")
    for kind in ("prm", "orm"):
        weighted = evidence.best_of_n("weighted", kind)
        if majority is None or weighted is None:
            continue
        votes = {point.budget: point.right for point in majority.points}
        point = weighted.points[-1]
        if point.budget < 2 or point.budget not in votes:
            continue
        gain = paired_bootstrap(point.right, votes[point.budget], **evidence.boot)
        if gain.low <= 0:
            yield (
                f"The {kind.upper()} is not shown to beat majority voting: best-of-N weighted less "
                f"majority at {point.budget:g} generations is {shown(gain)}."
            )
