# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run of a search stands, as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands: counts since it began, over all replicas.

    `rows` can decode at once and `live_rows` of them do; `rounds` are requests of strategies that
    were fulfilled; `new_tokens` were sampled, `lookahead_tokens` of them to look ahead;
    `prefill_tokens` of prompts and `verify_tokens` of solutions were encoded; `lane_steps` rows
    were computed for the tokens sampled, so that new_tokens / lane_steps is the utilisation.
    `ledger` is what both models have cost, as in `Ledger.by_phase`.
    """

    questions: int
    done_questions: int
    rounds: int
    rows: int
    live_rows: int
    pages: int
    pages_used: int
    new_tokens: int
    lookahead_tokens: int
    prefill_tokens: int
    verify_tokens: int
    segments: int
    steps: int
    lane_steps: int
    forks: int
    seconds: float
    ledger: Mapping[str, Mapping[str, int]]
