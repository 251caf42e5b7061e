# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What revision models and their verifiers are trained on, made from stored samples.

Texts are kept as they were sampled: prompts and formats strip them as they do in a search.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from ttc_jax.core.samples import Sample, candidates
from ttc_jax.search.recorder import stored_tree
from ttc_jax.verify.grade import Verdict


@dataclass(frozen=True)
class Trajectory:
    """A solution to the question with id `question`, behind earlier attempts, oldest first.

    `correct` is the verdict on the solution.
    """

    question: str
    attempts: tuple[str, ...]
    solution: str
    correct: bool = True


@dataclass(frozen=True)
class _Graded:
    """A candidate: its number, its text and what grading found."""

    branch: int
    text: str
    verdict: Verdict


def revisions(
    samples: Sequence[Sample],
    *,
    most: int = 4,
    seed: int = 0,
    gold: str = "",
    kept: float = 0.0,
) -> tuple[list[Trajectory], Counter]:
    """For each correct candidate of one question a trajectory from wrong ones to it.

    n, the number of wrong attempts, is uniform over 0..most, or as many as there are. The last of
    them is the nearest to the correct one by character-level edit distance (of equals the one
    sampled first), the others are drawn from the rest. Wrong candidates with equal texts, blanks at
    the ends aside, count once: an attempt that is only repeated shows nothing. Draws are keyed by
    the seed, the question and the branch of the correct one, so they do not change with its place.

    With `gold`, the source's own solution, there is a trajectory for every wrong candidate too: it
    ends with that solution, which stands in the candidate's place and is correct by definition.
    Questions that are never solved are then learned from as well; the paper leaves them out.

    Of `kept`, a share of the trajectories, the last attempt in view is the correct solution itself,
    behind at most `most` - 1 wrong ones: it is to be left as it is. The paper has none of these,
    and its model turns 38 % of its right answers into wrong ones.

    The counter has the candidates that were not used, by verdict ("unparsed", "timeout"), the wrong
    ones that repeat another ("repeated"), and "no_correct" or "no_wrong" where the question has
    none. Source: Snell et al. 2024, section 6.1 (64 samples of each question, at a higher
    temperature).

    Raises:
      ValueError: `most` is negative, no samples, or those of several questions.
    """
    if most < 0:
        raise ValueError(f"most={most}: give the largest number of wrong attempts, at least 0")
    if not 0 <= kept <= 1 or kept and not most:
        raise ValueError(f"kept={kept}, most={most}: give a share, and room for an attempt in view")
    question, graded = _candidates(samples)
    dropped = Counter(c.verdict.value for c in graded if not _decided(c))
    correct = [c for c in graded if c.verdict == Verdict.CORRECT]
    unsolved = not correct
    if gold:
        correct += [replace(c, text=gold) for c in graded if c.verdict == Verdict.WRONG]
        correct.sort(key=lambda c: c.branch)
    every = [c for c in graded if c.verdict == Verdict.WRONG]
    by_text: dict[str, _Graded] = {}
    for candidate in sorted(every, key=lambda c: c.branch):
        by_text.setdefault(candidate.text.strip(), candidate)
    wrong = list(by_text.values())
    dropped += Counter(repeated=len(every) - len(wrong), no_correct=unsolved, no_wrong=not wrong)
    made = []
    for right in correct:
        draw = random.Random(f"{seed} {question} {right.branch}")
        attempts: list[str] = []
        if n := draw.randint(0, min(most, len(wrong))):
            last = min(wrong, key=lambda c: _distance(c, right))
            others = draw.sample([c for c in wrong if c is not last], n - 1)
            attempts = [c.text for c in (*others, last)]
        if kept and draw.random() < kept:
            attempts = [*attempts[len(attempts) == most :], right.text]
        made.append(Trajectory(question, tuple(attempts), right.text))
    return made, dropped


def restem(
    samples: Sequence[Sample], *, chain: int, memory: int = 4
) -> tuple[list[Trajectory], Counter]:
    """The chains of one question up to their first correct answer, for training in turns.

    `chain` and `memory` are the s and the memory of the `revise` strategy that made the samples.
    Attempts are those that stood in the correct one's prompt, unparsed ones among them: it was
    sampled behind just these. A chain counts as "timeout", and is dropped, when the verdict on an
    attempt before its first correct one is open: the chain may have to end there. One without a
    correct answer counts as "no_correct". Source: Snell et al. 2024, appendix on ReST^EM (64 chains
    of 5 for each question).

    Raises:
      ValueError: the candidates are not whole chains, no samples, or those of several questions.
    """
    question, graded = _candidates(samples)
    made, dropped = [], Counter()
    for attempts in _chains(question, graded, chain, memory):
        verdicts = [attempt.verdict for attempt in attempts]
        end = next((i for i, v in enumerate(verdicts) if v == Verdict.CORRECT), None)
        if end is None:
            dropped["no_correct"] += 1
        elif Verdict.TIMEOUT in verdicts[:end]:
            dropped["timeout"] += 1
        else:
            made.append(_trajectory(question, attempts, end, memory))
    return made, dropped


def balanced(trajectories: Iterable[Trajectory], *, seed: int = 0) -> list[Trajectory]:
    """As many trajectories of each length, in attempts, as there are of the rarest one.

    Lengths that none has do not count. Which ones stay depends on the seed and on what they are,
    not on their order, which is kept. Source: Snell et al. 2024, appendix on ReST^EM, which says
    that lengths were balanced and not how.
    """
    trajectories = list(trajectories)
    by_length: dict[int, list[int]] = {}
    for i, trajectory in enumerate(trajectories):
        by_length.setdefault(len(trajectory.attempts), []).append(i)
    fewest = min(map(len, by_length.values()), default=0)
    kept: list[int] = []
    for members in by_length.values():
        members.sort(key=lambda i: _hash(trajectories[i], seed))
        kept += members[:fewest]
    return [trajectories[i] for i in sorted(kept)]


def outcomes(
    samples: Sequence[Sample], *, chain: int = 1, memory: int = 4
) -> tuple[list[Trajectory], Counter]:
    """Every graded candidate of one question with the attempts that its prompt had, for an ORM.

    `chain` and `memory` are the s and the memory of the `revise` strategy that made the samples;
    other strategies have chains of 1. Attempts in view are kept whatever the verdict on them.
    Candidates that were not decided are counted by verdict. Source: Snell et al. 2024, section 6.1.

    Raises:
      ValueError: the candidates are not whole chains, no samples, or those of several questions.
    """
    question, graded = _candidates(samples)
    made = []
    for attempts in _chains(question, graded, chain, memory):
        at = [i for i, attempt in enumerate(attempts) if _decided(attempt)]
        made += [_trajectory(question, attempts, i, memory) for i in at]
    return made, Counter(c.verdict.value for c in graded if not _decided(c))


def _candidates(samples: Sequence[Sample]) -> tuple[str, list[_Graded]]:
    """The question's id, and its candidates in the order of the strategy."""
    tree = stored_tree(samples)
    rows = candidates(samples)
    return tree.question, [
        _Graded(row.branch, node.solution, Verdict(row.verdict))
        for row, node in zip(rows, tree.candidates, strict=True)
    ]


def _distance(one: _Graded, other: _Graded) -> int:
    return Levenshtein.distance(one.text.strip(), other.text.strip())


def _decided(candidate: _Graded) -> bool:
    return candidate.verdict in (Verdict.CORRECT, Verdict.WRONG)


def _chains(
    question: str, graded: list[_Graded], chain: int, memory: int
) -> Iterator[list[_Graded]]:
    for name, value in (("chain", chain), ("memory", memory)):
        if value < 1:
            raise ValueError(f"{name}={value}: give that of the strategy, at least 1")
    if len(graded) % chain:
        raise ValueError(
            f"question {question!r}: {len(graded)} candidates are not whole chains of {chain} "
            f"attempts; give the s of the strategy that made them"
        )
    return (graded[at : at + chain] for at in range(0, len(graded), chain))


def _trajectory(question: str, attempts: list[_Graded], end: int, memory: int) -> Trajectory:
    """Attempt number `end` of a chain, with the window that its prompt had."""
    window = attempts[max(0, end - memory) : end]
    solution = attempts[end]
    correct = solution.verdict == Verdict.CORRECT
    return Trajectory(question, tuple(a.text for a in window), solution.text, correct)


def _hash(trajectory: Trajectory, seed: int) -> bytes:
    text = repr((seed, trajectory.question, trajectory.attempts, trajectory.solution))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()
