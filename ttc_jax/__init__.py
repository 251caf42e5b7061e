# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Compute-optimal test-time search for language models on accelerators.

Axis letters, in code and comments everywhere: B rows, T new tokens, C context tokens, L layers,
D width, F ffn, N query heads, K kv heads, H head dim, V vocab, P pages, S slots per page,
M pages per row, G groups sharing a prefix, R replicas (shards of the 'data' mesh axis).
"""

__version__ = "0.1.0"
