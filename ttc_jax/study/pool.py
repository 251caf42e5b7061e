# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The graded candidates of a run, question by question, as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from ttc_jax.core.samples import read_columns
from ttc_jax.search.revise import Revise
from ttc_jax.study.paths import Paths, read_paths
from ttc_jax.study.runs import Run
from ttc_jax.verify.grade import Grader, Verdict
from ttc_jax.verify.scorer import AGGREGATES

NO_ANSWER, LATE = -1, -2  # in place of a class
PROMPT_PHASES = ("prefill", "verifier_prefill")  # what independent candidates share


@dataclass(frozen=True)
class Pool:
    """The graded candidates of one question in one run, in the order of the strategy.

    Candidates whose grading timed out are left out and counted; only attempts in a chain keep their
    place, and do not vote.

    Fields:
      question: its id.
      classes: i32[n], equal answers alike and numbered alike in all runs of a report; -1: no
        answer, -2: grading timed out.
      right: bool[n].
      values: f64[n], what the strategy compared; NaN without a verifier.
      steps: for each candidate the scores along its whole path; () where there are none.
      chain: attempts per chain of revisions, 0 for none.
      tokens, logprobs: i64[n] sampled along the path of each candidate, and f64[n] the sum of
        their log-probabilities.
      own: FLOPs by the phases of `flops`, f64[n], of nodes on the path of this candidate alone;
        later prompts count, the plain one does not. With best_of_n and revise that is all but it.
      flops: FLOPs by phase of the whole tree.
      discarded: the part of `flops` spent on nodes on no candidate's path.
      timeouts: number of candidates whose grading timed out.
    """

    question: str
    classes: np.ndarray
    right: np.ndarray
    values: np.ndarray
    steps: tuple[tuple[float, ...], ...]
    chain: int
    tokens: np.ndarray
    logprobs: np.ndarray
    own: Mapping[str, np.ndarray]
    flops: Mapping[str, float]
    discarded: Mapping[str, float]
    timeouts: int

    def __len__(self) -> int:
        return len(self.right)


@dataclass(frozen=True)
class Classes:
    """Which answers to a question are equal: a number for each, by question and answer.

    The gold answer is the first of its question, so those equal to it have number 0.
    """

    numbers: Mapping[str, Mapping[str, int]]

    def of(self, question: str, answers: Sequence[str | None]) -> np.ndarray:
        """i32[n]: the number of each answer, -1 for None."""
        known = self.numbers.get(question, {})
        found = [NO_ANSWER if answer is None else known[answer] for answer in answers]
        return np.array(found, np.int32)


def stored_questions(run: Run) -> tuple[str, ...]:
    """Ids of the questions that a run has stored and is to answer, sorted."""
    there = read_columns(run.path / "samples", ["question"])["question"].unique().to_pylist()
    return tuple(sorted(set(there) & {name for name, _ in run.questions}))


def number_answers(runs: Sequence[Run]) -> Classes:
    """The classes of all answers that are stored in these runs, compared as the first one did.

    Raises:
      ValueError: no runs, or samples that cannot be read.
    """
    if not runs:
        raise ValueError("answers are numbered over runs, and there are none")
    gold: dict[str, str] = {}
    others: dict[str, set[str]] = {}
    for run in runs:
        table = read_columns(run.path / "samples", ["question", "branch", "role", "answer"])
        table = table.filter(pc.is_valid(table["answer"]))
        prompts = table.filter(pc.equal(table["branch"], -1))
        gold |= zip(*(prompts[name].to_pylist() for name in ("question", "answer")), strict=True)
        answers = table.filter(pc.equal(table["role"], "candidate")).select(["question", "answer"])
        for row in answers.group_by(["question", "answer"]).aggregate([]).to_pylist():
            others.setdefault(row["question"], set()).add(row["answer"])
    numbers = {}
    with Grader(**runs[0].config["grade"]) as grader:
        for question in sorted(gold.keys() | others.keys()):
            first = [gold[question]] if question in gold else []
            answers = first + sorted(others.get(question, set()) - set(first))
            numbers[question] = dict(zip(answers, grader.classes(answers), strict=True))
    return Classes(numbers)


def read_pools(run: Run, questions: Sequence[str], classes: Classes) -> dict[str, Pool]:
    """The pools of those questions that are stored, in the order of `questions`.

    Raises:
      ValueError: samples that cannot be read, a score or value that is not a number, a candidate
        without a value though others have one, or a parent that is missing.
    """
    paths = read_paths(run.path / "samples", questions)
    chain = run.strategy.s if isinstance(run.strategy, Revise) else 0
    return {
        question: _pool(paths, question, chain, classes)
        for question in questions
        if question in paths.rows
    }


def _pool(paths: Paths, question: str, chain: int, classes: Classes) -> Pool:
    rows = paths.rows[question]
    verdicts = np.array(paths.verdicts[rows])
    late = verdicts == Verdict.TIMEOUT
    if chain and len(late) % chain:
        raise ValueError(
            f"question {question!r} has {len(late)} candidates, not whole chains of {chain}"
        )
    kept = np.flatnonzero(~late | bool(chain))
    steps = paths.steps[rows]
    numbers = np.where(late, LATE, classes.of(question, paths.answers[rows])).astype(np.int32)
    return Pool(
        question=question,
        classes=numbers[kept],
        right=(verdicts == Verdict.CORRECT)[kept],
        values=paths.values[rows][kept],
        steps=tuple(steps[i] for i in kept),
        chain=chain,
        tokens=paths.tokens[rows][kept],
        logprobs=paths.logprobs[rows][kept],
        own={phase: cost[rows][kept] for phase, cost in paths.own.items()},
        flops=paths.flops[question],
        discarded=paths.discarded[question],
        timeouts=int(late.sum()),
    )


def rescored(pool: Pool, aggregate: str) -> Pool:
    """The pool with values made of its step scores by another aggregate (see `AGGREGATES`).

    Solutions without a scored step are worth 0, as in a search.

    Raises:
      ValueError: no such aggregate, or a pool without a verifier.
    """
    if aggregate not in AGGREGATES:
        raise ValueError(f"no aggregate {aggregate!r}; there are {', '.join(AGGREGATES)}")
    if np.isnan(pool.values).any():
        raise ValueError(f"the candidates of question {pool.question!r} were not scored")
    values = [AGGREGATES[aggregate](steps) if steps else 0.0 for steps in pool.steps]
    return replace(pool, values=np.array(values, np.float64))


def split(pool: Pool, m: int) -> tuple[Pool, Pool]:
    """The first m candidates and the others, as if each part had been sampled by itself.

    For candidates (or chains) that are independent of each other. Both parts carry what the plain
    prompt cost. Candidates whose grading timed out count with the rest.

    Raises:
      ValueError: one part would be empty, or a chain cut in two.
    """
    if not 0 < m < len(pool):
        raise ValueError(
            f"{m} of the {len(pool)} candidates of question {pool.question!r} cannot be set apart: "
            f"give a number below that of the candidates"
        )
    if pool.chain and m % pool.chain:
        raise ValueError(f"{m} attempts are not whole chains of {pool.chain}")
    before = {phase: float(cost[:m].sum()) for phase, cost in pool.own.items()}
    first, rest = {}, {}
    for phase, cost in pool.flops.items():
        shared = cost - pool.own[phase].sum() if phase in PROMPT_PHASES else 0.0
        first[phase], rest[phase] = before[phase] + float(shared), cost - before[phase]
    return _part(pool, slice(0, m), first, 0), _part(pool, slice(m, None), rest, pool.timeouts)


def _part(pool: Pool, part: slice, flops: Mapping[str, float], timeouts: int) -> Pool:
    return replace(
        pool,
        classes=pool.classes[part],
        right=pool.right[part],
        values=pool.values[part],
        steps=pool.steps[part],
        tokens=pool.tokens[part],
        logprobs=pool.logprobs[part],
        own={phase: cost[part] for phase, cost in pool.own.items()},
        flops=flops,
        timeouts=timeouts,
    )


def common(pools: Iterable[Mapping[str, Pool]]) -> tuple[str, ...]:
    """Ids of the questions that have a graded candidate in every one of several runs, sorted."""
    found = [{question for question, pool in run.items() if len(pool)} for run in pools]
    return tuple(sorted(set.intersection(*found))) if found else ()
