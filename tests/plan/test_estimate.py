# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Texts have about as many tokens as estimated, and formats can be laid out with the estimate."""

import pytest

from ttc_jax.model.load import checkpoint_directory
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.plan.estimate import Estimate
from ttc_jax.verify.format_names import by_name

TEXT = """Lena has 36 pears. She buys 3 more pears, and gives a third of all of them to her brother.
How many pears does she have left? So 36 + 3 = 39, and 39 / 3 = 13: $\\frac{39}{3} = 13$.
"""


def test_an_estimate_is_never_far_too_low(tmp_path):
    real = len(load_tokenizer(checkpoint_directory("builtin:subset_sums")).encode("=9: 4 5 16"))
    assert real <= len(Estimate(100).encode("=9: 4 5 16")) <= 2 * real
    words = len(TEXT.split())
    assert words < len(Estimate(100).encode(TEXT)) < 4 * words


@pytest.mark.parametrize("name", ["steps", "outcome", "outcome_history", "math_shepherd"])
def test_formats_of_verifiers_without_a_tokenizer(name):
    format = by_name(name, Estimate(32_000))
    assert len(format.begin(TEXT)) >= len(TEXT.split())
    assert len(format.step("a b c", 0).ids) >= 3 and format.overhead >= 0
