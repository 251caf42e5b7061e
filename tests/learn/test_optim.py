# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The optimiser against AdamW written out in numpy."""

import math

import jax
import numpy as np
import pytest

from ttc_jax.learn.optim import Optimiser

pytestmark = pytest.mark.usefixtures("quick_compilation")

SHAPES = {
    "blocks/0/q": (2, 3, 4),
    "blocks/0/q_bias": (2, 3),
    "blocks/0/q/lora_in": (2, 4),
    "blocks/0/attn_norm": (4,),
    "embed": (5, 4),
    "norm": (4,),
    "value_bias": (1,),
}
DECAYED = {"blocks/0/q", "blocks/0/q/lora_in", "embed"}


def rate_of(optimiser, step, steps):
    """The rate by the words of its definition."""
    if step < optimiser.warmup:
        return optimiser.rate * (step + 1) / (optimiser.warmup + 1)
    if optimiser.schedule == "constant":
        return optimiser.rate
    part = min(1.0, (step - optimiser.warmup) / (steps - optimiser.warmup))
    low = optimiser.final
    return optimiser.rate * (low + (1 - low) * (1 + math.cos(math.pi * part)) / 2)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0, 1, 4])
def test_rates_rise_and_then_stay_or_fall(schedule, warmup):
    optimiser = Optimiser(rate=0.2, schedule=schedule, warmup=warmup, final=0.25)
    rates = [float(optimiser.rates(12)(step)) for step in range(16)]
    expected = [rate_of(optimiser, step, 12) for step in range(16)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert max(rates) == pytest.approx(0.2) and min(rates) > 0


def test_a_cosine_shorter_than_its_warm_up():
    rates = Optimiser(rate=0.2, schedule="cosine", warmup=9).rates(5)
    assert [float(rates(step)) for step in range(5)] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_updates_are_those_of_adamw(clip):
    optimiser = Optimiser(rate=0.1, decay=0.3, clip=clip, schedule="cosine", warmup=2)
    random = np.random.default_rng(0)
    params = {path: random.normal(size=dims) for path, dims in SHAPES.items()}
    ours = {path: array.astype(np.float32) for path, array in params.items()}
    transform = optimiser.transform(6)
    state, update = transform.init(ours), jax.jit(transform.update)
    first, second = ({path: np.zeros(dims) for path, dims in SHAPES.items()} for _ in range(2))
    for step in range(4):
        size = (0.01, 5.0, 1.0, 1e-4)[step]  # some of them beyond the clip
        grads = {path: size * random.normal(size=dims) for path, dims in SHAPES.items()}
        given = {path: grad.astype(np.float32) for path, grad in grads.items()}
        updates, state = update(given, state, ours)
        ours = {path: ours[path] + updates[path] for path in ours}
        norm = math.sqrt(sum((grad**2).sum() for grad in grads.values()))
        assert (norm > 1) == (step in (1, 2))
        shrink = min(1.0, clip / norm) if clip else 1.0
        for path, grad in grads.items():
            grad = grad * shrink
            first[path] = 0.9 * first[path] + 0.1 * grad
            second[path] = 0.95 * second[path] + 0.05 * grad**2
            mean = first[path] / (1 - 0.9 ** (step + 1))
            square = second[path] / (1 - 0.95 ** (step + 1))
            change = mean / (np.sqrt(square) + 1e-8) + 0.3 * (path in DECAYED) * params[path]
            params[path] = params[path] - rate_of(optimiser, step, 6) * change
            np.testing.assert_allclose(ours[path], params[path], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate": 0.0}, "a learning rate of 0.0"),
        ({"rate": float("nan")}, "a learning rate of nan"),
        ({"schedule": "linear"}, "use 'constant' or 'cosine'"),
        ({"decay": -1.0}, "decay is -1.0"),
        ({"clip": -1.0}, "clip is -1.0"),
        ({"warmup": -1}, "warmup is -1"),
        ({"final": -0.1}, "final is -0.1"),
        ({"betas": (0.9, 1.0)}, r"betas \(0.9, 1.0\)"),
        ({"betas": (0.9,)}, "two numbers"),
    ],
)
def test_numbers_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        Optimiser(**wrong)
