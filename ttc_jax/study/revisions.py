# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What recorded chains of revisions say about shorter and fewer ones (paper section 6).

An attempt depends only on those before it in its chain. So every revise(s=S,p=P) holds
revise(s,p) for all s <= S and p <= P: the first s attempts in p of the chains.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ttc_jax.search.revise import Revise
from ttc_jax.study.curves import (
    Measured,
    check_rule,
    in_order,
    own_flops,
    powers_of_two,
    prompt_flops,
)
from ttc_jax.study.pool import LATE, Pool
from ttc_jax.study.runs import Run
from ttc_jax.study.subsets import DRAWS, selected_of_chains

Recorded = tuple[Run, Mapping[str, Pool]]


def revision_grid(
    recorded: Sequence[Recorded], questions: Sequence[str], rule: str, *, draws: int = DRAWS
) -> dict[tuple[int, int], Measured]:
    """Every (s, p) of powers of two that the runs hold, in order, in expectation over the chains.

    Each is taken from the run that has exactly it, else from that with most chains, of these the
    one with the longest.

    Args:
      recorded: runs of one policy, verifier and memory, each with its pools.

    Raises:
      ValueError: a run that is no revise, runs that differ in memory, a question without
        candidates, or a rule that reads scores that there are not.
    """
    for run, _ in recorded:
        _strategy(run)
    if len({run.strategy.memory for run, _ in recorded}) > 1:
        names = ", ".join(run.name for run, _ in recorded)
        raise ValueError(f"{names} differ in memory: chains cannot be taken from one for the other")
    runs = [run for run, _ in recorded]
    by_name = {run.name: (run, pools) for run, pools in recorded}
    sizes = set()
    for run in runs:
        sizes.update(
            itertools.product(powers_of_two(run.strategy.s), powers_of_two(run.strategy.p))
        )
    wanted: dict[tuple[str, int], list[int]] = {}
    for s, p in sorted(sizes):
        wanted.setdefault((_source(runs, s, p).name, s), []).append(p)
    found = {}
    for (name, s), ps in wanted.items():
        for point, p in zip(
            _points(*by_name[name], questions, rule, s, ps, draws), ps, strict=True
        ):
            found[s, p] = point
    return dict(sorted(found.items()))


def pass_at_revision(
    run: Run, pools: Mapping[str, Pool], questions: Sequence[str]
) -> tuple[Measured, ...]:
    """Accuracy of the i-th attempt of a chain, the mean over chains, for each i.

    The rule is "last", and the budget and FLOPs are those of a chain that ends there. Attempts
    whose grading timed out count neither way.

    Raises:
      ValueError: a run that is no revise, a question without candidates, or one of which no
        attempt at a place could be graded.
    """
    strategy = _strategy(run)
    own = in_order(run, pools, questions)
    right = np.empty((strategy.s, len(own)))
    flops = np.empty_like(right)
    for q, pool in enumerate(own):
        decided, correct = _attempts(pool.classes != LATE, pool), _attempts(pool.right, pool)
        known = decided.sum(axis=0)
        if not known.all():
            raise ValueError(
                f"no attempt {int(known.argmin()) + 1} at {pool.question!r} in {run.name} could be "
                f"graded in time: leave the question out, or raise grade.limit_s"
            )
        right[:, q] = (correct & decided).sum(axis=0) / known
        each = _attempts(own_flops(pool, "majority"), pool).mean(axis=0)
        flops[:, q] = prompt_flops(pool, "majority") + np.cumsum(each)
    return tuple(
        Measured(_name(strategy, i + 1, 1), "last", i + 1.0, right[i], flops[i], run.name)
        for i in range(strategy.s)
    )


def lost_share(
    run: Run, pools: Mapping[str, Pool], questions: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Right attempts that another one followed, and those of them whose next one was not right.

    (lost, followed), i64[Q] each; `stats.ratio_bootstrap` makes a share of them. Pairs with an
    attempt whose grading timed out are left out.

    Raises:
      ValueError: as `pass_at_revision`.
    """
    _strategy(run)
    lost, followed = [], []
    for pool in in_order(run, pools, questions):
        decided, right = _attempts(pool.classes != LATE, pool), _attempts(pool.right, pool)
        kept = right[:, :-1] & decided[:, 1:]
        followed.append(kept.sum())
        lost.append((kept & ~right[:, 1:]).sum())
    return np.array(lost, np.int64), np.array(followed, np.int64)


def _points(
    run: Run,
    pools: Mapping[str, Pool],
    questions: Sequence[str],
    rule: str,
    s: int,
    ps: Sequence[int],
    draws: int,
) -> list[Measured]:
    """Chains cut to s attempts, for several numbers of them."""
    own = in_order(run, pools, questions)
    check_rule(run, own, rule)
    right = np.empty((len(ps), len(own)))
    flops = np.empty_like(right)
    for q, pool in enumerate(own):
        cut = (_attempts(a, pool)[:, :s] for a in (pool.classes, pool.right, pool.values))
        right[:, q] = selected_of_chains(rule, *cut, ps, key=pool.question, draws=draws)
        each = _attempts(own_flops(pool, rule), pool)[:, :s].sum(axis=1).mean()
        flops[:, q] = prompt_flops(pool, rule) + each * np.array(ps)
    return [
        Measured(_name(run.strategy, s, p), rule, float(s * p), right[i], flops[i], run.name)
        for i, p in enumerate(ps)
    ]


def _source(runs: Sequence[Run], s: int, p: int) -> Run:
    """The run to take (s, p) from."""
    holding = [run for run in runs if run.strategy.s >= s and run.strategy.p >= p]

    def merit(run: Run):
        own = run.strategy
        return (own.s, own.p) != (s, p), -own.p, -own.s, run.name

    return min(holding, key=merit)


def _attempts(values: np.ndarray, pool: Pool) -> np.ndarray:
    """[P, S]: of the attempts in P chains."""
    return values.reshape(-1, pool.chain)


def _name(strategy: Revise, s: int, p: int) -> str:
    return str(Revise(s, p, strategy.memory))


def _strategy(run: Run) -> Revise:
    if not isinstance(run.strategy, Revise):
        raise ValueError(f"{run.name} is {run.strategy}, not chains of revisions")
    return run.strategy
