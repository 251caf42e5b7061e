# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the settings of any job stand for: caches, questions, prompts, batches."""

import os
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ttc_jax.core.records import key_of
from ttc_jax.data.prompts import Chat, FewShot, Revision
from ttc_jax.data.sources import Question, load_questions
from ttc_jax.data.subset_sums import SubsetSums
from ttc_jax.decode.backend import check_platform
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.int8 import check_kind
from ttc_jax.run.checkpoints import identity
from ttc_jax.search.plan import Batch
from ttc_jax.verify.grade import check_answer
from ttc_jax.verify.likelihood import LIKELIHOOD
from ttc_jax.verify.scorer import AGGREGATES

# What a policy was trained for: nothing in particular, or to revise, by one recipe or the other.
POLICY_KINDS = ("base", "revision", "restem")

# Texts of a prompt that a config may have of its own, with the style they are for.
WORDS = {"template": "few_shot", "system": "chat", "instruction": "chat"}


def at_least_1(config: ConfigDict, *names: str) -> None:
    """ValueError for a setting ("group.name") that is below 1, with the name and the value."""
    for name in names:
        group, key = name.split(".")
        if config[group][key] < 1:
            raise ValueError(f"{name} is {config[group][key]}; it must be at least 1")


def check_asking(config: ConfigDict) -> None:
    """ValueError for settings of questions, prompts and models that cannot work."""
    if config.data.limit < 0:
        raise ValueError(f"data.limit is {config.data.limit}; 0 means all questions")
    if config.prompt.style not in ("chat", "few_shot"):
        raise ValueError(f"prompt.style is {config.prompt.style!r}; use 'chat' or 'few_shot'")
    if config.model.get("kind", "") not in ("", *POLICY_KINDS):
        raise ValueError(
            f"model.kind is {config.model.kind!r}; there are {', '.join(POLICY_KINDS)}, and '' for "
            f"what the checkpoint's training job says"
        )
    for name, style_of in WORDS.items():
        if config.prompt.get(name, "") and config.prompt.style != style_of:
            raise ValueError(
                f"prompt.{name} is {config.prompt[name]!r}, which is for prompt.style = "
                f"{style_of!r}, not {config.prompt.style!r}; pass --config.prompt.{name}=''"
            )
    check_answer(config.grade.get("answer", "stated"))
    check_kind(weights(config.model), "model.weights")
    style(config), dtype(config)


def check_sampling(config: ConfigDict, *, stepwise: bool) -> None:
    """ValueError for settings of a policy's samples that cannot work, before it is loaded."""
    at_least_1(
        config, "sample.max_new", "search.max_step", "engine.rows", "engine.page_size",
        "engine.segment",
    )  # fmt: skip
    check_asking(config)
    if config.scorer.aggregate not in AGGREGATES:
        raise ValueError(
            f"scorer.aggregate is {config.scorer.aggregate!r}; there are {', '.join(AGGREGATES)}"
        )
    if config.scorer.path == LIKELIHOOD and config.scorer.get("untrained"):
        raise ValueError(
            "scorer.untrained draws a value head for a checkpoint, and scorer.path = 'likelihood' "
            "is the policy's own; pass --config.scorer.untrained=False (or ./likelihood for a "
            "checkpoint of that name)"
        )
    check_platform(attention(config), jax.default_backend(), dtype(config).name)
    check_kind(weights(config.scorer), "scorer.weights")
    if config.scorer.path == LIKELIHOOD and weights(config.scorer):
        raise ValueError(
            f"scorer.weights is {weights(config.scorer)!r}, and scorer.path = 'likelihood' is the "
            "policy's own, whose weights model.weights says; pass --config.scorer.weights=''"
        )
    sample = config.sample
    if sample.max_new < config.search.max_step and stepwise:
        raise ValueError(
            f"search.max_step = {config.search.max_step} tokens for a step, but sample.max_new = "
            f"{sample.max_new} for a whole solution; lower search.max_step"
        )
    sampler(config)
    batch(config)


def cache_dir(name: str) -> Path:
    """The cache named in the config, else $TTC_CACHE, else ttc_jax in the user's own cache."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    path = name or os.environ.get("TTC_CACHE") or f"{user}/ttc_jax"
    return Path(path).expanduser().absolute()


def dtype(config: ConfigDict) -> jnp.dtype:
    """The dtype of weights and of what is computed from them."""
    name = config.model.dtype
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    if name not in ("float32", "bfloat16"):
        raise ValueError(f"model.dtype is {name!r}; use 'auto', 'float32' or 'bfloat16'")
    return jnp.dtype(name)


def weights(group: ConfigDict) -> str:
    """What the weights of a config's `model` or `scorer` are made, "" in configs of old."""
    return group.get("weights", "")


def attention(config: ConfigDict) -> str:
    """The attention of policies and verifiers, that of plain XLA in configs of old."""
    return config.engine.get("attention", "xla")


def sampler(config: ConfigDict) -> Sampler:
    """How tokens are drawn."""
    sample = config.sample
    return Sampler(sample.temperature, sample.top_k, sample.top_p, sample.min_p)


def questions(config: ConfigDict, cache_dir: Path) -> list[Question]:
    """The questions of the run; with data.limit, that many of them, evenly spaced.

    Of subset sums it is the first ones: their levels alternate, and even spaces could miss some.
    """
    data = config.data
    questions = load_questions(
        data.name,
        data_dir=data.dir or None,
        split=data.split,
        cache_dir=cache_dir / "data",
        drop_unanswered=data.drop_unanswered,
        made=SubsetSums(**{key: data[key] for key in ("count", "seed", "levels") if key in data}),
    )
    if data.name == "subset_sums":
        return questions[: data.limit or None]
    if not 0 < data.limit < len(questions):
        return questions
    return [questions[i * len(questions) // data.limit] for i in range(data.limit)]


def batch(config: ConfigDict) -> Batch:
    """How much is decoded at once."""
    engine = config.engine
    return Batch(
        rows=engine.rows,
        questions=engine.questions,
        pages=engine.pages,
        page_size=engine.page_size,
        memory=int(engine.memory_gib * 2**30),
        segment=engine.segment,
        seed=config.seed,
    )


def depends_on(config: ConfigDict, questions: Sequence[Question], *groups: str) -> dict:
    """The settings of these groups, and all else that any result depends on; not where it runs."""
    depends = {"seed": config.seed, "model.path": identity(config.model.path)}
    depends["model.dtype"] = dtype(config).name
    if weights(config.model):  # runs of old have none
        depends["model.weights"] = weights(config.model)
    for group in ("data", *groups):
        depends |= {f"{group}.{key}": value for key, value in config[group].to_dict().items()}
    depends |= prompt_depends_on(config)
    del depends["data.dir"]  # the questions count, not where they lie
    depends["data.questions"] = key_of({q.id: [q.text, q.answer] for q in questions})
    return depends


def prompt_depends_on(config: ConfigDict) -> dict:
    """The settings of the prompt; its words only where they are its own: runs of old have none."""
    values = config.prompt.to_dict()
    return {f"prompt.{key}": v for key, v in values.items() if key not in WORDS or v}


def sampling_depends_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """`depends_on` for jobs that sample and grade."""
    depends = depends_on(config, questions, "sample", "search", "scorer")
    del depends["scorer.pages"], depends["scorer.mesh"]
    if not weights(config.scorer):
        depends.pop("scorer.weights", None)
    depends["scorer.path"] = identity(config.scorer.path)
    depends |= {f"grade.{key}": config.grade[key] for key in ("limit_s", "last_number")}
    if attention(config) != "xla":  # it rounds otherwise, and runs of old have none
        depends["engine.attention"] = attention(config)
    return depends | answer_depends_on(config)


def answer_depends_on(config: ConfigDict) -> dict:
    """What is taken as the answer, unless it is the stated one, as it is in runs of old."""
    answer = config.grade.get("answer", "stated")
    return {} if answer == "stated" else {"grade.answer": answer}


def style(config: ConfigDict) -> Revision:
    """How the policy is asked."""
    examples = tuple(map(tuple, config.prompt.examples))
    chat = config.prompt.style == "chat"
    how = {name: config.prompt[name] for name in WORDS if config.prompt.get(name, "")}
    return Revision(Chat(examples=examples, **how) if chat else FewShot(examples, **how))


def device() -> str:
    """The devices of this run, in words."""
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"
