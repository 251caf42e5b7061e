# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
r"""Qwen2.5-1.5B-Instruct against Qwen2.5-Math-PRM-7B on MATH-500: a sweep of searches.

A strong published PRM steers a small policy: best-of-N and majority up to 256, beams of 4, 16, 64
and 256 with and without duplicates, lookahead of one step at equal budgets, DVTS and REBASE. `math`
takes Qwen2.5-Math-1.5B-Instruct as the policy, `7b` the instruct model of 7B.

    ttc run --config=configs/math_qwen_prm.py --config.model.path=DIR1.5B \
        --config.scorer.path=DIRPRM --config.data.dir=MATH --workdir=runs/qwen

DIR1.5B and DIRPRM are Hugging Face directories of Qwen/Qwen2.5-1.5B-Instruct and
Qwen/Qwen2.5-Math-PRM-7B, MATH holds test.jsonl with fields problem, answer, level and subject. The
PRM reads 4,096 tokens: question and solution must fit (2,048 are sampled at most).

Expected, from the literature (percent of MATH-500): greedy 54.4; with this PRM at N = 32 and
temperature 0.8 majority 61.0, plain best-of-N 67.8, weighted 69.2, beams 76.2, DVTS 76.6 (Puri et
al. 2025, table 1); up to N = 256 the best search 81.8 to 85.6, majority 68.4 (Liu et al. 2025,
tables 3 and 5). Of Qwen2.5-Math-1.5B: greedy 70.0, majority 79.6, weighted 82.6, beams 83.0.
Cost: `ttc plan --config=configs/math_qwen_prm.py --topology=v5p:8x8x8`; REBASE of 256 does not fit
v6e:16x16, nor of 64 v5e:16x16 (launch/README.md). The PRM has almost five times the parameters of
the policy: count its FLOPs (the report does).

Variants, joined by commas: `math`, `7b`, `tiny` (small random models of the same families on the
word problems of the package: does it run at all).

    ttc run --config=configs/math_qwen_prm.py:tiny --workdir=runs/tiny
"""

from ml_collections import ConfigDict

from ttc_jax.run import protocol
from ttc_jax.run.defaults import variants

POLICIES = {"math": "Qwen/Qwen2.5-Math-1.5B-Instruct", "7b": "Qwen/Qwen2.5-7B-Instruct"}
VARIANTS = (*POLICIES, "tiny")
VERIFIER = "Qwen/Qwen2.5-Math-PRM-7B"
SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."  # Qwen's own


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)
    policies = [POLICIES[name] for name in named if name in POLICIES]
    if len(policies) > 1:
        raise ValueError(f"{' and '.join(policies)} are two policies; name one of them")
    policy = policies[0] if policies else "Qwen/Qwen2.5-1.5B-Instruct"
    config = protocol.math_500(
        policy=f"preset:{policy}", verifier=f"preset:{VERIFIER}", format="qwen_math_prm",
        system=SYSTEM,
    )  # fmt: skip
    budgets = (4, 16, 64, 256)
    if "tiny" in named:
        protocol.shrink_sweep(config, policy=policy, verifier=VERIFIER)
        budgets = (4,)
    found = [f"best_of_n(N={2 * budgets[-1]})"]  # half of it tells the difficulty
    for N in budgets:
        found += [f"beam(N={N},M=4)", f"beam(N={N},M=4,distinct=True)"]
        found += [f"lookahead(N={N // 2},M={min(4, N // 2)},k=1)"]
        found += [f"dvts(N={N},M=4)", f"rebase(N={N})"]
    config.sweep.strategies = tuple(found)
    config.sweep.runs = (("best_of_n(N=1)", protocol.GREEDY),)
    return config.lock()
