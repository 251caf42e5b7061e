# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Test-time search methods, each expressed through the decoding core."""
