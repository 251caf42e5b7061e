# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The procedural task "pair sums": questions without end, each with one right solution.

A question has rows, each with a label, a target and some numbers, of which exactly one pair adds up
to the target; a solution names that pair, row after row:

    A 23: 4 9 14 18
    B 17: 2 5 12 16        ->    A 9 14
                                 B 5 12

It is hard to solve and easy to check, row by row, and small models learn it in minutes.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

LARGEST = 24  # numbers are 1..24
LABELS = "ABCDEFGH"
# How many numbers each row of a question has, by level.
DEFAULT_LEVELS = ((3, 3), (4, 4), (4, 4, 4), (5, 5, 5), (6, 6, 6, 6))

_VERSION = 1  # of what is made from a seed; prepared copies of other versions are not used
_BLOCK = 4096  # questions drawn at once; what is made of a seed depends on it
_TEST_SHARE = 16  # one question of so many belongs to the test split
_PATIENCE = 16_384  # questions of which none is new, after which there are taken to be no more


@dataclass(frozen=True)
class PairSums:
    """Which questions: `count` of them, made from `seed`, levels in turn.

    A level is the number of numbers in each row, as in (5, 5, 6, 8) for four rows. A larger count
    gives the same questions and further ones.

    Raises:
      ValueError: a setting that cannot be met, with its value.
    """

    count: int = 1000
    seed: int = 0
    levels: tuple[tuple[int, ...], ...] = DEFAULT_LEVELS

    def __post_init__(self):
        object.__setattr__(self, "levels", tuple(map(tuple, self.levels)))
        if self.count < 1:
            raise ValueError(f"data.count is {self.count}; there must be at least 1 question")
        if self.seed < 0:
            raise ValueError(f"data.seed is {self.seed}; seeds are 0 or larger")
        if not self.levels:
            raise ValueError("data.levels is empty; give the numbers of each row, as in ((3, 3),)")
        for level in self.levels:
            if not 1 <= len(level) <= len(LABELS):
                raise ValueError(
                    f"level {level} of data.levels has {len(level)} rows; rows are labelled "
                    f"{LABELS[0]} to {LABELS[-1]}, so there can be 1 to {len(LABELS)}"
                )
            for n in level:
                if not 2 <= n <= LARGEST:
                    raise ValueError(
                        f"level {level} of data.levels has a row of {n} numbers; rows have 2 to "
                        f"{LARGEST}, different ones of 1 to {LARGEST}"
                    )

    @property
    def key(self) -> str:
        """A digest of all that decides which questions are made."""
        parts = [_VERSION, self.count, self.seed, self.levels]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def split_of(text: str) -> str:
    """The only split, "train" or "test", that a question may be part of; its text decides."""
    return "train" if hashlib.sha256(text.encode()).digest()[0] % _TEST_SHARE else "test"


def generate(made: PairSums, split: str) -> Iterator[tuple[str, str, int]]:
    """Text, solution and level (from 1) of each question of a split, all different.

    Raises:
      ValueError: a level has fewer questions than are asked for.
    """
    seed = made.seed, ("train", "test").index(split)
    streams = [_stream(level, split, (*seed, i)) for i, level in enumerate(made.levels)]
    seen: set[str] = set()
    for number in range(made.count):
        level = number % len(streams)
        tried = islice(streams[level], _PATIENCE)
        found = next(((text, solved) for text, solved in tried if text not in seen), None)
        if found is None:
            raise ValueError(
                f"level {made.levels[level]} of data.levels has too few different questions for "
                f"the {split} split of data.count = {made.count}; after {number} none was new: "
                f"lower data.count, or take longer or more rows"
            )
        seen.add(found[0])
        yield *found, level + 1


def _stream(level: tuple[int, ...], split: str, seed: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Questions of one level and their solutions without end; those of the other split dropped."""
    block = 0
    while True:
        rng = np.random.default_rng((*seed, block))
        rows = [_rows(rng, n) for n in level]
        for parts in zip(*rows, strict=True):
            labelled = list(zip(LABELS, parts, strict=False))
            text = "\n".join(f"{label} {row}" for label, (row, _) in labelled)
            if split_of(text) == split:
                yield text, "\n".join(f"{label} {pair}" for label, (_, pair) in labelled)
        block += 1


def _rows(rng: np.random.Generator, n: int) -> list[tuple[str, str]]:
    """A block of rows of `n` numbers, "23: 4 9 14 18", and their pairs, "9 14"."""
    numbers = np.sort(rng.random((_BLOCK, LARGEST)).argsort(axis=1)[:, :n] + 1, axis=1)
    first, second = np.triu_indices(n, 1)
    sums = numbers[:, first] + numbers[:, second]
    place = np.arange(_BLOCK)[:, None] * 2 * LARGEST + sums
    unique = np.bincount(place.ravel(), minlength=_BLOCK * 2 * LARGEST)[place] == 1
    # Some sum always is: no other pair adds up to that of the two smallest numbers.
    chosen = np.where(unique, rng.random(sums.shape), -1).argmax(axis=1)
    targets = sums[np.arange(_BLOCK), chosen].tolist()
    lists = numbers.tolist()
    pairs = zip(first[chosen].tolist(), second[chosen].tolist(), strict=True)
    return [
        (f"{target}: {' '.join(map(str, row))}", f"{row[i]} {row[j]}")
        for target, row, (i, j) in zip(targets, lists, pairs, strict=True)
    ]
