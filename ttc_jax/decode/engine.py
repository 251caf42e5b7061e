# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Samples for many rows of a forest at once, a segment at a time.

Which rows sample is the caller's affair: between two segments it may fork, cut, release and refill
rows as it likes. What a row samples depends on (seed, question, branch, position) alone, never on
what else is in the batch.
"""

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.decode import segment as programs
from ttc_jax.decode.batch import Grouping, Job, bucket, coarse, no_groups
from ttc_jax.decode.forest import Forest
from ttc_jax.decode.layout import Layout
from ttc_jax.decode.sample import Sampler, row_keys
from ttc_jax.decode.stop import StopAutomaton
from ttc_jax.model.shape import ModelShape

# What starting a segment costs (forks, gathered contexts, the host), in decoding steps.
_SEGMENT_COST = 3.0
# A segment of all lanes, each with a whole context of its own, that costs less than this is done
# before a program that fits the rows at hand would be compiled.
_COMPILE_FLOPS = 1 << 34


def cheap(shape: ModelShape, layout: Layout, lanes: int, segment: int) -> bool:
    """Whether segments are so cheap that all of them are of all lanes and whole contexts."""
    keys = layout.row_pages * layout.sizes.page_size
    step = shape.forward_flops(keys - 1, 1, logits=1)
    return lanes * segment * step <= _COMPILE_FLOPS


def steps_of(segment: int, longest: int) -> int:
    """Tokens of a segment for rows of which the longest has `longest` left to sample."""
    return min(segment, bucket(longest, 16))


def own_pages_of(own: int, layout: Layout) -> int:
    """Bucket of the pages that rows hold beyond shared ones, where the most are `own`."""
    # None is too rare for a program of its own.
    return coarse(max(own, 1), layout.row_pages)


_keys = jax.jit(jax.vmap(row_keys, in_axes=(None, 0, 0)))


class Engine:
    """Decodes up to `lanes` rows of each replica of a forest together, `segment` tokens at a time.

    `expected` (questions, rows of each, pages of a prompt) sizes the first programs, so that few
    more are compiled; `rollouts` says that some jobs will be greedy. Counters: `segments`; `steps`,
    the decoding steps of all segments; `lane_steps`, the rows that they computed; `sampled`, the
    rows that they sampled a token for; `pages_used` after the last segment. Raises ValueError when
    the stop automaton belongs to another tokenizer.
    """

    def __init__(
        self,
        forest: Forest,
        *,
        stop: StopAutomaton,
        sampler: Sampler,
        lanes: int,
        segment: int = 64,
        seed: int = 0,
        expected: tuple[int, int, int] | None = None,
        rollouts: bool = False,
    ):
        vocab = forest.model.shape.vocab
        if stop.next_state.shape[1] > vocab:
            raise ValueError(
                f"the stop automaton knows {stop.next_state.shape[1]} tokens, the model only "
                f"{vocab}: it was built from another tokenizer"
            )
        self.forest, self.stop, self.sampler = forest, stop, sampler
        self.lanes, self._segment, self._seed = lanes, segment, np.uint32(seed)
        # Vocabularies are often padded beyond the tokenizer: such ids leave the state alone.
        n_states, known = stop.next_state.shape
        table = np.repeat(np.arange(n_states, dtype=np.int16)[None], vocab, axis=0)
        table[:known] = stop.next_state.T
        self._next_state = jax.device_put(table, NamedSharding(forest.mesh, P()))
        self._rollouts = rollouts
        # Bucket sizes only ever grow: going back and forth would compile programs for nothing.
        self._groups, self._steps = Grouping(forest.page_size, expected), 0
        self._cheap = cheap(forest.model.shape, forest.layout, lanes, segment)
        self._finished = np.zeros(2)  # jobs, and their tokens
        self.segments = self.steps = self.lane_steps = self.sampled = self.pages_used = 0

    def run(self, jobs: list[list[Job]], refill: bool) -> None:
        """One segment over jobs[r] of each replica, which take what was sampled for them.

        With `refill` it ends early once enough jobs have finished for their lanes to be worth
        refilling. Raises OutOfPages.
        """
        forest = self.forest
        width = self._width(max(map(len, jobs)))
        longest = max(job.limit for replica in jobs for job in replica)
        n = self._steps = max(steps_of(self._segment, longest), self._steps)
        forest.settle()
        if self._cheap:
            groups, own_pages = no_groups(len(jobs), width), forest.row_pages
        else:
            groups = self._groups.of(jobs, width, forest.tables(), forest.lens)
            own_pages = self._own_pages(jobs, groups)
        # Segments write ahead of the host, which learns how far from the counts.
        sampled, forest.cache = programs.decode_segment(
            forest.model, forest.cache, self._rows(jobs, width, n, refill), groups,
            self._next_state, mesh=forest.mesh, sampler=self.sampler,
            first_stop=self.stop.first_stop, n=n, own_pages=own_pages,
        )  # fmt: skip
        sampled = jax.device_get(sampled)
        self.pages_used = forest.check_pages()
        spans = []
        for r, replica in enumerate(jobs):
            for x, job in enumerate(replica):
                count, state = int(sampled.count[r, x]), int(sampled.state[r, x])
                spans.append((job.phase, int(forest.lens[r, job.row]), count))
                job.take(sampled.tokens[r, x, :count], sampled.logprobs[r, x, :count], state)
                forest.lens[r, job.row] += count
                if state >= self.stop.first_stop or not job.limit:
                    self._finished += (1, job.length)
        steps = int(sampled.count.max())
        forest.meter.segment(
            spans, rows=width, steps=steps, n=n, own_pages=own_pages, groups=groups
        )
        self.segments += 1
        self.steps += steps
        self.lane_steps += steps * width * len(jobs)
        self.sampled += int(sampled.count.sum())

    def _width(self, live: int) -> int:
        """Rows that a segment computes: all lanes, or a quarter of them when few are in use."""
        return self.lanes // 4 if live <= self.lanes // 4 and not self._cheap else self.lanes

    def _own_pages(self, jobs, groups: programs.Groups) -> int:
        """Bucket of the pages that some row holds beyond its group's shared ones."""
        lens, page_size = self.forest.lens, self.forest.page_size
        own = max(
            -(-int(lens[r, job.row] - groups.lens[r, groups.group[r, x]]) // page_size)
            for r, replica in enumerate(jobs)
            for x, job in enumerate(replica)
        )
        return own_pages_of(own, self.forest.layout)

    def _rows(self, jobs, width: int, n: int, refill: bool) -> programs.Rows:
        replicas = len(jobs)
        dims = (replicas, width)
        row = np.full(dims, self.forest.lens.shape[1], np.int32)
        last, state, limit = (np.zeros(dims, np.int32) for _ in range(3))
        question, branch = (np.zeros(dims, np.uint32) for _ in range(2))
        greedy = np.zeros(dims, bool)
        floor = np.zeros((replicas,), np.int32)
        for r, replica in enumerate(jobs):
            for x, job in enumerate(replica):
                row[r, x], last[r, x], state[r, x] = job.row, job.last, job.state
                limit[r, x] = min(n, job.limit)
                question[r, x], branch[r, x], greedy[r, x] = job.question, job.branch, job.greedy
            if refill:
                floor[r] = max(0, len(replica) - self._idle_allowance())
        keys = _keys(self._seed, question, branch)
        if not self._rollouts:
            greedy = None
        return programs.Rows(row, last, state, limit, keys, floor, greedy)

    def _idle_allowance(self) -> int:
        """Finished rows that a segment should wait for before it ends and they are refilled.

        Rows finish at a rate of rows / mean length per step. A segment of s steps then wastes
        rate * s^2 / 2 row-steps on finished rows, and its start wastes cost * rows; their sum per
        step is least at s = sqrt(2 * cost * mean length).
        """
        jobs, tokens = self._finished
        mean = tokens / jobs if jobs else self._segment
        share = min(0.5, (2 * _SEGMENT_COST / mean) ** 0.5)
        return max(1, int(self.lanes * share))
