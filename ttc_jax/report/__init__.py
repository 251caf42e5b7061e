# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How what runs show is told: figures, the page of a report, tables on a terminal."""
