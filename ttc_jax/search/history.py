# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a scorer goes on from in new prompts: after the question, or after the earlier attempts."""

from collections.abc import Mapping, Sequence

from ttc_jax.search.flight import Flight
from ttc_jax.search.tree import Node
from ttc_jax.verify.scorer import Claim, Scorer, State


def open_prompts(scorer: Scorer, flights: Sequence[Flight]) -> int:
    """Give each prompt that the flights have just asked for its state; returns tokens encoded.

    That is the question's, or, for a scorer that reads history, the one after the prompt's
    attempts. An attempt that was judged with the others in view has left that state behind; where
    the window has slid, the attempts are read again, those of all questions together. Prompts with
    more attempts than the scorer can read get none: what is sampled from them is unread. All other
    states of the flights are given up.
    """
    unread: list[tuple[Flight, Node]] = []
    for flight in flights:
        held, flight.states = flight.states, {}
        for node in flight.asked:
            state = _state(scorer, flight, held, flight.attempts[node])
            if state is None:
                unread.append((flight, node))
            else:
                state.uses += 1
                flight.states[node] = state
        for state in held.values():  # before others are made: rows are planned for one of the two
            scorer.close(state)
    claims = [
        Claim(f.state, tuple(a.solution for a in f.attempts[node]), phase="verify_context")
        for f, node in unread
    ]
    encoded = 0
    for (flight, node), judgement in zip(unread, scorer.score(claims), strict=True):
        if judgement.state is not None:
            flight.states[node] = judgement.state
        if judgement.tokens:
            node.usage["verify_context"] = judgement.tokens
            node.verify_at = judgement.at
        encoded += judgement.tokens
    return encoded


def _state(
    scorer: Scorer, flight: Flight, held: Mapping[Node, State], attempts: tuple[Node, ...]
) -> State | None:
    """The state after the attempts, if there is one already."""
    if not attempts or not scorer.history:
        return flight.state
    *before, last = attempts
    if flight.attempts.get(last.parent, ()) == tuple(before):
        return held.get(last)
    return None
