# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Stop strings as an automaton over tokens: exact for any string and any vocabulary.

A stop string may lie inside one token, end in the middle of one, or straddle several. The
Aho-Corasick automaton of the strings runs over bytes; running it over the bytes of every token,
from every state, gives a table of next states that a decoding loop follows with one look-up.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StopAutomaton:
    """next_state i16[n_states, V]; states from `first_stop` on are stops.

    State 0 is the start. State first_stop + i means that stops[i] has just been met: an
    end-of-sequence token (stops[i] is its id) or a stop string. A stop state is never left, until
    the caller sets the row to another one to go on after a step boundary (see `resume`).
    byte_next i16[first_stop, 256] are the transitions over single bytes. From the state `whole` on
    lie those of rows that pass over the boundary of steps; it is 0 where there is none. `longest`
    is the length in bytes of the longest stop string.
    """

    next_state: np.ndarray
    first_stop: int
    stops: tuple[int | str, ...]
    byte_next: np.ndarray
    whole: int = 0
    longest: int = 0

    def met(self, state: int) -> int | str | None:
        """The stop that `state` stands for, None while running."""
        return self.stops[state - self.first_stop] if state >= self.first_stop else None

    def resume(self, text: bytes, *, whole: bool = False) -> int:
        """The running state after `text`, whatever stops it met.

        With it a row goes on after a stop string that only ended a step: a longer string that
        begins with what ended the step (a blank line after a newline) is still recognised. A row
        that goes on to the `whole` solution does not stop at the boundary of steps any more.
        """
        state = self.whole if whole else 0
        for byte in text[len(text) - self.longest :] if len(text) > self.longest else text:
            state = int(self.byte_next[state, byte])
        return state


def build(
    token_bytes: Sequence[bytes],
    eos: Sequence[int],
    stop_strings: Sequence[str] = (),
    boundary: str | None = None,
) -> StopAutomaton:
    """The automaton that stops at any of `eos` ids or as soon as any stop string is complete.

    token_bytes[i] are the bytes that token i adds to the text (b"" for control tokens, which leave
    the state as it is). Of several strings complete at the same byte the longest is reported. A
    `boundary` is one more stop string, for rows that sample a step.
    Raises ValueError for an empty stop string, an eos id outside the vocabulary, or no stop at all.
    """
    vocab = len(token_bytes)
    strings = (*stop_strings, *([] if boundary is None else [boundary]))
    if not all(strings):
        raise ValueError("an empty stop string would stop before the first token; remove it")
    for token in eos:
        if not 0 <= token < vocab:
            raise ValueError(f"end-of-sequence id {token} is outside the vocabulary of {vocab}")
    if not strings and not eos:
        raise ValueError("no stop given: name at least one eos id or stop string")
    # One automaton for rows that sample a step, one for those that pass over the boundary.
    kinds = [strings] if boundary is None else [strings, tuple(stop_strings)]
    parts = [_aho_corasick([string.encode() for string in kind]) for kind in kinds]
    first_stop = sum(len(byte_next) for byte_next, _ in parts)
    # Stop states: eos ids first, then strings.
    stops = (*map(int, eos), *strings)
    tables, byte_tables, offset = [], [], 0
    for byte_next, match in parts:
        table = _over_tokens(byte_next, match, token_bytes, first_stop + len(eos))
        tables.append(np.where(table < len(byte_next), table + offset, table).astype(np.int16))
        byte_tables.append((byte_next + offset).astype(np.int16))
        offset += len(byte_next)
    table = np.concatenate(tables)
    for i, token in enumerate(eos):
        table[:, token] = first_stop + i
    absorbing = np.arange(first_stop, first_stop + len(stops), dtype=np.int16)
    table = np.concatenate([table, np.repeat(absorbing[:, None], vocab, axis=1)])
    whole = 0 if boundary is None else len(parts[0][0])
    longest = max((len(string.encode()) for string in strings), default=0)
    return StopAutomaton(table, first_stop, stops, np.concatenate(byte_tables), whole, longest)


def _aho_corasick(patterns: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Byte transitions [states, 256] and, per state, the longest pattern met there (-1: none)."""
    children: list[dict[int, int]] = [{}]
    match = [-1]
    for number, pattern in enumerate(patterns):
        state = 0
        for byte in pattern:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                match.append(-1)
            state = children[state][byte]
        match[state] = number
    table = np.zeros((len(children), 256), np.int16)
    fail = [0] * len(children)
    queue = deque()
    for byte, child in children[0].items():
        table[0, byte] = child
        queue.append(child)
    while queue:
        state = queue.popleft()
        if match[state] < 0:
            match[state] = match[fail[state]]
        table[state] = table[fail[state]]
        for byte, child in children[state].items():
            fail[child] = int(table[fail[state], byte])
            table[state, byte] = child
            queue.append(child)
    return table, np.asarray(match, np.int16)


def _over_tokens(byte_next, match, token_bytes, first_string) -> np.ndarray:
    """Next states i16[states, V] after all bytes of each token; a match on the way is final."""
    states, vocab = len(byte_next), len(token_bytes)
    lens = np.fromiter((len(b) for b in token_bytes), np.int64, vocab)
    width = max(1, int(lens.max(initial=0)))
    flat = np.zeros((vocab, width), np.uint8)
    for i, data in enumerate(token_bytes):
        flat[i, : len(data)] = np.frombuffer(data, np.uint8)
    state = np.repeat(np.arange(states, dtype=np.int16)[:, None], vocab, axis=1)
    for j in range(width):
        (longer,) = np.nonzero(lens > j)
        current = state[:, longer]
        running = current < states
        stepped = byte_next[np.where(running, current, 0), flat[longer, j]]
        stepped = np.where(match[stepped] >= 0, first_string + match[stepped], stepped)
        state[:, longer] = np.where(running, stepped, current)
    return state
