# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint says about its tokenizer beside the vocabulary."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True)
class Settings:
    """Special tokens, chat template and habits of one tokenizer.

    texts spells the named special tokens; eos_ids come from the generation settings; add_bos is
    None where no file says; added holds tokens outside the vocabulary file, id -> (text, special).
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    eos_ids: tuple[int, ...] = ()
    add_bos: bool | None = None
    template: str | None = None
    added: Mapping[int, tuple[str, bool]] = field(default_factory=dict)


def read_json(path: Path) -> dict:
    """The object in a JSON file, {} when there is no such file.

    Raises:
        ValueError: the file is not JSON, or not an object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, expected a JSON object")
    return content


def read_settings(directory: Path) -> Settings:
    """The settings in the files of a checkpoint directory; absent files leave the defaults.

    Raises:
        ValueError: one of the files is damaged.
    """
    config = read_json(directory / "tokenizer_config.json")
    special = read_json(directory / "special_tokens_map.json")
    template = config.get("chat_template")
    if (directory / "chat_template.jinja").is_file():
        template = (directory / "chat_template.jinja").read_text(encoding="utf-8")
    return settings_of(special | config, template, _eos_ids(directory), _added(directory, config))


def settings_of(config: Mapping, template=None, eos_ids=(), added=None) -> Settings:
    """Settings from the keys of a tokenizer_config.json."""
    texts = {name: _text(config[name]) for name in _NAMES if config.get(name)}
    return Settings(
        texts, tuple(eos_ids), config.get("add_bos_token"), _one_template(template), added or {}
    )


def _text(token) -> str:
    return token["content"] if isinstance(token, Mapping) else token


def _one_template(template) -> str | None:
    if template is None or isinstance(template, str):
        return template
    named = {entry["name"]: entry["template"] for entry in template}
    return named.get("default", next(iter(named.values()), None))


def _eos_ids(directory: Path) -> list[int]:
    # config.json is the older place, and often holds a class default: read only without the newer.
    ids = read_json(directory / "generation_config.json").get("eos_token_id")
    if ids is None and not (directory / "tokenizer_config.json").is_file():
        config = read_json(directory / "config.json")
        ids = config.get("eos_token_id", config.get("text_config", {}).get("eos_token_id"))
    if ids is None:
        return []
    return [ids] if isinstance(ids, int) else list(ids)


def _added(directory: Path, config: Mapping) -> dict[int, tuple[str, bool]]:
    added = {i: (text, True) for text, i in read_json(directory / "added_tokens.json").items()}
    for index, token in config.get("added_tokens_decoder", {}).items():
        added[int(index)] = (token["content"], bool(token.get("special", False)))
    return added
