# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
r"""Llama 3.2 1B Instruct against RLHFlow's 8B PRM on MATH-500: best-of-N, beam search, DVTS.

The setting of Beeching, Tunstall and Rush, "Scaling test-time compute with open models" (Hugging
Face, 2024): N of 4, 16, 64 and 256, widths of 4, temperature 0.8, at most 2,048 tokens and 40
rounds, their system prompt, the last step's score. Best-of-256 holds every smaller N; so does
majority. `3b` takes Llama 3.2 3B Instruct; `lookahead` adds a step of it at equal budgets, which
the beam search of the original code generates and does not score.

    ttc run --config=configs/math_llama_rlhflow.py --config.model.path=DIR1B \
        --config.scorer.path=DIRPRM --config.data.dir=MATH --workdir=runs/llama

DIR1B and DIRPRM are Hugging Face directories of meta-llama/Llama-3.2-1B-Instruct and
RLHFlow/Llama3.1-8B-PRM-Deepseek-Data, MATH holds test.jsonl with fields problem, answer, level and
subject.

Expected, from the literature (percent of MATH-500): greedy 25.8; at N = 16, 64 and 256 majority
40.7, 44.1 and 44.8, best-of-N weighted 45.6, 48.3 and 50.2, plain best-of-N 40.7, 40.4 and 39.9
(X. Han 2024, read off figures to 0.5; the same PRM as a scorer of whole answers). With the best of
several verifiers and searches 66.2 (Liu et al. 2025, table 5). In the blog 1B and 3B overtake their
8B and 70B siblings with enough compute.
Cost: `ttc plan --config=configs/math_llama_rlhflow.py --topology=v5p:8x8x8`. The original took
about 3 hours of an H100 for best-of-256 and more than 60 for beams or DVTS of 256 (its own README).

Variants, joined by commas: `3b`, `lookahead`, `tiny` (small random models of the same families on
the word problems of the package: does it run at all).

    ttc run --config=configs/math_llama_rlhflow.py:tiny --workdir=runs/tiny
"""

from ml_collections import ConfigDict

from ttc_jax.run import protocol
from ttc_jax.run.defaults import variants

VARIANTS = ("3b", "lookahead", "tiny")
VERIFIER = "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data"
# That of the blog's code (huggingface/search-and-learn), which is Llama's own for MATH.
SYSTEM = r"""Solve the following math problem efficiently and clearly:

- For simple problems (2 steps or fewer):
Provide a concise solution with minimal explanation.

- For complex problems (3 steps or more):
Use this step-by-step format:

## Step 1: [Concise description]
[Brief explanation and calculations]

## Step 2: [Concise description]
[Brief explanation and calculations]

...

Regardless of the approach, always conclude with:

Therefore, the final answer is: $\boxed{answer}$. I hope it is correct.

Where [answer] is just the final number or expression that solves the problem."""


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)
    policy = f"meta-llama/Llama-3.2-{'3B' if '3b' in named else '1B'}-Instruct"
    config = protocol.math_500(
        policy=f"preset:{policy}", verifier=f"preset:{VERIFIER}", format="rlhflow", system=SYSTEM
    )
    budgets = (4, 16, 64, 256)
    if "tiny" in named:
        protocol.shrink_sweep(config, policy=policy, verifier=VERIFIER)
        config.prompt.system = ""
        budgets = (4,)
    found = [f"best_of_n(N={2 * budgets[-1]})"]  # half of it tells the difficulty
    for N in budgets:
        found += [f"beam(N={N},M=4)", f"dvts(N={N},M=4)"]
        if "lookahead" in named:
            found += [f"lookahead(N={N // 2},M={min(4, N // 2)},k=1)"]
    config.sweep.strategies = tuple(found)
    config.sweep.runs = (("best_of_n(N=1)", protocol.GREEDY),)
    return config.lock()
