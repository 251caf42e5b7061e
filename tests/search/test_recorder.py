# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole trees reach the store graded, on an interrupt too, errors come out, trees come back."""

import errno
import os
from collections import Counter

import numpy as np
import pytest

from ttc_jax.core import records
from ttc_jax.core.places import WorkdirError
from ttc_jax.core.samples import SampleStore
from ttc_jax.data.sources import Question
from ttc_jax.search import recorder as module
from ttc_jax.search.recorder import Recorder, stored_tree
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.grade import Grader


def node(number: int, parent: Node | None, text: str = "", **fields) -> Node:
    """A node of one token a byte; its steps are the lines of its text."""
    tokens = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    logprobs = np.full(len(tokens), -0.5, np.float32)
    steps = tuple(line.strip() for line in text.split("\n") if line.strip())
    return Node(number, parent, tokens=tokens, logprobs=logprobs, text=text, steps=steps, **fields)


def plain(question: str, *texts: str) -> Tree:
    """Best-of-N: whole solutions over one prompt."""
    root = Node(-1)
    leaves = [node(i, root, text, finish="stop") for i, text in enumerate(texts)]
    return Tree(question, [root, *leaves], leaves)


def searched() -> Tree:
    """Two beams, of which the second is the better one, and one that was given up."""
    root = Node(-1, usage=Counter(prefill=9))
    a = node(0, root, "3 + 4\n\n", scores=(0.5,), value=0.5, usage=Counter(decode=7, verify=8))
    b = node(1, root, "4 * 4\n\n", scores=(0.25,), value=0.125, ahead="16.", ahead_scores=(0.125,))
    c = node(2, a, "= 8\n\nThe answer is 8.", round=1, scores=(0.5, 0.25), value=0.25,
             finish="stop")  # fmt: skip
    d = node(3, a, "= 7\nThe answer is 7.", round=1, scores=(0.75, 0.75), value=0.75, finish="stop")
    return Tree("q1", [root, a, b, c, d], [d, c], Counter(verifier_prefill=11, pages=5))


@pytest.fixture
def store(tmp_path) -> SampleStore:
    return SampleStore(tmp_path / "samples")


@pytest.fixture
def recorder(store):
    questions = [Question(f"q{i}", "How much?", "7") for i in range(20)]
    cost = lambda tree, node: {"decode": float(len(node.tokens))}  # noqa: E731
    with Grader(workers=1) as grader:
        yield Recorder(store, grader, questions, cost)


def test_candidates_are_graded_and_stored(store, recorder):
    with recorder:
        recorder.add(plain("q1", "3 + 4\n\nThe answer is 7.", "The answer is 8.", "hm"))
    prompt, *samples = store.read()
    assert [s.verdict for s in samples] == ["correct", "wrong", "unparsed"]
    assert [s.answer for s in samples] == ["7", "8", None]
    assert samples[0].steps == ["3 + 4", "The answer is 7."]
    assert samples[0].offsets == [0, 7]
    assert samples[2].logprob == -1.0
    assert samples[2].flops == {"decode": 2.0}
    assert (prompt.branch, prompt.parent, prompt.role, prompt.verdict) == (-1, None, "prompt", "")
    assert (prompt.text, prompt.answer) == ("How much?", "7")


def test_every_node_of_a_search_is_stored(store, recorder):
    with recorder:
        recorder.add(searched())
    prompt, a, b, c, d = store.read()
    assert [s.role for s in (a, b, c, d)] == ["expanded", "pruned", "candidate", "candidate"]
    assert [s.place for s in (prompt, a, b, c, d)] == [-1, -1, -1, 1, 0]
    assert [s.parent for s in (a, b, c, d)] == [-1, -1, 0, 0]
    assert [s.round for s in (a, b, c, d)] == [0, 0, 1, 1]
    assert [s.verdict for s in (a, b, c, d)] == ["", "", "wrong", "correct"]
    assert [s.value for s in (prompt, a, b, c, d)] == [None, 0.5, 0.125, 0.25, 0.75]
    assert (b.ahead, b.ahead_scores) == ("16.", [0.125])
    assert (c.steps, c.offsets) == (["= 8", "The answer is 8."], [0, 5])
    assert prompt.usage == {"prefill": 9, "verifier_prefill": 11, "pages": 5}
    assert a.usage == {"decode": 7, "verify": 8}


def test_trees_come_back(store, recorder):
    before = searched()
    with recorder:
        recorder.add(before)
    after = stored_tree(store.read())
    assert after.question == "q1" and after.usage == before.usage + before.nodes[0].usage
    assert [n.number for n in after.nodes] == [n.number for n in before.nodes]
    assert [n.number for n in after.candidates] == [3, 2]
    assert after.nodes[0].text == "How much?"
    for new, old in zip(after.nodes[1:], before.nodes[1:], strict=True):
        assert after.role(new) == before.role(old)
        assert new.solution == old.solution and new.all_scores == old.all_scores
        assert new.tokens.tolist() == old.tokens.tolist() and new.tokens.dtype == np.int32
        kept = ("round", "text", "finish", "steps", "scores", "value", "ahead", "ahead_scores")
        assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
    assert after.candidates[0].solution == "3 + 4\n\n= 7\nThe answer is 7."
    assert after.candidates[0].all_scores == [0.5, 0.75, 0.75]


def test_prompts_of_revisions_come_back_too(store, recorder):
    root, again = Node(-1), node(-2, None, "Q and 8. Again?", round=1)
    first, second = node(0, root, "8", finish="stop"), node(1, again, "7", round=2, finish="stop")
    with recorder:
        recorder.add(Tree("q1", [root, again, first, second], [first, second]))
    tree = stored_tree(store.read())
    assert [n.number for n in tree.nodes] == [-1, -2, 0, 1]
    assert tree.nodes[1].text == "Q and 8. Again?"
    assert tree.nodes[3].parent is tree.nodes[1] and tree.nodes[3].solution == "7"


def test_samples_without_a_stored_prompt_get_one(store, recorder):
    with recorder:
        recorder.add(plain("q1", "7"))
    tree = stored_tree([s for s in store.read() if s.role == "candidate"])
    assert [n.number for n in tree.nodes] == [-1, 0] and tree.nodes[1].parent is tree.nodes[0]


def test_samples_that_make_no_tree_are_refused(store, recorder):
    with recorder:
        recorder.add(searched())
        recorder.add(plain("q2", "7"))
    samples = store.read()
    with pytest.raises(ValueError, match=r"one question, got \['q1', 'q2'\]"):
        stored_tree(samples)
    with pytest.raises(ValueError, match="sample 2 continues 0, which is not stored"):
        stored_tree([s for s in samples if s.question == "q1" and s.branch != 0])


def test_a_step_that_is_not_in_its_text_is_an_error(recorder):
    tree = plain("q1", "The answer is 7.")
    tree.candidates[0].steps = ("The answer is 8.",)
    with pytest.raises(ValueError, match="node 0: step 'The answer is 8.' is not in"), recorder:
        recorder.add(tree)


def test_a_shard_for_every_few_questions(store, recorder, monkeypatch):
    monkeypatch.setattr(module, "QUESTIONS_PER_SHARD", 2)
    with recorder:
        for i in range(5):
            recorder.add(plain(f"q{i}", "The answer is 7."))
    assert len(list(store.directory.glob("*.parquet"))) == 3
    assert len(store.done()) == 5


def test_old_questions_do_not_wait_for_a_full_shard(store, recorder, monkeypatch):
    with recorder:
        recorder.add(plain("q1", "The answer is 7."))
        monkeypatch.setattr(module, "SECONDS_PER_SHARD", 0.0)
        recorder.tick()
        recorder.add(plain("q2", "The answer is 7."))
    assert len(list(store.directory.glob("*.parquet"))) == 2


def test_an_interrupt_keeps_what_is_finished(store, recorder):
    with pytest.raises(KeyboardInterrupt), recorder:
        recorder.add(plain("q1", "The answer is 7."))
        raise KeyboardInterrupt
    assert store.done() == {"q1"}


def test_a_full_disk_comes_out(recorder, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(WorkdirError, match="No space left"), recorder:
        recorder.add(plain("q1", "The answer is 7."))
