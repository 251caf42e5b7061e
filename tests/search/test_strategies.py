# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every strategy against its brute-force reference, on hundreds of random recorded trees."""

import random
from collections import Counter

import pytest
from search import oracle
from search.recorded import Drive, RandomTree, drive

from ttc_jax.search.beam import Beam
from ttc_jax.search.dvts import DVTS
from ttc_jax.search.rebase import Rebase
from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN

TREES = range(240)
BUDGETS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 18, 24)  # most of them no squares
ROUNDS = (1, 2, 3, 6, 40)


def sizes(seed: int) -> tuple[int, int, int]:
    """N, M (1, N, or any other divisor of N) and rounds for a tree."""
    pick = random.Random(f"sizes of {seed}")
    N = pick.choice(BUDGETS)
    M = pick.choice((1, N, *(d for d in range(1, N + 1) if N % d == 0)))
    return N, M, pick.choice(ROUNDS)


def same(strategy, samples: RandomTree, expected: tuple[list, list]) -> Drive:
    """The strategy's drive, after comparison of all that it asked for, kept and lost."""
    asked, candidates = expected
    ran = drive(strategy, samples)
    where = f"{strategy} on tree {samples.seed}"
    assert ran.asked == asked, where
    assert ran.candidates == candidates, where
    grown_from = {path for paths in asked for path in paths}
    for path, role in ran.roles.items():
        if path == () or path[0] == "ask" and path[-1] != 0:
            assert role == "prompt"
        elif path in [candidate for candidate, _ in candidates]:
            assert role == "candidate", where
        else:
            assert role == ("expanded" if path in grown_from else "pruned"), where
    return ran


@pytest.mark.parametrize("k", range(4))
@pytest.mark.parametrize("distinct", [False, True])
def test_beam_and_lookahead(k, distinct):
    for seed in TREES:
        (N, M, rounds), samples = sizes(seed), RandomTree(seed)
        strategy = Beam(N=N, M=M, k=k, rounds=rounds, distinct=distinct)
        same(strategy, samples, oracle.beam_search(samples, N, M, k, rounds, distinct))


def test_dvts():
    for seed in TREES:
        (N, M, rounds), samples = sizes(seed), RandomTree(seed)
        same(DVTS(N=N, M=M, rounds=rounds), samples, oracle.dvts(samples, N, M, rounds))


@pytest.mark.parametrize("T", [0.02, 0.1, 1.0])
def test_rebase(T):
    for seed in TREES:
        (N, _, rounds), samples = sizes(seed), RandomTree(seed)
        ran = same(Rebase(N=N, T=T, rounds=rounds), samples, oracle.rebase(samples, N, T, rounds))
        assert len(ran.candidates) == N  # no sample too few, none too many


def test_best_of_n():
    for seed in TREES:
        N, samples = sizes(seed)[0], RandomTree(seed)
        same(BestOfN(N=N), samples, oracle.best_of_n(samples, N))


def test_revise():
    for seed in TREES:
        pick, samples = random.Random(f"chains of {seed}"), RandomTree(seed)
        s, p, memory = pick.randint(1, 6), pick.randint(1, 4), pick.randint(1, 4)
        strategy = Revise(s=s, p=p, memory=memory)
        ran = same(strategy, samples, oracle.revise(samples, s, p, memory))
        assert len(ran.candidates) == strategy.generations
        for c, chain in enumerate(strategy.chains):
            # Every attempt hangs, through the prompts that quote them, from its chain's first.
            for i in chain:
                first = ran.candidates[i][0]
                while first[0] == "ask":
                    first = first[1]
                assert first == (c,)


def test_the_random_trees_hold_the_hard_cases():
    seen = Counter()
    for seed in TREES:
        (N, M, rounds), samples = sizes(seed), RandomTree(seed)
        tree = drive(Beam(N=N, M=M, rounds=rounds), samples).tree
        nodes = [node for node in tree.nodes if node.number >= 0]
        last = max(node.round for node in nodes)
        pruned = [node for node in nodes if tree.role(node) == "pruned"]
        seen["one beam"] += N == 1
        seen["all from one"] += M == N > 1
        seen["no pruning"] += M == 1 < N
        seen["no square"] += round(N**0.5) ** 2 != N
        seen["frozen to the end"] += any(c.finished and c.round < last for c in tree.candidates)
        seen["ended but lost"] += any(node.finished for node in pruned)
        seen["cut by the rounds"] += rounds == 40 and any(not c.finished for c in tree.candidates)
        seen["blank"] += any(not node.text.strip() for node in nodes)
        by_round = [[n for n in nodes if n.round == turn] for turn in range(last + 1)]
        seen["ties"] += any(len({n.value for n in level}) < len(level) for level in by_round)
        seen["duplicates"] += any(
            len({n.solution.rstrip() for n in level}) < len(level) for level in by_round
        )
    assert len(seen) == 10 and min(seen.values()) >= 10, seen
