# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting of every job, with its default value: what config files start from."""

from collections.abc import Sequence

from ml_collections import ConfigDict


def variants(arg: str | None, known: Sequence[str]) -> list[str]:
    """The variants that a config file was given, as in FILE:tiny,math; ValueError for others."""
    named = [name for name in (arg or "").split(",") if name]
    for name in named:
        if name not in known:
            raise ValueError(f"unknown variant {name!r}; there are {', '.join(known)}")
    return named


def pipeline_defaults(*, rows: int) -> ConfigDict:
    """A pipeline without stages, and the settings that its stages and its report share.

    `rows` are sampled at once, by every stage.
    """
    config = ConfigDict()
    config.job = "pipeline"
    config.seed = 0  # a stage can be given one of its own, as in --config.stages.sft.seed=1
    config.cache_dir = ""  # "": $TTC_CACHE, else ttc_jax in $XDG_CACHE_HOME or ~/.cache
    config.engine = ConfigDict({"rows": rows})
    config.report = ConfigDict({"bins": 5, "resamples": 2000, "confidence": 0.95})
    config.stages = ConfigDict()
    return config


def stage_defaults(config: ConfigDict, job: str) -> ConfigDict:
    """A whole config of a job for a stage of a pipeline.

    Settings of the job that the pipeline has itself, in groups such as model, data or sample, are
    the pipeline's until the stage is given its own.
    """
    stage = defaults(job)
    stage.seed = config.get_oneway_ref("seed")
    for group, own in config.items():
        if isinstance(own, ConfigDict) and group in stage and group != "report":
            for name in own:
                stage[group][name] = own.get_oneway_ref(name)
    return stage


def defaults(job: str) -> ConfigDict:
    """A whole config of a job; the settings that other jobs read are in it too."""
    config = ConfigDict()
    config.job = job
    config.seed = 0
    config.cache_dir = ""  # "": $TTC_CACHE, else ttc_jax in $XDG_CACHE_HOME or ~/.cache

    # Model: a Hugging Face directory, a .gguf file, package:NAME for weights inside a package,
    # builtin:NAME for a model, or a tokenizer to train from scratch, that comes with ttc_jax, or
    # random:NAME for a small random model of the family of a preset (model/shape.py). preset:NAME
    # is a shape without weights, which can be planned with and not run.
    config.model = ConfigDict()
    config.model.path = ""
    config.model.dtype = "auto"  # float32 on CPUs, bfloat16 elsewhere; trained ones are float32
    config.model.weights = ""  # int8: the matrices of the layers, a scale for each output
    config.model.kind = ""  # base, revision or restem; "": what its training job says, else base

    # Questions. count, seed and levels are those of subset_sums.
    config.data = ConfigDict()
    config.data.name = ""
    config.data.dir = ""  # where train.jsonl and test.jsonl lie
    config.data.split = "test"
    config.data.limit = 0  # 0: all; otherwise this many, evenly spaced over the set
    config.data.drop_unanswered = False  # True leaves out questions without an answer

    # Prompt: few_shot, or chat for the checkpoint's chat template.
    config.prompt = ConfigDict()
    config.prompt.style = "few_shot"
    config.prompt.examples = ()  # (question, solution) pairs
    config.prompt.template = ""  # of few_shot, with {question} and {solution}; "": the usual one
    config.prompt.system = ""  # of chat: a turn before all others; "": none
    config.prompt.instruction = ""  # of chat: a user's turn with {question}; "": the usual one

    # Sampling.
    config.sample = ConfigDict()
    config.sample.max_new = 256
    config.sample.temperature = 0.8
    config.sample.top_k = 0
    config.sample.top_p = 1.0
    config.sample.min_p = 0.0
    config.sample.stop = ()  # ends a sample, beside the model's own end of turn

    # Search: how the budget is spent, and where a step ends.
    config.search = ConfigDict()
    config.search.strategy = "best_of_n(N=16)"
    config.search.delimiter = "\n"
    config.search.max_step = 64  # tokens after which a step is cut

    # Labels: samples of a question, rollouts of every prefix (0: the samples are the rollouts).
    config.labels = ConfigDict({"samples": 16, "rollouts": 16, "rounds": 40})

    # A sweep: these strategies, one after the other. Those with settings of their own are pairs in
    # `runs`, as in ("best_of_n(N=1)", {"sample.temperature": 0.0}).
    config.sweep = ConfigDict({"strategies": (), "runs": (), "bins": 5})

    # The work directory of best-of-N samples that a probe learns from.
    config.probe = ConfigDict({"source": ""})

    # Verifier: a checkpoint as for the model, "likelihood" for the policy's own, "" for none.
    config.scorer = ConfigDict()
    config.scorer.path = ""
    config.scorer.format = "steps"
    config.scorer.aggregate = "last"
    config.scorer.weights = ""  # of a checkpoint, as model.weights
    config.scorer.untrained = False  # True draws a value head at random: for trying things out
    config.scorer.pages = 0  # 0: what the questions in flight can come to need
    config.scorer.mesh = ConfigDict({"data": 0, "model": 0})  # 0: the policy's

    # The batch. None of this changes a sample.
    config.engine = ConfigDict()
    config.engine.rows = 64
    config.engine.questions = 0  # in flight at once; 0: as many as keep the rows busy
    config.engine.page_size = 16
    config.engine.pages = 0  # 0: what the questions in flight can come to need
    config.engine.memory_gib = 0.0  # for keys and values on each device; 0: what it has free
    config.engine.segment = 64
    # For tokens that are given, in bfloat16, rounding otherwise: cudnn is flash attention on GPUs,
    # pallas ragged paged attention on TPUs.
    config.engine.attention = "xla"
    config.mesh = ConfigDict({"data": 1, "model": 1})

    # Grading and report.
    config.grade = ConfigDict()
    config.grade.answer = "stated"  # or solution: the whole of it is the answer
    config.grade.workers = 2
    config.grade.limit_s = 5.0
    config.grade.last_number = False  # True takes the last number where no answer is announced
    config.report = ConfigDict()
    config.report.ks = (1, 16)  # of pass@k, for best_of_n only
    config.report.resamples = 10_000
    config.report.confidence = 0.95

    config.train = _training()
    return config


def _training() -> ConfigDict:
    train = ConfigDict()
    train.kind = "prm"
    train.source = ""  # the work directory of the samples or labels that are learned from
    train.held_out = 0.1  # of the questions (section 5.1)
    train.steps = 600  # at most
    train.batch = 128  # solutions
    train.length = 0  # tokens of a packed row; 0: the longest example
    train.rate = 3e-5
    train.betas = (0.9, 0.95)
    train.decay = 0.0
    train.clip = 1.0
    train.schedule = "constant"
    train.warmup = 10
    train.dropout = 0.0
    train.evaluate_every = 20
    train.patience = 5  # evaluations without a lower held-out loss; 0: never stop early
    train.save_every = 0  # more checkpoints in between
    train.hard = -1.0  # prm: -1 for soft labels, else 1 for values above this
    train.attempts = 4  # revision: the most wrong answers in view
    train.kept = 0.0  # revision: of this share a right answer is in view, to be left as it is
    train.gold = False  # revision: True takes the source's own solution for each wrong sample too
    train.best_of = 16  # N of best-of-N on held-out questions, for verifiers
    train.select = ""  # policies: a strategy whose pass@1 chooses the checkpoint, "" for the loss
    train.select_questions = 0  # held-out questions that it runs on, 0: all
    train.trained = ""  # paths of the parameters that are trained, a regular expression; "": all
    train.lora = ConfigDict({"rank": 0, "alpha": 0.0})  # alpha 0: twice the rank
    # With layers, from random weights and the tokenizer in model.path: a ModelShape's fields.
    train.scratch = ConfigDict()
    train.scratch.family = "llama"
    for name in ("layers", "width", "heads", "kv_heads", "head_dim", "ffn", "context"):
        train.scratch[name] = 0
    train.scratch.tied = True
    train.export_dtype = ""  # "": float32
    # How it is computed; none of this changes what is learned.
    train.accumulate = 1
    train.remat = False
    train.fsdp = False
    return train
