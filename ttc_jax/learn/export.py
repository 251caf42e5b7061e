# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Trained models as Hugging Face directories, each with its tokenizer and a model card.

`transformers` opens them: language models with AutoModelForCausalLM, models with a value head with
AutoModelForTokenClassification. `model.load.load_checkpoint` opens all of them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path

from ttc_jax.model.load import save_checkpoint
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer


@dataclass(frozen=True)
class Card:
    """What a model card says.

    `kind` is "policy", "process reward model", "outcome reward model", "revision model" or the
    like; `base` the model that training started from, a Hub id or anything else that names it.
    `usage` is Markdown: how the model is prompted, or in which format a verifier reads a solution
    and at which token its score is taken. `data` and `recipe` are facts by name, `metrics` are
    figures on held-out questions, `command` is what made the model, and `license` is an identifier
    of the Hub.

    Raises:
        ValueError: name, kind, base or usage is blank.
    """

    name: str
    kind: str
    base: str
    usage: str
    command: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    recipe: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    license: str = ""

    def __post_init__(self):
        for name in ("name", "kind", "base", "usage"):
            if not getattr(self, name).strip():
                raise ValueError(f"a model card needs a {name}")


def export(
    path, model: Transformer, *, tokenizer_dir, card: Card, dtype=None, replace: bool = False
) -> None:
    """Write `model` at `path`, with the tokenizer of `tokenizer_dir` and `card` as README.md.

    Weights become `dtype` (default: each keeps its own). The directory appears whole or not at all;
    with `replace` an earlier export there gives way to it. On several hosts every process must call
    this; the first one writes.

    Raises:
        FileExistsError: there is something at `path` already (with `replace`: no checkpoint).
        FileNotFoundError: `tokenizer_dir` holds no tokenizer.
        ValueError: no Hugging Face family has the model's shape.
        OSError: the place cannot be written, or the disk is full.
    """
    extra = {"README.md": markdown(card, model.shape)}
    save_checkpoint(path, model, tokenizer_dir, dtype=dtype, extra=extra, replace=replace)


def markdown(card: Card, shape: ModelShape) -> str:
    """The model card of a model of `shape`: YAML that the Hub reads, then Markdown."""
    parts = [_front_matter(card, shape), f"# {_line(card.name)}", _summary(card, shape)]
    parts += ["## Usage", card.usage.strip()]
    if not shape.value_hidden:  # transformers has no class for a head with a hidden layer
        parts.append(_opening(shape))
    if card.metrics:
        figures = {name: _figure(value) for name, value in card.metrics.items()}
        parts += ["## Metrics on held-out questions", _table("metric", figures)]
    if card.data:
        parts += ["## Training data", _table("data", card.data)]
    if card.recipe:
        parts += ["## Recipe", _table("setting", card.recipe)]
    if card.command.strip():
        parts += ["## Made by", _code(card.command.strip(), "bash")]
    return "\n\n".join(parts) + "\n"


def _front_matter(card: Card, shape: ModelShape) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", card.kind.lower()).strip("-")
    values = {
        "library_name": "transformers",
        "pipeline_tag": "token-classification" if shape.value_classes else "text-generation",
        "tags": ["ttc_jax", *([slug] if slug else [])],
    }
    if _on_the_hub(card.base):
        values["base_model"] = card.base
    if card.license:
        values["license"] = card.license
    # What JSON writes, YAML reads.
    lines = [f"{name}: {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["---", *lines, "---"])


def _on_the_hub(base: str) -> bool:
    """Whether `base` looks like OWNER/NAME on the Hub, and not like a file or directory here."""
    name = r"\w(?:[\w.-]*\w)?"
    return (
        re.fullmatch(f"{name}/{name}", base, re.ASCII) is not None
        and len(base.partition("/")[2]) <= 96
        and not re.search(r"--|\.\.|\.git$", base)
        and not Path(base).exists()
    )


def _summary(card: Card, shape: ModelShape) -> str:
    kind, base = _line(card.kind), _line(card.base)
    named = f"[{base}](https://huggingface.co/{base})" if _on_the_hub(base) else f"`{base}`"
    return (
        f"{kind[0].upper()}{kind[1:]} of {shape.params:,} parameters, trained from {named} with "
        "`ttc_jax`."
    )


def _opening(shape: ModelShape) -> str:
    task = "TokenClassification" if shape.value_classes else "CausalLM"
    return _code(
        f"from transformers import AutoModelFor{task}, AutoTokenizer\n\n"
        "tokenizer = AutoTokenizer.from_pretrained(path)\n"
        f"model = AutoModelFor{task}.from_pretrained(path)",
        "python",
    )


def _table(name: str, rows: Mapping[str, object]) -> str:
    lines = [f"| {name} | |", "|---|---|"]
    lines += [f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return _line(str(value)).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def _figure(value: float) -> str:
    return str(value) if isinstance(value, Integral) else f"{value:.4g}"


def _code(text: str, language: str) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
