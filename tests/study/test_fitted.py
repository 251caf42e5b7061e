# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace

import numpy as np
import pytest
from study.measured_points import measured

from ttc_jax.study.bins import edges_of, quantile_bins
from ttc_jax.study.difficulty import few, fit_shrinkage, oracle
from ttc_jax.study.fitted import Considered, fit
from ttc_jax.study.folds import folds
from ttc_jax.study.policy import allocate
from ttc_jax.study.probe import fit_probe

IDS = [f"q{i:02d}" for i in range(16)]
VALUES = [[0.9 - 0.05 * i, 0.95 - 0.05 * i] for i in range(16)]  # q00 is the easiest
HARD = np.repeat([0, 1], 8)
ESTIMATOR = {"name": "predicted", "samples": 2}


def points():
    """On easy questions `a` is best, on hard ones `b`; `a` has a third rule at 4 only."""
    found = []
    for n, gain in ((4, 0.0), (16, 0.1)):
        found.append(measured("a", n, np.where(HARD, 0.1, 0.7) + gain, source="run_a"))
        found.append(measured("b", n, np.where(HARD, 0.3, 0.5) + gain, 2 * n, source="run_b"))
    found.append(measured("a", 4, np.where(HARD, 0.2, 0.6), rule="majority", source="run_a"))
    return found


def fitted(unit="generations", budgets=(4, 16), estimator=ESTIMATOR):
    difficulty = few(VALUES, np.ones(16))
    bins = quantile_bins(difficulty.ease, IDS, 2)
    found = allocate(points(), bins, folds(IDS, bins), budgets, unit, difficulty)
    sources = {"run_a": {"N": 16}, "run_b": {"N": 16, "M": 4}, "run_c": {}}
    edges = edges_of(difficulty.ease, bins)
    return fit(found, estimator, edges, sources, {"questions": 16}, n_resamples=50)


def test_a_question_is_given_what_is_best_in_its_bin():
    policy = fitted()
    (edge,) = policy.edges
    easy, hard = policy.choose(edge, 4, "generations"), policy.choose(edge - 0.01, 4, "generations")
    assert (easy.strategy, easy.rule, easy.source) == ("a(N=4)", "weighted", "run_a")
    assert (hard.strategy, hard.rule, hard.source) == ("b(N=4)", "weighted", "run_b")
    assert (easy.bin, easy.n, easy.agreed, easy.flops, easy.generations) == (0, 8, 1.0, 4.0, 4.0)
    assert (easy.accuracy, easy.low, easy.high) == pytest.approx((0.7, 0.7, 0.7))
    assert [(c.strategy, c.rule) for c in hard.considered] == [
        ("b(N=4)", "weighted"), ("a(N=4)", "majority"), ("a(N=4)", "weighted")
    ]  # fmt: skip
    assert [c.accuracy for c in hard.considered] == pytest.approx([0.3, 0.2, 0.1])
    assert set(policy.sources) == {"run_a", "run_b"}
    assert policy.budgets == (4.0, 16.0) and policy.samples == 2


def test_the_largest_budget_that_is_paid_for_is_used():
    policy = fitted()
    for budget, used in ((4, 4), (15.9, 4), (16, 16), (1000, 16)):
        assert policy.choose(0.9, budget, "generations").budget == used
    dear = fitted("flops", (8, 40))
    entry = dear.choose(0.0, 39, "flops")
    assert (entry.strategy, entry.budget, entry.flops, entry.generations) == ("b(N=4)", 8, 8, 4)


@pytest.mark.parametrize("call, message", [
    (lambda p: p.choose(0.5, 3, "generations"), "smallest budget fitted is 4 generations.*than 3"),
    (lambda p: p.choose(0.5, math.nan, "generations"), "smallest budget fitted"),
    (lambda p: p.choose(0.5, 4, "flops"), "fitted in generations"),
    (lambda p: p.choose(math.nan, 4, "generations"), "ease is nan"),
    (lambda p: p.ease([]), "at least one finite value"),
])  # fmt: skip
def test_what_cannot_be_chosen(call, message):
    with pytest.raises(ValueError, match=message):
        call(fitted())


def test_why_says_what_was_estimated_chosen_and_considered():
    said = fitted().why(0.2, 10, "generations", spread=0.05)
    assert said == (
        "Ease 0.20 (standard deviation 0.05), by the verifier's mean value over 2 samples, puts "
        "the question in bin 2 of 2, where 1 is the easiest. The largest budget fitted within 10 "
        "generations is used. At 4 generations, b(N=4) with weighted was best there: 30.0% right "
        "in cross-validation [30.0%, 30.0%] on 8 questions; 100% of the folds chose it. On all "
        "questions of the bin it has 30.0%; also considered: a(N=4) with majority 20.0%, a(N=4) "
        "with weighted 10.0%."
    )
    dear = fitted("flops", (4, 40)).why(0.9, 4, "flops")
    assert "At 4 FLOPs, a(N=4) with weighted was best" in dear and "largest budget" not in dear
    alone = fitted()
    table = [replace(e, considered=e.considered[:1]) for e in alone.table]
    assert (
        replace(alone, table=tuple(table))
        .why(0.9, 4, "generations")
        .endswith("Nothing else was within the budget.")
    )


def test_ease_of_a_new_question_by_each_estimator():
    assert fitted().ease([0.25, 0.75]) == (0.5, None)
    known = fit_shrinkage(VALUES)
    shrunk = {"name": "few", "samples": 2} | vars(known)
    policy = fitted(estimator=shrunk)
    assert policy.ease([0.25, 0.75]) == known.estimate([0.25, 0.75])
    assert policy.ease(VALUES[3])[0] == few(VALUES, np.ones(16)).ease[3]
    assert "drawn towards that of all questions" in policy.why(0.5, 4, "generations")

    features = np.random.default_rng(0).standard_normal((16, 3))
    probe = fit_probe(features, HARD, np.ones(16), IDS)
    policy = fitted(estimator={"name": "probe", "probe": probe.to_json()})
    assert policy.ease(features[2]) == (probe.predict(features)[2], None)
    assert policy.samples == 0 and "a probe of the prompt" in policy.why(0.5, 4, "generations")


def test_bins_that_need_the_answers_make_no_policy():
    difficulty = oracle(np.arange(16), np.full(16, 16), np.ones(16))
    bins = quantile_bins(difficulty.ease, IDS, 2)
    found = allocate(points(), bins, folds(IDS, bins), [4], difficulty=difficulty)
    with pytest.raises(ValueError, match="oracle difficulty, which needs the answers"):
        fit(found, ESTIMATOR, edges_of(difficulty.ease, bins), {}, {})


@pytest.mark.parametrize("change, message", [
    (lambda p: {"unit": "tokens"}, "unit is 'tokens'"),
    (lambda p: {"edges": (0.1, 0.5)}, "edges: .* fall from easy to hard"),
    (lambda p: {"edges": ()}, r"table\[1\].bin is 1; edges make 1 bins"),
    (lambda p: {"edges": (0.5, 0.1)}, r"table lacks entries .*\(2, 4.0\), \(2, 16.0\)"),
    (lambda p: {"table": p.table[:1] + p.table}, r"table\[1\] has the bin and budget of an earl"),
    (lambda p: {"table": p.table[1:]}, r"table lacks entries .*\(0, 4.0\)"),
    (lambda p: {"table": ()}, "table lacks entries"),
    (lambda p: {"sources": {}}, r"table\[0\].source 'run_a' is not among sources"),
    (lambda p: {"estimator": {"name": "oracle"}}, "estimator.name is 'oracle', not one of"),
    (lambda p: {"estimator": {}}, "estimator.name is None"),
    (lambda p: {"estimator": {"name": "predicted"}}, "estimator.samples is None"),
    (lambda p: {"estimator": {"name": "predicted", "samples": 0}}, "estimator.samples is 0"),
    (lambda p: {"estimator": {"name": "few", "samples": 2}}, "estimator.mean is missing"),
    (lambda p: {"estimator": {"name": "few", "samples": 2, "mean": 0.5, "between": -1,
                              "within": 1}}, "estimator: between is -1"),
    (lambda p: {"estimator": {"name": "few", "samples": 2, "mean": "x"}}, "estimator: .*'x'"),
    (lambda p: {"estimator": {"name": "probe"}}, "estimator.probe is missing"),
    (lambda p: {"estimator": {"name": "probe", "probe": {}}}, "estimator: probe.weights is mis"),
])  # fmt: skip
def test_a_malformed_policy_is_named(change, message):
    policy = fitted()
    with pytest.raises(ValueError, match=message):
        replace(policy, **change(policy))


def test_entries_keep_what_was_considered():
    assert fitted().table[0].considered[0] == Considered("a(N=4)", "weighted", pytest.approx(0.7))
