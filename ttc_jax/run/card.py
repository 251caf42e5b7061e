# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the model card of a trained model says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.data.sources import Question
from ttc_jax.learn.export import Card
from ttc_jax.run import settings
from ttc_jax.run.lessons import POLICIES, VERIFIERS
from ttc_jax.run.place import Place

# Settings that say where and how a model was computed, not what it learned.
_ASIDE = ("kind", "source", "scratch", "lora", "accumulate", "remat", "fsdp", "save_every")


def card(
    config: ConfigDict,
    facts: Mapping,
    scores: Mapping[str, float],
    shares: Sequence[float] | None,
    place: Place,
) -> Card:
    """The card of a training job's model.

    `facts` tell what it learned from, `scores` are the held-out figures of the chosen checkpoint
    and `shares` its pass@1 by attempt, where it was chosen by that.
    """
    train, kind = config.train, config.train.kind
    metrics = {name: value for name, value in scores.items() if name != "step"}
    metrics |= {f"pass@1, attempt {i}": share for i, share in enumerate(shares or (), 1)}
    recipe = {k: v for k, v in train.to_dict().items() if k not in _ASIDE and v not in ("", -1)}
    if train.lora.rank:
        recipe["lora"] = train.lora.to_dict()
    if train.scratch.layers:
        recipe["scratch"] = train.scratch.to_dict()
    data = {"name": config.data.name, "split": config.data.split}
    name = VERIFIERS[kind][0] if kind in VERIFIERS else POLICIES[kind]
    return Card(
        name=f"{Path(config.model.path).name} {name}",
        kind=name,
        base="random weights" if train.scratch.layers else config.model.path,
        usage=_verifier_usage(kind) if kind in VERIFIERS else _policy_usage(config),
        command=place.command,
        data=data | {k: v for k, v in facts.items() if not isinstance(v, Mapping)},
        recipe=recipe,
        metrics=metrics,
    )


def _verifier_usage(kind: str) -> str:
    format = VERIFIERS[kind][1]
    where = "the newline behind every step" if kind == "prm" else "its last newline"
    return (
        f"Reads a question and a solution in the format `{format}` of `ttc_jax` (plain text, a "
        f"line for each step). The score is the sigmoid of the one logit at {where}: "
        f"`--config.scorer.path=DIR --config.scorer.format={format}`."
    )


def _policy_usage(config: ConfigDict) -> str:
    usage = f"Prompted as `prompt.style = {config.prompt.style!r}` of `ttc_jax` does."
    if config.prompt.style == "chat":
        return usage
    attempts = () if config.train.kind == "sft" else ("{attempt}",)
    shown = settings.style(config).render(Question("", "{question}", ""), attempts)
    return f"{usage}\n\n```\n{shown}\n```"
