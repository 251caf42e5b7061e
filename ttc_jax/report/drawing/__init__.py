# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures drawn: axes, colours, legends, SVG and CSV."""
