# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of given tokens to their rows by JAX's ragged paged attention kernel for TPUs.

The kernel never holds a matrix of scores in memory, and skips keys behind a row's end. It reads
pages in which keys and values alternate, which the pools of this package do not: the pages of a
call are therefore copied once, as plain attention does with its context too.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.ragged_paged_attention import ragged_paged_attention
from jax.sharding import PartitionSpec as P

from ttc_jax.model.shape import ModelShape

# Of one step of the kernel. Its own choice asks what devices this process has, which are none of
# the kind when a program is compiled for machines elsewhere.
QUERIES, KEYS, VMEM_BYTES = 128, 512, 32 << 20


def attend_ragged(
    q, k, v, old, shape: ModelShape, window: int, page_size: int,
    kernel: Callable = ragged_paged_attention,
) -> jax.Array:  # fmt: skip
    """Attention [X, T, N, H] of q [X, T, N, H], at positions old i32[X] and on, to rows' tokens.

    k, v [X, C, K, H] are the tokens of each row from its first on, C a multiple of page_size and no
    less than old + T: keys at and before a query's own position are seen, within the window (0:
    all). Heads are spread over the mesh axis 'model', which must divide K. `kernel` has the
    arguments of JAX's.
    """
    heads = P(None, None, "model", None)

    def local(q, k, v, old):
        rows, length, *_ = q.shape
        both = jnp.stack([k, v], axis=3)  # [X, C, K, 2, H]: heads of keys and values alternate
        both = both.reshape(-1, page_size, 2 * k.shape[2], k.shape[3])
        pages = jnp.arange(len(both), dtype=jnp.int32).reshape(rows, -1)
        out = kernel(
            q.reshape(-1, *q.shape[2:]), both, old + length, pages,
            jnp.arange(rows + 1, dtype=jnp.int32) * length, jnp.full((1,), rows, jnp.int32),
            sm_scale=shape.scale, sliding_window=window or None, soft_cap=shape.attn_softcap,
            num_queries_per_block=min(rows * length, QUERIES),
            num_kv_pages_per_block=min(pages.shape[1], max(1, KEYS // page_size)),
            vmem_limit_bytes=VMEM_BYTES,
        )  # fmt: skip
        return out.reshape(q.shape)

    # Each device's own heads: a custom call has no rule by which it could be spread.
    return jax.shard_map(
        local, in_specs=(heads, heads, heads, P()), out_specs=heads, axis_names={"model"},
        check_vma=False,
    )(q, k, v, old)  # fmt: skip
