# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""From a config to results: the only room that sees a ConfigDict."""
