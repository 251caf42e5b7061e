# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Formats by the names that configs call them."""

from ttc_jax.model.tokens import Tokenizer
from ttc_jax.verify.chat_formats import QwenMathPRM, RLHFlow, RLHFlowOutcome
from ttc_jax.verify.formats import Format
from ttc_jax.verify.plain_formats import (
    MathShepherd,
    Outcome,
    OutcomeWithHistory,
    SkyworkO1,
    Steps,
)


def by_name(name: str, tokenizer: Tokenizer) -> Format:
    """The format called `name`; ValueError names the known ones, or what the tokenizer lacks."""
    known = {
        "math_shepherd": MathShepherd,
        "rlhflow": RLHFlow,
        "rlhflow_outcome": RLHFlowOutcome,
        "skywork_o1": SkyworkO1,
        "qwen_math_prm": QwenMathPRM,
        "steps": Steps,
        "outcome": Outcome,
        "outcome_history": OutcomeWithHistory,
    }
    if name not in known:
        raise ValueError(f"unknown verifier format {name!r}; there are {', '.join(known)}")
    return known[name](tokenizer)
