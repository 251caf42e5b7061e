# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Verdicts on solutions, and which answers are equal, under a hard limit of time."""

import enum
import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ttc_jax.verify.answers import extract, normalise, plain_number, whole
from ttc_jax.verify.workers import Pair, WorkerPool

# What the answer of a solution is: the final answer that it states, or all of its text.
ANSWERS = ("stated", "solution")


class Verdict(enum.StrEnum):
    """What grading found. TIMEOUT says that equality could not be decided, not that it fails."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Graded:
    """The final answer found in a solution, None when UNPARSED, and the verdict on it."""

    answer: str | None
    verdict: Verdict


class Grader:
    """Compares answers; a context manager, since it keeps worker processes.

    Plain numbers and equal texts are decided here and exactly; everything else by math-verify in a
    process of its own that is killed after `limit_s` seconds. No process starts before it is
    needed. `timeouts` counts the comparisons that reached the limit. Any thread may use it.

    With `answer="solution"` the whole solution is the answer, and equal is what reads alike, white
    space at the ends of lines and of the text aside; no process is ever needed.
    """

    def __init__(
        self,
        workers: int = 2,
        limit_s: float = 5.0,
        *,
        last_number: bool = False,
        answer: str = "stated",
    ):
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        if not (0 < limit_s < math.inf):
            raise ValueError(f"limit_s must be a positive number of seconds, not {limit_s}")
        check_answer(answer)
        self.timeouts = 0
        self._whole = answer == "solution"
        self._last_number = last_number
        self._pool = WorkerPool(workers, limit_s)
        self._known: dict[Pair, bool | None] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the worker processes; the grader may still be used and starts them again."""
        with self._lock:
            self._pool.close()

    def answer(self, solution: str) -> str | None:
        """The answer of a solution, None where it has none."""
        if self._whole:
            return whole(solution) or None
        return extract(solution, last_number=self._last_number)

    def grade(self, items: Sequence[tuple[str, str]]) -> list[Graded]:
        """The final answer and the verdict for each `(gold answer, solution text)`.

        Raises:
          ValueError: a gold answer is empty.
          RuntimeError: a worker process died twice over one item.
        """
        for number, (gold, _) in enumerate(items):
            if not gold.strip():
                raise ValueError(f"item {number}: a question without an answer cannot be graded")
        answers = [self.answer(text) for _, text in items]
        pairs = [
            None if answer is None else (self._comparable(gold), self._comparable(answer))
            for (gold, _), answer in zip(items, answers, strict=True)
        ]
        self._decide(pair for pair in pairs if pair)
        return [
            Graded(answer, self._verdict(pair)) for answer, pair in zip(answers, pairs, strict=True)
        ]

    def classes(self, answers: Sequence[str | None]) -> list[int | None]:
        """The class of each answer among equal ones, numbered as first seen; None for None.

        An answer joins the first class whose first member it equals; that member is the gold one
        of the comparison. An answer that cannot be compared in time is only equal to itself.

        Raises:
          RuntimeError: a worker process died twice over one pair.
        """
        texts = [None if answer is None else self._comparable(answer) for answer in answers]
        if self._whole:
            return _numbered(texts)
        left = list(dict.fromkeys(text for text in texts if text is not None))
        value = {text: plain_number(text) for text in left}
        symbolic = [text for text in left if value[text] is None]
        self._decide((text, "1") for text in symbolic)  # finds those that take for ever
        endless = {text for text in symbolic if self._equal((text, "1")) is None}
        number: dict[str, int] = {}
        while left:
            first = left.pop(0)
            number[first] = max(number.values(), default=-1) + 1
            alike = (value[first], None)  # two plain numbers that differ need no comparison
            may = [text for text in left if value[first] is None or value[text] in alike]
            rest = [] if first in endless else [text for text in may if text not in endless]
            self._decide((first, text) for text in rest)
            same = {text for text in rest if self._equal((first, text))}
            number |= dict.fromkeys(same, number[first])
            left = [text for text in left if text not in same]
        return [None if text is None else number[text] for text in texts]

    def _comparable(self, answer: str) -> str:
        return whole(answer) if self._whole else normalise(answer)

    def _verdict(self, pair: Pair | None) -> Verdict:
        if pair is None:
            return Verdict.UNPARSED
        found = {True: Verdict.CORRECT, False: Verdict.WRONG, None: Verdict.TIMEOUT}
        return found[self._equal(pair)]

    def _equal(self, pair: Pair) -> bool | None:
        """What is known about the pair after `_decide`; None means that it took too long."""
        easy = self._easy(pair)
        return self._known[pair] if easy is None else easy

    def _decide(self, pairs: Iterable[Pair]) -> None:
        """Compares the pairs that are neither easy nor known, all workers at once."""
        with self._lock:
            hard = [
                p for p in dict.fromkeys(pairs) if self._easy(p) is None and p not in self._known
            ]
            results = self._pool.compare(hard)
            self._known |= zip(hard, results, strict=True)
            self.timeouts += results.count(None)

    def _easy(self, pair: Pair) -> bool | None:
        """Equality where it is plain: the same text, or two plain numbers; None otherwise."""
        if self._whole or pair[0] == pair[1]:
            return pair[0] == pair[1]
        numbers = [plain_number(text) for text in pair]
        return None if None in numbers else numbers[0] == numbers[1]


def check_answer(answer: str) -> None:
    """ValueError for what no answer can be."""
    if answer not in ANSWERS:
        raise ValueError(f"grade.answer is {answer!r}; there are {', '.join(ANSWERS)}")


def _numbered(texts: Sequence[str | None]) -> list[int | None]:
    """The number of each text, equal ones alike, as first seen; None for None."""
    number: dict[str, int] = {}
    return [None if text is None else number.setdefault(text, len(number)) for text in texts]
