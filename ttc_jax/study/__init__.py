# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What runs mean: estimators, intervals and comparisons over recorded samples."""
