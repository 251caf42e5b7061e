# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The whole paper on a task that is hard to solve and easy to check, with models of our own.

Subset sums: for each of some targets, find the two numbers of a list that add up to it, a line for
each target. 500 test questions in five levels see best-of-N, beam search with and without distinct
prefixes, lookahead at equal budgets, DVTS, REBASE and revisions at several ratios, beside greedy
answers, majority and the likelihood as controls, and the report of it all. The models come with the
package: three policies of one family that saw the same text (35 k, 131 k and 508 k parameters), a
process and an outcome reward model of the small one's solutions, a revision model, its verifier.

    ttc run --config=configs/quickstart.py --workdir=runs/quickstart

`scratch` trains all of them first, from random weights and without labels of humans. The recipe:
- policies: 1,250 steps of 64 questions that are seen once, a cosine from 4e-3, 3e-3 and 2e-3; heads
  are 16 wide: with narrower ones sums stay wrong, which are as hard to check as to make;
- labels: 48,000 questions x 2 samples, each sample a rollout of its own prefixes;
- PRM: from random weights 2,500 steps of 128 solutions of at most 40 tokens (the shorter ones), at
  4e-3, then 600 steps of 64 of all lengths at 1e-3. From the policy's weights it learned far more
  slowly: at this size it has nothing to check with yet;
- ORM: the PRM, 600 steps on the last lines alone;
- reviser: the small policy, 2,000 steps of 64 at 3e-3; one attempt in view, a right one in half of
  the lessons, and the source's solution where a sample was wrong. So it is trained for longer than
  the policy, and its first attempts are better: compare it with itself;
- its verifier: the ORM, 600 steps on 2,000 questions x 2 chains of 4.

Expected (seed 0): pass@1 by bin .92 / .54 / .21 / .075 / .017, pass@64 1 / 1 / 1 / .96 / .50; AUC
of the PRM within a question .91 (.92 and .89 with seeds 1 and 2), of the likelihood .75. At N = 4,
16, 64 best-of-N weighted by the PRM .53, .68, .76, majority .40, .45, .47, plain best-of-N .52,
.56, .41, beam search .55, .66, .68, distinct prefixes .55, .54, .45. Cost: 20 minutes on one CPU
core, `scratch` 25 minutes more.

Each stage has a work directory of its own, and is continued by the same command after a kill. Other
variants, joined by commas: `tiny` (little of everything: does it run at all), `search` and
`revisions` (one of the two mechanisms alone), `small` (without the larger policies). Another seed,
for weights, training questions and samples, is --config.seed=1; the test questions stay.

    ttc run --config=configs/quickstart.py:scratch --workdir=runs/scratch
    ttc run --config=configs/quickstart.py:tiny --workdir=runs/tiny
    ttc run --config=configs/quickstart.py:search --workdir=runs/search
"""

from typing import NamedTuple

from ml_collections import ConfigDict

from ttc_jax.run.defaults import defaults, pipeline_defaults, variants

VARIANTS = ("scratch", "small", "tiny", "search", "revisions")
TRAINING = (
    "base", "medium", "large", "labels", "prm_short", "prm", "orm", "revision", "chains",
    "revision_orm",
)  # fmt: skip
LARGER = ("medium", "large")
EXPERIMENT = ("samples", "probe", "test")
# Where the model that a stage trains lies: those that come with the package, or freshly trained.
SHIPPED, TRAINED = "builtin:subset_sums_%s", "{workdir}/%s/model"


class Size(NamedTuple):
    """Samples of the base policy and of larger ones; budgets of searches."""

    pool: int
    large: int
    budgets: tuple[int, ...]


FULL = Size(256, 16, (4, 16, 64))
TINY = Size(8, 2, (4,))

# Targets and numbers of a question, by level: of the test, and of what is learned from. A reviser
# that saw few levels learned their layouts by heart, and undid what was right in others.
LEVELS = ((1, 6), (2, 8), (3, 10), (5, 10), (8, 12))
FEWEST = {1: 6, 2: 6, 3: 7, 5: 8, 8: 10}  # numbers, by targets
LESSONS = tuple((targets, n) for targets, least in FEWEST.items() for n in range(least, 13))

# Width of each policy; all have three layers and heads of 16. Parameters: 35 k, 131 k, 508 k.
WIDTHS = {"base": 32, "medium": 64, "large": 128}
RATES = {"base": 4e-3, "medium": 3e-3, "large": 2e-3}


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)

    # config.seed is of weights, training questions and samples; the test questions stay.
    config = pipeline_defaults(rows=1024)
    stages = config.stages

    # ---------------------------------------------------------------- training, from nothing
    for name in WIDTHS:
        stages[name] = _policy(config, name)
    stages.labels = _stage(config, "labels", count=48_000)
    stages.labels.labels.update({"samples": 2, "rollouts": 0})
    # A verifier learns to check sooner from random weights than from those of the policy, and from
    # short solutions, in which a wrong line stands out; then from all of them.
    stages.prm_short = _training(config, "prm", source="labels", count=48_000)
    stages.prm_short.train.update({"steps": 2500, "batch": 128, "rate": 4e-3, "length": 40})
    _scratch(stages.prm_short, WIDTHS["base"])
    for kind, start in (("prm", "prm_short"), ("orm", "prm")):
        stages[kind] = _training(config, kind, source="labels", count=48_000)
        stages[kind].model.path = TRAINED % start
        stages[kind].train.update({"steps": 600, "rate": 1e-3})
    stages.revision = _training(config, "revision", source="labels", count=48_000)
    stages.revision.train.update({"steps": 2000, "rate": 3e-3})
    stages.revision.train.update({"attempts": 1, "gold": True, "kept": 0.5})
    stages.chains = _stage(config, "search", count=2000)
    stages.chains.model.path = TRAINED % "revision"
    stages.chains.search.strategy = "revise(s=4,p=2,memory=1)"
    stages.revision_orm = _training(config, "revision_orm", source="chains", count=2000)
    stages.revision_orm.model.path = TRAINED % "orm"
    stages.revision_orm.train.update({"steps": 600, "rate": 1e-3})

    # ---------------------------------------------------------------- the experiment
    stages.samples = _stage(config, "search", count=1000)
    stages.samples.search.strategy = "best_of_n(N=16)"
    stages.samples.report.ks = (1, 4, 16)
    stages.probe = _stage(config, "probe", count=500, split="test")
    stages.probe.probe.source = "{workdir}/samples"
    stages.test = _stage(config, "sweep", count=500, split="test")
    size = TINY if "tiny" in named else FULL
    home = TRAINED if "scratch" in named else SHIPPED
    for name in EXPERIMENT:
        stages[name].model.path = home % "base"
    larger = () if "small" in named else LARGER
    _experiment(stages.test, {"search", "revisions"} & set(named), size, home, larger)
    training = [name for name in TRAINING if name in larger or name not in LARGER]
    config.order = (*training, *EXPERIMENT) if "scratch" in named else EXPERIMENT
    if "tiny" in named:
        _make_tiny(config)
    return config.lock()


def _stage(config: ConfigDict, job: str, *, count: int, split: str = "train") -> ConfigDict:
    """A whole config of a job over this many questions."""
    stage = defaults(job)
    stage.seed = config.get_oneway_ref("seed")
    stage.model.path = TRAINED % "base"
    stage.data.update({"name": "subset_sums", "split": split, "count": count, "seed": 0})
    stage.data.levels = LEVELS
    if split == "train":
        stage.data.levels = LESSONS
        stage.data.seed = config.get_oneway_ref("seed")
    stage.prompt.template = "{question}\n{solution}"
    stage.sample.update({"max_new": 36, "temperature": 1.0})
    stage.search.max_step = 6
    stage.engine.rows = config.engine.get_oneway_ref("rows")
    stage.engine.segment = 8  # many solutions are short
    stage.grade.answer = "solution"
    stage.report.update({"ks": (1, 4, 16, 64), "resamples": 2000})
    return stage


def _policy(config: ConfigDict, name: str) -> ConfigDict:
    """Training of a policy from random weights, on the same questions for every size."""
    stage = _stage(config, "train", count=96_000)
    _scratch(stage, WIDTHS[name])
    train = stage.train
    train.update({"kind": "sft", "steps": 1250, "batch": 64, "rate": RATES[name], "decay": 0.05})
    train.update({"betas": (0.9, 0.98), "schedule": "cosine", "warmup": 100, "held_out": 0.01})
    train.update({"evaluate_every": 500, "patience": 0})
    return stage


def _scratch(stage: ConfigDict, width: int) -> None:
    """Has a training start from random weights, of a model of this width."""
    stage.model.path = "builtin:subset_sums"
    scratch = stage.train.scratch
    heads = width // 16  # narrower ones look numbers up, and add them, far worse
    scratch.update({"family": "qwen3", "layers": 3, "width": width, "heads": heads})
    scratch.update({"kv_heads": heads, "head_dim": 16, "ffn": 2 * width, "context": 512})
    scratch.qk_norm = True  # of that family; pays where numbers are looked up in a list


def _training(config: ConfigDict, kind: str, *, source: str, count: int) -> ConfigDict:
    """A stage that trains, from the base policy on, on what another stage left."""
    stage = _stage(config, "train", count=count)
    train = stage.train
    train.update({"kind": kind, "source": f"{{workdir}}/{source}", "held_out": 0.03})
    train.update({"schedule": "cosine", "warmup": 50, "decay": 0.01, "betas": (0.9, 0.98)})
    train.update({"evaluate_every": 500, "patience": 0, "batch": 64})
    return stage


def _experiment(
    test: ConfigDict, only: set[str], size: Size, home: str, larger: tuple[str, ...]
) -> None:
    """What is run on the test questions: all of it, or `only` search or revisions."""
    prm = {"scorer.path": home % "prm"}
    orm = {"scorer.path": home % "orm", "scorer.format": "outcome"}
    likelihood = {"scorer.path": "likelihood"}
    greedy = {"sample.temperature": 0.0}
    reviser = {
        "model.path": home % "revision",
        "model.kind": "revision",
        "scorer.path": home % "revision_orm",
        "scorer.format": "outcome_history",
    }
    runs = [(f"best_of_n(N={size.pool})", prm), ("best_of_n(N=1)", greedy)]
    for name in larger:
        model = {"model.path": home % name}
        runs += [("best_of_n(N=1)", greedy | model), (f"best_of_n(N={size.large})", model | prm)]
    if only != {"revisions"}:
        runs += [(f"best_of_n(N={size.pool})", orm)]
        for N in size.budgets:
            beams = [f"beam(N={N},M=4)", f"beam(N={N},M=4,distinct=True)"]
            # A rollout of k steps makes a beam k + 1 times as dear: N is smaller by as much.
            ahead = [f"lookahead(N={N // 2},M={min(4, N // 2)},k=1)"]
            ahead += [f"lookahead(N={N // 4},M={min(4, N // 4)},k=3)"]
            wide = [f"dvts(N={N},M=4)", f"rebase(N={N})"]
            runs += [(strategy, prm) for strategy in (*beams, *ahead, *wide)]
            runs += [(f"beam(N={N},M=4,distinct=True)", likelihood)]
    if only != {"search"}:
        attempts = size.budgets[-1]
        runs += [(f"revise(s={s},p={attempts // s},memory=1)", reviser) for s in (1, *size.budgets)]
    test.sweep.runs = tuple(runs)


def _make_tiny(config: ConfigDict) -> None:
    """Little of everything: it shows that it runs, not how well."""
    config.engine.rows = 128
    config.report.update({"bins": 2, "resamples": 200})
    for stage in config.stages.values():
        stage.data.levels = ((1, 3), (1, 4))  # the first is copied only, which is learned at once
        stage.data.count = 16 if stage.data.split == "test" else 200
        stage.report.update({"ks": (1, 4), "resamples": 200})
        stage.sweep.bins = 2
        stage.train.update({"held_out": 0.2, "steps": 20, "warmup": 2, "batch": 16})
        stage.train.update({"evaluate_every": 20, "best_of": 4})
    config.stages.base.data.count = 1000
    config.stages.base.train.update({"steps": 300, "batch": 32, "evaluate_every": 300})
    config.stages.samples.search.strategy = "best_of_n(N=4)"
    config.stages.samples.report.ks = (1, 4)
