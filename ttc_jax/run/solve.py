# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One new question, answered as a fitted policy says, and what that took."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.core.progress import ProgressDisplay
from ttc_jax.core.records import key_of
from ttc_jax.data.sources import Question
from ttc_jax.run import settings, sources
from ttc_jax.run.models import Models
from ttc_jax.run.sampling import show
from ttc_jax.search.features import features
from ttc_jax.search.names import parse
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.schedule import Scheduler
from ttc_jax.search.strategy import Strategy
from ttc_jax.search.tree import Tree
from ttc_jax.study.curves import SCORELESS
from ttc_jax.study.fitted import Entry, FittedPolicy
from ttc_jax.verify.grade import Grader
from ttc_jax.verify.vote import by_rule


@dataclass(frozen=True)
class Spent:
    """Generations, tokens and FLOPs by phase, and seconds with loading and compiling."""

    generations: int
    tokens: Mapping[str, int]
    flops: Mapping[str, int]
    seconds: float

    @property
    def total(self) -> int:
        """FLOPs of all phases."""
        return sum(self.flops.values())


@dataclass(frozen=True)
class Estimate:
    """How easy a question is, and the standard deviation of that where there is one."""

    ease: float
    spread: float | None
    spent: Spent


@dataclass(frozen=True)
class Answer:
    """What a search came to.

    `answer` and `solution` are those of the candidate chosen, None and "" where no candidate has
    an answer. Of the `candidates`, `votes` is the share that gives this answer and `weighted` its
    share of all verifier values; `value` is the verifier's of the one chosen. The last two are None
    without a verifier.
    """

    answer: str | None
    solution: str
    candidates: int
    votes: float
    value: float | None
    weighted: float | None
    spent: Spent


class Solver:
    """Answers questions with the models and settings of the runs that a policy was fitted to."""

    def __init__(self, policy: FittedPolicy, changes: Mapping[str, str], cache_dir: Path):
        """`changes` are settings that are to differ; raises as `sources.of_entries`."""
        self._policy, self._models = policy, Models(cache_dir)
        self._configs = sources.of_entries(policy, changes)
        self._difficulty = sources.of_difficulty(policy, changes) if policy.edges else None

    def estimate(self, text: str) -> Estimate | None:
        """How easy the policy's estimator takes a question to be; None where one bin is all."""
        if self._difficulty is None:
            return None
        config, question = self._difficulty, _question(text)
        if self._policy.estimator["name"] == "probe":
            start = time.perf_counter()
            found = features(self._models.policy(config), [question])
            ease, spread = self._policy.ease(found.vectors[0])
            flops = {"difficulty": int(found.flops[0])}
            return Estimate(ease, spread, Spent(0, {}, flops, time.perf_counter() - start))
        # Not the samples of the search itself: the bin would depend on what is chosen from.
        strategy = BestOfN(self._policy.samples)
        tree, spent = self._grow(config, strategy, question, scored=True, seed=config.seed + 1)
        ease, spread = self._policy.ease([node.value or 0.0 for node in tree.candidates])
        return Estimate(ease, spread, spent)

    def answer(self, text: str, entry: Entry) -> Answer:
        """What the strategy of an entry makes of a question, chosen by the entry's rule."""
        config, strategy = self._configs[entry.source], parse(entry.strategy)
        scored = strategy.scored or entry.rule not in SCORELESS
        tree, spent = self._grow(config, strategy, _question(text), scored, config.seed)
        solutions = [node.solution for node in tree.candidates]
        with Grader(**config.grade.to_dict()) as grader:
            answers = [grader.answer(text) for text in solutions]
            classes = grader.classes(answers)
        values = [node.value or 0.0 for node in tree.candidates] if scored else None
        chosen = by_rule(classes, values, strategy.chains)[entry.rule]
        if chosen is None:
            return Answer(None, "", len(answers), 0.0, None, None, spent)
        same = [at for at, number in enumerate(classes) if number == classes[chosen]]
        weighted = None
        if values is not None and sum(values):
            weighted = sum(values[at] for at in same) / sum(values)
        return Answer(
            answer=answers[chosen],
            solution=solutions[chosen],
            candidates=len(answers),
            votes=len(same) / len(answers),
            value=None if values is None else values[chosen],
            weighted=weighted,
            spent=spent,
        )

    def _grow(
        self, config: ConfigDict, strategy: Strategy, question: Question, scored: bool, seed: int
    ) -> tuple[Tree, Spent]:
        """The tree of a search over one question, and what it took."""
        start = time.perf_counter()
        own = config.copy_and_resolve_references()
        own.seed, own.engine.rows = seed, strategy.load.rows  # one question keeps no more busy
        self._models.keep_only(own)
        policy = self._models.policy(own)
        verifier = self._models.verifier(own) if scored else None
        scheduler = Scheduler(strategy, [question], policy, verifier, settings.batch(own))
        with ProgressDisplay(1) as display:
            (tree,) = scheduler.run(lambda now: show(display, now, strategy.stepwise))
            show(display, scheduler.progress, strategy.stepwise)
        tokens = sum((node.usage for node in tree.nodes), Counter(tree.usage))
        for held in ("pages", "verifier_pages"):
            tokens.pop(held, None)
        ledger = scheduler.progress.ledger
        flops = {phase: counts["useful"] for phase, counts in ledger.items()}
        seconds = time.perf_counter() - start
        return tree, Spent(strategy.generations, dict(tokens), flops, seconds)


def _question(text: str) -> Question:
    """A question whose id, and with it all that is sampled for it, is told by its text."""
    return Question(f"solve/{key_of({'question': text})}", text, "")
