# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled solutions: the soft value of every step, from stored rollouts, and the file of them.

The value of a step is the share of the rollouts from the prefix that ends with it which are right
(paper section 2); that of a solution's last step is whether the solution is. Where nothing was
rolled out, the question's own samples that go on from a prefix are its rollouts.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ttc_jax.core.places import path_of
from ttc_jax.core.samples import Sample
from ttc_jax.core.tables import open_table, write_rows
from ttc_jax.learn.monte_carlo import same_text
from ttc_jax.search.recorder import stored_tree
from ttc_jax.search.tree import Node
from ttc_jax.verify.grade import Verdict

SCHEMA = pa.schema(
    [
        ("question", pa.string()),
        ("steps", pa.list_(pa.string())),
        ("values", pa.list_(pa.float64())),
        ("rollouts", pa.list_(pa.int32())),
        ("correct", pa.bool_()),
        ("count", pa.int32()),
        ("text", pa.string()),
    ]
)
_PROVENANCE = b"ttc_jax.provenance"


@dataclass(frozen=True)
class LabelledSolution:
    """A solution with what each of its steps is worth to the policy that wrote it.

    Fields:
      question: id of the question.
      steps: its non-empty steps, in order; at least one.
      values: of each step, the share of right rollouts from the prefix that ends with it, between
        0 and 1; None where there is none, as inside a node of two steps, after a step that states
        an answer, or where all rollouts timed out. The last one is 1.0 or 0.0, the solution's own
        verdict.
      rollouts: how many graded rollouts each value is the mean of; 0 without any, and for the last.
      correct: whether the solution is right.
      count: how many of the question's samples read like this.
      text: the whole solution.
    """

    question: str
    steps: tuple[str, ...]
    values: tuple[float | None, ...]
    rollouts: tuple[int, ...]
    correct: bool
    count: int
    text: str


def labelled(
    samples: Sequence[Sample], *, rollouts: bool = True
) -> tuple[list[LabelledSolution], Counter]:
    """The labelled solutions of one question, and how many samples were dropped, by reason.

    `samples` are all stored rows of the question, as a `monte_carlo` search leaves them. Dropped
    are samples that ended without an answer that can be read ("unparsed"; "length" where they were
    cut before), whose grading timed out ("timeout"), and that had not ended after all rounds
    ("rounds"); kept and dropped together are all that were sampled. A rollout without an answer is
    not right; one whose grading timed out does not count at all.

    With `rollouts` False the samples are whole solutions that nothing was rolled out from. A prefix
    is then worth the share of right ones among the samples that begin with the same steps and have
    more text behind them, the solution itself and dropped ones included, by the rules above.

    Raises:
      ValueError: rows of several questions or that make no tree (see `stored_tree`).
    """
    tree = stored_tree(samples)
    verdicts = {sample.branch: sample.verdict for sample in samples}
    right: dict[Node, list[bool]] = {}
    for node in tree.nodes:
        if node.rollout and verdicts[node.number] != Verdict.TIMEOUT:
            right.setdefault(node.parent, []).append(verdicts[node.number] == Verdict.CORRECT)
    sampled = [node for node in tree.nodes if node.number >= 0 and not node.rollout]
    dropped: Counter = Counter()
    ended = []
    for node in sampled:
        if node.finished:
            reason = _unusable(node, verdicts[node.number])
            if reason:
                dropped[reason] += 1
            else:
                ended.append(node)
    continued = {node.parent for node in sampled}
    for nodes in same_text(node for node in sampled if not node.finished):
        if continued.isdisjoint(nodes):
            dropped["rounds"] += len(nodes)
    solutions = []
    for first, *others in same_text(ended):
        correct = verdicts[first.number] == Verdict.CORRECT
        solutions.append(_solution(tree.question, first, correct, 1 + len(others), right))
    if not rollouts:
        through = _through(samples)
        solutions = [_valued(solution, through) for solution in solutions]
    return solutions, dropped


def _through(samples: Iterable[Sample]) -> dict[tuple[str, ...], list[int]]:
    """By the steps of a prefix: how many graded samples go on from it, and how many end right."""
    found: dict[tuple[str, ...], list[int]] = {}
    for sample in samples:
        if sample.branch < 0 or sample.verdict == Verdict.TIMEOUT:
            continue
        steps = tuple(sample.steps)
        ends = steps and sample.offsets[-1] + len(steps[-1]) == len(sample.text)
        for length in range(1, len(steps) + (not ends)):
            counts = found.setdefault(steps[:length], [0, 0])
            counts[0] += 1
            counts[1] += sample.verdict == Verdict.CORRECT
    return found


def _valued(
    solution: LabelledSolution, through: Mapping[tuple[str, ...], Sequence[int]]
) -> LabelledSolution:
    """A solution with the values of its steps but the last."""
    steps = solution.steps
    counts = [through[steps[:length]] for length in range(1, len(steps))]
    return replace(
        solution,
        values=(*(right / n for n, right in counts), solution.values[-1]),
        rollouts=(*(n for n, _ in counts), 0),
    )


def _unusable(node: Node, verdict: str) -> str | None:
    """Why a solution cannot be learned from."""
    if verdict == Verdict.TIMEOUT:
        return "timeout"
    if verdict == Verdict.UNPARSED:
        return "length" if node.finish == "length" else "unparsed"
    return None


def _solution(
    question: str, last: Node, correct: bool, count: int, right: Mapping[Node, Sequence[bool]]
) -> LabelledSolution:
    steps: list[str] = []
    values: list[float | None] = []
    rollouts: list[int] = []
    for node in last.path:
        steps += node.steps
        values += [None] * len(node.steps)
        rollouts += [0] * len(node.steps)
        found = right.get(node, ())
        if node.steps and found:
            values[-1], rollouts[-1] = sum(found) / len(found), len(found)
    values[-1], rollouts[-1] = float(correct), 0
    return LabelledSolution(
        question, tuple(steps), tuple(values), tuple(rollouts), correct, count, last.solution
    )


def summary_of(
    samples: Iterable[Sample], solutions: Sequence[LabelledSolution], dropped: Mapping[str, int]
) -> dict[str, Any]:
    """What labelling came to, as JSON values.

    `samples` are the stored rows of all questions; `solutions` and `dropped` what `labelled` made
    of them, together. "without_correct" names the questions of which no solution is right, and
    "usage" has the tokens encoded ("prefill") and sampled ("decode", "rollout").
    """
    usage: Counter = Counter()
    rollouts: Counter = Counter()
    questions = set()
    for sample in samples:
        questions.add(sample.question)
        for phase in ("prefill", "decode", "rollout"):
            usage[phase] += sample.usage.get(phase, 0)
        if sample.rollout:
            rollouts[sample.verdict] += 1
    kept = sum(solution.count for solution in solutions)
    solved = {solution.question for solution in solutions if solution.correct}
    values = [value for solution in solutions for value in solution.values[:-1]]
    return {
        "questions": len(questions),
        "without_correct": sorted(questions - solved),
        "samples": kept + sum(dropped.values()),
        "kept": kept,
        "correct": sum(solution.count for solution in solutions if solution.correct),
        "solutions": len(solutions),
        "dropped": dict(sorted(dropped.items())),
        "steps": len(values) + len(solutions),
        "steps_without_value": values.count(None),
        "rollouts": dict(sorted(rollouts.items())),
        "usage": dict(usage),
    }


# ------------------------------------------------------------------ the file


def write_labels(
    path: Path, solutions: Sequence[LabelledSolution], provenance: Mapping[str, Any]
) -> None:
    """Leaves the solutions in one Parquet file, whole or not at all.

    `provenance` is what they were made with, as JSON values: model, strategy, seed and so on.

    Raises:
      WorkdirError: the directory is not writable or the disk is full.
    """
    metadata = {_PROVENANCE: json.dumps(dict(provenance), ensure_ascii=False).encode()}
    schema = SCHEMA.with_metadata(metadata)
    rows = [asdict(solution) for solution in solutions]
    write_rows(path_of(path), rows, schema)


def read_labels(path: Path) -> tuple[list[LabelledSolution], dict[str, Any]]:
    """The solutions of a file, in its order, and what they were made with.

    A file without provenance, written by other means, has {}.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it is no Parquet file or lacks columns; or a solution is malformed, named with its
        question and step: a value that is not finite or outside [0, 1], no steps, more or fewer
        values than steps, a count below 1.
    """
    path = path_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"no labels at {path}; label questions first, or give another path")
    try:
        table = open_table(path).read()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read ({error}); label the questions again") from error
    if missing := [name for name in SCHEMA.names if name not in table.column_names]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; label the questions again")
    solutions = []
    for row in table.select(SCHEMA.names).to_pylist():
        lists = {name: tuple(row[name] or ()) for name in ("steps", "values", "rollouts")}
        solutions.append(LabelledSolution(**row | lists))
        _check(path, solutions[-1])
    provenance = (table.schema.metadata or {}).get(_PROVENANCE, b"{}")
    return solutions, json.loads(provenance)


def _check(path: Path, solution: LabelledSolution) -> None:
    where = f"{path}, question {solution.question!r}"
    steps, values = len(solution.steps), len(solution.values)
    if not steps or not steps == values == len(solution.rollouts):
        raise ValueError(
            f"{where}: {steps} steps, {values} values and {len(solution.rollouts)} numbers of "
            f"rollouts; a solution has one of each for every step"
        )
    if solution.count < 1:
        raise ValueError(f"{where}: count is {solution.count}; it must be at least 1")
    for number, (step, value) in enumerate(zip(solution.steps, solution.values, strict=True), 1):
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            raise ValueError(
                f"{where}: step {number} of {steps} ({step!r}) has the value {value}; it must be "
                f"between 0 and 1"
            )
