# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The likelihood as a verifier, on log-probabilities set by hand."""

import numpy as np
import pytest

from ttc_jax.verify.likelihood import Likelihood
from ttc_jax.verify.scorer import Claim


def logs(*probabilities: float) -> np.ndarray:
    return np.log(np.array(probabilities, np.float32))


def opened(scorer=None):
    scorer = scorer or Likelihood()
    ((state, encoded),) = scorer.open(["q"])
    assert encoded == 0
    return scorer, state


def test_a_score_is_the_geometric_mean_of_all_tokens_so_far():
    scorer, state = opened()
    own = (logs(0.5, 0.25), logs(0.125), logs(1.0))
    claim = Claim(state, ("a", "b"), ("c",), logprobs=own)
    (first,) = scorer.score([claim])
    assert first.scores == pytest.approx((8 ** (-1 / 2), 64 ** (-1 / 3)))
    assert first.ahead_scores == pytest.approx((64 ** (-1 / 4),))
    # What was looked ahead at is forgotten; nothing was encoded.
    (second,) = scorer.score([Claim(first.state, ("d",), final=True, logprobs=(logs(0.5),))])
    assert second.scores == pytest.approx((128 ** (-1 / 4),)) and second.state is None
    assert first.tokens == first.ahead_tokens == second.tokens == 0
    assert first.state.steps == 2 and first.state.length == 3


def test_a_node_without_a_step_leaves_the_score_where_it_was():
    scorer, state = opened()
    (blank,) = scorer.score([Claim(state, ())])
    (after,) = scorer.score([Claim(blank.state, ("a",), logprobs=(logs(0.5),))])
    assert blank.scores == () and after.scores == pytest.approx((0.5,))


def test_a_step_inside_another_ones_token_scores_as_that():
    scorer, state = opened()
    (found,) = scorer.score([Claim(state, ("a", "b"), logprobs=(logs(0.5), logs()))])
    assert found.scores == pytest.approx((0.5, 0.5))


def test_it_costs_nothing_and_holds_nothing():
    scorer, state = opened(Likelihood("min"))
    assert scorer.aggregate([0.5, 0.25, 0.75]) == 0.25 and not scorer.outcome
    assert scorer.flops(0, 9) == scorer.bytes_each == 0 and not scorer.ledger.by_phase()
    assert scorer.pages_of([[state]]) == [0]
    scorer.close(state)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ((), "'q': 1 steps came with the log-probabilities of 0"),
        ((np.array([np.nan], np.float32),), "the 1 tokens up to step 1 have a log-prob.* nan"),
        ((logs(),), "the 0 tokens up to step 1"),
    ],
)
def test_what_cannot_be_scored_is_named(own, message):
    scorer, state = opened()
    with pytest.raises(ValueError, match=message):
        scorer.score([Claim(state, ("a",), logprobs=own)])
