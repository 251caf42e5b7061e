# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Work for a machine, of models that are shapes alone."""

from dataclasses import replace

import jax.numpy as jnp
from search.tiny_policy import Letters, questions

from ttc_jax.decode.sample import Sampler
from ttc_jax.model.shape import PRESETS, ModelShape
from ttc_jax.model.transformer import abstract
from ttc_jax.plan.meshes import mesh
from ttc_jax.plan.work import Judge, Sampling
from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.verify.plain_formats import Steps

LLAMA = PRESETS["meta-llama/Llama-3.1-8B-Instruct"]
QWEN = PRESETS["Qwen/Qwen2.5-0.5B-Instruct"]


def sampling(
    strategy: str = "best_of_n(N=8)",
    shape: ModelShape = QWEN,
    *,
    judged: bool = False,
    count: int = 64,
    dtype=jnp.bfloat16,
    max_new: int = 256,
    mean: int = 0,
    **batch,
) -> Sampling:
    """A search over questions of 10 letters, whose prompts have 11 tokens."""
    policy = Policy(
        abstract(shape, dtype), Letters(), mesh(1, 1),
        lambda question, attempts: Letters().encode("\n".join([question.text, *attempts]) + "\n"),
        Sampler(1.0), "\n", (), max_new, 32,
    )  # fmt: skip
    judge = None
    if judged:
        judge = Judge(abstract(replace(shape, value_classes=1), dtype), Steps(Letters()))
    return Sampling(
        "test", "search", parse(strategy), questions(count), policy, judge,
        Batch(**({"rows": 64} | batch)), mean or max_new, 32,
    )  # fmt: skip
