# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of the command line: each has USAGE and main(argv), and imports only what it needs.

A command is called with what follows its name. Wrong input raises ValueError, OSError or
absl.flags.Error.
"""
