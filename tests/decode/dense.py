# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A decoder that shares nothing and caches nothing: the oracle of the decoding core.

Every row is a list of tokens, and every logit comes from a forward pass over the whole list.
"""

from functools import partial

import jax
import numpy as np

from ttc_jax.decode.sample import Sampler, uniforms
from ttc_jax.decode.stop import StopAutomaton
from ttc_jax.model.transformer import Transformer, forward, logits


@jax.jit
def _logits(model, tokens, lens):
    return logits(model, forward(model, tokens, lens))


@partial(jax.jit, static_argnums=0)
def _draw(sampler, logits, keys, positions):
    return sampler.draw(logits, uniforms(keys, positions))


class Dense:
    """Rows of at most `context` tokens."""

    def __init__(self, model: Transformer, rows: int, context: int):
        self.model, self.context = model, context
        self.rows: list[list[int]] = [[] for _ in range(rows)]

    def logits(self, rows: list[list[int]]) -> np.ndarray:
        """Next-token logits f32[B, C, V] after every token of the given rows."""
        tokens = np.zeros((len(rows), self.context), np.int32)
        for row, history in zip(tokens, rows, strict=True):
            row[: len(history)] = history
        return np.asarray(_logits(self.model, tokens, np.array([len(row) for row in rows])))

    def extend(self, row: int, tokens: list[int]) -> None:
        self.rows[row] = self.rows[row] + tokens

    def fork(self, parent, lens) -> None:
        self.rows = [self.rows[p][:n] for p, n in zip(parent, lens, strict=True)]

    def decode(self, last, limit, stop: StopAutomaton, sampler: Sampler, keys):
        """Up to limit[b] tokens after last[b]: lists of tokens and of logprobs, final states.

        As in the core, a row holds all of its tokens but the last one sampled afterwards.
        """
        last, state = list(last), [0] * len(self.rows)
        tokens, logprobs = ([[] for _ in self.rows] for _ in range(2))
        for step in range(max(limit)):
            running = [
                step < limit[b] and state[b] < stop.first_stop for b in range(len(self.rows))
            ]
            histories = [[*row, x] for row, x in zip(self.rows, last, strict=True)]
            lens = np.array([len(history) for history in histories])
            ahead = self.logits(histories)[np.arange(len(histories)), lens - 1]
            token, logprob = jax.device_get(_draw(sampler, ahead, keys, lens))
            for b in np.flatnonzero(running):
                self.rows[b] = histories[b]
                last[b] = int(token[b])
                tokens[b].append(last[b])
                logprobs[b].append(logprob[b])
                state[b] = int(stop.next_state[state[b], last[b]])
        return tokens, logprobs, state
