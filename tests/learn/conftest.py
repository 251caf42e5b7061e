# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Programs of training take seconds to compile here and microseconds to run."""

import jax
import pytest


@pytest.fixture(scope="module")
def quick_compilation():
    """Leaves out what the compiler does to make programs fast: it takes half the time then."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
