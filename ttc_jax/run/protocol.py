# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
r"""The protocol of Snell et al. 2024 as stages of a pipeline, for config files to put together.

    labels ---- prm, orm
    samples ---- revision ---- chains ---- revision_orm
       \---- probe

Rollouts of a policy's own samples teach a PRM and an ORM (appendix D); its wrong answers before
right ones teach a revision model, whose chains teach the ORM that reads attempts before (section
6.1). The test questions see searches against the PRM and chains of revisions.
"""

from ml_collections import ConfigDict

from ttc_jax.run.defaults import stage_defaults

TRAINING = ("labels", "prm", "orm", "samples", "revision", "chains", "revision_orm")
TRAINED = "{workdir}/%s/model"  # where a training stage leaves its model
PRM = {"scorer.path": TRAINED % "prm"}
ORM = {"scorer.path": TRAINED % "orm", "scorer.format": "outcome"}
LIKELIHOOD = {"scorer.path": "likelihood"}
GREEDY = {"scorer.path": "", "sample.temperature": 0.0}
REVISER = {
    "model.path": TRAINED % "revision",
    "scorer.path": TRAINED % "revision_orm",
    "scorer.format": "outcome_history",
}


def stage(config: ConfigDict, job: str, *, model: str = "", split: str = "train") -> ConfigDict:
    """A stage over one split, with the pipeline's model, or that of the stage `model`."""
    found = stage_defaults(config, job)
    found.data.split = split
    if model:
        found.model.path = TRAINED % model
    found.report.ks = (1, 4, 16, 64)
    return found


def training(config: ConfigDict, kind: str, *, source: str = "", model: str = "") -> ConfigDict:
    """A stage that trains a model on what the stage `source` left, with the paper's optimiser."""
    found = stage(config, "train", model=model)
    train = found.train
    train.kind = kind
    train.source = f"{{workdir}}/{source}" if source else ""
    if kind in ("prm", "orm", "revision_orm"):
        train.dropout = 0.05
    if kind in ("revision", "restem"):
        train.update({"rate": 1e-5, "select": "revise(s=5,p=4)"})
    train.select_questions = 100
    train.save_every = 20  # a kill loses as many steps
    train.accumulate = 4
    train.remat = True
    return found


def add_training(config: ConfigDict, policy: str = "") -> None:
    """Adds the stages of TRAINING for the pipeline's model, or that of the stage `policy`."""
    stages = config.stages
    stages.labels = stage(config, "labels", model=policy)
    for kind in ("prm", "orm"):
        stages[kind] = training(config, kind, source="labels", model=policy)
    stages.samples = stage(config, "search", model=policy)
    stages.samples.search.strategy = "best_of_n(N=64)"
    stages.revision = training(config, "revision", source="samples", model=policy)
    stages.chains = stage(config, "search", model="revision")
    stages.chains.search.strategy = "revise(s=5,p=8)"
    stages.revision_orm = training(config, "revision_orm", source="chains", model=policy)


def add_probe(config: ConfigDict, policy: str = "") -> None:
    """Adds the stage that tells the difficulty of test questions, learned from `samples`."""
    config.stages.probe = stage(config, "probe", model=policy, split="test")
    config.stages.probe.probe.source = "{workdir}/samples"


def prm_searches(budgets: tuple[int, ...]) -> list[str]:
    """Beams and lookahead at budgets that are powers of four, as in figure 3.

    Widths are 4 and the root of N. A rollout of k steps makes a beam k + 1 times as dear: of
    lookahead N is smaller by as much.
    """
    found = [f"beam(N={N},M=4)" for N in budgets]
    found += [f"beam(N={N})" for N in budgets if N != 16]  # the root of 16 is 4 too
    found += [f"lookahead(N={N // 2},k=1)" for N in budgets]
    ahead = [N // 4 for N in budgets if N > 4]
    found += [f"lookahead(N={N},M=4,k=3)" for N in ahead]
    return found + [f"lookahead(N={N},k=3)" for N in ahead if N != 16]


def ratios(attempts: int) -> list[str]:
    """Revisions of this many attempts, a power of four, from parallel to sequential by fours.

    A run holds all shorter and fewer chains: these hold every ratio at every smaller budget.
    """
    lengths = [4**i for i in range(attempts.bit_length() // 2 + 1)]
    return [f"revise(s={s},p={attempts // s})" for s in lengths]


def shrink(config: ConfigDict) -> None:
    """Little of everything, for CPUs: it shows that all stages run, and its figures mean nothing.

    It takes the last number of a text for the answer, as a verifier cannot learn without a right
    one. A sweep is left to the config file, which knows what is in it.
    """
    config.engine.rows = 64
    config.grade.last_number = True
    config.report.update({"bins": 2, "resamples": 200})
    for name, own in config.stages.items():
        own.data.limit = 4 if own.data.split == "test" else 12
        if name in ("samples", "revision"):
            own.data.limit = 16  # a probe learns in five folds of questions
        own.sample.max_new = 32
        own.search.max_step = 16
        own.engine.segment = 32
        own.labels.update({"samples": 8, "rollouts": 1, "rounds": 3})
        own.report.update({"ks": (1, 2), "resamples": 200})
        own.sweep.bins = 2
        own.search.strategy = {
            "samples": "best_of_n(N=16)", "chains": "revise(s=2,p=2)",
        }.get(name, own.search.strategy)  # fmt: skip
        train = own.train
        train.update({"held_out": 0.3, "steps": 2, "batch": 4, "evaluate_every": 1})
        train.update({"accumulate": 1, "best_of": 4, "select_questions": 2})
        train.select = "revise(s=2,p=2)" if train.select else ""
