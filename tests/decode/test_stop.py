# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The stop automaton against a plain search in the text decoded so far."""

import numpy as np
import pytest

from ttc_jax.decode.stop import build


def _search(token_bytes, eos, strings, tokens):
    """(steps taken, stop met or None) by looking at every byte of the text so far."""
    patterns = [s.encode() for s in strings]
    text = b""
    for step, token in enumerate(tokens):
        if token in eos:
            return step + 1, token
        for i in range(len(token_bytes[token])):
            text += token_bytes[token][i : i + 1]
            ended = [p for p in patterns if text.endswith(p)]
            if ended:
                return step + 1, max(ended, key=len).decode()
    return len(tokens), None


def _run(automaton, tokens):
    """(steps taken, stop met or None), and no stop state is ever left."""
    state = 0
    for step, token in enumerate(tokens):
        state = int(automaton.next_state[state, token])
        if state >= automaton.first_stop:
            assert (automaton.next_state[state] == state).all()
            return step + 1, automaton.met(state)
    assert automaton.met(state) is None
    return len(tokens), None


def _pieces(random, alphabet: list[bytes], n: int) -> list[bytes]:
    """A vocabulary: every letter, some control tokens, longer pieces that cross letters."""
    pieces = [*alphabet, b"", b""]
    while len(pieces) < n:
        letters = random.integers(0, len(alphabet), random.integers(2, 6))
        pieces.append(b"".join(alphabet[i] for i in letters))
    return pieces


# Strings that contain, overlap and end each other, over letters and over split UTF-8 characters.
CASES = {
    "nested": ("ab", ["abab", "bab", "ab", "aab"]),
    "overlapping": ("abc", ["abcab", "bca", "cabcc", "ccc"]),
    "suffixes": ("ab", ["bbbb", "abbb", "bb"]),
    "newlines": ("a\n#", ["\n\n", "###", "\n#", "a\n\n#"]),
    "one": ("ab", ["aabaab"]),
    "utf8": ("é∎🙂", ["∎", "🙂é", "é🙂🙂"]),
    "lookalike": ("éèê", ["êé", "éé"]),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_a_search_in_the_text(name):
    letters, strings = CASES[name]
    random = np.random.default_rng(list(name.encode()))
    # Multi-byte characters are cut into bytes, so that tokens begin and end inside characters.
    alphabet = sorted({bytes([b]) for b in letters.encode()})
    met = set()
    for _ in range(60):
        token_bytes = _pieces(random, alphabet, len(alphabet) + 8)
        if random.random() < 0.5:  # whole stop strings, and beyond, inside one token
            token_bytes += [b"".join((alphabet[0], s.encode(), alphabet[-1])) for s in strings]
        eos = random.choice(len(token_bytes), random.integers(0, 3), replace=False).tolist()
        chosen = list(random.permutation(strings)[: random.integers(1, len(strings) + 1)])
        automaton = build(token_bytes, eos, chosen)
        weights = np.where(np.arange(len(token_bytes)) < len(alphabet), 5.0, 1.0)
        for _ in range(20):
            tokens = random.choice(len(token_bytes), 25, p=weights / weights.sum()).tolist()
            found = _search(token_bytes, eos, chosen, tokens)
            assert _run(automaton, tokens) == found, (token_bytes, eos, chosen, tokens)
            met.add(found[1])
    assert {str(s) for s in strings} & met and None in met


def test_longest_of_strings_complete_at_the_same_byte():
    vocab = [b"a", b"b", b"c"]
    automaton = build(vocab, (), ["c", "bc", "abc"])
    assert _run(automaton, [0, 1, 2]) == (3, "abc")
    assert _run(automaton, [1, 1, 2]) == (3, "bc")
    assert _run(automaton, [0, 2]) == (2, "c")


def test_the_first_string_complete_wins_inside_a_token():
    automaton = build([b"xaby", b"bz"], (), ["aby", "ab"])
    assert _run(automaton, [0]) == (1, "ab")


def test_strings_straddle_tokens_and_control_tokens():
    vocab = [b"The answer", b"", b" is", b" is 4", b" was"]
    automaton = build(vocab, (), ["answer is"])
    assert _run(automaton, [0, 2]) == (2, "answer is")
    assert _run(automaton, [0, 1, 1, 3]) == (4, "answer is")
    assert _run(automaton, [0, 4, 2]) == (3, None)


def test_end_of_sequence_comes_before_the_bytes_of_its_token():
    automaton = build([b"a", b"\n\n", b"</s>"], (1, 2), ["\n\n", "\n"])
    assert _run(automaton, [0, 1]) == (2, 1)
    assert _run(automaton, [0, 2]) == (2, 2)
    assert automaton.stops == (1, 2, "\n\n", "\n")


def test_a_row_set_back_to_the_start_can_stop_again():
    automaton = build([b"a", b"\n"], (), ["\n\n"])
    assert _run(automaton, [0, 1, 1, 1]) == (3, "\n\n")
    assert _run(automaton, [1]) == (1, None)


def test_large_vocabulary_keeps_every_token_apart():
    random = np.random.default_rng(0)
    token_bytes = [random.bytes(random.integers(0, 12)) for _ in range(3000)]
    strings = ["Q", "é", "\n"]
    automaton = build(token_bytes, (5,), strings)
    assert automaton.next_state.shape == (automaton.first_stop + 4, 3000)
    for token in range(3000):
        assert _run(automaton, [token]) == _search(token_bytes, [5], strings, [token])


@pytest.mark.parametrize(
    ("eos", "strings", "message"),
    [
        ((0,), ["a", ""], "empty stop string"),
        ((3,), ["a"], "id 3 is outside the vocabulary of 3"),
        ((-1,), [], "id -1 is outside the vocabulary of 3"),
        ((), [], "no stop given"),
    ],
)
def test_bad_stops_are_named(eos, strings, message):
    with pytest.raises(ValueError, match=message):
        build([b"a", b"b", b""], eos, strings)
