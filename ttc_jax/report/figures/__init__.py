# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a report as plain numbers, each from the evidence or saying what it lacks."""
