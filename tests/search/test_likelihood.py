# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every strategy with the likelihood as its verifier, on stand-in programs, against counts by hand.

One token is one character, and the log-probability of token i is -i / 16.
"""

import math

import numpy as np
import pytest
from search import dry_programs, tiny_policy

from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch
from ttc_jax.search.schedule import Scheduler
from ttc_jax.search.steps import StepReader
from ttc_jax.verify.likelihood import Likelihood

SURPRISE = 1 / 16
# Newlines, blanks, a few letters, and ends of solutions.
ODDS = np.r_[4.0, 1.0, [2.0] * 6, [0.0] * 16, 1.0]


def mean_so_far(text: str, tokens: int) -> float:
    """The score of a step that ends after `tokens` tokens of a solution of this text."""
    ids = [tiny_policy.ALPHABET.index(letter) for letter in text[:tokens]]
    ids += [tiny_policy.EOS] * (tokens - len(ids))
    return math.exp(-SURPRISE * sum(ids) / tokens)


def ends_of_steps(text: str, tokens: int) -> list[int]:
    """After how many characters each line that is not blank ends, its newline included."""
    ends, start = [], 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        if text[start:end].strip():
            ends.append(end)
        start = end
    return ends[:-1] + [tokens] if ends else []


def grown(monkeypatch, strategy: str, seed: int = 0):
    dry_programs.install(monkeypatch, seed, ODDS, SURPRISE)
    policy = tiny_policy.policy(max_new=20, max_step=8)
    batch = Batch(rows=4, page_size=4, segment=4)
    scorer = Likelihood()
    scheduler = Scheduler(parse(strategy), tiny_policy.questions(3), policy, scorer, batch)
    return list(scheduler.run()), scheduler


@pytest.mark.parametrize(
    "strategy",
    ["best_of_n(N=4)", "beam(N=4,M=2)", "lookahead(N=4,M=2,k=2)", "dvts(N=4,M=2)", "rebase(N=4)",
     "revise(s=3,p=2)"],
)  # fmt: skip
def test_values_are_those_counted_by_hand(monkeypatch, strategy):
    trees, scheduler = grown(monkeypatch, strategy)
    seen = 0
    for tree in trees:
        for node in tree.nodes:
            if node.number < 0:
                continue
            before = node.parent.solution if node.parent.number >= 0 else ""
            own = ends_of_steps(node.text, len(node.tokens))
            whole = before + node.text
            by_hand = [mean_so_far(whole, len(before) + end) for end in own]
            assert node.scores == pytest.approx(by_hand)
            ahead = ends_of_steps(node.ahead, node.usage["lookahead"])
            further = [mean_so_far(whole + node.ahead, len(whole) + end) for end in ahead]
            assert node.ahead_scores == pytest.approx(further)
            known = [*node.all_scores, *further]
            assert node.value == pytest.approx(known[-1] if known else 0.0)
            assert node.usage["verify"] == node.usage["verify_lookahead"] == 0
            seen += len(by_hand) + len(further)
    assert seen > 20
    assert set(scheduler.ledger.by_phase()) <= {
        "prefill", "decode", "lookahead", "revision_context"
    }  # fmt: skip


def test_a_beam_keeps_what_is_likeliest(monkeypatch):
    trees, _ = grown(monkeypatch, "beam(N=4,M=2)", seed=3)
    for tree in trees:
        first = [node for node in tree.nodes if node.number >= 0 and node.round == 0]
        kept = sorted(first, key=lambda node: (-node.value, node.number))[:2]
        parents = {node.parent for node in tree.nodes if node.round == 1}
        assert parents == {node for node in kept if not node.finished}


def test_steps_of_tokens_that_hold_several_characters():
    class Pieces(tiny_policy.Letters):
        """Tokens 2, 3, ... are these texts, some of which hold ends of steps, or half a letter."""

        pieces = (b"a\n\nb", b"\n", b"c\n", b"\xc3", b"\xa9", b"#### 7", b"\n\n", b"d\n\nee\n\nf")

        def token_bytes(self) -> list[bytes]:
            return [b"", b"", *self.pieces, *[b""] * (tiny_policy.VOCAB - 2 - len(self.pieces))]

    def cut(delimiter, *tokens):
        policy = tiny_policy.policy(delimiter=delimiter, tokenizer=Pieces())
        reader = StepReader(policy, stepwise=False)
        text = b"".join(Pieces.pieces[t - 2] for t in tokens).decode(errors="replace")
        logprobs = np.arange(len(tokens), dtype=np.float32)
        found = reader.by_step(np.array(tokens), logprobs, text)
        assert len(found) == len(reader.split(text))
        return [own.tolist() for own in found]

    # "a\n\nb" "\n" "c\n" "é": the first ends a step with a token that begins the next one.
    assert cut("\n", 2, 3, 4, 5, 6) == [[0], [1], [2], [3, 4]]
    # Half a letter that is none, before a newline.
    assert cut("\n", 5, 4, 5, 3, 4) == [[0, 1], [2, 3], [4]]
    # One token ends a step and holds the next: no tokens are left for that.
    assert cut("\n\n", 9, 8, 4) == [[0], [], [1], [2]]
    # The line with the answer is a step though a single newline stands before it.
    assert cut("\n\n", 4, 7, 3, 4) == [[0], [1, 2], [3]]
    assert cut("\n", 3, 3) == []
