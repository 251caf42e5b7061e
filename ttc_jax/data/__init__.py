# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Questions and prompts: where they come from and how they become text for a model."""
