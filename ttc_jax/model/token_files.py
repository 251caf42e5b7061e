# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which kind of tokenizer a file or a checkpoint directory holds."""

from pathlib import Path

from ttc_jax.model.settings import read_settings
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.model.tokens_gguf import load_gguf_tokenizer
from ttc_jax.model.tokens_json import JsonTokenizer
from ttc_jax.model.tokens_spm import SentencePieceTokenizer


def load_tokenizer(path) -> Tokenizer:
    """The tokenizer of a checkpoint directory, or of one tokenizer.json, tokenizer.model or .gguf.

    A directory is read from its tokenizer.json, else from its tokenizer.model; the settings beside
    it (tokenizer_config.json, special_tokens_map.json, generation_config.json,
    chat_template.jinja) apply in both cases.

    Raises:
        FileNotFoundError: there is nothing to read at `path`.
        ValueError: the file is damaged or of a kind that is not supported.
    """
    path = Path(path)
    if path.is_dir():
        path = _tokenizer_file(path)
    if not path.is_file():
        raise FileNotFoundError(f"no tokenizer at {path}: there is no such file or directory")
    if path.suffix == ".json":
        return JsonTokenizer(path.read_text(encoding="utf-8"), read_settings(path.parent), path)
    if path.suffix == ".model":
        return SentencePieceTokenizer(path.read_bytes(), read_settings(path.parent), path)
    if path.suffix == ".gguf":
        return load_gguf_tokenizer(path)
    raise ValueError(f"{path}: a tokenizer is a .json, .model or .gguf file, not {path.suffix!r}")


def _tokenizer_file(directory: Path) -> Path:
    for name in ("tokenizer.json", "tokenizer.model"):
        if (directory / name).is_file():
            return directory / name
    hint = ""
    if (directory / "vocab.json").is_file():
        hint = "; vocab.json and merges.txt alone are not read, save a tokenizer.json with them"
    raise FileNotFoundError(
        f"no tokenizer in {directory}: expected tokenizer.json or tokenizer.model{hint}"
    )
