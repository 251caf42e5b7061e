# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Host-side bookkeeping of a batch: what rows append or sample, and which of them begin alike.

Nothing here touches a device. Shapes are rounded up to powers of two, so that few programs are
compiled; what a bucket adds is masked.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ttc_jax.core.team import stable_hash
from ttc_jax.decode.meter import Span
from ttc_jax.decode.segment import Groups

Place = tuple[int, int]  # replica, row


@dataclass(eq=False)
class Job:
    """A row that samples up to `limit` more tokens, until it meets a stop.

    `row` is its number in the forest; `last` the token that follows what the row holds; `state`
    that of the stop automaton. `question` and `branch` (u32) key the samples: equal ones sample the
    same. `greedy` takes the likeliest token instead of drawing one. `phase` is what the ledger
    charges the tokens to.
    """

    row: int
    question: int
    branch: int
    last: int
    limit: int
    state: int = 0
    greedy: bool = False
    phase: str = "decode"
    tokens: list[np.ndarray] = field(default_factory=list)
    logprobs: list[np.ndarray] = field(default_factory=list)
    length: int = 0

    def take(self, tokens: np.ndarray, logprobs: np.ndarray, state: int) -> None:
        """Append what a segment sampled."""
        self.state = state
        if len(tokens):
            self.tokens.append(tokens)
            self.logprobs.append(logprobs)
            self.length += len(tokens)
            self.limit -= len(tokens)
            self.last = int(tokens[-1])

    def sampled(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens i32[len] and logprobs f32[len] so far."""
        if not self.tokens:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        tokens = np.concatenate(self.tokens).astype(np.int32)
        return tokens, np.concatenate(self.logprobs).astype(np.float32)


@dataclass(frozen=True)
class Extension:
    """Tokens to append to a row, and the phase that the ledger charges them to.

    The last `ahead` of them are a rollout, which is charged to a phase of its own.
    """

    place: Place
    tokens: Sequence[int]
    phase: str = "prefill"
    ahead: int = 0

    def spans(self, first: int, end: int, held: int) -> Iterator[Span]:
        """What to charge tokens first to end to, appended to a row that holds `held` tokens."""
        ahead = min(max(first, len(self.tokens) - self.ahead), end)
        if first < ahead:
            yield self.phase, held, ahead - first
        if ahead < end:
            yield f"{self.phase}_lookahead", held + ahead - first, end - ahead


def question_key(name: str) -> int:
    """The u32 that keys the samples of a question: a hash of its id."""
    # 32 bits: two questions that collide would share noise, not samples.
    return stable_hash(name)


def bucket(n: int, least: int = 1) -> int:
    """The smallest power of two that is at least n and at least `least`; 0 stays 0."""
    return 0 if n == 0 else max(least, 1 << (n - 1).bit_length())


def coarse(n: int, most: int, least: int = 4) -> int:
    """The smallest of least, 4 * least, 16 * least, ... that is at least n; 0 stays 0.

    At most `most`, which n does not exceed. For sizes that vary a lot and cost little.
    """
    size = least
    while size < n:
        size *= 4
    return min(size, most) if n else 0


def pages_for(prompt: int, *, rows: int, paths: int, full: int, tail: int, page_size: int) -> int:
    """Most pages that `rows` rows over one prompt can hold.

    `paths` stretches of `full` tokens share nothing but the prompt, and every row has `tail` tokens
    of its own beyond one of them; no row has more than `full` tokens in all.
    """
    pages = lambda tokens: -(-tokens // page_size)  # noqa: E731
    whole = pages(full) + 1  # the prompt's last page may be partly filled, and is then copied
    return pages(prompt) + min(paths * whole + rows * (pages(tail) + 2), rows * whole)


def no_groups(replicas: int, width: int) -> Groups:
    """Groups for `width` rows on each replica of which none shares anything."""
    one, rows = np.zeros((replicas, 1), np.int32), np.zeros((replicas, width), np.int32)
    return Groups(one[..., None][..., :0], one, one[..., None] + width, rows + 1, rows)


class Grouping:
    """Puts the rows of a segment in groups that share their first pages.

    Two partitions are weighed by the keys that attention would read: rows of one question share its
    prompt and what their branches have in common; rows that merely begin alike (the same few-shot
    examples) share less, but more of them do. Bucket sizes only ever grow, so that shapes do not go
    back and forth. `expected` (questions, rows of each, pages of a prompt) is what they begin with,
    and then no more pages than those of a prompt count as shared by a question's rows: what else
    its branches have in common changes from step to step, and with it the shapes would.
    """

    def __init__(self, page_size: int, expected: tuple[int, int, int] | None = None):
        self.page_size = page_size
        questions, rows, pages = expected or (1, 1, 4)
        self._most_pages = None if expected is None else max(1, -(-pages // 4)) * 4
        first = (bucket(questions), bucket(rows), self._most_pages or 4)
        self._least = {"question": first, "beginning": (1, 1, 4)}

    def first(self, replicas: int, width: int) -> Groups:
        """What the first segments come to have the shapes of: groups without a row in them."""
        nobody = [[] for _ in range(replicas)]
        sizes = self._sizes("question", nobody, width)
        return self._arrays(nobody, sizes, nobody, width, np.zeros((replicas, 1, 1), np.int32))

    def of(
        self, jobs: list[list[Job]], width: int, tables: np.ndarray, lens: np.ndarray
    ) -> Groups:
        """Groups of jobs[r], those of replica r, at most `width` X of them.

        tables i32[R, B, M] are the block tables, lens i32[R, B] the tokens in each row.
        """
        partitions = {"question": [], "beginning": []}
        for replica, table, held in zip(jobs, tables, lens, strict=True):
            for kind, key in (
                ("question", lambda job: job.question),
                ("beginning", lambda job, table=table: int(table[job.row, 0])),
            ):
                full = np.minimum(held // self.page_size, self._most_pages or len(table[0]))
                partitions[kind].append(_partition(replica, table, full, key))
        sizes = {kind: self._sizes(kind, groups, width) for kind, groups in partitions.items()}
        own = -(-lens // self.page_size)
        reads = {
            kind: self._reads(groups, sizes[kind], jobs, width, own)
            for kind, groups in partitions.items()
        }
        # Not for a little less: every change of mind is another shape.
        kind = "beginning" if reads["beginning"] < 0.75 * reads["question"] else "question"
        self._least[kind] = sizes[kind]
        return self._arrays(partitions[kind], sizes[kind], jobs, width, tables)

    def _sizes(self, kind: str, partitions, width: int) -> tuple[int, int, int]:
        """Bucket sizes (G, W, pages) for these groups."""
        least = self._least[kind]
        members = max((len(members) for groups in partitions for members, _ in groups), default=1)
        members = max(least[1], bucket(members))
        # Room for a question or two in replacement of others that have not quite finished.
        usual = min(bucket(width // members + 1), bucket(width)) if kind == "question" else 1
        count = max(least[0], usual, bucket(max(map(len, partitions))))
        pages = max((pages for groups in partitions for _, pages in groups), default=0)
        return count, members, max(least[2], -(-pages // 4) * 4)

    def _reads(self, partitions, sizes: tuple[int, int, int], jobs, width: int, held) -> int:
        """Products of queries and keys of one head, in pages, as the padded shapes compute them."""
        own = max(
            (
                int(held[r, jobs[r][x].row]) - pages
                for r, groups in enumerate(partitions)
                for members, pages in groups
                for x in members
            ),
            default=0,
        )
        return math.prod(sizes) + width * own

    def _arrays(self, partitions, sizes, jobs, width: int, tables: np.ndarray) -> Groups:
        n_groups, n_members, n_pages = sizes
        replicas = len(partitions)
        pages = np.zeros((replicas, n_groups, n_pages), np.int32)
        lens = np.zeros((replicas, n_groups + 1), np.int32)
        members = np.full((replicas, n_groups, n_members), width, np.int32)
        group = np.full((replicas, width), n_groups, np.int32)
        place = np.zeros((replicas, width), np.int32)
        for r, groups in enumerate(partitions):
            for g, (indices, full) in enumerate(groups):
                pages[r, g, :full] = tables[r, jobs[r][indices[0]].row, :full]
                lens[r, g] = full * self.page_size
                members[r, g, : len(indices)] = indices
                group[r, indices] = g
                place[r, indices] = np.arange(len(indices))
        return Groups(pages, lens[:, :n_groups], members, group, place)


def _partition(jobs, table: np.ndarray, full: np.ndarray, key) -> list[tuple[list[int], int]]:
    """Indices of jobs with equal key(job), and how many of their full i32[B] pages are the same."""
    groups: dict[int, list[int]] = {}
    for index, job in enumerate(jobs):
        groups.setdefault(key(job), []).append(index)
    partition = []
    for indices in groups.values():
        rows = [jobs[i].row for i in indices]
        pages = table[rows, : full[rows].min()]
        same = (pages == pages[0]).all(0)
        partition.append((indices, int(np.cumprod(same).sum())))
    return partition
