# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The ledger of a whole run is what its stored rows come to, counted again: to the last FLOP."""

import json
from collections import Counter
from dataclasses import asdict, replace

import jax
import numpy as np
import pytest
from decode.tiny_model import random_model
from search import dry_programs, tiny_policy
from search.recount import Recount
from search.tiny_policy import EOS, POLICY, VERIFIER, Letters, biased

from ttc_jax.core.mesh import make_mesh
from ttc_jax.core.samples import SampleStore, by_question
from ttc_jax.decode.sample import Sampler
from ttc_jax.learn.monte_carlo import MonteCarlo
from ttc_jax.search.cost import node_flops
from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.recorder import Recorder
from ttc_jax.search.revise import Revise
from ttc_jax.search.schedule import Scheduler
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.grade import Grader
from ttc_jax.verify.plain_formats import Outcome, OutcomeWithHistory, Steps
from ttc_jax.verify.readers import TokenPair
from ttc_jax.verify.scorer import Scorer
from ttc_jax.verify.verifier import Verifier

QUESTIONS = tiny_policy.questions(5)
# All prompts begin alike, for longer than a page and than the shorter window.
BEGIN = "ab cd ef\n"
WINDOWS = {"policy": (0, 7), "verifier": (11, 0)}
BIASES = {0: 3.0, EOS: -5.0, 22: -5.0}
ODDS = np.r_[3.0, 0.0, 1.0, 1.0, [0.0] * 20, 0.2]  # newlines, two letters, an end: much is alike
SETTINGS = {"sampler": Sampler(2.0), "ends": ("\n\n", "?"), "max_new": 15, "max_step": 6}
PAGE = 8


class Signs(Steps):
    """Steps that are read by two tokens of the language head."""

    def __init__(self, tokenizer, template):
        super().__init__(tokenizer, template)
        self._reader = TokenPair(4, 9)


def _prompt(question, attempts) -> list[int]:
    return Letters().encode(BEGIN + "\n".join([question.text, *attempts]) + "\n")


def _policy(replicas: int) -> Policy:
    mesh = make_mesh(replicas)
    model = random_model(replace(POLICY, windows=WINDOWS["policy"]), mesh)
    policy = tiny_policy.policy(mesh, prompt=_prompt, **SETTINGS)
    return replace(policy, model=biased(model, BIASES))


def _verifier(kind, replicas: int, **changes) -> Verifier:
    mesh = make_mesh(replicas)
    shape = replace(VERIFIER, windows=WINDOWS["verifier"], **changes)
    form = kind(Letters(), BEGIN + "{question}\n")
    return Verifier(random_model(shape, mesh, seed=1), form, mesh=mesh, page_size=PAGE)


def _run(strategy, policy, scorer, directory, batch=None) -> tuple[Scheduler, list[Recount]]:
    """A run, stored and counted again; rows, ledger and recount agree."""
    replicas = policy.mesh.shape["data"]
    batch = batch or Batch(  # so few rows always run the same programs
        rows=3 * replicas, questions=2 * replicas, page_size=PAGE, segment=8, seed=3
    )
    scheduler = Scheduler(strategy, QUESTIONS, policy, scorer, batch)
    models, store = (policy.model.shape, scorer), SampleStore(directory / "samples")
    with (
        Grader() as grader,
        Recorder(store, grader, QUESTIONS, lambda *node: node_flops(*node, *models)) as recorder,
    ):
        for tree in scheduler.run():
            recorder.add(tree)
    history = scorer is not None and scorer.history and isinstance(strategy, Revise)
    chains = {"chain": strategy.s, "memory": strategy.memory} if history else {}
    verifier = None if scorer is None else (scorer.model.shape, scorer.format)
    recounts, total = [], Counter()
    for rows in by_question(store.read()):
        recounts.append(Recount(rows, policy.model.shape, *(verifier or ()), **chains))
        for row in rows:
            assert all(flops == int(flops) for flops in row.flops.values())
            stored = Counter({phase: int(flops) for phase, flops in row.flops.items()})
            assert +stored == +recounts[-1].flops[row.branch], row.branch
            total.update(stored)
    assert len(recounts) == len(QUESTIONS)
    ledger = scheduler.progress.ledger
    assert {phase: spent["useful"] for phase, spent in ledger.items()} == +total
    for spent in ledger.values():
        assert all(type(number) is int for number in spent.values())
        assert spent["executed"] >= spent["useful"] > 0 and spent["bytes"] > 0
    line = asdict(scheduler.progress)
    assert json.loads(json.dumps(line))["ledger"] == ledger
    return scheduler, recounts


# ------------------------------------------------------------------ runs of tiny models


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Programs take seconds to compile here and milliseconds to run."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def test_lookahead_with_a_verifier(tmp_path):
    strategy = parse("lookahead(N=4,M=2,k=2)")
    scheduler, recounts = _run(strategy, _policy(2), _verifier(Steps, 2), tmp_path)
    assert scheduler.progress.ledger.keys() == {
        "prefill", "decode", "lookahead", "verifier_prefill", "verify", "verify_lookahead",
    }  # fmt: skip
    assert sum(recount.shared for recount in recounts) > 2, "beginnings and equal steps"
    encoded = sum(recount.rows[-1].usage["prefill"] for recount in recounts)
    assert encoded < sum(len(recount.rows[-1].tokens) - 1 for recount in recounts)


def test_revisions_with_a_verifier_that_reads_history(tmp_path):
    strategy, policy = parse("revise(s=4,p=2,memory=2)"), replace(_policy(1), max_new=6)
    scheduler, recounts = _run(strategy, policy, _verifier(OutcomeWithHistory, 1), tmp_path)
    assert scheduler.progress.ledger.keys() == {
        "prefill", "revision_context", "decode", "verifier_prefill", "verify", "verify_context",
    }  # fmt: skip
    assert sum(recount.again for recount in recounts) > 5


def test_rollouts_for_labels(tmp_path):
    scheduler, _ = _run(MonteCarlo(4, 3, rounds=6), _policy(1), None, tmp_path)
    assert scheduler.progress.ledger.keys() == {"prefill", "decode", "rollout"}


# ------------------------------------------------------------------ many without a device

SEARCHES = {
    "beam": ("beam(N=8,M=4)", Steps, {"value_hidden": 5}),
    "two tokens": ("lookahead(N=6,M=2,k=1)", Signs, {"value_classes": 0}),
    "distinct": ("lookahead(N=6,M=3,k=3,distinct=True)", Steps, {}),
    "dvts": ("dvts(N=8,M=4)", Steps, {}),
    "rebase": ("rebase(N=8,T=0.02)", Steps, {}),
    "best of n": ("best_of_n(N=9)", Steps, {}),
    "outcome": ("best_of_n(N=9)", Outcome, {}),
    "revisions": ("revise(s=3,p=4,memory=1)", Steps, {}),
    "history": ("revise(s=5,p=2,memory=3)", OutcomeWithHistory, {}),
}


def _dry_runs(strategy, scorers, monkeypatch, tmp_path) -> list[Recount]:
    """Runs on batches of many kinds, on one replica and on two."""
    policies = [replace(_policy(replicas), max_new=12) for replicas in (1, 2)]
    found = []
    for seed, scorer in enumerate(scorers):
        dry_programs.install(monkeypatch, seed, ODDS)
        batch = Batch(
            rows=(2, 4, 16)[seed % 3], questions=(0, 1, 3)[seed % 3], page_size=PAGE,
            segment=(3, 64)[seed % 2], seed=seed,
        )  # fmt: skip
        found += _run(strategy, policies[seed % 2], scorer, tmp_path / str(seed), batch)[1]
    return found


@pytest.mark.parametrize(("name", "kind", "changes"), SEARCHES.values(), ids=SEARCHES)
def test_any_search_on_any_batch(name, kind, changes, monkeypatch, tmp_path):
    scorers = [_verifier(kind, replicas, **changes) for replicas in (1, 1, 2, 2)]
    recounts = _dry_runs(parse(name), scorers, monkeypatch, tmp_path)
    assert sum(recount.shared for recount in recounts) > 10


def test_rollouts_on_any_batch(monkeypatch, tmp_path):
    recounts = _dry_runs(MonteCarlo(5, 3, rounds=6), [None] * 4, monkeypatch, tmp_path)
    assert sum(row.rollout for recount in recounts for row in recount.rows.values()) > 50


# ------------------------------------------------------------------ other scorers


class Lengths(Scorer):
    """Scores solutions by how long they are."""

    def prepare(self, questions, room):
        pass

    def allocate(self, questions, rows):
        pass

    def open(self, questions):
        pass

    def score(self, claims):
        pass

    def close(self, state):
        pass


def test_a_scorer_that_is_no_model_costs_nothing():
    scorer = Lengths()
    assert scorer.ledger.by_phase() == {}
    root = Node(-1, tokens=np.arange(4), usage=Counter(prefill=3))
    node = Node(0, root, tokens=np.arange(5), usage=Counter(decode=5, verify=6), verify_at=7)
    tree = Tree("q", [root, node], [node], Counter(verifier_prefill=7))
    assert node_flops(tree, node, POLICY, scorer) == node_flops(tree, node, POLICY) | {"verify": 0}
    assert node_flops(tree, root, POLICY, scorer)["verifier_prefill"] == 0
