# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The device programs as XLA gets them, for models of any size: nothing is allocated or compiled.

Loops stand in them once, whatever the number of their rounds.
"""

import math
import re

import jax
import jax.numpy as jnp

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode import pages as paging
from ttc_jax.decode import segment as programs
from ttc_jax.decode.cache import Cache
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import abstract

PAGE, ROW_PAGES, POOL_ROWS = 8, 8, 16
_DOT = re.compile(
    r"dot_general .*contracting_dims = \[([\d, ]*)\] x .*"
    r": \(tensor<([\dx]*)x\w+>, tensor<[\dx]*x\w+>\) -> tensor<([\dx]*)x\w+>"
)


def dot_flops(lowered) -> int:
    """FLOPs of all matrix products in a lowered program; of one replica's, if there are several."""
    total = 0
    for line in lowered.as_text().splitlines():
        if "stablehlo.dot_general" in line:
            contracted, left, out = _DOT.search(line).groups()
            sizes = [int(size) for size in left.split("x")]
            inner = math.prod(sizes[int(axis)] for axis in contracted.split(","))
            total += 2 * inner * math.prod(int(size) for size in out.split("x"))
    return total


def array(*dims: int, dtype=jnp.int32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(dims, dtype)


def _cache(shape: ModelShape, replicas: int) -> Cache:
    pages = POOL_ROWS * ROW_PAGES
    heads = shape.kv_heads * shape.head_dim
    pool = array(replicas, pages, PAGE, heads, dtype=jnp.float32)
    table = jax.eval_shape(lambda: paging.empty(POOL_ROWS, ROW_PAGES, pages, PAGE))
    table = jax.tree.map(lambda x: array(replicas, *x.shape, dtype=x.dtype), table)
    return Cache((pool,) * shape.layers, (pool,) * shape.layers, table)


def plain(model):
    """The model itself."""
    return model


def extend(
    shape: ModelShape, *, rows, tokens, context_pages, reader=None, replicas=1, convert=plain
):
    """`extend` over `rows` rows of `tokens` tokens on each replica, lowered.

    `convert` makes the model of the shape another one.
    """
    dims = replicas, rows
    model = jax.eval_shape(convert, abstract(shape))
    return programs.extend.lower(
        model, _cache(shape, replicas), array(*dims), array(*dims, tokens), array(*dims),
        mesh=make_mesh(replicas), context_pages=context_pages, reader=reader,
    )  # fmt: skip


def groups(replicas: int, rows: int, count: int, members: int, pages: int) -> programs.Groups:
    """The shapes of `count` groups of `members` rows that share `pages` pages."""
    return programs.Groups(
        array(replicas, count, pages), array(replicas, count), array(replicas, count, members),
        array(replicas, rows), array(replicas, rows),
    )  # fmt: skip


def segment(
    shape: ModelShape, grouped: programs.Groups, *, rows, n, own_pages, replicas=1, convert=plain
):
    """`decode_segment` over `rows` rows on each replica, lowered; `convert` as in `extend`."""
    dims = replicas, rows
    key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), dims))
    taking_part = programs.Rows(*(array(*dims) for _ in range(4)), key, array(replicas))
    model = jax.eval_shape(convert, abstract(shape))
    return programs.decode_segment.lower(
        model, _cache(shape, replicas), taking_part, grouped,
        array(shape.vocab, 4, dtype=jnp.int16), mesh=make_mesh(replicas), sampler=Sampler(),
        first_stop=2, n=n, own_pages=own_pages,
    )  # fmt: skip
