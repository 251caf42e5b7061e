# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The likelihood as a control of a report, against counts by hand over what was stored."""

import math

import numpy as np
import pytest
from study.synthetic_runs import HISTORY, LIKELIHOOD, REVISION, write_run

from ttc_jax.core.samples import candidates, read_samples
from ttc_jax.study.curves import Curve, Measured
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.likelihood import against
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings

BOOT = {"n_resamples": 200, "level": 0.95}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    path = tmp_path_factory.mktemp("several")
    write_run(path / "pool", "best_of_n(N=8)", questions=20)
    write_run(path / "beam", "beam(N=4,M=2)", questions=20)
    write_run(path / "likely", "beam(N=4,M=2)", questions=20, verifier=LIKELIHOOD)
    write_run(path / "chains", "revise(s=2,p=2)", questions=20, policy=REVISION, verifier=HISTORY)
    return path


@pytest.fixture(scope="module")
def evidence(several) -> Evidence:
    return Evidence(find_runs([several]), ReportSettings(resamples=100, samples=4))


@pytest.mark.parametrize("rule", ["weighted", "best"])
def test_best_of_n_by_likelihood_is_what_the_stored_samples_say(several, evidence, rule):
    """At the largest budget, where nothing is drawn at random: 4 of 8 are left."""
    right, spent = [], []
    for question in evidence.questions:
        rows = read_samples(several / "pool" / "samples", question)
        (prompt,) = (row for row in rows if row.branch == -1)
        own = candidates(rows)[4:]
        values = [math.exp(row.logprob / len(row.tokens)) for row in own]
        worth: dict[str, float] = {}
        for row, value in zip(own, values, strict=True):
            if row.answer is not None:
                had = worth.get(row.answer, 0.0)
                worth[row.answer] = had + value if rule == "weighted" else max(had, value)
        right.append(bool(worth) and max(worth, key=worth.get) == prompt.answer)
        spent.append(prompt.flops["prefill"] + sum(row.flops["decode"] for row in own))
    curve = evidence.best_of_n(rule, "likelihood")
    assert [point.budget for point in curve.points] == [1, 2, 4]
    assert curve.points[-1].right.tolist() == right
    assert curve.points[-1].flops == pytest.approx(spent)  # the PRM of that run is not charged


def test_a_pool_without_a_verifier_will_do(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=4)", questions=4, verifier=None)
    evidence = Evidence(find_runs([tmp_path]), ReportSettings(resamples=100))
    assert evidence.best_of_n("best", "likelihood") and evidence.best_of_n("best") is None
    assert evidence.control("prm") is None


def test_searches_by_the_likelihood_are_a_family_of_their_own(evidence):
    prm, likely = (evidence.searches_by("weighted", kind=kind) for kind in ("prm", "likelihood"))
    assert list(prm) == ["beam_sqrt"] and list(likely) == ["likelihood_beam_sqrt"]
    assert likely["likelihood_beam_sqrt"].name == "beam M=√N, likelihood"
    assert [p.source.split("/")[-1] for p in likely["likelihood_beam_sqrt"].points] == ["likely"]
    assert [p.source.split("/")[-1] for p in prm["beam_sqrt"].points] == ["beam"]


def test_values_of_a_search_by_likelihood_are_those_told_from_its_log_probabilities(evidence):
    (run,) = (run for run in evidence.searches if run.name.endswith("likely"))
    for pool in evidence.pools(run).values():
        own = np.exp(pool.logprobs / pool.tokens)
        np.testing.assert_allclose(pool.values, own, rtol=1e-6)
        assert pool.tokens.tolist() == [15] * len(pool)


def test_chains_are_chosen_from_by_likelihood_without_a_run_of_it(evidence):
    grid = evidence.grid("hierarchical", "likelihood")
    assert grid.keys() == evidence.grid("hierarchical").keys()
    assert grid[2, 2].flops.sum() < evidence.grid("hierarchical")[2, 2].flops.sum()


def test_a_pool_scored_by_likelihood_alone_predicts_no_difficulty(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=8)", questions=20, verifier=LIKELIHOOD)
    evidence = Evidence(find_runs([tmp_path]), ReportSettings(resamples=100))
    assert evidence.difficulty("oracle") and evidence.difficulty("predicted") is None
    assert evidence.best_of_n("weighted") is None and evidence.best_of_n("weighted", "likelihood")


def curve(rule: str, **right) -> Curve:
    """Points by budget, as in _4=[1, 0]."""
    return Curve(rule, tuple(
        Measured("best_of_n", rule, float(n[1:]), np.array(values, float), np.ones(len(values)), "")
        for n, values in right.items()
    ))  # fmt: skip


def test_a_verifier_stands_against_the_better_rule_at_the_largest_common_budget():
    prm = curve("weighted", _1=[0] * 8, _4=[1] * 6 + [0] * 2, _8=[1] * 8)
    weighted, best = curve("weighted", _4=[1] * 3 + [0] * 5), curve("best", _4=[1] * 5 + [0] * 3)
    found = against("prm", prm, [weighted, best], **BOOT)
    assert (found.budget, found.rule) == (4, "best")
    assert (found.verifier.mean, found.likelihood.mean) == (6 / 8, 5 / 8)
    assert found.difference.mean == 1 / 8 and not found.beats
    assert against("prm", prm, [weighted], **BOOT).beats
    assert against("prm", curve("weighted", _1=[0]), [curve("best", _1=[0])], **BOOT) is None
