# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ttc_jax.data import subset_sums_tokenizer
from ttc_jax.data.prompts import FewShot, Revision
from ttc_jax.data.sources import Question
from ttc_jax.data.subset_sums import SubsetSums, generate
from ttc_jax.model.load import checkpoint_directory, load_checkpoint
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.verify.formats import continued
from ttc_jax.verify.plain_formats import Outcome, OutcomeWithHistory, Steps

LEVELS = ((2, 4), (1, 3), (5, 10), (8, 12))
STYLE = Revision(FewShot(template="{question}\n{solution}"))


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(checkpoint_directory("builtin:subset_sums"))


@pytest.fixture(scope="module")
def questions():
    return list(generate(SubsetSums(200, 0, LEVELS), "train"))


def prompt(text, attempts):
    return STYLE.render(Question("q", text, "a"), attempts)


def test_the_shipped_files_are_what_the_command_makes(tmp_path):
    subset_sums_tokenizer.write(tmp_path)
    shipped = checkpoint_directory("builtin:subset_sums")
    one, other = (
        ModelProto.FromString((path / "tokenizer.model").read_bytes())
        for path in (shipped, tmp_path)
    )
    assert one == other
    name = "tokenizer_config.json"
    assert (shipped / name).read_text() == (tmp_path / name).read_text()


def test_every_text_of_the_task_comes_back(tokenizer, questions):
    for text, solution, _ in questions:
        attempts = [solution, solution[: solution.rindex(" ")], "=6 1", "=6 1+30"] * 2
        for written in (text, solution, prompt(text, ()), prompt(text, attempts)):
            ids = tokenizer.encode(written)
            assert tokenizer.decode(ids) == written
            assert ids[0] == tokenizer.bos == 1 and 0 not in ids
    assert tokenizer.eos == (2,) and tokenizer.vocab_size == 130


def test_whatever_is_written_is_cut_in_one_way_only(tokenizer):
    random = np.random.default_rng(0)
    for ids in random.integers(3, tokenizer.vocab_size, (1000, 12)).tolist():
        assert tokenizer.encode(tokenizer.decode(ids), bos=False) == ids


def test_a_word_of_the_task_is_a_token(tokenizer, questions):
    for text, solution, level in questions:
        m, n = LEVELS[level - 1]
        asked, solved = tokenizer.encode(text), tokenizer.encode(solution, bos=False)
        assert len(asked) == 1 + m + 1 + n and len(solved) == 4 * m - 1
        attempts = [solution] * 8
        # An attempt takes its heading and a blank beside its own tokens, the blank lines nothing.
        long = tokenizer.encode(prompt(text, attempts))
        assert len(long) == len(asked) + 8 * (len(solved) + 2) + 1


def test_solutions_continue_prompts(tokenizer, questions):
    for text, solution, _ in questions[:20]:
        solved = tuple(tokenizer.encode(solution, bos=False))
        assert continued(tokenizer, prompt(text, ()), solution) == solved
        revised = continued(tokenizer, prompt(text, [solution]), f" {solution}")
        assert tokenizer.decode(revised) == f" {solution}" and revised[1:] == solved
        # The verifier reads exactly what the policy wrote, and a newline behind each line.
        steps = Steps(tokenizer).whole(text, solution.split("\n"))[0]
        assert steps == (*tokenizer.encode(prompt(text, ())), *solved, 3)
        assert Outcome(tokenizer).whole(text, [solution])[0] == steps
        assert OutcomeWithHistory(tokenizer).whole(text, [solution] * 2)[0][: len(steps)] == steps


def test_what_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no builtin:pears; there are builtin:subset_sums"):
        checkpoint_directory("builtin:pears")
    with pytest.raises(FileNotFoundError, match="no config.json.*train from scratch"):
        load_checkpoint("builtin:subset_sums")
