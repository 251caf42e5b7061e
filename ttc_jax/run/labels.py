# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The labels job: solutions of a policy, the value of their steps by rollouts, one file of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.core.records import key_of
from ttc_jax.core.samples import by_question
from ttc_jax.data.sources import Question
from ttc_jax.learn.labels import labelled, summary_of, write_labels
from ttc_jax.learn.monte_carlo import MonteCarlo
from ttc_jax.run import settings
from ttc_jax.run.place import Place
from ttc_jax.run.sampling import sample, timing
from ttc_jax.verify.grade import Grader

FILE = "labels.parquet"


def check(config: ConfigDict) -> MonteCarlo:
    """The strategy; ValueError for a setting that cannot work, naming it, its value and the fix."""
    if config.scorer.path:
        raise ValueError(
            f"scorer.path is {config.scorer.path!r}, but labels are made without a verifier; pass "
            f'--config.scorer.path=""'
        )
    strategy = MonteCarlo(**config.labels.to_dict())
    settings.check_sampling(config, stepwise=strategy.stepwise)
    return strategy


def depends_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """All that decides which solutions and rollouts are sampled and how they are graded."""
    depends = settings.sampling_depends_on(config, questions)
    return depends | {"search.strategy": str(MonteCarlo(**config.labels.to_dict()))}


def run(config: ConfigDict, questions: Sequence[Question], place: Place) -> dict | None:
    """Labels what of the questions falls to this process, writes labels.parquet; what it came to.

    None where another process makes the file and the results.
    """
    strategy = MonteCarlo(**config.labels.to_dict())
    with Grader(**config.grade.to_dict()) as grader:
        store = sample(config, strategy, questions, grader, place)
    if not place.finishes(questions):
        return None
    rows = store.read()
    solutions, dropped = [], Counter()
    for own in by_question(rows):
        found, lost = labelled(own, rollouts=strategy.rollouts > 0)
        solutions += found
        dropped += lost
    summary = summary_of(rows, solutions, dropped)
    depends = depends_on(config, questions)
    write_labels(
        place.path / FILE, solutions, {"key": key_of(depends), "made_with": depends} | summary
    )
    return {
        "strategy": str(strategy),
        "counts": summary,
        "timing": timing(place.path),
    }


def report(results: Mapping, workdir: Path) -> Iterator[str]:
    """What to print of results.json."""
    counts, spent = results["counts"], results["timing"]
    usage = counts["usage"]
    lost = ", ".join(f"{n} {reason}" for reason, n in counts["dropped"].items()) or "none"
    yield results["strategy"]
    yield (
        f"{counts['questions']} questions, {counts['samples']} samples: {counts['kept']} kept "
        f"({counts['correct']} right; {counts['solutions']} different), dropped: {lost}"
    )
    yield (
        f"{counts['steps']} steps; {len(counts['without_correct'])} questions without a right "
        f"solution"
    )
    yield (
        f"{usage['decode']:,} tokens of solutions and {usage['rollout']:,} of rollouts sampled, "
        f"{usage['prefill']:,} of prompts encoded, in {spent['seconds']:.0f} s "
        f"({spent['tokens_per_second']:.0f} per second, compilation included)"
    )
    yield f"labels: {workdir / FILE}"
