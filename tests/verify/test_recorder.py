# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Finished questions reach the store graded, also on an interrupt, and errors come out."""

import errno
import os

import numpy as np
import pytest

from ttc_jax.core import records
from ttc_jax.core.records import WorkdirError
from ttc_jax.core.samples import SampleStore
from ttc_jax.decode.batch import Branch, Completion
from ttc_jax.verify import recorder as module
from ttc_jax.verify.grade import Grader
from ttc_jax.verify.recorder import Recorder


class Bytes:
    """A tokenizer of one token a byte."""

    def decode(self, ids) -> str:
        return bytes(ids).decode()


def completion(name: str, *texts: str) -> Completion:
    branches = tuple(
        Branch(i, np.frombuffer(text.encode(), np.uint8).astype(np.int32),
               np.full(len(text), -0.5, np.float32), "stop")
        for i, text in enumerate(texts)
    )  # fmt: skip
    return Completion(name, branches, prompt_tokens=3)


@pytest.fixture
def store(tmp_path) -> SampleStore:
    return SampleStore(tmp_path / "samples")


@pytest.fixture
def recorder(store):
    answers = {f"q{i}": "7" for i in range(20)}
    cost = lambda completion, branch: {"decode": float(len(branch.tokens))}  # noqa: E731
    with Grader(workers=1) as grader:
        yield Recorder(store, grader, Bytes(), answers, cost)


def test_samples_are_graded_and_stored(store, recorder):
    with recorder:
        recorder.add(completion("q1", "3 + 4\n\nThe answer is 7.", "The answer is 8.", "hm"))
    samples = store.read()
    assert [s.verdict for s in samples] == ["correct", "wrong", "unparsed"]
    assert [s.answer for s in samples] == ["7", "8", None]
    assert samples[0].steps == ["3 + 4", "The answer is 7."]
    assert samples[0].offsets == [0, 7]
    assert samples[2].logprob == -1.0
    assert samples[2].flops == {"decode": 2.0}


def test_a_shard_for_every_few_questions(store, recorder, monkeypatch):
    monkeypatch.setattr(module, "QUESTIONS_PER_SHARD", 2)
    with recorder:
        for i in range(5):
            recorder.add(completion(f"q{i}", "The answer is 7."))
    assert len(list(store.directory.glob("*.parquet"))) == 3
    assert len(store.done()) == 5


def test_old_questions_do_not_wait_for_a_full_shard(store, recorder, monkeypatch):
    with recorder:
        recorder.add(completion("q1", "The answer is 7."))
        monkeypatch.setattr(module, "SECONDS_PER_SHARD", 0.0)
        recorder.tick()
        recorder.add(completion("q2", "The answer is 7."))
    assert len(list(store.directory.glob("*.parquet"))) == 2


def test_an_interrupt_keeps_what_is_finished(store, recorder):
    with pytest.raises(KeyboardInterrupt), recorder:
        recorder.add(completion("q1", "The answer is 7."))
        raise KeyboardInterrupt
    assert store.done() == {"q1"}


def test_a_full_disk_comes_out(recorder, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(WorkdirError, match="No space left"), recorder:
        recorder.add(completion("q1", "The answer is 7."))
