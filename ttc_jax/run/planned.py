# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""From configs to what is planned: the jobs of an experiment with their models as shapes."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
from flax import nnx
from ml_collections import ConfigDict

from ttc_jax.data.sources import Question
from ttc_jax.learn import lora
from ttc_jax.learn.losses import language_loss, value_loss
from ttc_jax.model.hf_config import shape_from_hf
from ttc_jax.model.load import checkpoint_directory, read_shape
from ttc_jax.model.settings import read_json
from ttc_jax.model.shape import PRESET, ModelShape, preset
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.model.transformer import Transformer
from ttc_jax.plan import memory
from ttc_jax.plan.estimate import Estimate
from ttc_jax.plan.meshes import mesh
from ttc_jax.plan.topologies import Topology
from ttc_jax.plan.work import Judge, Reading, Sampling, Training, Work
from ttc_jax.run import labels, pipeline, search, settings, stage, sweep, train
from ttc_jax.run.lessons import POLICIES, VERIFIERS
from ttc_jax.run.models import asked
from ttc_jax.search.plan import Batch
from ttc_jax.verify.format_names import by_name
from ttc_jax.verify.likelihood import LIKELIHOOD, Likelihood


@dataclass(frozen=True)
class Assumed:
    """What cannot be known before a run; 0 takes the bound that the config sets.

    `mean` tokens of a solution and `step` of a step; `questions` of `question` tokens each, where
    the data is not at hand (0: it is read).
    """

    mean: int = 0
    step: int = 0
    questions: int = 0
    question: int = 0


def works(config: ConfigDict, workdir: Path, machine: Topology, assumed: Assumed) -> list[Work]:
    """The jobs of an experiment, in order: one, all runs of a sweep, all stages of a pipeline.

    `workdir` is where it would be run; models that an earlier stage makes need not be there. The
    platform of the machine decides what dtype "auto" is. It has a process for each of its hosts,
    and each process a batch as the config sets it.

    Raises:
      ValueError, OSError: a setting that cannot work, as `ttc run` would say; a model or data that
        is not there.
    """
    if config.job == "pipeline":
        stages = pipeline.check(config, workdir)
    else:
        stage.check(config)
        stages = {config.job: config}
    made = {
        str(workdir / name / "model"): own for name, own in stages.items() if own.job == "train"
    }
    found = _Planned(settings.cache_dir(config.cache_dir), made, machine, assumed)
    return [work for name, own in stages.items() for work in found.jobs(name, own)]


class _Planned:
    """The models and questions of one experiment."""

    def __init__(
        self, cache_dir: Path, made: Mapping[str, ConfigDict], machine: Topology, assumed: Assumed
    ):
        self._cache_dir, self._made = cache_dir, made
        self._machine, self._assumed = machine, assumed
        self._asked: dict[str, list[Question]] = {}

    def jobs(self, name: str, config: ConfigDict) -> list[Work]:
        """The work of one job."""
        config = config.copy_and_resolve_references()
        for group in ("model", "scorer"):
            if weights := settings.weights(config[group]):
                raise ValueError(
                    f"{name}: ttc plan does not take {weights} weights yet; pass "
                    f"--config.{group}.weights='' (of a stage, "
                    f"--config.stages.NAME.{group}.weights='') to plan them in the model's dtype"
                )
        if config.model.dtype == "auto":
            on_cpu = self._machine.chip.platform == "cpu"
            config.model.dtype = "float32" if on_cpu else "bfloat16"
        if config.job == "sweep":
            runs = sweep.check(config)
            return [self._sampling(f"{name}/{run}", own) for run, own in runs.items()]
        if config.job == "train":
            return [self._training(name, config)]
        if config.job == "probe":
            return [Reading(name, "probe", self._questions(config), self._policy(config))]
        return [self._sampling(name, config)]

    # ---------------------------------------------------------------- models

    def _shape(self, path: str) -> ModelShape:
        """The shape of a checkpoint: one that a stage makes, a preset, or what its files say."""
        if path in self._made:
            return self._trained(self._made[path])
        if path.startswith(PRESET):
            return preset(path.removeprefix(PRESET))
        directory = checkpoint_directory(path, self._cache_dir / "models")
        if any(directory.glob("*.safetensors")):
            return read_shape(directory)
        return shape_from_hf(read_json(directory / "config.json"))

    def _trained(self, config: ConfigDict) -> ModelShape:
        """The shape of what a training job trains."""
        t = config.train
        if t.scratch.layers:
            vocab = self._tokenizer(config.model.path).vocab_size
            shape = ModelShape(vocab=vocab, **t.scratch.to_dict())
        else:
            shape = self._shape(config.model.path)
        if t.kind in POLICIES and shape.value_classes:
            raise ValueError(
                f"{config.model.path} is a verifier (it has a value head); {t.kind} needs a policy"
            )
        if t.kind in VERIFIERS:
            return replace(shape, value_classes=1, value_hidden=0)
        return shape

    def _tokenizer(self, path: str):
        """The tokenizer of a checkpoint, or what stands in for one."""
        if path in self._made:
            return self._tokenizer(self._made[path].model.path)
        if path.startswith(PRESET):
            return Estimate(preset(path.removeprefix(PRESET)).vocab)
        return load_tokenizer(checkpoint_directory(path, self._cache_dir / "models"))

    def _policy(self, config: ConfigDict):
        model = memory.model(self._shape(config.model.path), settings.dtype(config))
        # Whoever plans puts it on a mesh.
        policy = asked(config, model, self._tokenizer(config.model.path), mesh(1, 1))
        return replace(policy, prompt=functools.cache(policy.prompt))

    def _judge(self, config: ConfigDict) -> Judge | Likelihood | None:
        scorer = config.scorer
        if not scorer.path:
            return None
        if scorer.path == LIKELIHOOD:
            return Likelihood(scorer.aggregate)
        if scorer.mesh.data or scorer.mesh.model:
            raise ValueError(
                "the verifier has a mesh of its own, and is planned on the policy's: pass "
                "--config.scorer.mesh.data=0 --config.scorer.mesh.model=0"
            )
        shape = self._shape(scorer.path)
        try:
            format = by_name(scorer.format, self._tokenizer(scorer.path))
        except ValueError as error:
            if not scorer.path.startswith(PRESET):
                raise
            raise ValueError(
                f"scorer.format {scorer.format!r} needs the verifier's own tokenizer, which "
                f"{scorer.path} has not; name a directory that holds it, or another format"
            ) from error
        if scorer.untrained or scorer.path.startswith(PRESET):
            shape = replace(shape, value_classes=1, value_hidden=0)
        format.begin = functools.cache(format.begin)
        shared = scorer.path == config.model.path
        model = memory.model(shape, settings.dtype(config))
        return Judge(model, format, scorer.pages or None, shared)

    # ---------------------------------------------------------------- questions

    def _questions(self, config: ConfigDict) -> Sequence[Question]:
        a = self._assumed
        if a.questions:
            text = " a" * (a.question or 128)
            return [Question(f"q{i}", text, "") for i in range(a.questions)]
        key = str(config.data.to_dict())
        if key not in self._asked:
            try:
                self._asked[key] = settings.questions(config, self._cache_dir)
            except (ValueError, FileNotFoundError) as error:
                raise type(error)(
                    f"{error}; or plan without the data: --questions=N --question_tokens=T"
                ) from error
        return self._asked[key]

    # ---------------------------------------------------------------- jobs

    def _sampling(self, name: str, config: ConfigDict) -> Sampling:
        if config.job == "labels":
            strategy, judge = labels.check(config), None
        else:
            strategy, judge = search.check(config), self._judge(config)
        mean = self._mean(config)
        step = min(self._assumed.step or config.search.max_step, mean)
        return Sampling(
            name, config.job, strategy, self._questions(config), self._policy(config), judge,
            self._batch(config), mean, step,
        )  # fmt: skip

    def _batch(self, config: ConfigDict) -> Batch:
        """Those of all processes together."""
        one, processes = settings.batch(config), self._machine.processes
        return replace(one, rows=one.rows * processes, questions=one.questions * processes)

    def _mean(self, config: ConfigDict) -> int:
        mean, most = self._assumed.mean, config.sample.max_new
        if mean > most:
            raise ValueError(
                f"--mean_tokens={mean}, but sample.max_new = {most} is the most that a solution "
                f"has; lower one or raise the other"
            )
        return mean or most

    def _training(self, name: str, config: ConfigDict) -> Training:
        t, shape, mean = config.train, self._trained(config), self._mean(config)
        tokenizer, questions = self._tokenizer(config.model.path), self._questions(config)
        verifier = t.kind in VERIFIERS
        if verifier:
            format = by_name(VERIFIERS[t.kind][1], tokenizer)
            lengths = [len(format.begin(q.text)) for q in questions]
        else:
            how = settings.style(config)
            lengths = [len(tokenizer.encode(how.render(q, (), tokenizer))) for q in questions]
        # A revision has wrong attempts before it, a verifier of revisions those that it judges.
        earlier = t.attempts * mean if t.kind in ("revision", "restem", "revision_orm") else 0
        example = -(-sum(lengths) // len(lengths)) + mean + earlier
        longest = max(lengths) + mean + earlier
        length = t.length or -(-longest // 64) * 64
        examples = len(questions) * (config.labels.samples if verifier else 1)
        return Training(
            name, "train", self._with_adapters(config, memory.model(shape)),
            value_loss if verifier else language_loss, train.optimiser_of(config),
            train.numerics_of(config), t.trained or (lora.TRAINED if t.lora.rank else ""), t.steps,
            t.batch, min(example, length), length, t.evaluate_every,
            math.ceil(examples * t.held_out),
        )  # fmt: skip

    def _with_adapters(self, config: ConfigDict, model: Transformer) -> Transformer:
        rank, alpha = config.train.lora.rank, config.train.lora.alpha or None
        if not rank:
            return model
        key = jax.random.key(0)
        return nnx.eval_shape(lambda m: lora.with_adapters(m, rank, key, alpha=alpha), model)
