# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a run, from its stored samples: pass@k and what each rule selects, by level."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ttc_jax.core.samples import Sample, candidates
from ttc_jax.data.sources import Question
from ttc_jax.study.stats import Interval, bootstrap, pass_at_k
from ttc_jax.verify import vote
from ttc_jax.verify.grade import Verdict

Classes = Callable[[list[str | None]], list[int | None]]
RULES = ("majority", "likelihood", "best", "weighted", "hierarchical", "coverage")


@dataclass(frozen=True)
class Outcome:
    """How the candidates of one question fared.

    `graded` leaves out candidates whose grading timed out. `selected` says whether the answer is
    right that each rule selects (see `selected`).
    """

    level: int | None
    graded: int
    correct: int
    selected: Mapping[str, bool | None]


def outcome(
    question: Question, samples: Sequence[Sample], classes: Classes, chain: int = 0
) -> Outcome:
    """The outcome of one question from its stored rows, of which only the candidates count.

    `classes` numbers equal answers alike (None: no answer); for `chain` see `winners`. Beside the
    rules of `selected` there is "likelihood", which takes the likeliest candidate.
    """
    rows = candidates(samples)
    verdicts = [Verdict(row.verdict) for row in rows]
    graded = len(verdicts) - verdicts.count(Verdict.TIMEOUT)
    found = selected(rows, classes, chain)
    chosen = vote.best(classes([row.answer for row in rows]), likelihoods(samples))
    found["likelihood"] = _right(chosen, verdicts)
    return Outcome(question.level, graded, verdicts.count(Verdict.CORRECT), found)


def likelihoods(samples: Sequence[Sample]) -> list[float]:
    """Of each candidate of one question the geometric mean of the probabilities of its tokens.

    `samples` are all rows of the question: a solution may have grown step by step.
    """
    rows, found = {sample.branch: sample for sample in samples}, []
    for row in candidates(samples):
        logprob, tokens = 0.0, 0
        while row is not None and row.branch >= 0:
            logprob, tokens = logprob + row.logprob, tokens + len(row.tokens)
            row = rows.get(row.parent)
        found.append(math.exp(logprob / tokens) if tokens else 0.0)
    return found


def winners(rows: Sequence[Sample], classes: Classes, chain: int = 0) -> dict[str, int | None]:
    """The index of the candidate that each rule selects, None where no candidate has an answer.

    Without a verifier there is only "majority"; with one also "best", "weighted" and, if the
    candidates are chains of `chain` attempts one after the other, "hierarchical".

    Raises:
      ValueError: an answered candidate has no value though others have, or the candidates are not
        whole chains.
    """
    numbers = classes([row.answer for row in rows])
    if all(row.value is None for row in rows):
        return vote.by_rule(numbers)
    for row, number in zip(rows, numbers, strict=True):
        if row.value is None and number is not None:
            raise ValueError(f"candidate {row.branch} of {row.question!r} has no value")
    values = [0.0 if row.value is None else row.value for row in rows]
    if chain and len(rows) % chain:
        raise ValueError(f"{len(rows)} candidates are not whole chains of {chain} attempts")
    chains = [range(at, at + chain) for at in range(0, len(rows), chain)] if chain else []
    return vote.by_rule(numbers, values, chains)


def selected(rows: Sequence[Sample], classes: Classes, chain: int = 0) -> dict[str, bool | None]:
    """Whether the answer is right that each rule of `winners` selects from these candidates.

    False where none has an answer, None where the grading of the selected one timed out. With a
    verifier there is also "coverage": whether any graded candidate is right, None without any.
    """
    verdicts = [Verdict(row.verdict) for row in rows]
    found: dict[str, bool | None] = {}
    for rule, winner in winners(rows, classes, chain).items():
        found[rule] = _right(winner, verdicts)
    if "best" in found:
        graded = [verdict for verdict in verdicts if verdict is not Verdict.TIMEOUT]
        found["coverage"] = Verdict.CORRECT in graded if graded else None
    return found


def _right(winner: int | None, verdicts: Sequence[Verdict]) -> bool | None:
    if winner is not None and verdicts[winner] is Verdict.TIMEOUT:
        return None
    return winner is not None and verdicts[winner] is Verdict.CORRECT


def figures(
    outcomes: Sequence[Outcome],
    *,
    n: int,
    ks: Sequence[int],
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """pass@k for each k, and a figure like majority@n for each rule that selects an answer.

    Means over questions with bootstrap intervals. A grading that timed out counts neither way:
    pass@k is taken over the graded candidates of a question (k lowered to their number if need
    be), and a question without any is left out. n is the budget, in generations.
    """
    values = {}
    for k in ks:
        graded = [o for o in outcomes if o.graded]
        values[f"pass@{k}"] = [pass_at_k(o.graded, o.correct, min(k, o.graded)) for o in graded]
    for rule in RULES:
        found = [o.selected.get(rule) for o in outcomes]
        values[f"{rule}@{n}"] = [float(right) for right in found if right is not None]
    return {
        name: bootstrap(v, n_resamples=resamples, level=confidence, seed=seed)
        for name, v in values.items()
        if v
    }


def by_level(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes under "all" and, where questions have levels, under each level in order."""
    groups = {"all": list(outcomes)}
    for level in sorted({o.level for o in outcomes if o.level is not None}):
        groups[str(level)] = [o for o in outcomes if o.level == level]
    return groups


def counts(samples: Sequence[Sample]) -> dict[str, Mapping[str, float] | int]:
    """Candidates ("samples") by verdict and by finish; tokens, usage and FLOPs of whole trees.

    Pruned branches count in the latter: they were paid for. `usage` adds up tokens by phase;
    "pages" and "verifier_pages" in it are the most that one question held.
    """
    rows = candidates(samples)
    flops: Counter = Counter()
    usage: Counter = Counter()
    for sample in samples:
        flops.update(sample.flops)
        for phase, number in sample.usage.items():
            held = phase in ("pages", "verifier_pages")
            usage[phase] = max(usage[phase], number) if held else usage[phase] + number
    verdicts = Counter(row.verdict for row in rows)
    finishes = Counter(row.finish for row in rows)
    return {
        "questions": len({row.question for row in rows}),
        "samples": len(rows),
        "tokens": sum(len(sample.tokens) for sample in samples if sample.role != "prompt"),
        "verdicts": {verdict.value: verdicts[verdict.value] for verdict in Verdict},
        "finishes": dict(sorted(finishes.items())),
        "flops": dict(sorted(flops.items())),
        "usage": dict(sorted(usage.items())),
    }
