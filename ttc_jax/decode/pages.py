# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which page of the pool holds which tokens of which row: integers only, pure functions.

A row is a list of page ids and a length. Forking copies the list, so that children read their
parent's pages; only a partly filled last page is copied, as each child goes on writing there.
Reference counts are never stored: a page is live when some row lists it below its length, and
whatever is not live is free. Three things therefore hold after every transition:

* a page's count is the number of rows that list it;
* a partly filled last page belongs to exactly one row;
* the free stack holds exactly the pages that are not live.
"""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pages:
    """Block tables of B rows over P pages of S slots.

    table i32[B, M] page ids in order (entries beyond a row's last page are junk); lens i32[B]
    tokens held by each row, 0 for a free row; free i32[P] a stack of free page ids of which the
    first n_free i32[] count; short i32[] pages that were asked for beyond the free ones, summed
    since creation (0 unless the pool ran out: then rows lack pages and must not be read).
    """

    table: jax.Array
    lens: jax.Array
    free: jax.Array
    n_free: jax.Array
    short: jax.Array
    page_size: int = field(metadata={"static": True})

    @property
    def n_pages(self) -> int:
        return self.free.shape[-1]

    @property
    def held(self) -> jax.Array:
        """Pages that each row lists, i32[B]."""
        return -(-self.lens // self.page_size)


def empty(rows: int, row_pages: int, n_pages: int, page_size: int) -> Pages:
    """Pages of free rows: `rows` of at most `row_pages` pages each, over `n_pages` pages."""
    zero = jnp.zeros((), jnp.int32)
    return Pages(
        table=jnp.zeros((rows, row_pages), jnp.int32),
        lens=jnp.zeros((rows,), jnp.int32),
        free=jnp.arange(n_pages, dtype=jnp.int32),
        n_free=zero + n_pages,
        short=zero,
        page_size=page_size,
    )


def counts(pages: Pages) -> jax.Array:
    """Reference count of every page, i32[P]: the number of rows that list it."""
    row_pages = pages.table.shape[1]
    live = jnp.arange(row_pages)[None, :] < pages.held[:, None]
    listed = jnp.where(live, pages.table, pages.n_pages)
    return jnp.zeros((pages.n_pages,), jnp.int32).at[listed].add(1, mode="drop")


def sweep(pages: Pages) -> Pages:
    """Pages whose free stack holds exactly the pages that no row lists."""
    dead = counts(pages) == 0
    (free,) = jnp.nonzero(dead, size=pages.n_pages, fill_value=0)
    return replace(pages, free=free.astype(jnp.int32), n_free=dead.sum(dtype=jnp.int32))


def _pop(pages: Pages, take: jax.Array) -> tuple[jax.Array, Pages]:
    """Page ids i32[X] for the true entries of take bool[X], n_pages where none was left."""
    nth = jnp.cumsum(take, dtype=jnp.int32) - take
    got = take & (nth < pages.n_free)
    index = jnp.clip(pages.n_free - 1 - nth, 0, pages.n_pages - 1)
    ids = jnp.where(got, pages.free[index], pages.n_pages)
    wanted, given = take.sum(dtype=jnp.int32), got.sum(dtype=jnp.int32)
    left = replace(pages, n_free=pages.n_free - given, short=pages.short + wanted - given)
    return ids, left


def reserve(pages: Pages, n: jax.Array) -> Pages:
    """Pages in which every row has room for n i32[B] more tokens; lens are unchanged.

    A row that got no page lists the id n_pages there, to which writes are dropped, and `short`
    grows. Rows must not outgrow M pages (the engine checks that beforehand).
    """
    rows, row_pages = pages.table.shape
    need = -(-(pages.lens + n) // pages.page_size)
    slot = jnp.arange(row_pages)[None, :]
    new = (slot >= pages.held[:, None]) & (slot < need[:, None])
    ids, left = _pop(pages, new.reshape(-1))
    return replace(left, table=jnp.where(new, ids.reshape(rows, row_pages), pages.table))


def place(pages: Pages, rows: jax.Array, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Page id and slot, each i32[R, T], of token positions i32[R, T] of rows i32[R]."""
    index = jnp.clip(positions // pages.page_size, 0, pages.table.shape[1] - 1)
    return jnp.take_along_axis(pages.table[rows], index, axis=1), positions % pages.page_size


def restore(pages: Pages, table: jax.Array, lens: jax.Array) -> Pages:
    """Pages rolled back to a table and lens saved earlier, swept.

    No page of the saved table may have been freed since: nothing may be pruned in between.
    """
    return sweep(replace(pages, table=table, lens=lens))


def fork(pages: Pages, parent: jax.Array, lens: jax.Array) -> tuple[Pages, jax.Array, jax.Array]:
    """Row b becomes the first lens[b] tokens of row parent[b]; both i32[B].

    parent[b] = b with a smaller length cuts a row, length 0 prunes it. Lengths must not exceed what
    the parents hold. Returns the swept pages and the page copies to make, source and destination
    ids i32[B] each (destination n_pages where there is none): a partly filled last page stays with
    one row, and only when no row lists it as a full one.
    """
    pages = sweep(replace(pages, table=pages.table[parent], lens=lens))
    rows, row_pages = pages.table.shape
    last = jnp.maximum(pages.held - 1, 0)
    tail = jnp.take_along_axis(pages.table, last[:, None], axis=1)[:, 0]
    partial = lens % pages.page_size > 0
    index = jnp.arange(rows, dtype=jnp.int32)
    # The highest row on a shared tail keeps it, the others write elsewhere.
    owner = jnp.full((pages.n_pages,), -1, jnp.int32)
    owner = owner.at[jnp.where(partial, tail, pages.n_pages)].max(index, mode="drop")
    full = jnp.arange(row_pages)[None, :] < (lens // pages.page_size)[:, None]
    in_full = jnp.zeros((pages.n_pages,), bool)
    in_full = in_full.at[jnp.where(full, pages.table, pages.n_pages)].set(True, mode="drop")
    copied = partial & ((owner[tail] != index) | in_full[tail])
    ids, pages = _pop(pages, copied)
    new_tail = jnp.where(copied, ids, tail)
    return replace(pages, table=pages.table.at[index, last].set(new_tail)), tail, ids
