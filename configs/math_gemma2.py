# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
r"""Snell et al. 2024 on MATH with Gemma 2 2B, and 27B as the larger model: all stages.

    labels ---- prm, orm
    samples ---- revision ---- chains ---- revision_orm
       \---- probe, test, larger, report

The paper's protocol on its split of MATH (12,000 training questions, 500 test questions), with
Gemma 2 2B and 27B, 10.4 times the parameters (`ttc flops`), in the place of PaLM 2-S* and a model
of 14 times its size. What the paper says is followed, and what it leaves open is set here:

- policy: four worked examples, a line for each step, a last line "#### ANSWER"; not fine-tuned
  (`sft` fine-tunes it first, on the solutions of the training questions). Temperature 0.8, the
  whole vocabulary, for revision data 1.0; at most 768 tokens, 128 in a step.
- PRM: 16 samples of a question, 16 rollouts of every step, soft labels, AdamW 3e-5, batches of 128
  solutions, dropout 0.05, betas 0.9 and 0.95, stopped early by a tenth of the questions; ORM alike.
- revisions: 64 samples of a question, up to 4 wrong answers in view, the nearest last, 1e-5, the
  checkpoint chosen past the lowest loss by pass@1 of chains. ORM with the attempts before in view.
- test: greedy; best-of-2048 by PRM and by ORM, one half of which tells the difficulty while the
  other holds every N up to 1,024; beams of 4, 16, 64 and 256, of width 4 and the root of N;
  lookahead of 1 and 3 steps at equal budgets N (k + 1); 256 revisions from parallel to sequential,
  which hold the whole ratio grid; and the larger model, greedy and with 16 samples. `restem` adds
  the paper's ReST^EM.

    ttc run --config=configs/math_gemma2.py --config.model.path=DIR2B \
        --config.larger.path=DIR27B --config.data.dir=MATH --workdir=runs/math

DIR2B and DIR27B are Hugging Face directories of google/gemma-2-2b and google/gemma-2-27b (or any
other models), MATH holds train.jsonl and test.jsonl with fields problem, answer, level, subject and
solution. --config.mesh.model=4 has each process, a machine of a slice, lay the policy over its four
chips, and --config.stages.larger.mesh.model=4 the larger one, whose weights then take 13.6 GB of
each (8 where a machine has eight chips); --config.engine.rows are those of a process. Stages that
are done are passed over, and the same command continues after a kill.

Expected, from the literature: greedy 16.0 for 2B and 42.3 for 27B, four-shot (Gemma 2 report,
table 13). Of PaLM 2-S* the paper shows, read off its figures to +-2 points: pass@1 10.5; at 256
best-of-N weighted by the PRM 37, by the ORM 34, majority 29; beams of 16 34; 256 revisions 44 at
the best ratio, 40 in parallel. Compute-optimal search reaches best-of-N of 64 with 16. The whole
has not been run with Gemma, so there are no figures of it here.
Cost: `ttc plan --config=configs/math_gemma2.py --topology=v5p:8x8x8 --config.engine.rows=256`: with
more rows of a process it does not fit. Neither do v5e:16x16 and v6e:16x16 do, where 256 revisions
of one question can come to need more keys and values than there is room for (launch/README.md).

Of the pipeline's settings `order` names the stages to run: some of them, once those that they read
from are done. --config.stages.NAME.* changes one stage. `tiny` runs all stages on a CPU with small
random models of the same family and the word problems of the package: figures mean nothing. These
have no solutions: with `sft` too it needs --config.data.name=math --config.data.dir=MATH.

    ttc run --config=configs/math_gemma2.py:tiny --workdir=runs/tiny
    ttc run --config=configs/math_gemma2.py:sft,restem --config.model.path=DIR2B \
        --config.larger.path=DIR27B --config.data.dir=MATH --workdir=runs/math_sft
"""

from ml_collections import ConfigDict

from ttc_jax.run import protocol
from ttc_jax.run.defaults import pipeline_defaults, variants

VARIANTS = ("sft", "restem", "tiny")
BUDGETS = (4, 16, 64, 256)
ATTEMPTS = 256


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)
    policy = "sft" if "sft" in named else ""

    config = pipeline_defaults(rows=1024)
    config.model = ConfigDict({"path": "preset:google/gemma-2-2b-it"})
    config.larger = ConfigDict({"path": "preset:google/gemma-2-27b-it"})
    protocol.few_shot_math(config)
    stages = config.stages

    # ---------------------------------------------------------------- what is trained
    training = list(protocol.TRAINING)
    if policy:
        stages.sft = protocol.training(config, "sft")
        stages.sft.train.update({"rate": 1e-5, "schedule": "cosine", "decay": 0.01})
        stages.sft.train.update({"steps": 150, "evaluate_every": 20})  # four epochs
        training.insert(0, "sft")
    protocol.add_training(config, policy)
    stages.samples.sample.temperature = 1.0  # "higher", says the paper, and not how high
    if "restem" in named:
        stages.attempts = protocol.stage(config, "search", model=policy)
        stages.attempts.search.strategy = "revise(s=5,p=64)"
        stages.restem = protocol.training(config, "restem", source="attempts", model=policy)
        training += ["attempts", "restem"]

    # ---------------------------------------------------------------- the experiment
    protocol.add_probe(config, policy)
    stages.test = protocol.stage(config, "sweep", model=policy, split="test")
    stages.larger = protocol.stage(config, "sweep", split="test")
    stages.larger.model.path = config.larger.get_oneway_ref("path")
    config.order = (*training, "probe", "test", "larger")
    budgets, attempts, pool, large = BUDGETS, ATTEMPTS, 2048, 16
    if "tiny" in named:
        protocol.shrink_random(config, "google/gemma-2-2b-it")
        config.larger.path = "random:google/gemma-2-27b-it"
        budgets, attempts, pool, large = (16,), 4, 8, 4
    stages.test.sweep.runs = _test(budgets, attempts, pool, "restem" in named)
    stages.larger.sweep.runs = (
        ("best_of_n(N=1)", protocol.GREEDY),
        (f"best_of_n(N={large})", protocol.PRM),
    )
    return config.lock()


def _test(budgets: tuple[int, ...], attempts: int, pool: int, restem: bool) -> tuple:
    """What the small model does on the test questions."""
    runs = [
        ("best_of_n(N=1)", protocol.GREEDY),
        (f"best_of_n(N={pool})", protocol.PRM),
        (f"best_of_n(N={pool})", protocol.ORM),
        *((strategy, protocol.PRM) for strategy in protocol.prm_searches(budgets)),
        (f"beam(N={budgets[-1]},M=4)", protocol.LIKELIHOOD),  # the control
    ]
    ratios = protocol.ratios(attempts)
    runs += [(strategy, protocol.REVISER) for strategy in ratios]
    # Which verifier chooses among revisions: figure 15, sequential.
    runs += [(f"revise(s={min(64, attempts)},p=1)", protocol.REVISER | protocol.PRM)]
    if restem:
        model = {"model.path": protocol.TRAINED % "restem", "scorer.path": ""}
        runs += [(strategy, model) for strategy in ratios]
    return tuple(runs)
