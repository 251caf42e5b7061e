# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Exported models open in transformers with the same outputs, and say what they are."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import ModelCard
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from hypothesis import given
from hypothesis import strategies as st
from model.tiny_models import hf_logits
from verify.tiny_verifiers import (
    llama_tokenizer,
    qwen_tokenizer,
    sentencepiece_tokenizer,
    small,
)

from ttc_jax.learn.export import Card, export, markdown
from ttc_jax.model.hf_config import shape_from_hf
from ttc_jax.model.load import load_checkpoint, load_model, save_checkpoint
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.model.transformer import abstract, forward, logits, values


def published_sentencepiece(directory):
    """A tokenizer.model with a config that names its class, as published ones do."""
    file = sentencepiece_tokenizer(directory) / "tokenizer_config.json"
    config = json.loads(file.read_text()) | {"tokenizer_class": "LlamaTokenizer"}
    file.write_text(json.dumps(config))


TOKENIZERS = {
    "llama2": published_sentencepiece,
    "llama3": llama_tokenizer,
    "qwen2": qwen_tokenizer,
    "gemma2": llama_tokenizer,
}
TOLERANCE = 1e-4
TEXT = "What is 1 + 1?\nIt is 2.\n"
CARD = Card(
    name="steps-16",
    kind="process reward model",
    base="HuggingFaceTB/SmolLM2-135M-Instruct",
    usage="Scores are read in the format `steps`: the sigmoid of the head at each newline.",
    command="ttc run --config=configs/prm.py --workdir=runs/prm",
    data={"questions": 80, "rollouts per step": 16, "policy": "a | b"},
    recipe={"lr": 3e-5, "batch": 128, "betas": (0.9, 0.95)},
    metrics={"bce": 0.51234567, "auc_within_questions": 12_345, "steps": np.int64(123_456)},
    license="apache-2.0",
)


def tokenizer_and_model(family, directory, **heads):
    """A tokenizer directory, and a model of its vocabulary with every parameter random."""
    TOKENIZERS[family](directory)
    vocab = load_tokenizer(directory).vocab_size
    shape = replace(shape_from_hf(small(family, vocab).to_dict()), **heads)
    keys = iter(jax.random.split(jax.random.key(5), 100))
    model = jax.tree.map(
        lambda leaf: jax.random.normal(next(keys), leaf.shape) * 0.2, abstract(shape)
    )
    return directory, model


def ids_of(tokenizer, rows=2, length=24):
    return np.random.default_rng(2).integers(0, tokenizer.vocab_size, (rows, length), np.int32)


def ours_on(model, ids):
    read = values if model.shape.value_classes else logits
    return np.asarray(read(model, forward(model, jnp.asarray(ids))))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A tokenizer directory and a small verifier with its vocabulary."""
    directory = tmp_path_factory.mktemp("tokenizer")
    return tokenizer_and_model("qwen2", directory, value_classes=1)


# --- what transformers makes of it


@pytest.mark.parametrize("classes", [0, 1])
@pytest.mark.parametrize("family", TOKENIZERS)
def test_transformers_computes_the_same(tmp_path, family, classes):
    tokenizer_dir, model = tokenizer_and_model(
        family, tmp_path / "tokenizer", value_classes=classes
    )
    path = tmp_path / "exports" / family
    export(path, model, tokenizer_dir=tokenizer_dir, card=CARD)

    back, ours = load_checkpoint(path)
    assert back.shape == model.shape
    for one, other in zip(jax.tree.leaves(back), jax.tree.leaves(model), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))

    task = "TokenClassification" if classes else "CausalLM"
    theirs, notes = getattr(transformers, f"AutoModelFor{task}").from_pretrained(
        path, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    assert not notes["missing_keys"] and not notes["mismatched_keys"]
    assert theirs.config.num_labels == 1 or not classes
    assert theirs.config.bos_token_id == ours.bos
    assert set(ours.eos) == set(np.atleast_1d(theirs.config.eos_token_id))
    ids = ids_of(ours)
    expected, got = hf_logits(theirs.eval(), ids), ours_on(model, ids)
    assert expected.shape[-1] == (classes or model.shape.vocab) and np.ptp(expected) > 0.5
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)

    words = transformers.AutoTokenizer.from_pretrained(path)
    theirs_read = words(TEXT)["input_ids"]
    assert theirs_read == ours.encode(TEXT, bos=theirs_read[0] == ours.bos)
    if words.chat_template:
        message = [{"role": "user", "content": TEXT}]
        shown = words.apply_chat_template(message, tokenize=False)
        source = transformers.AutoTokenizer.from_pretrained(tokenizer_dir)
        assert shown == source.apply_chat_template(message, tokenize=False)


@pytest.mark.parametrize("dtype", [None, jnp.bfloat16, jnp.float32])
def test_dtype_of_the_export(tmp_path, dtype):
    tokenizer_dir, model = tokenizer_and_model("llama3", tmp_path / "tokenizer", value_classes=1)
    model.embed.set_value(model.embed[...].astype(jnp.bfloat16))
    export(tmp_path / "x", model, tokenizer_dir=tokenizer_dir, card=CARD, dtype=dtype)
    written = transformers.AutoConfig.from_pretrained(tmp_path / "x").dtype
    assert written == (torch.float32 if dtype == jnp.float32 else torch.bfloat16)
    back = load_model(tmp_path / "x")
    for ours, theirs in zip(jax.tree.leaves(back), jax.tree.leaves(model), strict=True):
        expected = theirs if dtype is None else theirs.astype(dtype)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(expected, np.float32))
    theirs = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "x")
    assert theirs.dtype == written


# --- whole or not at all


def refuse_to_write(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ttc_jax.model.weights.save_file", full)


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_full_disk_leaves_nothing(tmp_path, parts, monkeypatch):
    refuse_to_write(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=CARD)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_target_is_refused(tmp_path, parts):
    export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=CARD)
    before = contents(tmp_path / "x")
    with pytest.raises(FileExistsError, match="exists already"):
        export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=replace(CARD, name="y"))
    assert contents(tmp_path / "x") == before


def test_an_earlier_export_is_replaced(tmp_path, parts, monkeypatch):
    for name in ("first", "second"):  # the first time there is nothing to replace
        card = replace(CARD, name=name)
        export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=card, replace=True)
        assert f"# {name}" in (tmp_path / "x" / "README.md").read_text()
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
    before = contents(tmp_path / "x")
    refuse_to_write(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=CARD, replace=True)
    assert contents(tmp_path / "x") == before and len(list(tmp_path.iterdir())) == 1


def test_the_earlier_export_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path, parts, monkeypatch
):
    export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=CARD)
    before = contents(tmp_path / "x")
    rename, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == 3:  # onto the old one, the old one away, the new one in its place
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr("ttc_jax.model.weights.os.replace", failing)
    with pytest.raises(OSError, match="Input/output"):
        export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=CARD, replace=True)
    assert len(calls) == 4 and contents(tmp_path / "x") == before
    assert len(list(tmp_path.iterdir())) == 1


def test_only_checkpoints_are_replaced(tmp_path, parts):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("words")
    (tmp_path / "file").write_text("words")
    for name in ("thesis", "file"):
        with pytest.raises(FileExistsError, match="no checkpoint"):
            export(tmp_path / name, parts[1], tokenizer_dir=parts[0], card=CARD, replace=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "words"


def test_a_link_is_followed(tmp_path, parts):
    (tmp_path / "disk").mkdir()
    (tmp_path / "x").symlink_to(tmp_path / "disk")
    export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=CARD)
    assert (tmp_path / "x").is_symlink() and load_model(tmp_path / "disk").shape == parts[1].shape


def test_no_tokenizer_is_found_before_writing(tmp_path, parts):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        export(tmp_path / "x", parts[1], tokenizer_dir=tmp_path / "empty", card=CARD)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


KILLED = """
import os, signal, sys
from ttc_jax.learn.export import Card, export
from ttc_jax.model import weights
from ttc_jax.model.load import load_model
model, out, tokenizer = load_model(sys.argv[1]), sys.argv[2], sys.argv[3]
def die(arrays, file, metadata):
    open(file, "wb").write(b"half a")
    os.kill(os.getpid(), signal.SIGKILL)
weights.save_file = die
export(out, model, tokenizer_dir=tokenizer, card=Card("n", "policy", "b", "u"))
"""


def test_a_killed_export_is_not_seen_and_does_not_stand_in_the_way(tmp_path, parts):
    tokenizer_dir, model = parts
    save_checkpoint(tmp_path / "model", model)
    args = [tmp_path / "model", tmp_path / "out" / "x", tokenizer_dir]
    done = subprocess.run([sys.executable, "-c", KILLED, *args], timeout=300)
    assert done.returncode == -signal.SIGKILL
    left = list((tmp_path / "out").iterdir())
    assert len(left) == 1 and left[0].name.startswith(".x.")  # it got as far as writing
    export(tmp_path / "out" / "x", model, tokenizer_dir=tokenizer_dir, card=CARD)
    assert load_model(tmp_path / "out" / "x").shape == model.shape


# --- the card


def read_card(text):
    """The YAML of a card, read as the Hub does, and its Markdown."""
    card = ModelCard(text)
    return card.data.to_dict(), card.text


def test_card_of_a_verifier(tmp_path, parts):
    export(tmp_path / "x", parts[1], tokenizer_dir=parts[0], card=CARD)
    head, body = read_card((tmp_path / "x" / "README.md").read_text(encoding="utf-8"))
    assert head == {
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["ttc_jax", "process-reward-model"],
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "license": "apache-2.0",
    }
    headings = re.findall(r"^#+ .*", body, re.MULTILINE)
    assert headings == [
        "# steps-16",
        "## Usage",
        "## Metrics on held-out questions",
        "## Training data",
        "## Recipe",
        "## Made by",
    ]
    count = f"{parts[1].shape.params:,}"
    assert f"Process reward model of {count} parameters, trained from [Hugg" in body
    assert CARD.usage in body and "AutoModelForTokenClassification.from_pretrained(path)" in body
    for row in (
        "| bce | 0.5123 |",
        "| auc_within_questions | 12345 |",
        "| steps | 123456 |",
        r"| policy | a \| b |",
        "| betas | (0.9, 0.95) |",
    ):
        assert row in body.splitlines()
    assert f"```bash\n{CARD.command}\n```" in body


def test_card_of_a_policy_made_from_something_local(tmp_path, monkeypatch, parts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    card = Card("two\nlines", "policy", "runs/first", "Ask it.")
    head, body = read_card(markdown(card, replace(parts[1].shape, value_classes=0)))
    assert head == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["ttc_jax", "policy"],
    }
    assert "# two lines\n" in body and "trained from `runs/first`" in body
    assert "AutoModelForCausalLM" in body and "## Made by" not in body


def test_card_of_a_head_that_transformers_has_no_class_for(parts):
    text = markdown(CARD, replace(parts[1].shape, value_hidden=8))
    assert "AutoModel" not in text


def test_code_with_fences_stays_in_its_own(parts):
    text = markdown(replace(CARD, command="echo '```' | ttc run"), parts[1].shape)
    assert "````bash\necho '```' | ttc run\n````\n" in text


@given(st.lists(st.text(), min_size=4, max_size=4).filter(lambda t: all(map(str.strip, t))))
def test_any_words_make_a_card_that_parses(parts, texts):
    name, kind, base, key = texts
    card = Card(name, kind, base, "Ask it.", data={key: base}, metrics={key: 0.5}, license=name)
    head, body = read_card(markdown(card, parts[1].shape))
    assert head["tags"][0] == "ttc_jax" and "## Usage" in body


@given(st.from_regex(r"[a-zA-Z0-9_.\-/]{1,100}", fullmatch=True) | st.text(max_size=10))
def test_what_looks_like_a_name_on_the_hub_is_one(parts, base):
    try:
        validate_repo_id(base)
        valid = "/" in base
    except HFValidationError:
        valid = False
    if base.strip():
        text = markdown(replace(CARD, base=base), parts[1].shape)
        assert ("base_model" in read_card(text)[0]) == valid


@pytest.mark.parametrize("blank", ["name", "kind", "base", "usage"])
def test_a_card_says_what_it_must(blank):
    with pytest.raises(ValueError, match=f"needs a {blank}"):
        replace(CARD, **{blank: " \n"})
