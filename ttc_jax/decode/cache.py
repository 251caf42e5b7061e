# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The pools of keys and values that pages point into, and how they lie on a mesh.

Every replica (shard of the mesh axis 'data') has pools, tables and rows of its own, so page ids
are local to it: all arrays of a `Cache` have a leading axis R, and `per_replica` hands each replica
its own slice without that axis.

The heads of a token lie side by side on one axis. With an axis of heads and one of head_dim, which
are small, a TPU would lay pools out with the pages innermost, and every program would copy all of
them to another layout and back.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import fit_spec
from ttc_jax.decode import pages as paging
from ttc_jax.decode.pages import Pages
from ttc_jax.model.shape import ModelShape


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cache:
    """Keys and values of all rows: per layer k and v [R, P, S, K * H], the pages (leading R).

    One replica's view, inside `per_replica`, lacks the R.
    """

    k: tuple[jax.Array, ...]
    v: tuple[jax.Array, ...]
    pages: Pages


def pool_spec(shape: ModelShape, mesh: Mesh) -> P:
    """Sharding of one replica's pool [P, S, K * H]: kv heads over 'model' where they divide."""
    return fit_spec(P(None, None, "model"), (1, 1, shape.kv_heads), mesh)


def cache_shardings(cache, mesh: Mesh, shape: ModelShape):
    """NamedShardings in the structure of a Cache: R over 'data', kv heads over 'model'."""
    pool = NamedSharding(mesh, P("data", *pool_spec(shape, mesh)))
    table = NamedSharding(mesh, P("data"))
    layers = tuple(pool for _ in cache.k)
    return Cache(layers, layers, jax.tree.map(lambda _: table, cache.pages))


def create(
    shape: ModelShape,
    mesh: Mesh,
    *,
    rows: int,
    n_pages: int,
    page_size: int,
    row_pages: int,
    dtype=jnp.float32,
) -> Cache:
    """An empty cache laid out on `mesh`; rows and n_pages are those of one replica."""
    return _creator(shape, mesh, rows, n_pages, page_size, row_pages, jnp.dtype(dtype))()


def abstract(shape: ModelShape, mesh: Mesh, dtype=jnp.float32, **sizes: int) -> Cache:
    """What `create` would make, as ShapeDtypeStructs with shardings: nothing is allocated."""
    cache = jax.eval_shape(_builder(shape, mesh.shape["data"], dtype=dtype, **sizes))
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        cache,
        cache_shardings(cache, mesh, shape),
    )


@functools.cache
def _creator(
    shape: ModelShape, mesh: Mesh, rows: int, n_pages: int, page_size: int, row_pages: int, dtype
) -> Callable:
    """The program that makes a cache of this size, compiled once."""
    build = _builder(
        shape, mesh.shape["data"], rows=rows, n_pages=n_pages, page_size=page_size,
        row_pages=row_pages, dtype=dtype,
    )  # fmt: skip
    shardings = cache_shardings(jax.eval_shape(build), mesh, shape)
    return jax.jit(build, out_shardings=shardings)


def _builder(
    shape: ModelShape, replicas: int, *, rows, n_pages, page_size, row_pages, dtype
) -> Callable[[], Cache]:
    """Makes an empty cache."""
    dims = (replicas, n_pages, page_size, shape.kv_heads * shape.head_dim)

    def build() -> Cache:
        layers = range(shape.layers)
        one = paging.empty(rows, row_pages, n_pages, page_size)
        pages = jax.tree.map(lambda x: jnp.broadcast_to(x, (replicas, *x.shape)), one)
        pools = [tuple(jnp.zeros(dims, dtype) for _ in layers) for _ in "kv"]
        return Cache(*pools, pages)

    return build


def bytes_per_token(shape: ModelShape, dtype, mesh: Mesh) -> int:
    """Bytes of keys and values that one token takes on each device of `mesh`."""
    shards = mesh.shape["model"] if pool_spec(shape, mesh)[2] else 1
    return shape.kv_bytes_per_token(dtype) // shards


def per_replica(fn: Callable, mesh: Mesh) -> Callable:
    """fn(params, *trees) over one replica's arrays, as a function of arrays with the leading R.

    Manual over 'data', automatic over 'model'. The first argument (parameters) is the same for all
    replicas; every other one, and every result, has the leading R.
    """

    def local(params, *trees):
        trees = jax.tree.map(lambda x: x[0], trees)
        return jax.tree.map(lambda x: x[None], fn(params, *trees))

    def mapped(params, *trees):
        specs = (P(), *(P("data") for _ in trees))
        return jax.shard_map(
            local, mesh=mesh, in_specs=specs, out_specs=P("data"), axis_names={"data"},
            check_vma=False,
        )(params, *trees)  # fmt: skip

    return mapped


def gather(pool: jax.Array, page_ids: jax.Array, kv_heads: int) -> jax.Array:
    """The tokens of pages i32[Z, M] of one replica's pool, in order: [Z, M * S, K, H]."""
    z, m = page_ids.shape
    _, size, width = pool.shape
    found = pool[jnp.clip(page_ids, 0, pool.shape[0] - 1)]
    return found.reshape(z, m * size, kv_heads, width // kv_heads)


def write(pool: jax.Array, new: jax.Array, page: jax.Array, slot: jax.Array) -> jax.Array:
    """One replica's pool with new keys or values [X, T, K, H] at (page, slot) i32[X, T].

    Page ids beyond the pool drop their token.
    """
    flat = new.reshape(*new.shape[:2], -1).astype(pool.dtype)
    return pool.at[page, slot].set(flat, mode="drop")


def fork_rows(
    cache: Cache, parent: jax.Array, lens: jax.Array, copies: int | None = None
) -> Cache:
    """One replica's cache in which row b is the first lens[b] tokens of row parent[b].

    At most `copies` pages are copied, one for each row by default; there must be no more to copy.
    """
    pages, source, destination = paging.fork(cache.pages, parent, lens)
    if copies is not None and copies < len(parent):
        missing = pages.n_pages
        (real,) = jnp.nonzero(destination < missing, size=copies, fill_value=len(parent))
        source = source.at[real].get(mode="fill", fill_value=0)
        destination = destination.at[real].get(mode="fill", fill_value=missing)
    copy = lambda pool: pool.at[destination].set(pool[source], mode="drop")  # noqa: E731
    return Cache(tuple(map(copy, cache.k)), tuple(map(copy, cache.v)), pages)
