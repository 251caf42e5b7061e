# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Samplers against distributions made by sorting in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttc_jax.decode.sample import Sampler, _highest_floor, row_keys, uniforms

BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
# float32 sums of a few hundred terms.
TOLERANCE = 1e-5
# One shape for nearly all tests, as each sampler is compiled for each shape.
ROWS, VOCAB = 1024, 300
GRID = (np.arange(16 * ROWS, dtype=np.float32) + 0.5) / (16 * ROWS)

SAMPLERS = (
    Sampler(1.0),
    Sampler(0.8),
    Sampler(1.7),
    Sampler(1.0, top_k=1),
    Sampler(0.8, top_k=7),
    Sampler(1.0, top_k=1000),
    Sampler(1.0, top_p=0.5),
    Sampler(0.6, top_p=0.95),
    Sampler(1.0, top_p=1e-6),
    Sampler(1.0, min_p=0.05),
    Sampler(1.3, min_p=1.0),
    Sampler(0.8, top_k=12, top_p=0.9, min_p=0.02),
    Sampler(1.5, top_k=3, top_p=0.99, min_p=0.001),
    Sampler(1.5, top_k=30, top_p=0.6, min_p=0.001),
    Sampler(1.5, top_k=30, top_p=0.999, min_p=0.2),
)


@partial(jax.jit, static_argnums=0)
def _draw(sampler, logits, uniform):
    return sampler.draw(logits, uniform)


def _softmax(x) -> np.ndarray:
    odds = np.exp(np.asarray(x, np.float64) - np.max(x))
    return odds / odds.sum()


def _probabilities(sampler: Sampler, logits, slack: float = 0.0) -> np.ndarray:
    """What each token of logits [V] should be drawn with, by sorting; limits loosened by slack."""
    probs = _softmax(np.asarray(logits, np.float64) / sampler.temperature)
    falling = np.sort(probs)[::-1]
    floor = sampler.min_p * falling[0]
    if 0 < sampler.top_k < len(probs):
        floor = max(floor, falling[sampler.top_k - 1])
    if sampler.top_p < 1:
        sums = np.cumsum(falling)
        last = int(np.argmax(sums >= min(sampler.top_p + slack, sums[-1])))
        floor = max(floor, falling[last])
    kept = np.where(probs >= floor * (1 - max(slack, 1e-9)), probs, 0)
    return kept / kept.sum()


def _sweep(sampler: Sampler, logits) -> np.ndarray:
    """Tokens drawn from logits [V] at all points of the grid."""
    rows = np.broadcast_to(logits, (ROWS, len(logits)))
    return np.concatenate([_draw(sampler, rows, part)[0] for part in GRID.reshape(-1, ROWS)])


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_kept_sets_and_frequencies(sampler):
    random = np.random.default_rng(7)
    logits = np.full(VOCAB, -np.inf, np.float32)
    logits[random.choice(VOCAB, 40, replace=False)] = random.normal(size=40) * 1.2
    probs = _probabilities(sampler, logits)
    drawn = np.bincount(_sweep(sampler, logits), minlength=VOCAB)
    # Every token that is kept is likely enough to own several points of the grid.
    assert probs[probs > 0].min() > 4 / len(GRID)
    np.testing.assert_array_equal(drawn > 0, probs > 0)
    np.testing.assert_allclose(drawn / len(GRID), probs, atol=1.5 / len(GRID))


@pytest.mark.parametrize("sampler", [Sampler(1.0), Sampler(0.7, top_k=300, top_p=0.98)], ids=str)
def test_inversion_over_several_blocks_of_tokens(sampler):
    random = np.random.default_rng(3)
    logits = np.float32(random.normal(size=700) * 2)
    logits[random.random(700) < 0.2] = -np.inf
    ends = np.cumsum(_probabilities(sampler, logits))
    tokens = _sweep(sampler, logits)
    clear = np.abs(GRID[:, None] - ends).min(1) > TOLERANCE
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(tokens[clear], np.searchsorted(ends, GRID[clear], side="right"))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_tokens_without_probability_are_never_drawn(sampler):
    random = np.random.default_rng(0)
    logits = np.float32(random.normal(size=(ROWS, VOCAB)) * 4)
    logits[random.random((ROWS, VOCAB)) < 0.4] = -np.inf
    logits[::2, 0] = -np.inf
    logits[::3, -1] = -np.inf
    logits[:, 1] = 0.5
    logits[::5, 2] = -1e4  # no probability in float32
    uniform = np.float32([0.0, 1e-30, 0.5, BELOW_ONE])[np.arange(ROWS) % 4]
    tokens, logprobs = _draw(sampler, logits, uniform)
    tokens = np.asarray(tokens)
    assert np.isfinite(logprobs).all()
    probs = np.stack([_probabilities(sampler, row, slack=1e-5) for row in logits])
    assert (probs[np.arange(ROWS), tokens] > 0).all()
    assert (probs[::4] > 0).argmax(-1).tolist() == tokens[::4].tolist()


@pytest.mark.parametrize("vocab", [2, 256, 257])
@pytest.mark.parametrize("sampler", [Sampler(1.0), SAMPLERS[-1]], ids=str)
def test_all_the_probability_on_one_token(sampler, vocab):
    logits = np.full((9, vocab), -np.inf, np.float32)
    ids = np.tile([0, vocab - 1, vocab // 2], 3)
    logits[np.arange(9), ids] = np.tile([5, -80, 0], 3)
    uniform = np.repeat(np.float32([0.0, 0.5, BELOW_ONE]), 3)
    tokens, logprobs = _draw(sampler, logits, uniform)
    np.testing.assert_array_equal(tokens, ids)
    np.testing.assert_array_equal(logprobs, np.zeros(9))


def test_top_p_next_to_one_keeps_likely_tokens():
    random = np.random.default_rng(0)
    logits = np.float32(random.normal(size=(ROWS, VOCAB)) * 3)
    uniform = np.float32(random.random(ROWS))
    # 1 - 1e-9 is 1 in float32, but not in the sampler's own eyes.
    plain, _ = _draw(Sampler(1.0), logits, uniform)
    tokens, _ = _draw(Sampler(1.0, top_p=1 - 1e-9), logits, uniform)
    np.testing.assert_array_equal(tokens, plain)


def test_a_floor_that_nothing_satisfies_keeps_everything():
    x = -np.float32([[0.0, 1.0, 1e30]])
    floor = _highest_floor(x, lambda kept: np.zeros(1, bool))
    np.testing.assert_array_equal(x >= floor[:, None], [[True, True, True]])


def test_greedy_is_the_first_of_the_largest():
    random = np.random.default_rng(0)
    for vocab in (2, 256, 600):
        logits = np.float32(random.integers(-3, 4, (200, vocab)))  # many ties
        tokens, _ = _draw(Sampler(0.0), logits, np.full(200, 0.9, np.float32))
        np.testing.assert_array_equal(tokens, logits.argmax(-1))


def test_ties_at_the_limit_of_top_k_are_kept():
    logits = np.full(VOCAB, -1, np.float32)
    logits[[3, 40, 270, 271, 299]] = [2, 3, 3, 2, 2]
    drawn = np.bincount(_sweep(Sampler(0.8, top_k=7), logits))
    assert np.flatnonzero(drawn).tolist() == list(range(300))
    logits[[60, 61]] = 2
    drawn = np.bincount(_sweep(Sampler(0.8, top_k=7), logits))
    assert np.flatnonzero(drawn).tolist() == [3, 40, 60, 61, 270, 271, 299]


@pytest.mark.parametrize("sampler", [Sampler(0.0), Sampler(0.8), Sampler(0.8, top_k=7)], ids=str)
def test_logprobs_are_those_of_the_model(sampler):
    random = np.random.default_rng(1)
    logits = np.float32(random.normal(size=(ROWS, VOCAB)) * 5 + 100)
    tokens, logprobs = _draw(sampler, logits, np.float32(random.random(ROWS)))
    expected = [np.log(_softmax(row)[token]) for row, token in zip(logits, tokens, strict=True)]
    np.testing.assert_allclose(logprobs, expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_p": float("nan")},
        {"min_p": -0.1},
        {"min_p": 1.01},
    ],
    ids=str,
)
def test_values_out_of_range_raise(values):
    ((name, value),) = values.items()
    with pytest.raises(ValueError, match=f"{name} {value}"):
        Sampler(**values)


def test_noise_depends_on_seed_question_branch_and_position_alone():
    def noise(seed, question, branch, position):
        parts = (np.asarray(x, np.uint32) for x in (question, branch))
        return uniforms(row_keys(np.uint32(seed), *parts), jnp.asarray(position))

    cases = np.array([[q, b, p] for q in (5, 2**32 - 1) for b in (0, 1, 2) for p in (0, 1, 700)])
    drawn = np.asarray(noise(3, *cases.T))
    assert len(set(drawn.tolist())) == len(cases)
    assert (drawn >= 0).all() and (drawn < 1).all()
    order = np.random.default_rng(0).permutation(len(cases))
    np.testing.assert_array_equal(noise(3, *cases[order].T), drawn[order])
    np.testing.assert_array_equal(noise(3, *cases[4:5].T), drawn[4:5])
    assert not np.isin(noise(4, *cases.T), drawn).any()
    key = jax.random.key(3)
    for part in cases[7]:
        key = jax.random.fold_in(key, np.uint32(part))
    assert drawn[7] == jax.random.uniform(key)


def test_noise_is_spread_evenly():
    branch, position = (x.reshape(-1).astype(np.uint32) for x in np.mgrid[:64, :64])
    keys = row_keys(np.uint32(0), np.zeros_like(branch), branch)
    counts = np.histogram(uniforms(keys, position), bins=16, range=(0, 1))[0]
    # Chi-squared with 15 degrees of freedom: 37.7 is passed once in a thousand seeds.
    assert ((counts - 256) ** 2 / 256).sum() < 37.7
