# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What says whether a solution is right: final-answer grading and votes over samples."""
