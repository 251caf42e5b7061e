# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Host-side bookkeeping of a batch: which branch of which question sits in which row.

Nothing here touches a device. Shapes are rounded up to powers of two, so that few programs are
compiled; what a bucket adds is masked.
"""

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

from ttc_jax.decode.segment import Groups


@dataclass(frozen=True)
class Request:
    """A question to sample: n branches of at most max_new tokens after the prompt's tokens.

    `id` names the question and seeds its samples: equal ids give equal samples.
    """

    id: str
    tokens: tuple[int, ...]
    n: int
    max_new: int


@dataclass(frozen=True)
class Branch:
    """One sampled continuation: tokens i32[len] (the stop included), their logprobs f32[len].

    finish is "stop" (an end-of-sequence token or stop string, named by stopped_by) or "length".
    """

    index: int
    tokens: np.ndarray
    logprobs: np.ndarray
    finish: str
    stopped_by: int | str | None = None


@dataclass(frozen=True)
class Completion:
    """All branches of one question, in branch order."""

    id: str
    branches: tuple[Branch, ...]
    prompt_tokens: int


@dataclass(eq=False)
class Question:
    """A question in flight on one replica: branches not started yet, running and finished."""

    request: Request
    started: int = 0
    finished: list[Branch] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self):
        # 32 bits: two questions that collide would share noise, not samples.
        digest = hashlib.blake2s(self.request.id.encode(), digest_size=4).digest()
        self.seed = int.from_bytes(digest, "little")

    @property
    def cached(self) -> int:
        """Prompt tokens that are in the cache: all but the last, which the first step reads."""
        return len(self.request.tokens) - 1

    def shared_with(self, other: "Question") -> int:
        """Cached prompt tokens that both questions begin with."""
        mine, theirs = self.request.tokens[: self.cached], other.request.tokens[: other.cached]
        pairs = enumerate(zip(mine, theirs, strict=False))
        return next((i for i, (a, b) in pairs if a != b), min(len(mine), len(theirs)))

    @property
    def waiting(self) -> int:
        return self.request.n - self.started

    @property
    def done(self) -> bool:
        return len(self.finished) == self.request.n

    def completion(self) -> Completion:
        branches = tuple(sorted(self.finished, key=lambda b: b.index))
        return Completion(self.request.id, branches, len(self.request.tokens))


@dataclass(eq=False)
class Slot:
    """A row in use: the branch that it decodes and what it has sampled so far."""

    question: Question
    branch: int
    last: int
    state: int = 0
    finished: bool = False
    tokens: list[np.ndarray] = field(default_factory=list)
    logprobs: list[np.ndarray] = field(default_factory=list)
    length: int = 0

    @property
    def remaining(self) -> int:
        return self.question.request.max_new - self.length

    def pages_held(self, page_size: int) -> int:
        """Pages of the row, which holds all tokens of prompt and branch but the newest."""
        return -(-(self.question.cached + self.length) // page_size)

    def take(self, tokens: np.ndarray, logprobs: np.ndarray, state: int) -> None:
        """Append what a segment sampled."""
        self.state = state
        if len(tokens):
            self.tokens.append(tokens)
            self.logprobs.append(logprobs)
            self.length += len(tokens)
            self.last = int(tokens[-1])

    def branch_of(self, finish: str, stopped_by: int | str | None) -> Branch:
        tokens = np.concatenate(self.tokens).astype(np.int32)
        logprobs = np.concatenate(self.logprobs).astype(np.float32)
        return Branch(self.branch, tokens, logprobs, finish, stopped_by)


def bucket(n: int, least: int = 1) -> int:
    """The smallest power of two that is at least n and at least `least`; 0 stays 0."""
    return 0 if n == 0 else max(least, 1 << (n - 1).bit_length())


def pages_for(cached: int, n: int, max_new: int, page_size: int) -> int:
    """Most pages that n branches of max_new tokens over a prompt of `cached` tokens can hold."""
    shared = cached // page_size
    return shared + n * (-(-(cached + max_new) // page_size) - shared)


class Grouping:
    """Puts the rows of a segment in groups that share their first pages.

    Two partitions are weighed by the keys that attention would read: rows of one question share its
    prompt; rows that merely begin alike (the same few-shot examples) share less, but more of them
    do. Bucket sizes only ever grow, so that shapes do not go back and forth.
    """

    def __init__(self, page_size: int):
        self.page_size = page_size
        self._least = {"question": (1, 1, 4), "beginning": (1, 1, 4)}

    def of(self, seats, width: int, tables: np.ndarray) -> Groups:
        """Groups of seats[r][x] = (row, slot), the rows of replica r, at most `width` X of them.

        tables i32[R, B, M] are the block tables.
        """
        partitions = {"question": [], "beginning": []}
        for replica, table in zip(seats, tables, strict=True):
            for kind, key in (
                ("question", lambda row, slot: id(slot.question)),
                ("beginning", lambda row, slot, table=table: int(table[row, 0])),
            ):
                partitions[kind].append(_partition(replica, table, self.page_size, key))
        sizes = {kind: self._sizes(kind, groups, width) for kind, groups in partitions.items()}
        kind = min(partitions, key=lambda k: self._reads(partitions[k], sizes[k], seats, width))
        self._least[kind] = sizes[kind]
        return self._arrays(partitions[kind], sizes[kind], seats, width, tables)

    def _sizes(self, kind: str, partitions, width: int) -> tuple[int, int, int]:
        """Bucket sizes (G, W, pages) for these groups."""
        least = self._least[kind]
        members = max(len(members) for groups in partitions for members, _ in groups)
        members = max(least[1], bucket(members))
        # Room for a question or two in replacement of others that have not quite finished.
        usual = min(bucket(width // members + 1), bucket(width)) if kind == "question" else 1
        count = max(least[0], usual, bucket(max(map(len, partitions))))
        pages = max(pages for groups in partitions for _, pages in groups)
        return count, members, max(least[2], -(-pages // 4) * 4)

    def _reads(self, partitions, sizes: tuple[int, int, int], seats, width: int) -> int:
        """Products of queries and keys of one head, in pages, as the padded shapes compute them."""
        own = max(
            seats[r][x][1].pages_held(self.page_size) - pages
            for r, groups in enumerate(partitions)
            for members, pages in groups
            for x in members
        )
        return math.prod(sizes) + width * bucket(own, 4)

    def _arrays(self, partitions, sizes, seats, width: int, tables: np.ndarray) -> Groups:
        n_groups, n_members, n_pages = sizes
        replicas = len(partitions)
        pages = np.zeros((replicas, n_groups, n_pages), np.int32)
        lens = np.zeros((replicas, n_groups + 1), np.int32)
        members = np.full((replicas, n_groups, n_members), width, np.int32)
        group = np.full((replicas, width), n_groups, np.int32)
        place = np.zeros((replicas, width), np.int32)
        for r, groups in enumerate(partitions):
            for g, (indices, full) in enumerate(groups):
                row, _ = seats[r][indices[0]]
                pages[r, g, :full] = tables[r, row, :full]
                lens[r, g] = full * self.page_size
                members[r, g, : len(indices)] = indices
                group[r, indices] = g
                place[r, indices] = np.arange(len(indices))
        return Groups(pages, lens[:, :n_groups], members, group, place)


def _partition(seats, table: np.ndarray, page_size: int, key) -> list[tuple[list[int], int]]:
    """Indices into `seats` with equal key(row, slot), and how many full pages they share."""
    groups: dict[int, list[int]] = {}
    for index, (row, slot) in enumerate(seats):
        groups.setdefault(key(row, slot), []).append(index)
    partition = []
    for indices in groups.values():
        full = min(seats[i][1].question.cached for i in indices) // page_size
        pages = table[[seats[i][0] for i in indices], :full]
        same = (pages == pages[0]).all(0)
        partition.append((indices, int(np.cumprod(same).sum())))
    return partition
