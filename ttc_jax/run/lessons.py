# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What each kind of model is trained on: from a work directory of samples or labels to examples."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.core.places import path_of
from ttc_jax.core.samples import by_question, read_samples
from ttc_jax.data.batches import Example
from ttc_jax.data.sources import Question
from ttc_jax.learn import texts
from ttc_jax.learn.held_out import Solution
from ttc_jax.learn.labels import read_labels
from ttc_jax.learn.trajectories import Trajectory, balanced, outcomes, restem, revisions
from ttc_jax.learn.trajectory_file import write_trajectories
from ttc_jax.model.settings import read_json
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.run import settings
from ttc_jax.run.labels import FILE
from ttc_jax.run.place import Place
from ttc_jax.search.names import parse
from ttc_jax.search.revise import Revise
from ttc_jax.verify.format_names import by_name

# What is trained: what its card calls it, the format of a verifier, and what it is made from.
POLICIES = {"sft": "policy", "revision": "revision model", "restem": "revision model"}
VERIFIERS = {
    "prm": ("process reward model", "steps"),
    "orm": ("outcome reward model", "outcome"),
    "revision_orm": ("outcome reward model of revisions", "outcome_history"),
}
SOURCES = {
    "prm": "a labels job",
    "orm": "a labels job",
    "revision": "a search job with best_of_n, or a labels job",
    "restem": "a search job with revise",
    "revision_orm": "a search job with revise",
}


@dataclass(frozen=True)
class Lesson:
    """Examples to learn from and to be tried on; beside those of verifiers, the solutions.

    `facts` say what they were made from and what was left out, as JSON values.
    """

    examples: list[Example]
    solutions: list[Solution]
    facts: dict


def check_source(config: ConfigDict) -> None:
    """ValueError or FileNotFoundError when what is to be learned from is not named or not there."""
    kind, source = config.train.kind, config.train.source
    if kind == "sft":
        return
    if not source:
        raise ValueError(
            f"train.source is empty; {kind} learns from the work directory of {SOURCES[kind]}: "
            f"pass --config.train.source=DIR"
        )
    for name in (FILE if kind in ("prm", "orm") else "samples", "results.json"):
        if not (path_of(source) / name).exists():
            raise FileNotFoundError(
                f"no {name} in train.source = {source}; {kind} learns from the work directory of "
                f"{SOURCES[kind]}, run to its end"
            )


def fingerprint(source: Path) -> str:
    """The key of the settings that made a source, wherever it lies."""
    made = read_json(source / "config.json")
    if "key" not in made:
        raise ValueError(f"{source} is no work directory: config.json has no key")
    return made["key"]


def lesson(
    config: ConfigDict,
    questions: Mapping[str, Question],
    tokenizer: Tokenizer,
    context: int,
    place: Place,
) -> Lesson:
    """The lesson of the config's kind of model; examples longer than `context` are left out.

    Raises ValueError when nothing is left to learn from.
    """
    kind, train = config.train.kind, config.train
    if kind == "sft":
        writer = texts.Writer(settings.style(config), tokenizer)
        asked, answer = list(questions.values()), config.grade.get("answer", "stated")
        examples = texts.fine_tuning(asked, writer, answer=answer)
        found = Lesson(examples, [], {"without_solution": len(questions) - len(examples)})
    elif kind in ("prm", "orm"):
        found = _labelled(config, questions, tokenizer)
    else:
        found = _revised(config, questions, tokenizer, place)
    limit = min(context, train.length or context)
    fits = [len(example.tokens) <= limit for example in found.examples]
    if not any(fits):
        raise ValueError(
            f"none of {len(found.examples)} examples has at most {limit} tokens; raise "
            f"train.length, or take other data"
        )
    keep = lambda items: [x for x, fit in zip(items, fits, strict=True) if fit]  # noqa: E731
    counts = {"examples": sum(fits), "too_long": fits.count(False), "token_limit": limit}
    solutions = keep(found.solutions) if found.solutions else []
    return Lesson(keep(found.examples), solutions, counts | found.facts)


def _labelled(config: ConfigDict, questions, tokenizer: Tokenizer) -> Lesson:
    solutions, made = read_labels(path_of(config.train.source) / FILE)
    format = by_name(VERIFIERS[config.train.kind][1], tokenizer)
    if config.train.kind == "prm":
        hard = config.train.hard if config.train.hard >= 0 else None
        examples = texts.process(solutions, questions, format, hard=hard)
    else:
        judged, counts = texts.judged(solutions)
        examples = texts.outcome(judged, questions, format, counts=counts)
    choices = [Solution(s.text, s.correct, s.count) for s in solutions]
    return Lesson(examples, choices, {"labels": made})


def _revised(config: ConfigDict, questions, tokenizer: Tokenizer, place: Place) -> Lesson:
    kind, source = config.train.kind, path_of(config.train.source)
    made = read_json(source / "config.json")["samples_depend_on"]
    # A labels job has samples too, beside rollouts, which are parts of solutions.
    strategy = parse(made["search.strategy"]) if made["job"] == "search" else None
    chains = isinstance(strategy, Revise)
    if kind != "revision" and not chains:
        sampled = made["search.strategy"]
        raise ValueError(f"{source} holds samples of {sampled}; {kind} learns from revise(s,p)")
    how = {"chain": strategy.s, "memory": strategy.memory} if chains else {}
    found: list[Trajectory] = []
    dropped: Counter = Counter()
    for rows in by_question(read_samples(source / "samples")):
        own = [row for row in rows if not row.rollout]
        if kind == "revision":
            gold = _gold(config, questions[own[0].question]) if own else ""
            shares = {"most": config.train.attempts, "kept": config.train.get("kept", 0.0)}
            some, lost = revisions(own, seed=config.seed, gold=gold, **shares)
        else:
            some, lost = (restem if kind == "restem" else outcomes)(own, **how)
        found += some
        dropped += lost
    if kind == "restem":
        found = balanced(found, seed=config.seed)
    facts = {"samples": made, "trajectories": len(found), "dropped": dict(dropped)}
    if place.team.leads:
        write_trajectories(place.path / "trajectories.parquet", found, facts)
    if kind == "revision_orm":
        format = by_name(VERIFIERS[kind][1], tokenizer)
        examples = texts.outcome(found, questions, format)
        return Lesson(examples, [Solution(t.solution, t.correct) for t in found], facts)
    if not found:
        raise ValueError(
            f"{source} holds no correct sample for any question, so there is nothing to revise "
            f"towards; take easier questions, a better policy, or more samples"
        )
    writer = texts.Writer(settings.style(config), tokenizer)
    return Lesson(texts.revision(found, questions, writer), [], facts)


def _gold(config: ConfigDict, question: Question) -> str:
    """The source's own solution where it is to be learned from, else nothing."""
    if not config.train.get("gold", False):
        return ""
    return texts.gold_solution(question, answer=config.grade.get("answer", "stated"))
