# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Mesh and sharding rules, FLOP counts, run records, checkpoints: imports no other room."""
