# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Features of questions against the plain forward pass, one question at a time."""

from dataclasses import replace

import numpy as np
import pytest
from search.tiny_policy import Letters, policy, questions

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.sources import Question
from ttc_jax.model.transformer import forward
from ttc_jax.search.features import features

EXAMPLE = "a b?\nb\n"


def asking(mesh=None):
    """A policy whose prompts have a worked example before the question."""
    return policy(mesh, prompt=lambda q, attempts: Letters().encode(f"{EXAMPLE}{q.text}\n"))


def expected(asked, question: Question) -> np.ndarray:
    tokens = np.int32([asked.prompt(question, ())])
    hidden = np.asarray(forward(asked.model, tokens))[0]
    return hidden[len(EXAMPLE) :].mean(0)


@pytest.fixture(scope="module")
def asked():
    return asking()


@pytest.fixture(scope="module")
def mixed() -> list[Question]:
    """Questions of 2 to 81 letters, more than fit one batch."""
    texts = ["dc"] + [q.text * (1 + i % 5) for i, q in enumerate(questions(20, 15))]
    return [Question(f"q{i}", text, "") for i, text in enumerate(texts)]


def test_the_mean_is_over_the_question_alone_whatever_it_is_batched_with(asked, mixed):
    found = features(asked, mixed)
    assert found.vectors.shape == (21, 32) and found.vectors.dtype == np.float32
    for question, vector in zip(mixed, found.vectors, strict=True):
        assert np.allclose(vector, expected(asked, question), atol=1e-5)
    assert np.allclose(features(asked, mixed[:1]).vectors, found.vectors[:1], atol=1e-5)


def test_flops_are_those_of_the_prompts(asked, mixed):
    shape = asked.model.shape
    lengths = [len(asked.prompt(question, ())) for question in mixed]
    found = features(asked, mixed).flops
    assert found.tolist() == [shape.forward_flops(0, n, logits=0) for n in lengths]


def test_a_mesh_does_not_change_them(asked, mixed):
    one = features(asked, mixed).vectors
    assert np.allclose(features(asking(make_mesh(4, 2)), mixed).vectors, one, atol=1e-5)


def test_what_cannot_be_read(asked):
    with pytest.raises(ValueError, match="no questions"):
        features(asked, [])
    with pytest.raises(ValueError, match="'long': its prompt has 408 tokens, the model reads 256"):
        features(asked, [Question("long", "b" * 400, "")])
    empty = replace(asked, prompt=lambda question, attempts: [])
    with pytest.raises(ValueError, match="'q' has an empty prompt"):
        features(empty, [Question("q", "a", "")])
