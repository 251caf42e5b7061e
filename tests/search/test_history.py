# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Verifiers of revisions read what the prompt of a revision had in view, and nothing twice."""

import random
import re
from collections import Counter
from dataclasses import replace
from functools import cache, partial

import jax
import numpy as np
import pytest
from decode.tiny_model import random_model
from search import dry_programs, tiny_policy
from search.slow_search import single
from search.tiny_policy import EOS, VERIFIER, VOCAB, Letters, questions

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.transformer import forward
from ttc_jax.search.cost import node_flops
from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch
from ttc_jax.search.schedule import Scheduler
from ttc_jax.verify.plain_formats import OutcomeWithHistory
from ttc_jax.verify.verifier import Verifier

QUESTIONS = questions(4)
CONTEXT = 96
# Newlines come often, also two of them, and so do solutions of nothing else.
USUAL = {
    "biases": {0: 4.0, EOS: 0.0, 22: -5.0},
    "sampler": Sampler(2.0),
    "ends": ("\n\n", "?"),
    "max_new": 9,
}
BATCHES = {
    (1, 1): Batch(rows=2, questions=2, page_size=4, segment=4, seed=3),
    (2, 1): Batch(rows=16, page_size=8, segment=64, seed=3),
}


def _verifier(mesh=(1, 1), tokenizer=None, shape=VERIFIER, **settings) -> Verifier:
    tokenizer = tokenizer or Letters()
    mesh, shape = make_mesh(*mesh), replace(shape, vocab=tokenizer.vocab_size)
    model = random_model(shape, mesh, seed=1)
    return Verifier(model, OutcomeWithHistory(tokenizer), mesh=mesh, **settings)


def _finish(scheduler) -> dict:
    """Trees by question; after them everything is free."""
    trees = {tree.question: tree for tree in scheduler.run()}
    for forest in (scheduler.forest, scheduler.scorer.forest):
        forest.settle()
        assert forest.check_pages() == 0
        assert all(forest.free(r) == forest.rows for r in range(forest.replicas))
    return trees


@cache
def _run(name: str, mesh=(1, 1)) -> tuple[dict, Scheduler]:
    policy = tiny_policy.policy(make_mesh(*mesh), **USUAL)
    verifier = _verifier(mesh, page_size=BATCHES[mesh].page_size)
    scheduler = Scheduler(parse(name), QUESTIONS, policy, verifier, BATCHES[mesh])
    return _finish(scheduler), scheduler


@partial(jax.jit, static_argnums=0)
def _read(reader, model, tokens, lens):
    return reader.read(model, forward(model, tokens, lens))


def _clean(text: str) -> str:
    return re.sub(r"\s*\n\s*", "\n", text.strip())


def _score_again(verifier: Verifier, question: str, attempts, solution: str) -> float:
    """The score at the end of the whole text, written here, from one pass over it."""
    if not solution.strip():
        return 0.0
    texts = [_clean(text) for text in (*attempts, solution) if text.strip()]
    ids = Letters().encode(question + "\n" + "\n\n".join(texts) + "\n")
    tokens = np.zeros((1, CONTEXT), np.int32)
    tokens[0, : len(ids)] = ids
    read = _read(verifier.format.reader, single(verifier.model), tokens, np.array([len(ids)]))
    trained, places = verifier.format.whole(question, (*attempts, solution))
    assert (list(trained), places[-1]) == (ids, len(ids) - 1)
    return float(np.asarray(read)[0, len(ids) - 1])


def _in_view(tree, strategy) -> list[tuple]:
    """Each candidate with the attempts that its prompt had."""
    return [
        (tree.candidates[i], tuple(tree.candidates[j] for j in chain[:at][-strategy.memory :]))
        for chain in strategy.chains
        for at, i in enumerate(chain)
    ]


NAMES = ("revise(s=4,p=3)", "revise(s=4,p=3,memory=2)")


@pytest.mark.parametrize("mesh", BATCHES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_the_whole_text(name, mesh):
    trees, scheduler = _run(name, mesh)
    plain, texts = 0, Counter()
    for question in QUESTIONS:
        for node, attempts in _in_view(trees[question.id], parse(name)):
            earlier = [attempt.solution for attempt in attempts]
            expected = _score_again(_run(name)[1].scorer, question.text, earlier, node.solution)
            assert node.scores == (node.value,)
            np.testing.assert_allclose(node.value, expected, atol=1e-5, rtol=0)
            if any(text.strip() for text in earlier) and node.solution.strip():
                alone = _score_again(scheduler.scorer, question.text, (), node.solution)
                plain += abs(alone - expected) > 1e-3
            texts[bool(node.solution.strip())] += 1
    assert plain > 10, "what came before matters"
    assert texts[True] > 20 and texts[False] > 1


@pytest.mark.parametrize("name", NAMES)
def test_the_mesh_and_the_batch_do_not_matter(name):
    for id, tree in _run(name)[0].items():
        other = _run(name, (2, 1))[0][id]
        for one, two in zip(tree.candidates, other.candidates, strict=True):
            assert one.tokens.tolist() == two.tokens.tolist()
            np.testing.assert_allclose(one.value, two.value, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_twice_until_the_window_slides(name):
    trees, scheduler = _run(name)
    strategy, form = parse(name), scheduler.scorer.format
    for question in QUESTIONS:
        tree, judged, again = trees[question.id], {}, {}
        for node, attempts in _in_view(tree, strategy):
            texts = tuple(n.solution for n in (*attempts, node))
            alone, before, whole = (
                len(form.whole(question.text, some)[0]) for some in ((), texts[:-1], texts)
            )
            judged[texts] = whole - before
            if node.round > 2 * strategy.memory:  # the window has slid
                again[texts[:-1]] = before - alone
        read = sum(node.usage["verify"] for node in tree.nodes if node.number >= 0)
        read_again = sum(node.usage["verify_context"] for node in tree.nodes)
        assert not any(node.usage["verify"] for node in tree.nodes if node.number < 0)
        assert bool(again) == (strategy.memory < strategy.s - 1)
        assert read <= sum(judged.values()) and read_again <= sum(again.values())
        if not again:
            assert (read, read_again) == (sum(judged.values()), 0)
        assert 0 < tree.usage["verifier_pages"] <= scheduler.scorer.forest.pages
    nodes = [node for tree in trees.values() for node in tree.nodes]
    usage = sum((node.usage for node in nodes), Counter())
    assert scheduler.progress.verify_tokens == usage["verify"] + usage["verify_context"]


def test_what_is_read_again_costs_flops():
    trees, scheduler = _run("revise(s=4,p=3,memory=2)")
    models = scheduler.policy.model.shape, scheduler.scorer
    costs = [
        (node.usage["verify_context"], node_flops(tree, node, *models))
        for tree in trees.values()
        for node in tree.nodes
        if node.number < 0
    ]
    assert any(tokens for tokens, _ in costs)
    for tokens, cost in costs:
        assert bool(tokens) == (cost.get("verify_context", 0) > 0)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("beam(N=4,M=2)", VERIFIER, "needs a score after every step, .* only whole solutions"),
        # Four attempts and a solution of 9 tokens and 5 lines, and what parts them.
        (
            "revise(s=9,p=2)",
            replace(VERIFIER, context=84),
            "at most 84 tokens, but question 'q0' has 11, the attempts of a prompt and a solution "
            "up to 45, and the tags of 29 steps 29: 85 together; lower memory or max_new, or take",
        ),
    ],
    ids=["beam", "context"],
)
def test_what_cannot_be_read_is_said_before(name, shape, message):
    policy = tiny_policy.policy(**USUAL)
    with pytest.raises(ValueError, match=message):
        Scheduler(parse(name), QUESTIONS, policy, _verifier(shape=shape), BATCHES[1, 1])


def test_the_context_is_just_enough():
    policy = tiny_policy.policy(**USUAL)
    verifier = _verifier(shape=replace(VERIFIER, context=85))
    Scheduler(parse("revise(s=9,p=2)"), QUESTIONS, policy, verifier, BATCHES[1, 1])
    assert verifier.forest.context == 85


# ------------------------------------------------------------------ whole runs without a device

LETTERS = np.ones(VOCAB)
LETTERS[[0, EOS]] = 0
NO_END = np.ones(VOCAB)
NO_END[EOS] = 0
ODDS = {"letters": LETTERS, "no end": NO_END, "short": np.ones(VOCAB)}


@pytest.mark.parametrize("odds", ODDS.values(), ids=ODDS)
@pytest.mark.parametrize("devices", [1, 2])
def test_rows_and_pages_are_enough_for_the_worst(devices, odds, monkeypatch):
    dry_programs.install(monkeypatch, odds=odds)
    policies = [tiny_policy.policy(make_mesh(d), ends=()) for d in (1, 2)]
    verifiers = {size: _verifier((devices, 1), page_size=size) for size in (1, 4, 16)}
    for seed in range(24):
        draw = random.Random(seed)
        s, p, memory = draw.randrange(1, 7), draw.randrange(1, 9), draw.randrange(1, 5)
        policy = replace(draw.choice(policies), max_new=draw.randrange(1, 30))
        verifier = verifiers[draw.choice((1, 4, 16))]
        batch = Batch(
            rows=draw.choice((2, 4, 16)), questions=draw.choice((0, 1, 2)),
            page_size=draw.choice((1, 4, 16)), segment=draw.choice((3, 64)),
        )  # fmt: skip
        name = draw.choice((f"revise(s={s},p={p},memory={memory})", f"best_of_n(N={p})"))
        scheduler = Scheduler(parse(name), QUESTIONS, policy, verifier, batch)
        trees = _finish(scheduler)
        together = -(-scheduler._plan.questions * policy.mesh.shape["data"] // verifier.replicas)
        for tree in trees.values():
            assert tree.usage["verifier_pages"] <= verifier.forest.pages // together
            assert not any(node.finish == "unread" for node in tree.nodes)


def test_a_plan_is_not_much_more_than_the_worst(monkeypatch):
    monkeypatch.setattr("ttc_jax.decode.layout._CHEAP_POOL", 0)  # no page more than is planned
    dry_programs.install(monkeypatch, odds=LETTERS)
    policy = tiny_policy.policy(ends=(), max_step=40)
    verifier = _verifier(page_size=4)
    scheduler = Scheduler(parse("revise(s=5,p=4)"), QUESTIONS[:1], policy, verifier, Batch(rows=4))
    _finish(scheduler)
    assert verifier.forest.cache.pages.most > 0.5 * verifier.forest.pages


class Fifths(Letters):
    """Five tokens for every letter, one for a newline."""

    def encode(self, text: str, *, bos: bool | None = None) -> list[int]:
        return [id for id in super().encode(text) for _ in range(5 if id else 1)]


@pytest.mark.parametrize("name", [*NAMES, "revise(s=6,p=4,memory=1)"])
def test_attempts_that_outgrow_the_verifier(name, monkeypatch):
    """Some solutions fit alone, and not behind the attempts before them."""
    odds = LETTERS.copy()
    odds[EOS] = 0.5
    dry_programs.install(monkeypatch, odds=odds)
    policy = tiny_policy.policy(ends=(), max_new=20)
    verifier = _verifier(tokenizer=Fifths())
    scheduler = Scheduler(parse(name), QUESTIONS, policy, verifier, BATCHES[1, 1])
    seen = Counter()
    trees = _finish(scheduler)
    for question in QUESTIONS:
        for node, attempts in _in_view(trees[question.id], parse(name)):
            texts = [n.solution for n in (*attempts, node)]
            ids, _ = verifier.format.whole(question.text, texts)
            fits = len(ids) <= verifier.forest.context
            assert (node.finish == "unread") == (not fits)
            if not fits:
                assert (node.scores, node.value) == ((), 0.0)
            seen[fits] += 1
    assert seen[True] > 5 and seen[False] > 5
