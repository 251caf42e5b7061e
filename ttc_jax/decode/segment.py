# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The three device programs: `extend`, `decode_segment` and `fork`.

`extend` appends given tokens to rows (prompts, steps to be scored, new turns), `decode_segment`
samples until every row has met a stop or used up its tokens, `fork` copies rows. All of them
donate the cache and run on every replica at once. Inside a segment nothing that was written before
changes: contexts are gathered out of the pages once, new keys and values go to a small dense tail,
and the tail is written back to pages at the end. A prefix shared by a group of rows is gathered,
and read, once per group.
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ttc_jax.decode import pages as paging
from ttc_jax.decode.cache import Cache, fork_rows, gather, per_replica, pool_spec, write
from ttc_jax.decode.fused import attend_fused
from ttc_jax.decode.ragged import attend_ragged
from ttc_jax.decode.reader import Reader
from ttc_jax.decode.sample import Sampler, uniforms
from ttc_jax.model.attend import (
    attend,
    by_kv_head,
    by_token,
    in_window,
    keys_first,
    merge,
    values_first,
)
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, hidden, logits


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Groups:
    """Rows that share their first pages, so that these are read once for all of them.

    pages i32[G, Mp] ids of the shared pages, lens i32[G] tokens in them (a multiple of S, 0 for an
    unused group); members i32[G, W] indices into the segment's rows (X where there is none); group
    i32[X] and place i32[X] say where a row stands in members (group G for a row that is in none).
    """

    pages: jax.Array
    lens: jax.Array
    members: jax.Array
    group: jax.Array
    place: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rows:
    """The X rows that take part in a segment, and what they carry beside their pages.

    row i32[X] their numbers (B: no row); last i32[X] the token sampled last, not in the cache yet;
    state i32[X] of the stop automaton; limit i32[X] tokens that the row may sample in this segment,
    0 for a row that waits; key one typed PRNG key per row. floor i32[]: the segment ends early once
    no more than this many rows are still sampling, so that the caller can refill the others (0:
    wait for all). greedy bool[X] marks rows that take the likeliest token instead of drawing one;
    None where there is no such row, which saves looking for it.
    """

    row: jax.Array
    last: jax.Array
    state: jax.Array
    limit: jax.Array
    key: jax.Array
    floor: jax.Array
    greedy: jax.Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sampled:
    """What a segment sampled: tokens i32[X, n] and logprobs f32[X, n], count i32[X] of them valid.

    state i32[X] is the stop automaton's, after the last of them.
    """

    tokens: jax.Array
    logprobs: jax.Array
    count: jax.Array
    state: jax.Array


def _constrain(tree, shape: ModelShape, mesh: Mesh, heads_axis: int):
    """`tree` of arrays laid out like the pools: kv heads (at heads_axis) over 'model'."""
    parts = [None] * 4
    parts[heads_axis] = pool_spec(shape, mesh)[2]
    spec = jax.sharding.PartitionSpec(*parts)
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, spec), tree)


@partial(
    jax.jit,
    static_argnames=("mesh", "context_pages", "reader", "attention"),
    donate_argnames=("cache",),
)
def extend(
    model: Transformer,
    cache: Cache,
    rows,
    tokens,
    n,
    *,
    mesh: Mesh,
    context_pages: int,
    reader: Reader | None = None,
    attention: str = "xla",
):
    """Append tokens to rows; returns what is read at each of them, and the cache.

    rows i32[R, X] distinct row numbers of each replica (B: no row); tokens i32[R, X, T]; n i32[R,
    X] how many of them count. Keys already in a row must fit context_pages pages. Returns what
    `reader` reads off the hidden states [R, X, T, D] (they themselves without one; junk at and
    beyond n), and the cache with lens grown by n. A pool that ran out shows in
    pages.short. `attention` is one of backend.NAMES.
    """
    fn = partial(
        _extend, mesh=mesh, context_pages=context_pages, reader=reader, backend=attention
    )
    return per_replica(fn, mesh)(model, cache, rows, tokens, n)


def _extend(model, cache: Cache, rows, tokens, n, *, mesh, context_pages, reader, backend):
    shape = model.shape
    group = shape.heads // shape.kv_heads
    length = tokens.shape[1]
    n_rows = cache.pages.lens.shape[0]
    old = cache.pages.lens.at[rows].get(mode="fill", fill_value=0)
    grown = jnp.zeros((n_rows,), jnp.int32).at[rows].set(n, mode="drop")
    pages = paging.reserve(cache.pages, grown)
    step = jnp.arange(length, dtype=jnp.int32)
    positions = old[:, None] + step
    page, slot = paging.place(pages, jnp.minimum(rows, n_rows - 1), positions)
    page = jnp.where(step < n[:, None], page, pages.n_pages)
    context_ids = pages.table.at[rows, :context_pages].get(mode="fill", fill_value=0)
    context_pos = jnp.arange(context_ids.shape[1] * pages.page_size)  # a bucket may exceed M
    held = jnp.arange(context_pages + -(-length // pages.page_size))  # with the tokens' own
    held_ids = pages.table.at[rows[:, None], held].get(mode="fill", fill_value=0)
    pools_k, pools_v = [], []

    def spread(mask):  # [X, T, C] -> [X, 1, T * N/K, C]
        return jnp.repeat(mask, group, axis=1)[:, None]

    def attention(layer, q, k, v):
        k, v = k.astype(cache.k[layer].dtype), v.astype(cache.v[layer].dtype)
        # Written first and read afterwards: reading the old pool beside the new one would make the
        # compiler keep a copy of it.
        new_k, new_v = _constrain((k, v), shape, mesh, heads_axis=2)
        pools_k.append(write(cache.k[layer], new_k, page, slot))
        pools_v.append(write(cache.v[layer], new_v, page, slot))
        window = shape.window(layer)
        if backend == "pallas":
            k, v = (gather(pool[layer], held_ids, shape.kv_heads) for pool in (pools_k, pools_v))
            return attend_ragged(q, k, v, old, shape, window, pages.page_size)
        mask = (step[None, :] <= step[:, None]) & in_window(step[:, None], step[None, :], window)
        runs = [(k, v, jnp.broadcast_to(mask, (len(rows), length, length)))]
        if context_pages:
            context = (
                gather(pool[layer], context_ids, shape.kv_heads) for pool in (pools_k, pools_v)
            )
            mask = (context_pos < old[:, None])[:, None, :] & in_window(
                positions[:, :, None], context_pos, window
            )
            runs.append((*context, jnp.broadcast_to(mask, (len(rows), length, len(context_pos)))))
        if backend != "xla":
            return attend_fused(q, runs, shape, window, backend)
        queries = by_kv_head(q, shape.kv_heads)
        parts = [
            attend(queries, keys_first(k), values_first(v), spread(mask), shape)
            for k, v, mask in runs
        ]
        return by_token(merge(parts, q.dtype), length)

    out = hidden(model, tokens, positions, attention)
    lens = pages.lens.at[rows].add(n, mode="drop")
    if reader is not None:
        out = reader.read(model, out)
    return out, Cache(tuple(pools_k), tuple(pools_v), replace(pages, lens=lens))


@partial(
    jax.jit,
    static_argnames=("mesh", "sampler", "n", "own_pages", "first_stop"),
    donate_argnames=("cache",),
)
def decode_segment(
    model: Transformer,
    cache: Cache,
    rows: Rows,
    groups: Groups,
    next_state,
    *,
    mesh: Mesh,
    sampler: Sampler,
    first_stop: int,
    n: int,
    own_pages: int,
) -> tuple[Sampled, Cache]:
    """Sample up to n tokens per row, until every row has met a stop or its limit.

    next_state i16[V, n_states] is the stop automaton's table, transposed; states from first_stop on
    are stops. What a row holds beyond its group's shared pages must fit own_pages pages. Leading
    axis R on rows, groups and cache. In the cache afterwards: every token of a row but
    the last one sampled.
    """
    fn = partial(
        _decode_segment, mesh=mesh, sampler=sampler, n=n, own_pages=own_pages,
        first_stop=first_stop,
    )  # fmt: skip
    return per_replica(fn, mesh)((model, next_state), cache, rows, groups)


def _decode_segment(
    params, cache: Cache, rows: Rows, groups: Groups, *, mesh, sampler, n, own_pages, first_stop
):
    model, next_state = params
    shape = model.shape
    n_rows = rows.last.shape[0]
    old = cache.pages.lens.at[rows.row].get(mode="fill", fill_value=0)
    context = _Context(model.shape, cache, rows.row, old, groups, own_pages, mesh)
    dtype = cache.k[0].dtype
    tail = jnp.zeros((n_rows, n, shape.kv_heads, shape.head_dim), dtype)
    tails = [(keys_first(tail), values_first(tail)) for _ in range(shape.layers)]
    tails = _constrain(tails, shape, mesh, heads_axis=1)

    def running(i, count, state):
        return (count == i) & (i < rows.limit) & (state < first_stop)

    def go(carry):
        i, _, count, state, *_ = carry
        live = running(i, count, state).sum() > rows.floor
        if mesh.shape["data"] > 1:  # all replicas take the same number of steps
            live = jax.lax.psum(live.astype(jnp.int32), "data") > 0
        return (i < n) & live

    def step(carry):
        i, last, count, state, tokens, logprobs, tails = carry
        tails = list(tails)
        attention = context.attention(tails, i)
        x = hidden(model, last[:, None], (old + i)[:, None], attention)
        with jax.named_scope("sample"):
            # The drawn token will stand at position old + i + 1, one after its input.
            draw = uniforms(rows.key, old + i + 1)
            ahead = logits(model, x[:, 0])
            token, logprob = sampler.draw(ahead, draw)
            if rows.greedy is not None:
                drawn, likeliest = (token, logprob), Sampler(0.0).draw(ahead, draw)
                choose = partial(jnp.where, rows.greedy)
                token, logprob = map(choose, likeliest, drawn)
        live = running(i, count, state)
        tokens = jax.lax.dynamic_update_slice_in_dim(tokens, token[:, None], i, 1)
        logprobs = jax.lax.dynamic_update_slice_in_dim(logprobs, logprob[:, None], i, 1)
        state = jnp.where(live, next_state[token, state].astype(jnp.int32), state)
        last = jnp.where(live, token, last)
        return i + 1, last, count + live, state, tokens, logprobs, tuple(tails)

    start = (
        jnp.zeros((), jnp.int32), rows.last, jnp.zeros((n_rows,), jnp.int32), rows.state,
        jnp.zeros((n_rows, n), jnp.int32), jnp.zeros((n_rows, n), jnp.float32), tuple(tails),
    )  # fmt: skip
    _, _, count, state, tokens, logprobs, tails = jax.lax.while_loop(go, step, start)
    return Sampled(tokens, logprobs, count, state), _write_back(cache, rows.row, tails, count, n)


def _write_back(cache: Cache, row, tails, count, n: int) -> Cache:
    """Cache with the first count i32[X] positions of the tails of rows row i32[X] in pages."""
    n_rows = cache.pages.lens.shape[0]
    grown = jnp.zeros((n_rows,), jnp.int32).at[row].set(count, mode="drop")
    pages = paging.reserve(cache.pages, grown)
    index = jnp.minimum(row, n_rows - 1)
    step = jnp.arange(n, dtype=jnp.int32)
    page, slot = paging.place(pages, index, pages.lens[index][:, None] + step)
    page = jnp.where(step < count[:, None], page, pages.n_pages)
    k = [jnp.transpose(tail_k, (0, 3, 1, 2)) for tail_k, _ in tails]
    v = [jnp.moveaxis(tail_v, 1, 2) for _, tail_v in tails]
    pools = (
        tuple(write(pool, new, page, slot) for pool, new in zip(old, new_tokens, strict=True))
        for old, new_tokens in ((cache.k, k), (cache.v, v))
    )
    return Cache(*pools, replace(pages, lens=pages.lens + grown))


class _Context:
    """The loop-invariant keys and values of a segment, and attention to them and to the tail."""

    def __init__(self, shape: ModelShape, cache: Cache, row, old, groups: Groups, own_pages, mesh):
        self.shape, self.old, self.groups = shape, old, groups
        pages = cache.pages
        table = pages.table[jnp.minimum(row, pages.table.shape[0] - 1)]
        # Rows outside every group own their whole context.
        self.shared = groups.lens.at[groups.group].get(mode="fill", fill_value=0)
        first = self.shared // pages.page_size
        index = first[:, None] + jnp.arange(own_pages)
        index = jnp.minimum(index, table.shape[1] - 1)
        own_ids = jnp.take_along_axis(table, index, axis=1)
        self.own_pos = self.shared[:, None] + jnp.arange(own_pages * pages.page_size)
        kv = shape.kv_heads
        own, prefix = (
            [
                (keys_first(gather(k, ids, kv)), values_first(gather(v, ids, kv)))
                for k, v in zip(cache.k, cache.v, strict=True)
            ]
            for ids in (own_ids, groups.pages)
        )
        self.own, self.prefix = _constrain((own, prefix), shape, mesh, heads_axis=1)
        self.prefix_pos = jnp.arange(groups.pages.shape[1] * pages.page_size)

    def attention(self, tails: list, i):
        """The attention function of step i, which writes its keys and values to `tails`."""

        def attention(layer, q, k, v):
            tail_k, tail_v = tails[layer]
            new_k, new_v = keys_first(k).astype(tail_k.dtype), values_first(v).astype(tail_v.dtype)
            tail_k = jax.lax.dynamic_update_slice_in_dim(tail_k, new_k, i, 3)
            tail_v = jax.lax.dynamic_update_slice_in_dim(tail_v, new_v, i, 2)
            tails[layer] = (tail_k, tail_v)
            queries = by_kv_head(q, self.shape.kv_heads)
            window = self.shape.window(layer)
            pos = (self.old + i)[:, None]
            step = jnp.arange(tail_v.shape[2])
            mask = (step <= i) & in_window(i, step, window)
            mask = jnp.broadcast_to(mask, (len(queries), 1, 1, len(step)))
            parts = [attend(queries, tail_k, tail_v, mask, self.shape)]
            if self.own_pos.shape[1]:
                mask = (self.own_pos < self.old[:, None]) & in_window(pos, self.own_pos, window)
                parts.append(attend(queries, *self.own[layer], mask[:, None, None], self.shape))
            if len(self.prefix_pos):
                parts.append(self._to_prefix(layer, queries, pos, window))
            return by_token(merge(parts, q.dtype), 1)

        return attention

    def _to_prefix(self, layer: int, queries, pos, window: int):
        """Partial attention of rows to their group's shared pages, computed group by group."""
        groups = self.groups
        n_groups, width = groups.members.shape
        rows, kv_heads, per_head, dim = queries.shape
        members = queries.at[groups.members].get(mode="fill", fill_value=0)  # [G, W, K, Q, H]
        members = jnp.moveaxis(members, 2, 1).reshape(n_groups, kv_heads, width * per_head, dim)
        member_pos = pos[:, 0].at[groups.members].get(mode="fill", fill_value=0)  # [G, W]
        mask = (self.prefix_pos < groups.lens[:, None])[:, None] & in_window(
            member_pos[..., None], self.prefix_pos, window
        )
        mask = jnp.repeat(
            jnp.broadcast_to(mask, (n_groups, width, len(self.prefix_pos))), per_head, axis=1
        )
        part = attend(members, *self.prefix[layer], mask[:, None], self.shape)

        def back(x):  # [G, K, W * Q, ...] -> [X, K, Q, ...]
            x = x.reshape(n_groups, kv_heads, width, per_head, *x.shape[3:])
            return x[jnp.minimum(groups.group, n_groups - 1), :, groups.place]

        part = jax.tree.map(back, part)
        member = (groups.group < n_groups)[:, None, None]
        return replace(part, top=jnp.where(member, part.top, -jnp.inf))


@partial(jax.jit, static_argnames=("mesh", "copies"), donate_argnames=("cache",))
def fork(cache: Cache, parent, lens, *, mesh: Mesh, copies: int | None = None) -> Cache:
    """Cache in which row b of each replica is the first lens[b] tokens of row parent[b].

    parent, lens i32[R, B]. Children share their parent's full pages; a length of 0 prunes a row. No
    replica has more than `copies` pages to copy (default: one for each row).
    """
    forked = per_replica(lambda _, c, p, n: fork_rows(c, p, n, copies), mesh)
    return forked((), cache, parent, lens)


@partial(jax.jit, static_argnames=("mesh",), donate_argnames=("cache",))
def rollback(cache: Cache, table, lens, *, mesh: Mesh) -> Cache:
    """Cache back at a table i32[R, B, M] and lens i32[R, B] that were copied out of its pages.

    Valid while only `extend` and `decode_segment` have run in between.
    """
    back = lambda _, c, t, n: replace(c, pages=paging.restore(c.pages, t, n))  # noqa: E731
    return per_replica(back, mesh)((), cache, table, lens)
