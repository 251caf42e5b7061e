# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Training: labels, losses, and one loop for policies, verifiers and revision models."""
