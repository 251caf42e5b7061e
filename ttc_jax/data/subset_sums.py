# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The procedural task "subset sums": questions without end, each with one right solution.

A question has targets and some numbers, of which exactly one pair adds up to each target; a
solution names the pair of every target, one after the other, the smaller number first:

    =9=26=31: 4 5 6 7 8 13 14 16 17 20        ->    =9 4+5
                                                    =26 6+20
                                                    =31 14+17

What is left of a target once a number is taken is quickly learned, whether it is in the list is
quickly checked, line by line, and which number to take is hard to find: small models learn in a
minute to solve some of it, and to check all of it.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, count
from math import comb

import numpy as np

LARGEST = 24  # numbers are 1..24
TARGETS = range(1 + 2, 2 * LARGEST)  # sums of two different ones
# How many targets and numbers a question has, by level.
DEFAULT_LEVELS = ((1, 6), (2, 8), (3, 10), (5, 10), (8, 12))

_VERSION = 2  # of what is made from a seed; prepared copies of other versions are not used
_BLOCK = 1024  # lists drawn at once; what is made of a seed depends on it
_MOST = 8  # targets of a question
_TEST_SHARE = 16  # one question of so many belongs to the test split
_PATIENCE = 64  # blocks without a new question, after which there are taken to be no more


@dataclass(frozen=True)
class SubsetSums:
    """Which questions: `count` of them, made from `seed`, levels in turn.

    A level is a pair, how many targets and how many numbers a question has. A larger count gives
    the same questions and further ones.

    Raises:
      ValueError: a setting that cannot be met, with its value.
    """

    count: int = 1000
    seed: int = 0
    levels: tuple[tuple[int, int], ...] = DEFAULT_LEVELS

    def __post_init__(self):
        try:
            levels = tuple(map(tuple, self.levels))
        except TypeError:
            raise ValueError(
                f"data.levels is {self.levels}; give pairs of targets and numbers, as in ((2, 4),)"
            ) from None
        object.__setattr__(self, "levels", levels)
        if self.count < 1:
            raise ValueError(f"data.count is {self.count}; there must be at least 1 question")
        if self.seed < 0:
            raise ValueError(f"data.seed is {self.seed}; seeds are 0 or larger")
        if not self.levels:
            raise ValueError("data.levels is empty; give targets and numbers, as in ((2, 4),)")
        for level in self.levels:
            _check(level)

    @property
    def key(self) -> str:
        """A digest of all that decides which questions are made."""
        parts = [_VERSION, self.count, self.seed, self.levels]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _check(level: tuple[int, ...]) -> None:
    name = f"level {level} of data.levels"
    if len(level) != 2:
        raise ValueError(f"{name} is not a pair; give targets and numbers, as in (2, 4)")
    m, n = level
    if not 1 <= m <= _MOST:
        raise ValueError(f"{name} has {m} targets; questions have 1 to {_MOST}")
    if not 2 <= n <= LARGEST:
        raise ValueError(
            f"{name} has {n} numbers; questions have 2 to {LARGEST}, different ones of 1 to "
            f"{LARGEST}"
        )
    if m > comb(n, 2):
        raise ValueError(
            f"{name} cannot be met: {n} numbers have {comb(n, 2)} pairs, too few for {m} "
            f"targets; take fewer targets or more numbers"
        )


def split_of(text: str) -> str:
    """The only split, "train" or "test", that a question may be part of; its text decides."""
    return "train" if hashlib.sha256(text.encode()).digest()[0] % _TEST_SHARE else "test"


def generate(made: SubsetSums, split: str) -> Iterator[tuple[str, str, int]]:
    """Text, solution and level (from 1) of each question of a split, all different.

    Raises:
      ValueError: a level has fewer questions than are asked for, or none is found.
    """
    seed = made.seed, ("train", "test").index(split)
    seen: set[str] = set()
    streams = [_stream(level, split, (*seed, i), seen) for i, level in enumerate(made.levels)]
    for number in range(made.count):
        level = number % len(streams)
        yield *next(streams[level]), level + 1


def _stream(
    level: tuple[int, int], split: str, seed: tuple[int, ...], seen: set[str]
) -> Iterator[tuple[str, str]]:
    """Questions of one level and split and their solutions, none seen before; they are then.

    Raises:
      ValueError: nothing new turns up any more.
    """
    found = idle = 0  # questions of both splits; blocks without a new one
    for block in count():
        idle += 1
        for text, solution in _questions(np.random.default_rng((*seed, block)), *level):
            found += 1
            if text not in seen and split_of(text) == split:
                seen.add(text)
                idle = 0
                yield text, solution
        if idle >= _PATIENCE and found:
            raise ValueError(
                f"level {level} of data.levels has too few different questions for the {split} "
                f"split; after {len(seen)} of all levels none was new: lower data.count, or take "
                f"another number of targets or numbers"
            )
        if idle >= _PATIENCE:
            m, n = level
            raise ValueError(
                f"level {level} of data.levels cannot be met: of {idle * _BLOCK:,} lists of {n} "
                f"numbers none has {m} sums that only one pair makes; take fewer targets or "
                f"another number of numbers"
            )


def _questions(rng: np.random.Generator, m: int, n: int) -> Iterator[tuple[str, str]]:
    """A block of questions with their solutions; lists with too few targets are dropped."""
    numbers = np.sort(rng.random((_BLOCK, LARGEST)).argsort(axis=1)[:, :n] + 1, axis=1)
    pairs = np.array(list(combinations(range(n), 2)))
    sums = sum(numbers[:, places] for places in pairs.T)
    place = np.arange(_BLOCK)[:, None] * TARGETS.stop + sums
    unique = np.bincount(place.ravel(), minlength=_BLOCK * TARGETS.stop)[place] == 1
    order = np.where(unique, rng.random(sums.shape), 2).argsort(axis=1)[:, :m]
    kept = np.flatnonzero(unique.sum(axis=1) >= m)
    targets = np.take_along_axis(sums, order, axis=1)[kept]
    parts = numbers[kept[:, None, None], pairs[order[kept]]]  # [kept, m, 2]
    lines = np.concatenate([targets[..., None], parts], axis=2).tolist()
    for row, own in zip(numbers[kept].tolist(), lines, strict=True):
        text = f"{''.join([f'={line[0]}' for line in own])}: {' '.join(map(str, row))}"
        yield text, "\n".join([f"={target} {a}+{b}" for target, a, b in own])
