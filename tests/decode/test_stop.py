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


def _run(automaton, tokens, state: int = 0):
    """(steps taken, stop met or None) from a state, and no stop state is ever left."""
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


def _run_through(automaton, tokens, token_bytes, passed: str):
    """Like _run, but goes on wherever `passed` was met, as rows do at the end of a step.

    Returns (steps taken, stop met or None) and how often it went on.
    """
    state, text, times = 0, b"", 0
    for step, token in enumerate(tokens):
        state = int(automaton.next_state[state, token])
        text += token_bytes[token]
        if state >= automaton.first_stop:
            if automaton.met(state) != passed:
                return (step + 1, automaton.met(state)), times
            state, times = automaton.resume(text), times + 1
            assert state < automaton.first_stop
    return (len(tokens), None), times


# A delimiter that others begin with, contain or overlap.
PASSED = {
    "newline": ("a\n#", "\n", ["\n\n", "\n#", "a\na"]),
    "blank line": ("a\n#", "\n\n", ["\n\n\n", "\n\n##", "#\n\n#"]),
    "letters": ("ab", "ab", ["abab", "abb", "baba"]),
    "utf8": ("é∎", "é", ["éé∎", "∎é∎"]),
}


@pytest.mark.parametrize("name", PASSED)
def test_going_on_after_a_delimiter_agrees_with_a_search_in_the_text(name):
    letters, delimiter, strings = PASSED[name]
    random = np.random.default_rng(list(name.encode()))
    alphabet = sorted({bytes([b]) for b in letters.encode()})
    end = delimiter.encode()[-1:]
    inner = [letter for letter in alphabet if letter != end]
    met, went_on = set(), 0
    for _ in range(60):
        # A delimiter is complete at the end of a token, if at all: rows go on between tokens.
        token_bytes = [*alphabet, *(letter.encode() for letter in letters), b""]
        for _ in range(4):
            piece = [inner[i] for i in random.integers(0, len(inner), random.integers(1, 4))]
            token_bytes.append(b"".join((*piece, random.choice([b"", end]))))
        chosen = list(random.permutation(strings)[: random.integers(1, len(strings) + 1)])
        eos = random.choice(len(token_bytes), random.integers(0, 2), replace=False).tolist()
        automaton = build(token_bytes, eos, [*chosen, delimiter])
        for _ in range(20):
            tokens = random.integers(0, len(token_bytes), 25).tolist()
            found, times = _run_through(automaton, tokens, token_bytes, delimiter)
            assert found == _search(token_bytes, eos, chosen, tokens), (chosen, eos, tokens)
            met.add(found[1])
            went_on += times
    assert {str(s) for s in strings} <= met and went_on > 100


def test_a_string_is_recognised_across_the_end_of_a_step():
    vocab = [b"a", b"\n", b"\n\n", b"# done"]
    automaton = build(vocab, (), ["\n", "\n\n", "\n# done"])
    first = int(automaton.next_state[0, 1])
    assert automaton.met(first) == "\n"
    after = automaton.resume(b"a\n")
    assert automaton.met(int(automaton.next_state[after, 1])) == "\n\n"
    assert automaton.met(int(automaton.next_state[after, 3])) == "\n# done"
    # From the start of a text neither would be complete.
    assert automaton.met(int(automaton.next_state[0, 3])) is None
    assert automaton.resume(b"a\na") == automaton.resume(b"") == 0


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


@pytest.mark.parametrize("name", CASES)
def test_a_boundary_stops_steps_and_not_whole_solutions(name):
    letters, (boundary, *strings) = CASES[name]
    random = np.random.default_rng([1, *name.encode()])
    alphabet = sorted({bytes([b]) for b in letters.encode()})
    met = set()
    for _ in range(20):
        token_bytes = _pieces(random, alphabet, len(alphabet) + 8)
        eos = random.choice(len(token_bytes), 1).tolist()
        automaton = build(token_bytes, eos, strings, boundary)
        for _ in range(20):
            begin, tokens = (random.choice(len(token_bytes), n).tolist() for n in (5, 20))
            said = b"".join(token_bytes[token] for token in begin)
            for whole, chosen in ((False, (*strings, boundary)), (True, strings)):
                state = automaton.resume(said, whole=whole)
                plain = build(token_bytes, eos, chosen)
                found = _run(automaton, tokens, state)
                assert found == _run(plain, tokens, plain.resume(said))
                met.add((whole, found[1]))
    assert (False, boundary) in met and (True, boundary) not in met
