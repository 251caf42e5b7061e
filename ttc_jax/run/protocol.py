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

from ttc_jax.run.defaults import defaults, stage_defaults

# Steps as in the paper's prompt (PRM800K): a line each, the answer in a box, then after "####".
EXAMPLES = (
    (
        "What is the sum of the first $20$ positive odd integers?",
        "The $n$th positive odd integer is $2n - 1$, so the last one is $39$.\n"
        "They can be paired from both ends: $1 + 39$, $3 + 37$, and so on, each pair with sum "
        "$40$.\n"
        "There are $10$ such pairs, so the sum is $10 \\cdot 40 = \\boxed{400}$.\n"
        "#### 400",
    ),
    (
        "If $f(x) = \\frac{3x - 1}{x + 2}$, for which $x$ is $f(x) = 2$?",
        "We need $\\frac{3x - 1}{x + 2} = 2$.\n"
        "Multiplying by $x + 2$ gives $3x - 1 = 2x + 4$.\n"
        "Then $x = \\boxed{5}$, and the denominator is $7$ there, which is not zero.\n"
        "#### 5",
    ),
    (
        "Two fair six-sided dice are rolled. What is the probability that the product of the two "
        "numbers is odd? Express your answer as a common fraction.",
        "A product is odd only if both factors are odd.\n"
        "Each die shows an odd number with probability $\\frac{1}{2}$.\n"
        "The dice do not depend on each other, so the probability is $\\frac{1}{2} \\cdot "
        "\\frac{1}{2} = \\boxed{\\frac{1}{4}}$.\n"
        "#### \\frac{1}{4}",
    ),
    (
        "A rectangle has perimeter $28$ and diagonal $10$. What is its area?",
        "Let the sides be $a$ and $b$.\n"
        "From the perimeter, $a + b = 14$.\n"
        "From the diagonal, $a^2 + b^2 = 100$.\n"
        "Since $(a + b)^2 = a^2 + b^2 + 2ab$, we have $196 = 100 + 2ab$.\n"
        "So the area is $ab = \\boxed{48}$.\n"
        "#### 48",
    ),
)

TRAINING = ("labels", "prm", "orm", "samples", "revision", "chains", "revision_orm")
TRAINED = "{workdir}/%s/model"  # where a training stage leaves its model
PRM = {"scorer.path": TRAINED % "prm", "scorer.format": "steps"}
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


def few_shot_math(config: ConfigDict) -> None:
    """Gives a pipeline what all its stages share on MATH, with a prompt of worked examples."""
    # dir: where train.jsonl and test.jsonl lie; two training questions of MATH have no answer.
    config.data = ConfigDict({"name": "math", "dir": "", "drop_unanswered": True})
    config.prompt = ConfigDict({"examples": EXAMPLES})
    config.sample = ConfigDict({"max_new": 768, "temperature": 0.8, "stop": ("\n\n",)})
    config.search = ConfigDict({"max_step": 128})
    config.labels = ConfigDict({"samples": 16, "rollouts": 16, "rounds": 40})
    # An epoch is up to 1,350 batches, and held out are as many solutions as 150 of them hold.
    # fsdp spreads weights and their moments over all chips.
    config.train = ConfigDict({"steps": 3000, "evaluate_every": 100, "fsdp": True})
    config.mesh = ConfigDict({"data": 1, "model": 1})
    config.grade = ConfigDict({"last_number": False})


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
    lookahead N is smaller by as much, and at 4 too small to choose from.
    """
    found = [f"beam(N={N},M=4)" for N in budgets]
    found += [f"beam(N={N})" for N in budgets if N != 16]  # the root of 16 is 4 too
    found += [f"lookahead(N={N // 2},k=1)" for N in budgets if N > 4]
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
    for own in config.stages.values():
        own.data.limit = 4 if own.data.split == "test" else 12
        own.sample.max_new = 32
        own.search.max_step = 16
        own.engine.segment = 32
        own.labels.update({"samples": 8, "rollouts": 1, "rounds": 3})
        own.report.update({"ks": (1, 2), "resamples": 200})
        own.sweep.bins = 2
        train = own.train
        train.update({"held_out": 0.3, "steps": 2, "batch": 4, "evaluate_every": 1})
        train.update({"accumulate": 1, "best_of": 4, "select_questions": 2})
        train.select = "revise(s=2,p=2)" if train.select else ""
    for name in ("samples", "revision"):
        config.stages[name].data.limit = 16  # a probe learns in five folds of questions
    config.stages.samples.search.strategy = "best_of_n(N=16)"
    config.stages.chains.search.strategy = "revise(s=2,p=2)"


def shrink_random(config: ConfigDict, policy: str) -> None:
    """`shrink` for a small random model of the family of a preset.

    Right answers come by chance alone, so there are more questions and fewer tokens; these are the
    word problems of the package, which need no directory. All stages share compiled programs.
    """
    shrink(config)
    config.model.path = f"random:{policy}"
    config.data.name = "word_problems"
    for own in config.stages.values():
        own.prompt.examples = ()
        own.data.limit = 8 if own.data.split == "test" else 40
        own.sample.max_new = 16
        own.search.max_step = 8
        own.engine.update({"segment": 16, "page_size": 128})
        own.labels.samples = 4
        own.train.update({"length": 256, "remat": False, "select_questions": 8})
    for name in ("samples", "revision"):
        config.stages[name].data.limit = 100
    config.stages.samples.search.strategy = "best_of_n(N=8)"
    config.stages.chains.search.strategy = "revise(s=2,p=4)"


def math_500(*, policy: str, verifier: str, format: str, system: str) -> ConfigDict:
    """A sweep of a chat model on the test questions of MATH against a published PRM.

    The settings are those that open replications share: temperature 0.8, the whole vocabulary, at
    most 2,048 tokens, steps that end at a blank line, the last step's score. A step is cut after
    256 tokens.
    """
    config = defaults("sweep")
    config.model.path = policy
    config.scorer.update({"path": verifier, "format": format})
    config.data.name = "math"
    config.prompt.update({"style": "chat", "system": system, "instruction": "{question}"})
    config.sample.max_new = 2048
    config.search.update({"delimiter": "\n\n", "max_step": 256})
    config.engine.rows = 256
    config.report.update({"ks": (1, 4, 16, 64, 256), "resamples": 2000})
    return config


def shrink_sweep(config: ConfigDict, *, policy: str, verifier: str) -> None:
    """A sweep of few questions and tokens, by random models: it shows that it runs.

    MATH gives way to the word problems of the package, which need no directory.
    """
    config.model.path, config.scorer.path = f"random:{policy}", f"random:{verifier}"
    config.data.update({"name": "word_problems", "limit": 8})
    config.sample.max_new = 32
    config.search.max_step = 16
    config.engine.update({"rows": 16, "segment": 16, "page_size": 128})
    config.sweep.bins = 2
    config.grade.last_number = True
    config.report.update({"ks": (1, 4), "resamples": 200})
