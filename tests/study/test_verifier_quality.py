# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How well scores rank solutions of one question, against every pair counted by hand."""

import itertools

import numpy as np
import pytest
from study.synthetic_runs import LIKELIHOOD, ORM, write_run

from ttc_jax.study.evidence import Evidence
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings
from ttc_jax.study.verifier_quality import aucs


def by_hand(rights, wrongs) -> float:
    won = [(a > b) + (a == b) / 2 for a, b in itertools.product(rights, wrongs)]
    return sum(won) / len(won)


def test_a_few_solutions():
    question = np.array([1, 0, 1, 0, 0, 2])
    right = np.array([1, 1, 0, 0, 0, 1], bool)
    found = aucs(question, right, np.array([0.2, 0.5, 0.7, 0.5, 0.1, 0.9]))
    assert found[:2].tolist() == [0.75, 0.0] and np.isnan(found[2])
    assert aucs(question[:0], right[:0], np.zeros(0)).shape == (0,)


def test_random_solutions_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = rng.integers(1, 60)
        question, right = rng.integers(0, 5, n), rng.random(n) < 0.5
        scores = rng.choice([0.0, 0.25, 0.5, 1.0], n)
        for q, found in enumerate(aucs(question, right, scores)):
            rights, wrongs = (scores[(question == q) & kind] for kind in (right, ~right))
            if len(rights) and len(wrongs):
                assert found == pytest.approx(by_hand(rights, wrongs))
            else:
                assert np.isnan(found)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory) -> Evidence:
    path = tmp_path_factory.mktemp("several")
    write_run(path / "pool", "best_of_n(N=8)", questions=20)
    write_run(path / "small", "best_of_n(N=4)", questions=20)
    write_run(path / "orm", "best_of_n(N=8)", questions=20, verifier=ORM)
    return Evidence(find_runs([path]), ReportSettings(resamples=100))


def test_each_step_of_the_largest_pool_is_judged_within_questions(evidence):
    found = evidence.verifier_quality()
    run, steps = found["prm"]
    assert run.endswith("pool") and [one.step for one in steps] == [1, 2, 3, None]
    (own,) = (run for run in evidence.searches if run.name.endswith("pool"))
    pools = evidence._pools[own.name].values()
    both = [pool for pool in pools if 0 < pool.right.sum() < len(pool)]
    for one in steps:
        at = -1 if one.step is None else one.step - 1
        shares = []
        for pool in both:
            scores = np.array([s[at] for s in pool.steps])
            shares.append(by_hand(scores[pool.right], scores[~pool.right]))
        assert one.auc.mean == pytest.approx(np.mean(shares)) and one.auc.n == len(both)
        assert one.auc.low <= one.auc.mean <= one.auc.high
        assert one.solutions == 8 * len(both)
    # The nearer the end, the more the verifier has seen.
    assert steps[0].auc.mean < steps[2].auc.mean == steps[3].auc.mean


def test_an_outcome_verifier_and_the_likelihood_are_judged_by_their_last_score(evidence):
    found = evidence.verifier_quality()
    assert [one.step for one in found["orm"][1]] == [None]
    (likely,) = found["likelihood"][1]
    (own,) = (run for run in evidence.searches if run.name.endswith("pool"))
    shares = []
    for pool in evidence._pools[own.name].values():
        values = pool.logprobs / pool.tokens
        if 0 < pool.right.sum() < len(pool):
            shares.append(by_hand(values[pool.right], values[~pool.right]))
    assert likely.step is None and likely.auc.mean == pytest.approx(np.mean(shares))


def test_a_run_that_the_likelihood_scored_is_judged_step_by_step(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=8)", questions=20, verifier=LIKELIHOOD)
    evidence = Evidence(find_runs([tmp_path]), ReportSettings(resamples=100))
    found = evidence.verifier_quality()
    assert list(found) == ["likelihood"]
    assert [one.step for one in found["likelihood"][1]] == [1, 2, 3, None]
