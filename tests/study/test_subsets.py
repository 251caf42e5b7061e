# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Expectations over subsets, against the rules of `verify.vote` on every subset there is."""

import itertools
import math

import numpy as np
import pytest

from ttc_jax.study.subsets import RULES, Subsets, selected, selected_of_chains
from ttc_jax.verify import vote

ALL = 100_000  # draws enough for every subset of a small pool
VALUES = (
    (0.5,),
    (0.25, 0.75),
    (0.0, 0.5, 1.0),
    (0.1, 0.2, 0.3, 0.6),  # sums that are equal in decimals, not in floating point
    (1e-30, 1e-20, 2e-20, 0.7),
    (-1.0, -0.5, 0.0, 0.5),  # not of a verifier, but of a rule that is right for them too
)


def numbers(classes):
    return [None if c < 0 else int(c) for c in classes]


def right_by(rule, classes, right, values) -> bool:
    """What the rule makes of exactly these candidates."""
    if rule == "coverage":
        return bool(right.any())
    winner = vote.by_rule(numbers(classes), values.tolist())[rule]
    return winner is not None and bool(right[winner])


def pool(rng, n):
    """A pool with ties of every kind, now and then without any answer."""
    classes = rng.integers(rng.choice([-2, -1, 0]), rng.choice([1, 2, 3]), n)
    if rng.random() < 0.1:
        classes[:] = -1
    right = (classes >= 0) & (rng.random(n) < 0.5)  # whether equals are right may differ
    some = rng.integers(len(VALUES) + 1)
    values = rng.random(n) if some == len(VALUES) else rng.choice(VALUES[some], n)
    return classes.astype(np.int32), right, values


@pytest.mark.parametrize("rule", RULES)
def test_a_subset_selects_what_the_rule_selects(rule):
    rng = np.random.default_rng(0)
    for i in range(100):
        n = int(rng.integers(1, 8))
        arrays = pool(rng, n)
        found = selected(rule, *arrays, range(1, n + 1), key=f"q{i}", draws=ALL)
        for k in range(1, n + 1):
            subsets = [list(s) for s in itertools.combinations(range(n), k)]
            each = [right_by(rule, *(a[s] for a in arrays)) for s in subsets]
            assert found[k - 1] == pytest.approx(np.mean(each), abs=1e-15), (i, k)


@pytest.mark.parametrize("rule", ["majority", "weighted"])
def test_random_subsets_are_judged_by_the_rule_too(rule):
    rng = np.random.default_rng(1)
    for i in range(30):
        arrays = pool(rng, 12)
        found = selected(rule, *arrays, [5], key=f"q{i}", draws=40)
        drawn = Subsets(12, f"q{i}", 40).of(5)
        each = [right_by(rule, *(a[s] for a in arrays)) for s in drawn]
        assert found[0] == np.mean(each)


@pytest.mark.parametrize("rule", [*RULES, "hierarchical"])
def test_subsets_of_chains_select_what_the_rule_selects(rule):
    rng = np.random.default_rng(2)
    for i in range(80):
        P, s = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        classes, right, values = (a.reshape(P, s) for a in pool(rng, P * s))
        found = selected_of_chains(
            rule, classes, right, values, range(1, P + 1), key=f"q{i}", draws=ALL
        )
        for p in range(1, P + 1):
            each = []
            for chosen in itertools.combinations(range(P), p):
                own = [a[list(chosen)].ravel() for a in (classes, right, values)]
                if rule == "hierarchical":
                    chains = [range(c * s, (c + 1) * s) for c in range(p)]
                    winner = vote.hierarchical(chains, numbers(own[0]), own[2].tolist())
                    each.append(winner is not None and bool(own[1][winner]))
                else:
                    each.append(right_by(rule, *own))
            assert found[p - 1] == pytest.approx(np.mean(each), abs=1e-15), (i, p)


def test_chains_of_one_attempt_are_independent_samples():
    rng = np.random.default_rng(3)
    arrays = pool(rng, 9)
    ks = [1, 3, 9]
    for rule in RULES:
        plain = selected(rule, *arrays, ks, key="q", draws=30)
        chains = selected_of_chains(rule, *(a[:, None] for a in arrays), ks, key="q", draws=30)
        assert plain.tolist() == chains.tolist()


def test_nobody_answered():
    none, wrong, values = np.full(6, -1), np.zeros(6, bool), np.linspace(0, 1, 6)
    for rule in RULES:
        assert selected(rule, none, wrong, values, [1, 3, 6], key="q").tolist() == [0, 0, 0]
    chains = none.reshape(3, 2), wrong.reshape(3, 2), values.reshape(3, 2)
    assert selected_of_chains("hierarchical", *chains, [1, 3], key="q").tolist() == [0, 0]


def test_best_of_a_large_pool_is_a_ratio_of_whole_numbers():
    # The r-th best of n is selected in C(n - 1 - r, k - 1) of the C(n, k) subsets.
    n, ks = 2048, [1, 512, 1999, 2048]
    values = np.random.default_rng(0).permutation(n) / n
    right = values == values[np.argsort(values)[-3]]  # the third best alone
    found = selected("best", np.zeros(n), right, values, ks, key="q")
    for k, chance in zip(ks, found, strict=True):
        assert chance == math.comb(n - 3, k - 1) / math.comb(n, k)


def test_sampling_is_close_to_the_truth_and_always_the_same():
    rng = np.random.default_rng(4)
    classes = rng.choice([0, 1, 2, -1], 14, p=[0.4, 0.3, 0.2, 0.1])
    arrays = classes, classes == 0, rng.random(14)
    for rule in ("majority", "weighted"):
        exact = selected(rule, *arrays, [7], key="q", draws=ALL)  # 3,432 subsets
        sampled = selected(rule, *arrays, [7], key="q", draws=2_000)
        assert sampled == pytest.approx(exact, abs=0.04)  # four standard errors
        again = selected(rule, *arrays, [3, 7, 14], key="q", draws=2_000)
        assert again[1] == sampled[0]  # whatever else is asked for
        assert selected(rule, *arrays, [7], key="other", draws=2_000) != sampled


def test_subsets_are_of_the_size_and_distinct_where_all_are_taken():
    few = Subsets(6, "q", 20)
    assert {tuple(np.flatnonzero(s)) for s in few.of(3)} == set(
        itertools.combinations(range(6), 3)
    )
    assert len(few.of(1)) == 6 and few.of(6).all()
    many = Subsets(100, "q", 50)
    assert many.of(37).shape == (50, 100) and (many.of(37).sum(axis=1) == 37).all()
    assert many.of(1).sum() == 100  # exact for one, whatever the number of draws
    assert not (many.of(37) & ~many.of(38)).any()


@pytest.mark.parametrize("votes, rival", [
    ([0.1] * 6, 0.6000000000000001),
    ([0.1, 0.7, 0.3], 1.0999999999999999),
    ([2.0**-53, 2.0**-53, 1.0], 1 + 2.0**-52),
    ([2.0**-60] * 3, 3 * 2.0**-60),
    ([2.0**-44, 600.0, 2.0**-44], 600 + 2.0**-43),
])  # fmt: skip
def test_sums_are_compared_as_the_rule_does(votes, rival):
    n = len(votes) + 1
    assert math.fsum(votes) == rival
    for first in (0, 1):  # of equals the one seen first wins
        classes = np.array([1] * first + [0] * len(votes) + [1] * (1 - first))
        values = np.array([rival] * first + votes + [rival] * (1 - first))
        for winning in (0, 1):
            right = classes == winning
            found = selected("weighted", classes, right, values, [n], key="q")
            assert found.tolist() == [right_by("weighted", classes, right, values)]


def test_random_subsets_hold_every_candidate_equally_often():
    shares = Subsets(20, "q", 20_000).of(5).mean(axis=0)
    assert np.abs(shares - 0.25).max() < 0.013  # four standard errors


CLASSES, RIGHT, SCORES = np.array([0, 1]), np.array([True, False]), np.array([0.5, np.nan])


@pytest.mark.parametrize("call, message", [
    (lambda: selected("first", CLASSES, RIGHT, SCORES, [1], key="q"), "no rule 'first'"),
    (lambda: selected("best", CLASSES, RIGHT, SCORES, [1], key="q"), "not finite"),
    (lambda: selected("weighted", CLASSES, RIGHT, SCORES, [1], key="q"), "not finite"),
    (lambda: selected("hierarchical", CLASSES, RIGHT, SCORES, [1], key="q"), "no rule"),
    (lambda: selected("majority", CLASSES, RIGHT, SCORES, [3], key="q"), "no 3 of 2"),
    (lambda: selected("majority", CLASSES, RIGHT, SCORES, [0], key="q"), "no 0 of 2"),
    (lambda: selected("majority", CLASSES, RIGHT[:1], SCORES, [1], key="q"), "shapes"),
    (lambda: selected("majority", CLASSES, RIGHT, SCORES, [1], key="q", draws=0), "draws is 0"),
    (lambda: selected_of_chains(
        "majority", CLASSES[:, None], RIGHT[:, None], SCORES[:, None], [3], key="q"), "no 3 of 2"),
])  # fmt: skip
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_scores_are_not_read_where_the_rule_needs_none():
    nan = np.full(2, np.nan)
    assert selected("majority", CLASSES, RIGHT, nan, [1, 2], key="q").tolist() == [0.5, 1.0]
    assert selected("coverage", CLASSES, RIGHT, nan, [2], key="q").tolist() == [1.0]
