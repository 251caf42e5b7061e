# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder-only transformer: its shape, its attention, its weights on disk and its tokenizer."""
