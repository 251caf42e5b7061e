# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The decoding core: a paged key-value cache shared by branches, and the engine that drives it."""
