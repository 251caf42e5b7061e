# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a best-of-N run, from its stored samples: pass@k and majority, by level."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ttc_jax.core.samples import Sample
from ttc_jax.data.sources import Question
from ttc_jax.study.stats import Interval, bootstrap, pass_at_k
from ttc_jax.verify.grade import Verdict
from ttc_jax.verify.vote import majority

Classes = Callable[[list[str | None]], list[int | None]]


@dataclass(frozen=True)
class Outcome:
    """How the samples of one question fared.

    `graded` leaves out samples whose grading timed out. `majority` says whether the most frequent
    answer is right: False where no sample has an answer, None where its grading timed out.
    """

    level: int | None
    graded: int
    correct: int
    majority: bool | None


def outcome(question: Question, samples: Sequence[Sample], classes: Classes) -> Outcome:
    """The outcome of one question; `classes` numbers equal answers alike (None: no answer)."""
    verdicts = [Verdict(sample.verdict) for sample in samples]
    winner = majority(classes([sample.answer for sample in samples]))
    if winner is None:
        voted = False
    else:
        voted = None if verdicts[winner] is Verdict.TIMEOUT else verdicts[winner] is Verdict.CORRECT
    graded = len(verdicts) - verdicts.count(Verdict.TIMEOUT)
    return Outcome(question.level, graded, verdicts.count(Verdict.CORRECT), voted)


def figures(
    outcomes: Sequence[Outcome],
    *,
    n: int,
    ks: Sequence[int],
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """pass@k for each k, and majority@n: means over questions with bootstrap intervals.

    A grading that timed out counts neither way: pass@k is taken over the graded samples of a
    question (k lowered to their number if need be), and a question without any is left out.
    """
    values = {}
    for k in ks:
        graded = [o for o in outcomes if o.graded]
        values[f"pass@{k}"] = [pass_at_k(o.graded, o.correct, min(k, o.graded)) for o in graded]
    values[f"majority@{n}"] = [float(o.majority) for o in outcomes if o.majority is not None]
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
    """Samples by verdict and by finish, tokens, and FLOPs by phase."""
    flops: Counter = Counter()
    for sample in samples:
        flops.update(sample.flops)
    verdicts = Counter(sample.verdict for sample in samples)
    finishes = Counter(sample.finish for sample in samples)
    return {
        "questions": len({sample.question for sample in samples}),
        "samples": len(samples),
        "tokens": sum(len(sample.tokens) for sample in samples),
        "verdicts": {verdict.value: verdicts[verdict.value] for verdict in Verdict},
        "finishes": dict(sorted(finishes.items())),
        "flops": dict(sorted(flops.items())),
    }
