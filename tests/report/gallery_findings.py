# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up findings that look like those of a report."""

from report.gallery import near


def findings() -> dict:
    """What a report says besides its figures."""
    budgets = (4, 16, 64, 256)
    names = ("best_of_n(N={n})", "beam(N={n},M=4)", "revise(s={s},p={s})")

    def share(mean: float, half: float = 0.05, n: int = 100) -> dict:
        return vars(near(mean, half, n))

    def allocation(kind: str, estimator: str, drop: float) -> dict:
        tops = (0.88, 0.62, 0.41, 0.19, 0.04)
        rows = [
            {
                "bin": str(b + 1),
                "cells": [
                    None
                    if (b, n) == (4, 4)
                    else {
                        "strategy": names[(b + i) % 3].format(n=n, s=2 ** (i + 1)),
                        "rule": "hierarchical" if (b + i) % 3 == 2 else "weighted",
                        "accuracy": share(top * (0.7 + 0.1 * i) - drop),
                        "agreed": 0.5 if i == b else 1.0,
                    }
                    for i, n in enumerate(budgets)
                ],
            }
            for b, top in enumerate(tops)
        ]
        return {
            "kind": kind,
            "estimator": estimator,
            "unit": "generations",
            "budgets": list(budgets),
            "rows": rows,
            "overall": [share(0.30 + 0.04 * i - drop, 0.02, 500) for i in range(4)],
            "in_sample": [0.31 + 0.04 * i for i in range(4)],
            "flops": [2.1e12 * n for n in budgets],
            "charged": [n + 64.0 for n in budgets] if drop else [],
        }

    def comparison(convention: str, ratio: float, k: float, lean: float) -> dict:
        rows = []
        for b, small in enumerate((0.86, 0.6, 0.4, 0.17, 0.04)):
            gap = 0.11 - 0.06 * b + lean
            verdict = (
                "think longer" if gap > 0.05 else "train bigger" if gap < -0.05 else "undecided"
            )
            rows.append({
                "bin": str(b + 1), "small": share(small), "large": share(small - gap),
                "difference": share(gap), "verdict": verdict, "capped": k > 256,
            })  # fmt: skip
        return {"convention": convention, "small": "compute-optimal search", "large": "greedy",
                "large_budget": 1.0, "R": ratio, "k": k, "rows": rows}  # fmt: skip

    runs = [
        {
            "name": f"study/{name}",
            "strategy": strategy,
            "policy": "smollm2-135m, base",
            "verifier": "prm, 135 M",
            "done": done,
            "expected": 500,
            "seconds": seconds,
            "flops": flops,
            "command": f"ttc run --config=configs/search.py --workdir=runs/{name}",
        }
        for name, strategy, done, seconds, flops in (
            ("best_of_n", "best_of_n(N=256)", 500, 5321.0, 3.1e17),
            ("beam_4_256", "beam(N=256,M=4)", 311, 20312.0, 8.7e17),
            ("revise", "revise(s=16,p=16)", 500, 9200.5, 5.5e17),
        )
    ]
    runs.append({"name": "study/train_prm", "strategy": "train", "policy": None, "verifier": None,
                 "done": None, "expected": None, "seconds": 812.0, "flops": None,
                 "command": ""})  # fmt: skip
    phases = {"prefill": 2e15, "decode": 1.7e17, "verifier_prefill": 1e15, "verify": 1.3e17}
    ledger = [
        {"run": "study/best_of_n", "useful": phases, "discarded": 0.0, "executed": 4.4e17,
         "bytes": 9.1e15, "seconds": 5321.0},
        {"run": "study/beam_4_256", "useful": {k: v / 3 for k, v in phases.items()},
         "discarded": 6.1e17, "executed": 1.9e18, "bytes": 2.2e16, "seconds": 20312.0},
        {"run": "study/revise", "useful": phases | {"revision_context": 4e16,
         "verify_context": 3e16}, "discarded": 0.0, "executed": None, "bytes": None,
         "seconds": None},
        {"run": "study/train_prm", "useful": {"training": 6e16}, "discarded": 0.0,
         "executed": 9e16, "bytes": 1e15, "seconds": 812.0},
    ]  # fmt: skip
    ratios_of = (("arxiv", (0.16, 257.75), (0.79, 63.37), (22.0, 15.77)),
                 ("counted", (0.16, 3.2e14), (0.79, 8.1e13), (22.0, 1.9e13)))  # fmt: skip
    claims = [
        {"number": number, "claim": f"Claim {number} holds.", "verdict": verdict,
         "difference": found, "unit": unit, "measured": "It was measured.",
         "compared": f"what claim {number} compares",
         "parts": [{"name": f"part of claim {number}", "verdict": verdict, "expected": "above 0",
                    "said": "k = 15.77 at R = 22", "difference": found, "unit": unit,
                    "needs": "" if found else "a beam search",
                    "command": "" if found else "ttc run --config=configs/beam.py"}],
         "beside": [{"name": "plain best-of-N", "verdict": "", "expected": "", "said": "",
                     "difference": found, "unit": unit, "needs": "", "command": ""}]}
        for number, verdict, unit, found in (
            (1, "shown", "points", share(0.126, 0.06)), (2, "refuted", "share", share(0.38, 0.04)),
            (3, "undecided", "points", None), (10, "shown", "exact", None),
            (9, "undecided", "times", {"mean": 3.9, "low": 0.8, "high": None, "n": 100}))
    ]  # fmt: skip
    return {
        "claims": claims,
        "selection": [
            {"name": name, "kind": "", "points": [
                {"budget": n, "accuracy": share(top - 0.3 / n), "flops": 2e12 * n}
                for n in ((1,) if name == "greedy" else budgets)]}
            for name, top in (("greedy", 0.5), ("majority", 0.34), ("likelihood, best", 0.31),
                              ("PRM, weighted", 0.4))
        ],
        "verifier_quality": [
            {"kind": kind, "run": "study/best_of_n", "step": step, "auc": share(auc, 0.03, 200),
             "solutions": 12800}
            for kind, step, auc in (("prm", 1, 0.55), ("prm", 2, 0.66), ("prm", None, 0.78),
                                    ("likelihood", None, 0.61))
        ],
        "headline": [
            "Compute-optimal search reaches the accuracy of best-of-N at 64 generations with 16 "
            "[11, 24]: 3.9 times fewer.",
            "Charged with estimating difficulty, the gain ends below 1 200 questions.",
        ],
        "warnings": [
            "study/beam_4_256 has answered 311 of 500 questions; figures use those that all share.",
            "The PRM does not beat majority voting in bin 5: 4.0 % [2.1, 6.0] against 3.8 %.",
        ],
        "questions": {"n": 500, "bins": [100, 100, 100, 105, 95]},
        "allocation": [
            allocation("search", "oracle", 0.0),
            allocation("search", "predicted", 0.02),
            allocation("revisions", "oracle", 0.01),
        ],
        "factors": [
            {"sentence": f"Compute-optimal search over {estimator} bins needs {mean} times less.",
             "kind": "search", "estimator": estimator, "charged": charged, "unit": unit,
             "factor": {"mean": mean, "low": low, "high": 9.0, "censored": censored},
             "bold": low > 1}
            for estimator in ("oracle", "predicted")
            for charged, mean, low, censored in (
                (False, 3.9, 2.8, ""), (True, 1.3, 0.4, "at least"),)
            for unit in ("generations", "flops")
        ],
        "matched": [
            comparison(name, *pair, lean)
            for name, *pairs in ratios_of
            for pair, lean in zip(pairs, (0.02, -0.02, -0.12), strict=True)
        ],
        "break_even": [
            {"bin": bin, "sentence": sentence, "convention": name}
            for name in ("arxiv", "counted")
            for bin, sentence in (
                ("1", "In bin 1: below 4.1 inference tokens per pretraining token, think longer."),
                ("5", "In bin 5: train bigger, at every ratio measured."),
            )
        ],
        "ledger": ledger,
        "difficulty": [
            {"estimator": name, "samples": samples, "flops": flops, "agreement": agreement,
             "spearman": agreement**0.5, "label_free": name != "oracle", "budget": 256.0,
             "accuracy": share(accuracy, 0.02, 500)}
            for name, samples, flops, agreement, accuracy in (
                ("oracle", 2048.0, 6.1e15, 1.0, 0.40), ("predicted", 2048.0, 1.1e16, 0.71, 0.385),
                ("few", 8.0, 4.2e13, 0.55, 0.37), ("probe", 0.0, 2.2e11, 0.48, 0.366))
        ],
        "runs": runs,
        "versions": {"python": "3.11.2", "jax": "0.10.2", "ttc_jax": "0.1.0"},
        "configs": {"study/best_of_n": {"search": {"strategy": "best_of_n(N=256)"}, "seed": 0}},
    }  # fmt: skip
