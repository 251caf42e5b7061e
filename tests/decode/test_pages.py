# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Random forests of forks against a model of pages made of Python objects.

In the model a page is an object and sharing is object identity. The tables under test must be the
same forest up to the names of pages: two rows list the same page id where, and only where, the
model has the same object. Contents are simulated too: every token is written through `place`, every
copy that `fork` asks for is made, and each row must always read its own history.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttc_jax.decode import pages as paging

# Rows B, pages per row M, pages P, slots per page S: roomy, tight, slots of one token, large pages.
SIZES = ((6, 5, 40, 4), (8, 4, 32, 3), (5, 8, 48, 1), (4, 2, 12, 16))


@partial(jax.jit, static_argnames="steps")
def _grow(pages, n, steps):
    """Room for n more tokens, lens grown by them, and where each of them goes."""
    grown = paging.reserve(pages, n)
    step = jnp.arange(steps, dtype=jnp.int32)
    rows = jnp.arange(len(n), dtype=jnp.int32)
    page, slot = paging.place(grown, rows, pages.lens[:, None] + step)
    return replace(grown, lens=pages.lens + n), page, slot


_fork = jax.jit(paging.fork)
_restore = jax.jit(paging.restore)
_counts = jax.jit(paging.counts)


class Forest:
    """The reference: histories of tokens, and pages as objects that rows share by identity."""

    def __init__(self, rows: int, page_size: int):
        self.size = page_size
        self.tokens = [[] for _ in range(rows)]
        self.pages = [[] for _ in range(rows)]

    def grow(self, row: int, tokens: list) -> None:
        self.tokens[row] = self.tokens[row] + tokens
        while len(self.pages[row]) * self.size < len(self.tokens[row]):
            self.pages[row] = self.pages[row] + [object()]

    def fork(self, parent, lens) -> None:
        self.tokens = [self.tokens[p][:n] for p, n in zip(parent, lens, strict=True)]
        self.pages = [
            self.pages[p][: -(-n // self.size)] for p, n in zip(parent, lens, strict=True)
        ]
        full, taken = set(), set()
        for pages, n in zip(self.pages, lens, strict=True):
            full.update(pages[: n // self.size])
        for row, n in enumerate(lens):
            if n % self.size:
                tail = self.pages[row][-1]
                if tail in full or tail in taken:
                    tail = object()
                    self.pages[row] = [*self.pages[row][:-1], tail]
                taken.add(tail)

    def live(self) -> set:
        return {page for pages in self.pages for page in pages}

    def saved(self):
        return list(self.tokens), list(self.pages)

    def restore(self, saved) -> None:
        self.tokens, self.pages = (list(part) for part in saved)


class Pair:
    """The pages under test and their reference, taken through the same transitions."""

    def __init__(self, sizes, random):
        self.rows, self.row_pages, self.n_pages, self.size = sizes
        self.random = random
        self.pages = paging.empty(self.rows, self.row_pages, self.n_pages, self.size)
        self.forest = Forest(self.rows, self.size)
        self.pool = np.full((self.n_pages, self.size), -1)
        self.serial = 0

    @property
    def lens(self) -> np.ndarray:
        return np.array([len(tokens) for tokens in self.forest.tokens], np.int32)

    def grow(self) -> None:
        most = self.row_pages * self.size
        room = np.minimum(most - self.lens, 2 * self.size)
        n = self.random.integers(0, room + 1) * (self.random.random(self.rows) < 0.6)
        self.grow_by(n.astype(np.int32))

    def grow_by(self, n: np.ndarray) -> None:
        self.pages, page, slot = _grow(self.pages, n, 2 * self.size)
        page, slot = np.asarray(page), np.asarray(slot)
        for row, count in enumerate(n):
            new = list(range(self.serial, self.serial + count))
            self.serial += int(count)
            self.forest.grow(row, new)
            for j, token in enumerate(new):
                if page[row, j] < self.n_pages:
                    self.pool[page[row, j], slot[row, j]] = token

    def fork(self) -> None:
        random = self.random
        parent = np.where(
            random.random(self.rows) < 0.5,
            np.arange(self.rows),
            random.integers(0, self.rows, self.rows),
        ).astype(np.int32)
        held = self.lens[parent]
        cut = np.where(random.random(self.rows) < 0.5, held, random.integers(0, held + 1))
        cut = np.where(random.random(self.rows) < 0.15, 0, cut)  # prune some
        self.fork_to(parent, cut.astype(np.int32))

    def fork_to(self, parent, lens) -> None:
        self.pages, source, destination = _fork(self.pages, parent, lens)
        source, destination = np.asarray(source), np.asarray(destination)
        copied = destination < self.n_pages
        self.pool[destination[copied]] = self.pool[source[copied]]
        self.forest.fork(parent, lens)

    def look_ahead(self) -> None:
        """Save, grow once or twice, roll back."""
        table, lens = np.asarray(self.pages.table), np.asarray(self.pages.lens)
        saved = self.forest.saved()
        for _ in range(self.random.integers(1, 3)):
            self.grow()
            self.check()
        self.pages = _restore(self.pages, table, lens)
        self.forest.restore(saved)

    def ids(self) -> list[list[int]]:
        table = np.asarray(self.pages.table)
        return [table[row, : -(-n // self.size)].tolist() for row, n in enumerate(self.lens)]

    def check(self) -> None:
        """Equal lens, the same forest, the three invariants, and every row reads its history."""
        np.testing.assert_array_equal(self.pages.lens, self.lens)
        ids = self.ids()
        pairs = {
            (page, id(twin))
            for row, twins in zip(ids, self.forest.pages, strict=True)
            for page, twin in zip(row, twins, strict=True)
        }
        assert len(pairs) == len({p for p, _ in pairs}) == len({t for _, t in pairs})
        counts = np.bincount([p for row in ids for p in row], minlength=self.n_pages)
        np.testing.assert_array_equal(_counts(self.pages), counts)
        for row, n in zip(ids, self.lens, strict=True):
            assert n % self.size == 0 or counts[row[-1]] == 1
        n_free = int(self.pages.n_free)
        free = np.asarray(self.pages.free)[:n_free].tolist()
        assert sorted(free) == np.flatnonzero(counts == 0).tolist()
        assert int(self.pages.short) == 0
        for row, tokens in zip(ids, self.forest.tokens, strict=True):
            read = self.pool[row].reshape(-1)[: len(tokens)]
            np.testing.assert_array_equal(read, tokens)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_random_forests_keep_invariants_and_contents(sizes):
    random = np.random.default_rng(sizes)
    pair = Pair(sizes, random)
    for _ in range(400):
        kind = random.choice(["grow", "fork", "look_ahead"], p=[0.5, 0.35, 0.15])
        # Every row could come to hold a whole row of pages: the pools have that many.
        getattr(pair, kind)()
        pair.check()
    assert pair.serial > 400


def test_a_shared_prefix_is_stored_once():
    pair = Pair((6, 5, 40, 4), np.random.default_rng(0))
    pair.grow_by(np.array([8, 0, 0, 0, 0, 0], np.int32))
    pair.grow_by(np.array([6, 0, 0, 0, 0, 0], np.int32))
    pair.fork_to(np.zeros(6, np.int32), np.full(6, 14, np.int32))
    pair.check()
    # Three full pages once, and a partly filled one of its own for each of six rows.
    assert 40 - int(pair.pages.n_free) == 3 + 6


def test_a_cut_inside_a_page_that_another_row_holds_in_full_is_copied():
    pair = Pair((6, 5, 40, 4), np.random.default_rng(0))
    pair.grow_by(np.array([8, 0, 0, 0, 0, 0], np.int32))
    pair.fork_to(np.zeros(6, np.int32), np.array([8, 6, 5, 0, 4, 0], np.int32))
    pair.check()
    assert 40 - int(pair.pages.n_free) == 2 + 2
    pair.grow_by(np.array([1, 3, 3, 2, 3, 0], np.int32))
    pair.check()


def test_pruning_every_row_frees_every_page():
    pair = Pair(SIZES[0], np.random.default_rng(3))
    for _ in range(5):
        pair.grow()
        pair.fork()
    pair.fork_to(np.arange(6, dtype=np.int32), np.zeros(6, np.int32))
    pair.check()
    assert int(pair.pages.n_free) == 40


@pytest.mark.parametrize("seed", range(20))
def test_reserve_reports_every_page_that_it_could_not_give(seed):
    random = np.random.default_rng(seed)
    sizes = (6, 5, 12, 4)
    pair = Pair(sizes, random)
    while True:
        before, held, pool = pair.ids(), pair.lens, pair.pool.copy()
        n_free = int(pair.pages.n_free)
        pair.grow()
        missing = len(pair.forest.live()) - 12
        if missing > 0:
            break
        pair.check()
        assert missing == -int(pair.pages.n_free)
    assert int(pair.pages.short) == missing
    assert int(pair.pages.n_free) == 0
    # What was held stays where it was, the last free pages are handed out once each, and rows
    # that got none list the id n_pages, at which writes are dropped.
    after = pair.ids()
    assert [row[: len(old)] for row, old in zip(after, before, strict=True)] == before
    new = [p for row, old in zip(after, before, strict=True) for p in row[len(old) :]]
    given = [p for p in new if p < 12]
    assert len(given) == len(set(given)) == n_free
    assert not set(given) & {p for row in before for p in row}
    assert len(new) - len(given) == missing
    for row, n in zip(before, held, strict=True):
        old = pool[row].reshape(-1)[:n]
        np.testing.assert_array_equal(pair.pool[row].reshape(-1)[:n], old)


def test_short_rows_read_right_where_they_have_pages():
    pair = Pair((2, 5, 4, 4), np.random.default_rng(0))
    pair.grow_by(np.array([8, 6], np.int32))
    pair.grow_by(np.array([8, 0], np.int32))
    assert int(pair.pages.short) == 2
    ids = pair.ids()
    assert ids[0][2:] == [4, 4]
    np.testing.assert_array_equal(pair.pool[ids[0][:2]].reshape(-1), pair.forest.tokens[0][:8])
    np.testing.assert_array_equal(pair.pool[ids[1]].reshape(-1)[:6], pair.forest.tokens[1])


def test_fork_reports_missing_copies_and_leaves_the_parent_alone():
    pair = Pair((4, 2, 3, 4), np.random.default_rng(0))
    pair.grow_by(np.array([6, 0, 0, 0], np.int32))
    pair.fork_to(np.zeros(4, np.int32), np.full(4, 6, np.int32))
    # One tail stays in place, one copy fits, two do not.
    assert int(pair.pages.short) == 2 and int(pair.pages.n_free) == 0
    tails = sorted(row[1] for row in pair.ids())
    assert tails[2:] == [3, 3] and len(set(tails[:2])) == 2
    for row in pair.ids():
        if row[1] < 3:
            np.testing.assert_array_equal(pair.pool[row].reshape(-1)[:6], range(6))


def test_short_is_remembered_after_pages_come_free_again():
    pair = Pair((2, 5, 4, 4), np.random.default_rng(0))
    pair.grow_by(np.array([8, 8], np.int32))
    pair.grow_by(np.array([8, 0], np.int32))
    pair.fork_to(np.arange(2, dtype=np.int32), np.array([0, 8], np.int32))
    assert int(pair.pages.short) == 2 and int(pair.pages.n_free) == 2
