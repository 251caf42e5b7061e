# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The search job: what a strategy makes of questions, and how often it finds the answer."""

from collections.abc import Sequence
from dataclasses import asdict

from ml_collections import ConfigDict

from ttc_jax.core.samples import Sample
from ttc_jax.data.sources import Question
from ttc_jax.report.terminal.results import report
from ttc_jax.run import settings
from ttc_jax.run.place import Place
from ttc_jax.run.sampling import sample, timing
from ttc_jax.search.names import parse
from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.strategy import Strategy
from ttc_jax.study import summary
from ttc_jax.study.stats import bootstrap
from ttc_jax.verify.grade import Grader

__all__ = ["check", "depends_on", "report", "run"]


def check(config: ConfigDict) -> Strategy:
    """The strategy; ValueError for a setting that cannot work, naming it, its value and the fix."""
    strategy = parse(config.search.strategy)
    if strategy.scored and not config.scorer.path:
        raise ValueError(
            f"{strategy} compares scores; name a verifier's checkpoint as scorer.path, or "
            f"'likelihood' for the policy's own, or take best_of_n or revise"
        )
    # pass@k is estimated from independent samples, which no other strategy draws.
    report = config.report
    for k in report.ks if isinstance(strategy, BestOfN) else ():
        if not 1 <= k <= strategy.generations:
            raise ValueError(
                f"report.ks asks for pass@{k} of the {strategy.generations} samples of {strategy}; "
                f"each k must be between 1 and N: raise N or pass --config.report.ks"
            )
    bootstrap([0.0], n_resamples=report.resamples, level=report.confidence)
    settings.check_sampling(config, stepwise=strategy.stepwise)
    return strategy


def depends_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """All that decides which samples are drawn and how they are graded; not where it runs."""
    depends = settings.sampling_depends_on(config, questions)
    return depends | {"search.strategy": str(parse(config.search.strategy))}


def run(config: ConfigDict, questions: Sequence[Question], place: Place) -> dict | None:
    """Samples what of the questions falls to this process; the results, over all of them.

    None where another process makes the results.
    """
    strategy = parse(config.search.strategy)
    with Grader(**config.grade.to_dict()) as grader:
        store = sample(config, strategy, questions, grader, place)
        if not place.finishes(questions):
            return None
        results = _results(config, strategy, questions, store.read(), grader)
    return results | {"timing": timing(place.path)}


def _results(
    config: ConfigDict,
    strategy: Strategy,
    questions: Sequence[Question],
    samples: Sequence[Sample],
    grader: Grader,
) -> dict:
    """Counts, and the figures overall and by level, as they stand in results.json."""
    grouped: dict[str, list[Sample]] = {question.id: [] for question in questions}
    for row in samples:
        grouped[row.question].append(row)
    chain = strategy.s if isinstance(strategy, Revise) else 0
    outcomes = [summary.outcome(q, grouped[q.id], grader.classes, chain) for q in questions]
    report = config.report
    figures = {}
    for level, members in summary.by_level(outcomes).items():
        intervals = summary.figures(
            members,
            n=strategy.generations,
            ks=report.ks if isinstance(strategy, BestOfN) else (),
            resamples=report.resamples,
            confidence=report.confidence,
            seed=config.seed,
        )
        figures[level] = {"questions": len(members)} | {k: asdict(v) for k, v in intervals.items()}
    return {"strategy": str(strategy), "counts": summary.counts(samples), "figures": figures}
