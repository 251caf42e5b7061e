# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Host-side bookkeeping of a batch: which branch of which question sits in which row.

Nothing here touches a device. Shapes are rounded up to powers of two, so that few programs are
compiled; what a bucket adds is masked.
"""

import hashlib
from collections.abc import Sequence
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


def groups_of(
    seats: Sequence[Sequence[tuple[int, Slot]]],
    width: int,
    tables: np.ndarray,
    page_size: int,
    least: tuple[int, int, int],
) -> tuple[Groups, tuple[int, int, int]]:
    """The rows of a segment grouped by question, with the pages that their prompt fills.

    seats[r][x] = (row, slot) are the rows of replica r, at most `width` X; tables i32[R, B, M].
    `least` are lower bounds of the bucket sizes (G, W, pages); those used come back too, so that
    passing them on keeps shapes from going back and forth.
    """
    replicas = len(seats)
    by_question = [_by_question(replica) for replica in seats]
    shared = [slot.question.cached // page_size for replica in seats for _, slot in replica]
    n_members = max(least[1], bucket(max(len(m) for groups in by_question for m in groups)))
    # Room for a question or two in replacement of others that have not quite finished.
    usual = min(bucket(width // n_members + 1), bucket(width))
    n_groups = max(least[0], usual, bucket(max(map(len, by_question))))
    sizes = (n_groups, n_members, max(least[2], bucket(max(shared), 4)))
    n_pages = sizes[2]
    pages = np.zeros((replicas, n_groups, n_pages), np.int32)
    lens = np.zeros((replicas, n_groups), np.int32)
    members = np.full((replicas, n_groups, n_members), width, np.int32)
    group = np.full((replicas, width), n_groups, np.int32)
    place = np.zeros((replicas, width), np.int32)
    for r, groups in enumerate(by_question):
        for g, indices in enumerate(groups):
            row, slot = seats[r][indices[0]]
            full = slot.question.cached // page_size
            pages[r, g, :full] = tables[r, row, :full]
            lens[r, g] = full * page_size
            members[r, g, : len(indices)] = indices
            group[r, indices] = g
            place[r, indices] = np.arange(len(indices))
    return Groups(pages, lens, members, group, place), sizes


def _by_question(seats: Sequence[tuple[int, Slot]]) -> list[list[int]]:
    """Indices into `seats`, one list per question."""
    members: dict[int, list[int]] = {}
    for index, (_, slot) in enumerate(seats):
        members.setdefault(id(slot.question), []).append(index)
    return list(members.values())
