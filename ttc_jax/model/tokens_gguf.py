# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The vocabulary inside a GGUF file, rewritten as a tokenizer.json and a tokenizer_config.json.

Two kinds exist for our families: "gpt2" (byte-level BPE with merges; the name in
tokenizer.ggml.pre says how text is cut beforehand) and "llama" (SentencePiece pieces with scores).
"""

import json
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from ttc_jax.model.gguf_file import metadata
from ttc_jax.model.settings import settings_of
from ttc_jax.model.tokens_json import JsonTokenizer


class Kind(IntEnum):
    """tokenizer.ggml.token_type."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Llama 3 and Qwen differ in how many digits stay together.
_CASELESS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _CASELESS.format(digits=r"\p{N}{1,3}")
_QWEN2 = _CASELESS.format(digits=r"\p{N}")
_DIGITS_ALONE = (r"\p{N}", _GPT2)

# tokenizer.ggml.pre -> expressions that cut text one after the other.
PRE_TOKENIZERS: dict[str, tuple[str, ...]] = {
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
    "gpt-2": (_GPT2,),
    "smollm": _DIGITS_ALONE,
    "starcoder": _DIGITS_ALONE,
    "refact": _DIGITS_ALONE,
    "codeshell": _DIGITS_ALONE,
    "command-r": _DIGITS_ALONE,
    "llama-bpe": (_LLAMA3,),
    "llama3": (_LLAMA3,),
    "llama-v3": (_LLAMA3,),
    "qwen2": (_QWEN2,),
    "deepseek-r1-qwen": (_QWEN2,),
    "stablelm2": (_QWEN2,),
}
_WHOLE_WORDS_FIRST = ("llama-bpe", "llama3", "llama-v3")
_COMPOSED = ("qwen2", "deepseek-r1-qwen")

_IDS = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
}


def tokenizer_files(meta: Mapping) -> dict[str, str]:
    """File name -> text of the Hugging Face tokenizer files that say what `meta` says.

    Raises:
        ValueError: no vocabulary in the file, or one of an unknown kind or pre-tokenizer.
    """
    model = meta.get("tokenizer.ggml.model")
    if "tokenizer.ggml.tokens" not in meta:
        raise ValueError("this GGUF file holds no tokenizer (tokenizer.ggml.tokens is absent)")
    if model not in ("gpt2", "llama"):
        raise ValueError(f"GGUF tokenizer kind {model!r} is not supported; known: gpt2, llama")
    backend = _byte_level(meta) if model == "gpt2" else _pieces(meta)
    config = _config(meta, add_bos=model == "llama")
    _add_tokens(backend, meta, byte_level=model == "gpt2")
    if config["add_bos_token"] and "bos_token" in config:
        bos = config["bos_token"]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A {bos} $B",
            special_tokens=[(bos, meta["tokenizer.ggml.bos_token_id"])],
        )
    eos = [meta.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    ids = [int(i) for i in dict.fromkeys(eos) if i is not None]
    return {
        "tokenizer.json": backend.to_str(),
        "tokenizer_config.json": json.dumps(config, indent=2, ensure_ascii=False),
        "generation_config.json": json.dumps({"eos_token_id": ids}, indent=2),
    }


def load_gguf_tokenizer(path) -> JsonTokenizer:
    """The tokenizer inside the GGUF file at `path`.

    Raises:
        ValueError: the file is damaged or its vocabulary is of a kind that is not supported.
    """
    files = tokenizer_files(metadata(Path(path)))
    config = json.loads(files["tokenizer_config.json"])
    eos_ids = json.loads(files["generation_config.json"])["eos_token_id"]
    settings = settings_of(config, config.get("chat_template"), eos_ids)
    return JsonTokenizer(files["tokenizer.json"], settings, path)


def _config(meta: Mapping, add_bos: bool) -> dict:
    tokens = meta["tokenizer.ggml.tokens"]
    config = {name: tokens[meta[key]] for name, key in _IDS.items() if key in meta}
    config["add_bos_token"] = bool(meta.get("tokenizer.ggml.add_bos_token", add_bos))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["clean_up_tokenization_spaces"] = False
    if "tokenizer.chat_template" in meta:
        config["chat_template"] = meta["tokenizer.chat_template"]
    return config


def _kinds(meta: Mapping) -> list[int]:
    return meta.get("tokenizer.ggml.token_type") or [Kind.NORMAL] * len(
        meta["tokenizer.ggml.tokens"]
    )


def _bpe(vocab: dict[str, int], merges: list[tuple[str, str]], **options) -> Backend:
    for merge in merges:
        if len(merge) != 2 or not {*merge, "".join(merge)} <= vocab.keys():
            raise ValueError(f"GGUF merge {' '.join(merge)!r} makes no token of the vocabulary")
    return Backend(models.BPE(vocab, merges, **options))


def _byte_level(meta: Mapping) -> Backend:
    pre = meta.get("tokenizer.ggml.pre", "default")
    if pre not in PRE_TOKENIZERS:
        raise ValueError(
            f"GGUF pre-tokenizer {pre!r} is not supported; known: {', '.join(PRE_TOKENIZERS)}"
        )
    vocab = {
        token: index
        for index, (token, kind) in enumerate(
            zip(meta["tokenizer.ggml.tokens"], _kinds(meta), strict=True)
        )
        if kind != Kind.UNUSED
    }
    merges = [tuple(merge.split(" ")) for merge in meta.get("tokenizer.ggml.merges", [])]
    backend = _bpe(vocab, merges, ignore_merges=pre in _WHOLE_WORDS_FIRST)
    if pre in _COMPOSED:
        backend.normalizer = normalizers.NFC()
    cuts = [pre_tokenizers.Split(Regex(cut), "isolated") for cut in PRE_TOKENIZERS[pre]]
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([*cuts, spell])
    backend.decoder = decoders.ByteLevel()
    return backend


def _pieces(meta: Mapping) -> Backend:
    tokens = [_blank(token) for token in meta["tokenizer.ggml.tokens"]]
    vocab = {token: index for index, token in enumerate(tokens)}
    unknown = meta.get("tokenizer.ggml.unknown_token_id")
    backend = _bpe(
        vocab,
        _merges(meta, tokens, vocab),
        unk_token=None if unknown is None else tokens[unknown],
        fuse_unk=True,
        byte_fallback=True,
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if meta.get("tokenizer.ggml.add_space_prefix", True):
        backend.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
        steps.append(decoders.Strip(" ", 1, 0))
    else:
        backend.normalizer = normalizers.Replace(" ", "▁")
    backend.decoder = decoders.Sequence(steps)
    return backend


def _blank(token: str) -> str:
    """Runs of spaces are stored as such in some files, where the merges mean U+2581."""
    return "▁" * len(token) if token and not token.strip(" ") else token


def _merges(meta: Mapping, tokens: list[str], vocab: dict[str, int]) -> list[tuple[str, str]]:
    """Merges in order of rank: SentencePiece joins the pair whose piece scores best.

    Gemma files carry scores out of step with the order of their merges; the order of ids is right.
    """
    if "tokenizer.ggml.merges" in meta:
        return [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    by_id = meta["general.architecture"].startswith("gemma")
    scores = meta.get("tokenizer.ggml.scores")
    kinds = _kinds(meta)
    ranked = []
    for index, token in enumerate(tokens):
        if kinds[index] in (Kind.CONTROL, Kind.UNKNOWN, Kind.BYTE):
            continue
        rank = index if by_id or scores is None else -scores[index]
        for cut in range(1, len(token)):
            left, right = vocab.get(token[:cut]), vocab.get(token[cut:])
            if left is not None and right is not None:
                ranked.append((rank, left, right))
    ranked.sort()
    return [(tokens[left], tokens[right]) for _, left, right in ranked]


def _add_tokens(backend: Backend, meta: Mapping, byte_level: bool) -> None:
    """Control tokens become special added tokens, user-defined ones plain added tokens."""
    control, plain = [], []
    for token, kind in zip(meta["tokenizer.ggml.tokens"], _kinds(meta), strict=True):
        special = kind in (Kind.CONTROL, Kind.UNKNOWN)
        if not special and kind != Kind.USER_DEFINED:
            continue
        text = token if byte_level else _blank(token)
        added = AddedToken(text, normalized=False, special=special)
        (control if special else plain).append(added)
    backend.add_special_tokens(control)
    backend.add_tokens(plain)
