# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The policy's own likelihood as a verifier: what search comes to without anything trained for it.

A control. It reads nothing and costs nothing: the policy gave the log-probabilities as it sampled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ttc_jax.verify.scorer import Claim, Judgement, Room, Scorer, State

LIKELIHOOD = "likelihood"  # in place of a checkpoint's path, and the kind of this verifier


@dataclass(eq=False)
class _Beginning(State):
    """A beginning of `length` sampled tokens, whose log-probabilities sum to `logprob`."""

    logprob: float = 0.0


class Likelihood(Scorer):
    """Scores a step by the geometric mean of the probabilities of the solution's tokens so far.

    That is exp(mean log-probability), in (0, 1], from the solution's first token to the step's
    last. The probabilities are the policy's own, before temperature and truncation (see
    `Sampler.draw`), so tokens of a rollout at temperature 0 are scored alike.
    """

    reads_logprobs = True

    def __init__(self, aggregate: str = "last"):
        """`aggregate` is one of `AGGREGATES`."""
        self.aggregate_name = aggregate

    def prepare(self, questions: Mapping[str, str], room: Room) -> None:
        """See `Scorer`. Nothing is read, so nothing is too long."""

    def allocate(self, questions: int, rows: int) -> None:
        """See `Scorer`. Nothing is held."""

    def open(self, questions: Sequence[str]) -> list[tuple[State, int]]:
        """See `Scorer`."""
        return [(_Beginning(id, (0, 0), 0, opened=True, uses=1), 0) for id in questions]

    def score(self, claims: Sequence[Claim]) -> list[Judgement]:
        """See `Scorer`. Raises ValueError also for a claim without its log-probabilities."""
        return [self._judged(claim) for claim in claims]

    def close(self, state: State) -> None:
        """See `Scorer`."""

    def _judged(self, claim: Claim) -> Judgement:
        before, n = claim.state, len(claim.steps)
        if len(claim.logprobs) != n + len(claim.ahead):
            raise ValueError(
                f"question {before.question!r}: {n + len(claim.ahead)} steps came with the "
                f"log-probabilities of {len(claim.logprobs)}; the likelihood needs those of all"
            )
        ends = before.length + np.cumsum([len(own) for own in claim.logprobs], dtype=np.int64)
        sums = before.logprob + np.cumsum([own.sum(dtype="float64") for own in claim.logprobs])
        scores = []
        for i, (total, length) in enumerate(zip(sums.tolist(), ends.tolist(), strict=True)):
            if not (length and math.isfinite(total)):
                raise ValueError(
                    f"question {before.question!r}: the {length} tokens up to step "
                    f"{before.steps + i + 1} have a log-probability of {total}; the policy's "
                    f"weights are damaged, or too large for their dtype"
                )
            scores.append(math.exp(total / length))
        state = None
        if not claim.final:
            length, total = (int(ends[n - 1]), float(sums[n - 1])) if n else (
                before.length, before.logprob)  # fmt: skip
            state = _Beginning(
                before.question, before.place, length, before.steps + n,
                scores[n - 1] if n else before.score, uses=1, logprob=total,
            )  # fmt: skip
        return Judgement(tuple(scores[:n]), tuple(scores[n:]), state, 0, 0)
