# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The host object that keeps a batch of rows busy: admission, prefill, segments, refill.

Many questions share the batch. A prompt is encoded once, into one row, and forked to its branches;
rows that finish are handed to waiting branches of the same question, then to other questions,
between segments. What a question samples depends on (seed, question id, branch, position) alone,
never on what else is in the batch.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.decode import cache as caching
from ttc_jax.decode import segment as programs
from ttc_jax.decode.batch import (
    Completion,
    Grouping,
    Question,
    Request,
    Slot,
    bucket,
    pages_for,
)
from ttc_jax.decode.sample import Sampler, row_keys
from ttc_jax.decode.stop import StopAutomaton
from ttc_jax.model.transformer import Transformer

# Prompts are encoded in chunks of at most this many tokens per row.
_CHUNK = 512
# What starting a segment costs (forks, gathered contexts, the host), in decoding steps.
_SEGMENT_COST = 3.0


class OutOfPages(RuntimeError):
    """The pool ran out during a device program; rows lack pages and the run cannot go on."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands; token counts and seconds since `generate` began."""

    rows: int
    live_rows: int
    pages: int
    pages_used: int
    new_tokens: int
    prefill_tokens: int
    done_questions: int
    segments: int
    steps: int
    seconds: float


class Engine:
    """Samples continuations of prompts with a shared, paged key-value cache.

    `rows` branches run at once, spread evenly over the replicas of `mesh`. `context` is the longest
    prompt plus continuation; `pages` of page_size tokens are what one replica's pool holds
    (default: enough for all rows at full context, which sharing never needs; see `pages_for`). Keys
    and values are kept in the parameters' dtype. Raises ValueError when the sizes do not fit.
    """

    def __init__(
        self,
        model: Transformer,
        *,
        mesh: Mesh,
        rows: int,
        context: int,
        stop: StopAutomaton,
        sampler: Sampler,
        seed: int = 0,
        pages: int | None = None,
        page_size: int = 16,
        segment: int = 64,
    ):
        replicas = mesh.shape["data"]
        if rows < 1 or rows % replicas:
            raise ValueError(f"{rows} rows cannot be spread over {replicas} replicas evenly")
        if context > model.shape.context:
            raise ValueError(
                f"context {context} exceeds the model's {model.shape.context}; lower it"
            )
        if stop.next_state.shape[1] > model.shape.vocab:
            raise ValueError(
                f"the stop automaton knows {stop.next_state.shape[1]} tokens, the model only "
                f"{model.shape.vocab}: it was built from another tokenizer"
            )
        self.model, self.mesh, self.stop, self.sampler = model, mesh, stop, sampler
        self.context, self.segment, self.page_size = context, segment, page_size
        self.replicas, self.rows = replicas, rows // replicas
        self.row_pages = -(-context // page_size)
        self.pages = self.rows * self.row_pages if pages is None else pages
        self._seed = np.uint32(seed)
        self._key = jax.jit(jax.vmap(row_keys, in_axes=(None, 0, 0)))
        # Vocabularies are often padded beyond the tokenizer: such ids leave the state alone.
        n_states, known = stop.next_state.shape
        table = np.repeat(np.arange(n_states, dtype=np.int16)[None], model.shape.vocab, axis=0)
        table[:known] = stop.next_state.T
        self._next_state = jax.device_put(table, NamedSharding(mesh, P()))
        # Bucket sizes only ever grow: going back and forth would compile programs for nothing.
        self._groups, self._steps = Grouping(page_size), 0
        self._clear()

    def _clear(self) -> None:
        self.cache = caching.create(
            self.model.shape,
            self.mesh,
            rows=self.rows,
            n_pages=self.pages,
            page_size=self.page_size,
            row_pages=self.row_pages,
            dtype=self.model.embed.dtype,
        )
        self._slots: list[list[Slot | None]] = [[None] * self.rows for _ in range(self.replicas)]
        self._questions: list[list[Question]] = [[] for _ in range(self.replicas)]
        self._lens = np.zeros((self.replicas, self.rows), np.int32)
        self._finished = np.zeros(2)  # branches, and their tokens
        self._progress = Progress(
            self.rows * self.replicas, 0, self.pages * self.replicas, 0, 0, 0, 0, 0, 0, 0.0
        )

    def check(self, request: Request) -> None:
        """Raise ValueError when `request` could never be sampled here, with the numbers."""
        if request.n < 1:
            raise ValueError(f"question {request.id!r}: {request.n} samples asked for, at least 1")
        if request.max_new < 1:
            raise ValueError(f"question {request.id!r}: max_new is {request.max_new}, at least 1")
        if not request.tokens:
            raise ValueError(f"question {request.id!r} has an empty prompt")
        low, high = min(request.tokens), max(request.tokens)
        if low < 0 or high >= self.model.shape.vocab:
            raise ValueError(
                f"question {request.id!r} has token {high if low >= 0 else low}, outside the "
                f"model's vocabulary of {self.model.shape.vocab}"
            )
        total = len(request.tokens) + request.max_new
        if total > self.context:
            raise ValueError(
                f"question {request.id!r}: a prompt of {len(request.tokens)} tokens and "
                f"{request.max_new} new ones need a context of {total}, the engine has "
                f"{self.context}; shorten the prompt or max_new, or raise the context"
            )
        need = self._pages_for(request, request.n)
        if need > self.pages:
            raise ValueError(
                f"question {request.id!r} needs {need} pages of {self.page_size} tokens, the pool "
                f"has {self.pages}; raise pages"
            )

    def generate(
        self,
        requests: Iterable[Request],
        *,
        on_segment: Callable[[Progress], None] | None = None,
    ) -> Iterator[Completion]:
        """Completions of all requests, each as soon as its last branch has finished.

        Requests are drawn lazily and checked as they come. on_segment is called after every
        segment. Raises ValueError for a bad request and OutOfPages when the pool runs out.
        """
        self._clear()
        self._start = time.perf_counter()
        source = iter(requests)
        pending: deque[Request] = deque()
        while True:
            self._refill(source, pending)
            if not any(slot for replica in self._slots for slot in replica):
                return
            more = bool(pending) or any(q.waiting for r in self._questions for q in r)
            done = self._run_segment(more)
            if on_segment is not None:
                on_segment(self.progress)
            yield from done

    @property
    def progress(self) -> Progress:
        """The state of the current or last `generate`."""
        slots = [slot for replica in self._slots for slot in replica if slot is not None]
        live = sum(not slot.finished for slot in slots)
        return replace(
            self._progress, live_rows=live, seconds=time.perf_counter() - self._start
        )

    def _refill(self, source: Iterator[Request], pending: deque) -> None:
        """Seat waiting branches, then new questions, on free rows; fork and prefill for them."""
        parent = np.tile(np.arange(self.rows, dtype=np.int32), (self.replicas, 1))
        lens = self._lens.copy()
        held = [
            {id(s.question): (row, s.question) for row, s in enumerate(slots) if s is not None}
            for slots in self._slots
        ]
        free = [self._free_rows(r, parent, lens) for r in range(self.replicas)]
        for r, rows in enumerate(free):
            lens[r, rows] = 0
        fresh = self._admit(source, pending, free)
        first, later = self._waves(fresh, held, parent, lens)
        self._fork(parent, lens)
        if not fresh:
            return
        self._prefill(first)
        if later:
            self._fork_from({(r, home): (near, n) for r, _, home, near, n in later})
            self._prefill([(r, question, home) for r, question, home, _, _ in later])
        self._fork_from(
            {
                (r, row): (home, question.cached)
                for r, question, home in fresh
                for row, slot in enumerate(self._slots[r])
                if slot is not None and slot.question is question
            }
        )

    def _waves(self, fresh, held, parent, lens) -> tuple[list, list]:
        """New questions that can be encoded at once, and those that wait for a shared beginning.

        The first begin with what rows hold already, which goes into parent and lens. Where nothing
        fits, as at the start of a run, questions that begin like another new one follow it:
        (replica, question, home, row to begin from, tokens). Few-shot examples and system prompts
        are thus encoded once per replica, and stand in the same pages for all questions.
        """
        first, later, leaders = [], [], [{} for _ in range(self.replicas)]
        for r, question, home in fresh:
            near, shared = self._nearest(held[r], question)
            if not shared:
                near, shared = self._nearest(leaders[r], question)
                if shared:
                    later.append((r, question, home, near, shared))
                    continue
                leaders[r][id(question)] = (home, question)
            parent[r, home], lens[r, home] = near, shared
            first.append((r, question, home))
        return first, later

    def _fork_from(self, sources: dict[tuple[int, int], tuple[int, int]]) -> None:
        """Rows (replica, row) become the first tokens of others: (row, tokens)."""
        parent = np.tile(np.arange(self.rows, dtype=np.int32), (self.replicas, 1))
        lens = self._lens.copy()
        for place, (source, n) in sources.items():
            parent[place], lens[place] = source, n
        self._fork(parent, lens)

    def _nearest(self, held: dict, question: Question) -> tuple[int, int]:
        """A row that holds the longest beginning of the question's prompt, and its length.

        Less than a page is not worth sharing: length 0.
        """
        best = (0, 0)
        for row, other in held.values():
            shared = question.shared_with(other)
            if shared >= max(self.page_size, best[1] + 1):
                best = (row, shared)
        return best

    def _free_rows(self, r: int, parent, lens) -> list[int]:
        """Rows of replica r left free after its questions' waiting branches took theirs.

        A question's own finished rows go to itself first, so that one which waits never loses the
        row that holds its prompt.
        """
        slots = self._slots[r]
        homes = {id(slot.question): row for row, slot in enumerate(slots) if slot is not None}
        free = []
        for row, slot in enumerate(slots):
            if slot is not None and not slot.finished:
                continue
            if slot is not None and slot.question.waiting:
                self._seat(r, row, slot.question)
                parent[r, row], lens[r, row] = homes[id(slot.question)], slot.question.cached
            else:
                slots[row] = None
                free.append(row)
        for question in self._questions[r]:
            while question.waiting and free:
                row = free.pop()
                self._seat(r, row, question)
                parent[r, row], lens[r, row] = homes[id(question)], question.cached
        return free

    def _admit(self, source, pending: deque, free) -> list[tuple[int, Question, int]]:
        """Questions given rows for the first time: (replica, question, its first row)."""
        fresh = []
        while True:
            if not pending and (request := next(source, None)) is not None:
                self.check(request)
                pending.append(request)
            r = max(range(self.replicas), key=lambda r: len(free[r]))
            if not pending or not free[r]:
                return fresh
            need = self._pages_for(pending[0], pending[0].n)
            if self._pages_committed(r) + need > self.pages:
                return fresh
            question = Question(pending.popleft())
            self._questions[r].append(question)
            fresh.append((r, question, free[r][-1]))
            while question.waiting and free[r]:
                self._seat(r, free[r].pop(), question)

    def _seat(self, r: int, row: int, question: Question) -> None:
        last = question.request.tokens[-1]
        self._slots[r][row] = Slot(question, question.started, last)
        question.started += 1

    def _pages_for(self, request: Request, n: int) -> int:
        at_once = min(n, self.rows)
        return pages_for(len(request.tokens) - 1, at_once, request.max_new, self.page_size)

    def _pages_committed(self, r: int) -> int:
        """Pages that the questions of replica r may come to hold."""
        return sum(
            self._pages_for(q.request, q.request.n - len(q.finished)) for q in self._questions[r]
        )

    def _fork(self, parent: np.ndarray, lens: np.ndarray) -> None:
        if (lens == self._lens).all() and (parent == np.arange(self.rows)).all():
            return
        self.cache = programs.fork(self.cache, parent, lens, mesh=self.mesh)
        # A copy: on CPU the program, still running, may read the very memory of its arguments.
        self._lens = lens.copy()

    def _prefill(self, fresh: list[tuple[int, Question, int]]) -> None:
        """Encode what the home rows lack of their prompts, all but the last token, in chunks."""
        by_replica = [[f for f in fresh if f[0] == r] for r in range(self.replicas)]
        width = bucket(max(map(len, by_replica)))
        while (left := max(q.cached - self._lens[r, home] for r, q, home in fresh)) > 0:
            length = bucket(min(_CHUNK, int(left)), 16)
            context = max(int(self._lens[r, home]) for r, _, home in fresh)
            rows = np.full((self.replicas, width), self.rows, np.int32)
            tokens = np.zeros((self.replicas, width, length), np.int32)
            n = np.zeros((self.replicas, width), np.int32)
            for r, group in enumerate(by_replica):
                for x, (_, question, home) in enumerate(group):
                    start = self._lens[r, home]
                    chunk = question.request.tokens[start : min(start + length, question.cached)]
                    rows[r, x], n[r, x] = home, len(chunk)
                    tokens[r, x, : len(chunk)] = chunk
            _, self.cache = programs.extend(
                self.model, self.cache, rows, tokens, n, mesh=self.mesh,
                context_pages=bucket(-(-context // self.page_size), 4),
            )  # fmt: skip
            for r, group in enumerate(by_replica):
                for x, (_, _, home) in enumerate(group):
                    self._lens[r, home] += n[r, x]
            self._count(prefill_tokens=int(n.sum()))

    def _run_segment(self, more: bool) -> list[Completion]:
        """One segment over all live rows; returns the questions that it completed."""
        seats = [
            [(row, slot) for row, slot in enumerate(replica) if slot is not None]
            for replica in self._slots
        ]
        width = self._row_bucket(max(map(len, seats)))
        slots = [slot for replica in seats for _, slot in replica]
        n = min(self.segment, bucket(max(slot.remaining for slot in slots), 16))
        self._steps = n = max(n, self._steps)
        tables = np.asarray(self.cache.pages.table)
        groups = self._groups.of(seats, width, tables)
        sampled, self.cache = programs.decode_segment(
            self.model, self.cache, self._rows(seats, width, n, more), groups, self._next_state,
            mesh=self.mesh, sampler=self.sampler, first_stop=self.stop.first_stop, n=n,
            own_pages=self._own_pages(seats, groups),
        )  # fmt: skip
        pages = self.cache.pages
        sampled, short, n_free = jax.device_get((sampled, pages.short, pages.n_free))
        if short.any():
            raise OutOfPages(
                f"the pool of {self.pages} pages per replica was {int(short.max())} pages short; "
                f"raise pages or lower rows"
            )
        self._count(
            new_tokens=int(sampled.count.sum()), segments=1, steps=int(sampled.count.max())
        )
        used = self.pages * self.replicas - int(n_free.sum())
        self._progress = replace(self._progress, pages_used=used)
        self._collect(seats, sampled)
        return self._completed()

    def _row_bucket(self, live: int) -> int:
        """Rows that a segment computes: all, or a quarter, a sixteenth, ... when few are left."""
        width = self.rows
        while width > 4 and live <= width // 4:
            width //= 4
        return width

    def _own_pages(self, seats, groups: programs.Groups) -> int:
        """Bucket of the pages that some row holds beyond its group's shared ones."""
        own = max(
            -(-int(self._lens[r, row] - groups.lens[r, groups.group[r, x]]) // self.page_size)
            for r, replica in enumerate(seats)
            for x, (row, _) in enumerate(replica)
        )
        return bucket(own, 4)

    def _rows(self, seats, width: int, n: int, more: bool) -> programs.Rows:
        dims = (self.replicas, width)
        row = np.full(dims, self.rows, np.int32)
        last, state, limit = (np.zeros(dims, np.int32) for _ in range(3))
        question, branch = (np.zeros(dims, np.uint32) for _ in range(2))
        floor = np.zeros((self.replicas,), np.int32)
        for r, replica in enumerate(seats):
            for x, (number, slot) in enumerate(replica):
                row[r, x], last[r, x], state[r, x] = number, slot.last, slot.state
                limit[r, x] = min(n, slot.remaining)
                question[r, x], branch[r, x] = slot.question.seed, slot.branch
            if more:
                floor[r] = max(0, len(replica) - self._idle_allowance())
        keys = self._key(self._seed, question, branch)
        return programs.Rows(row, last, state, limit, keys, floor)

    def _idle_allowance(self) -> int:
        """Finished rows that a segment should wait for before it ends and they are refilled.

        Rows finish at a rate of rows / mean length per step. A segment of s steps then wastes
        rate * s^2 / 2 row-steps on finished rows, and its start wastes cost * rows; their sum per
        step is least at s = sqrt(2 * cost * mean length).
        """
        branches, tokens = self._finished
        mean = tokens / branches if branches else self.segment
        share = min(0.5, (2 * _SEGMENT_COST / mean) ** 0.5)
        return max(1, int(self.rows * share))

    def _collect(self, seats, sampled) -> None:
        """Hand what was sampled to the slots, and finished branches to their questions."""
        for r, replica in enumerate(seats):
            for x, (row, slot) in enumerate(replica):
                count = int(sampled.count[r, x])
                state = int(sampled.state[r, x])
                slot.take(sampled.tokens[r, x, :count], sampled.logprobs[r, x, :count], state)
                self._lens[r, row] += count
                met = self.stop.met(state)
                if met is not None or not slot.remaining:
                    slot.finished = True
                    self._finished += (1, slot.length)
                    finish = "length" if met is None else "stop"
                    slot.question.finished.append(slot.branch_of(finish, met))

    def _completed(self) -> list[Completion]:
        done = [q for replica in self._questions for q in replica if q.done]
        self._questions = [[q for q in replica if not q.done] for replica in self._questions]
        self._count(done_questions=len(done))
        return [question.completion() for question in done]

    def _count(self, **more: int) -> None:
        grown = {name: getattr(self._progress, name) + n for name, n in more.items()}
        self._progress = replace(self._progress, **grown)
