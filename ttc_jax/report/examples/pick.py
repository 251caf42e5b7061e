# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Questions that show how searches fare, picked by rule from stored samples: the same every time.

Of a run of thousands of questions only some that may fit, by their verdicts, are read in full.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ttc_jax.core.samples import Sample, candidates, read_outline, read_samples
from ttc_jax.report.examples.branches import cut, way
from ttc_jax.report.examples.cases import (
    Answer,
    Asked,
    Attempt,
    ChainExample,
    Examples,
    Failure,
    TreeExample,
)
from ttc_jax.search.recorder import stored_tree
from ttc_jax.search.strategy import Strategy
from ttc_jax.study.summary import Classes, winners
from ttc_jax.verify.answers import extract, normalise, whole
from ttc_jax.verify.grade import Verdict

QUESTION = 1200  # characters shown of a question
SOLUTION = 700  # and of a solution
ATTEMPTS = 8  # shown of a chain
ANSWERS = 6  # shown of those that were found
TRIES = 24  # questions of a run that are read in search of one example
RULES = ("hierarchical", "weighted", "majority")  # the first that there is selects

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A run to take examples from: its name, where its samples lie, and its strategy."""

    name: str
    samples: Path
    strategy: Strategy


def pick(sources: Sequence[Source], classes: Classes) -> Examples:
    """Examples from the runs, the earlier ones first; `classes` numbers equal answers alike.

    There is at most one of each kind, and none of a kind that does not occur among the first
    `TRIES` questions of every run that may be of it.

    Failures come from the run with the most candidates that has one.

    Raises:
      ValueError: samples cannot be read.
    """
    runs = [_Run(source, classes) for source in sources]
    trees = [_first(run.trees(kind) for run in runs) for kind in ("solved", "pruned")]
    chains = [_first(run.chains(kind) for run in runs) for kind in ("corrected", "lost")]
    wide = sorted(runs, key=lambda run: -run.widest)
    unchosen = _first(run.failures("unchosen") for run in wide)
    used = unchosen.asked.question if unchosen else ""
    fooled = _first(run.failures("fooled", but=used) for run in wide)
    failures = (unchosen, fooled, _unsolved(runs))
    return Examples(*(tuple(filter(None, found)) for found in (trees, chains, failures)))


def _first(found: Iterable[Iterator[T]]) -> T | None:
    return next(itertools.chain.from_iterable(found), None)


def _unsolved(runs: Sequence["_Run"]) -> Failure | None:
    """The first question that runs sampled and none solved, as it was in the widest search."""
    solved = {name for run in runs for name, counts in run.outline.items() if counts.right}
    tried = [
        (name, -counts.candidates, at)
        for at, run in enumerate(runs)
        for name, counts in run.outline.items()
        if name not in solved and counts.candidates
    ]
    if not tried:
        return None
    name, _, at = min(tried)
    return runs[at].failure("unsolved", name)


@dataclass(frozen=True)
class _Counts:
    """How many nodes, pruned ones, candidates and right ones a question has."""

    nodes: int
    pruned: int
    candidates: int
    right: int


class _Run:
    def __init__(self, source: Source, classes: Classes):
        self._source, self._classes = source, classes
        strategy = source.strategy
        self._chain = len(strategy.chains[0]) if strategy.chains else 0
        self._stepwise = strategy.stepwise
        self.outline = {
            name: _Counts(
                len(nodes),
                sum(role == "pruned" for role, _ in nodes),
                sum(role == "candidate" for role, _ in nodes),
                sum(verdict == Verdict.CORRECT for _, verdict in nodes),
            )
            for name, nodes in read_outline(source.samples).items()
        }

    @property
    def widest(self) -> int:
        """The most candidates of a question."""
        return max((counts.candidates for counts in self.outline.values()), default=0)

    def trees(self, kind: str) -> Iterator[TreeExample]:
        """Examples of a search tree, first those with a wrong candidate, the smallest first."""
        fits = [
            (counts.right == counts.candidates, counts.nodes, name)
            for name, counts in self.outline.items()
            if self._stepwise and counts.pruned and (counts.right or kind == "pruned")
        ]
        for _, nodes, name in sorted(fits)[:TRIES]:
            rows = read_samples(self._source.samples, name)
            chosen, rule = self._chosen(candidates(rows))
            solved = chosen is not None and chosen.verdict == Verdict.CORRECT
            if kind == "solved" and solved:
                right = chosen.branch
            elif kind == "pruned" and not solved:
                right = _right_pruned(rows)
            else:
                continue
            if right is not None:
                ends = [right] if chosen is None else [right, chosen.branch]
                number = None if chosen is None else chosen.branch
                asked = self._asked(rows, rule)
                yield TreeExample(kind, asked, way(rows, ends), number, right, nodes - 1)

    def chains(self, kind: str) -> Iterator[ChainExample]:
        """Examples of a chain of revisions, by id."""
        fits = [name for name, c in self.outline.items() if 0 < c.right < c.candidates]
        for name in fits[:TRIES] if self._chain > 1 else ():
            rows = read_samples(self._source.samples, name)
            attempts = candidates(rows)
            chosen, rule = self._chosen(attempts)
            for at in range(0, len(attempts), self._chain):
                chain = attempts[at : at + self._chain]
                right = [attempt.verdict == Verdict.CORRECT for attempt in chain]
                if (right[0], right[-1]) != (
                    (False, True) if kind == "corrected" else (True, False)
                ):
                    continue
                shown = [
                    Attempt(i, cut(a.text, SOLUTION), a.answer, a.verdict, a.value, a is chosen)
                    for i, a in enumerate(chain, start=1)
                ]
                hidden = max(0, len(shown) - ATTEMPTS)
                shown = shown[: ATTEMPTS - 1] + shown[max(ATTEMPTS - 1, len(shown) - 1) :]
                yield ChainExample(kind, self._asked(rows, rule), tuple(shown), hidden)

    def failures(self, kind: str, but: str = "") -> Iterator[Failure]:
        """Questions with a right answer in the minority that was not selected, or scored lower.

        `but` is a question that is left out.
        """
        fits = sorted(
            (-c.right / c.candidates, name)
            for name, c in self.outline.items()
            if 0 < c.right < c.candidates and name != but
        )
        for _, name in [fit for fit in fits if fit[0] >= -0.5][:TRIES]:
            rows = candidates(read_samples(self._source.samples, name))
            chosen, rule = self._chosen(rows, kind)
            fits_rule = kind != "fooled" or rule == "best"
            if fits_rule and chosen is not None and chosen.verdict == Verdict.WRONG:
                yield self.failure(kind, name)

    def failure(self, kind: str, name: str) -> Failure:
        """What a question's candidates answered, those with the most samples first."""
        rows = read_samples(self._source.samples, name)
        found = candidates(rows)
        chosen, rule = self._chosen(found, kind)
        groups: dict[int | None, list[Sample]] = {}
        for row, number in zip(found, self._classes([row.answer for row in found]), strict=True):
            groups.setdefault(number, []).append(row)
        answers = [_answer(members, chosen) for members in groups.values()]
        answers.sort(key=lambda a: (not a.chosen, a.verdict != Verdict.CORRECT, -a.count))
        right = [row for row in found if row.verdict == Verdict.CORRECT]
        right.sort(key=lambda row: -(row.value or 0.0))
        title = "Highest score" if kind == "fooled" else "Selected"
        tree = {node.number: node for node in stored_tree(rows).nodes}
        solutions = [
            (title, cut(tree[row.branch].solution, SOLUTION))
            for title, row in ((title, chosen), ("Right", right[0] if right else None))
            if row is not None
        ]
        asked = self._asked(rows, rule)
        hidden = max(0, len(answers) - ANSWERS)
        return Failure(kind, asked, tuple(answers[:ANSWERS]), hidden, tuple(solutions))

    def _chosen(self, rows: Sequence[Sample], kind: str = "") -> tuple[Sample | None, str]:
        """The candidate that the first of `RULES` that there is selects, and that rule.

        For "fooled" it is the one of the highest score, where there are scores.
        """
        found = winners(rows, self._classes, self._chain)
        rules = ("best", *RULES) if kind == "fooled" else RULES
        rule = next(rule for rule in rules if rule in found)
        winner = found[rule]
        return None if winner is None else rows[winner], rule

    def _asked(self, rows: Sequence[Sample], rule: str) -> Asked:
        prompt = next((row for row in rows if row.branch == -1), None)
        return Asked(
            question=rows[0].question,
            text=cut(prompt.text, QUESTION) if prompt else "",
            gold=(prompt.answer or "") if prompt else "",
            run=self._source.name,
            strategy=str(self._source.strategy),
            rule=rule,
        )


def _right_pruned(rows: Sequence[Sample]) -> int | None:
    """The first given up node whose solution is or states the gold answer, letter for letter."""
    tree = stored_tree(rows)
    pruned = {row.branch for row in rows if row.role == "pruned"}
    gold = next((row.answer for row in rows if row.branch == -1), None)
    for node in tree.nodes:
        if gold and node.number in pruned and not node.rollout:
            answer = extract(node.solution)
            stated = answer is not None and normalise(answer) == normalise(gold)
            if stated or whole(node.solution) == whole(gold):
                return node.number
    return None


def _answer(members: Sequence[Sample], chosen: Sample | None) -> Answer:
    values = [row.value for row in members if row.value is not None]
    return Answer(
        text=members[0].answer if members[0].answer is not None else "no answer",
        count=len(members),
        total=sum(values) if values else None,
        best=max(values, default=None),
        verdict=members[0].verdict,
        chosen=any(row is chosen for row in members),
    )
