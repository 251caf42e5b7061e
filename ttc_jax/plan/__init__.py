# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What an experiment needs and how long it takes, without the machine that it is planned for."""
