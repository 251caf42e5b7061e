# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Greedy continuations of prompts, straight from a forest and an engine."""

from collections.abc import Sequence

import numpy as np
from jax.sharding import Mesh

from ttc_jax.decode.batch import Job
from ttc_jax.decode.engine import Engine
from ttc_jax.decode.forest import Forest
from ttc_jax.decode.sample import Sampler
from ttc_jax.decode.stop import build
from ttc_jax.model.transformer import Transformer

# Tokens i32[len] and their logprobs f32[len].
Sampled = tuple[np.ndarray, np.ndarray]


def continued(
    model: Transformer,
    mesh: Mesh,
    prompts: Sequence[Sequence[int]],
    *,
    new: int,
    n: int = 1,
    page_size: int = 16,
    segment: int = 64,
) -> list[list[Sampled]]:
    """`new` likeliest tokens after each prompt, n times over copies of one row; one replica."""
    rows = n * len(prompts)
    context = max(map(len, prompts)) + new
    forest = Forest(
        model, mesh=mesh, rows=rows, context=context, pages=rows * -(-context // page_size),
        page_size=page_size,
    )  # fmt: skip
    never = build([b"x"] * model.shape.vocab, (), ("never",))
    engine = Engine(forest, stop=never, sampler=Sampler(0.0), lanes=rows, segment=segment)
    planted = forest.plant([(0, [int(t) for t in prompt[:-1]]) for prompt in prompts])
    jobs = []
    for i, (prompt, (place, _)) in enumerate(zip(prompts, planted, strict=True)):
        places = [place, *(forest.copy(place, len(prompt) - 1) for _ in range(n - 1))]
        jobs += [Job(p[1], i, branch, int(prompt[-1]), new) for branch, p in enumerate(places)]
    while any(job.limit for job in jobs):
        engine.run([jobs], refill=False)
    return [[job.sampled() for job in jobs if job.question == i] for i in range(len(prompts))]
