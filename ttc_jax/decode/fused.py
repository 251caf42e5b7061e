# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of given tokens to all of their keys in one call of a fused kernel.

Its log-sum-exp comes in the dtype of its output, in bfloat16 too coarse to merge results by: so the
keys of all runs are put side by side, instead of one call for each run.
"""

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from ttc_jax.model.shape import ModelShape

# Keys [X, C, K, H], values [X, C, K, H], and where they are seen, bool[X, T, C].
Run = tuple[jax.Array, jax.Array, jax.Array]


def attend_fused(
    q, runs: list[Run], shape: ModelShape, window: int, implementation: str = "cudnn"
) -> jax.Array:
    """Attention [X, T, N, H] of q [X, T, N, H] to the keys and values of all runs.

    The first run must be the tokens' own, which are seen causally and within the window (0: none).
    Alone it needs no mask in memory. Heads are spread over the mesh axis 'model', which must divide
    the kv heads. `implementation` is that of jax.nn.dot_product_attention.
    """
    heads = P(None, None, "model", None)
    if len(runs) == 1:
        ((k, v, _),) = runs
        masks = ()
        how = {"is_causal": True, "local_window_size": (window - 1, 0) if window else None}
    else:
        k, v = (jnp.concatenate([run[i] for run in runs], axis=1) for i in (0, 1))
        masks = (jnp.concatenate([mask for _, _, mask in runs], axis=2)[:, None],)
        how = {}

    def local(q, k, v, *masks):
        mask = masks[0] if masks else None
        return jax.nn.dot_product_attention(
            q, k, v, mask=mask, scale=shape.scale, implementation=implementation, **how
        )

    # Each device's own heads: a custom call has no rule by which it could be spread.
    return jax.shard_map(
        local, in_specs=(heads,) * 3 + (P(),) * len(masks), out_specs=heads, axis_names={"model"},
        check_vma=False,
    )(q, k, v, *masks)  # fmt: skip
