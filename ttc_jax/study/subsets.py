# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a smaller budget would have come to: expectations over subsets of the candidates there are.

Subsets are drawn without replacement and keep the order of the pool; the rules are those of
`verify.vote`. "best" and "coverage" are exact, in closed form. "majority" and "weighted" are exact
where there are no more subsets than `draws`, for one candidate, and for all; else they are means
over as many random subsets, those of a question the same for every rule, verifier and run.
"""

import functools
import itertools
import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ttc_jax.study.stats import pass_at_k
from ttc_jax.verify import vote

RULES = ("majority", "best", "weighted", "coverage")
DRAWS = 200  # of a question; over 500 questions they add at most 0.2 points of noise
_GRAIN = 2.0**-44  # sums of so many such grains as 512 holds are exact in float64


def selected(
    rule: str,
    classes: ArrayLike,
    right: ArrayLike,
    values: ArrayLike,
    ks: Sequence[int],
    *,
    key: str,
    draws: int = DRAWS,
) -> np.ndarray:
    """The chance that the answer which `rule` selects among k candidates is right, for each k.

    Args:
      rule: one of `RULES`; "coverage": any of the candidates is right.
      classes: i32[n], below 0 for candidates without an answer, which are never selected.
      right: bool[n].
      values: f64[n], not read by "majority" and "coverage".
      ks: sizes of the subsets, between 1 and n.
      key: what the random subsets are drawn from, the id of the question.
      draws: number of random subsets.

    Returns:
      f64[len(ks)].

    Raises:
      ValueError: no such rule, arrays of different lengths, a k that is no size of a subset, or
        values that are not finite where the rule reads them.
    """
    classes, right = np.asarray(classes), np.asarray(right, bool)
    values = _checked(rule, RULES, classes, right, values)
    n = len(right)
    if bad := [k for k in ks if not 1 <= k <= n]:
        raise ValueError(f"no {bad[0]} of {n} candidates can be drawn: give 1 <= k <= {n}")
    if rule == "coverage":
        correct = int(right.sum())
        return np.array([pass_at_k(n, correct, k) for k in ks])
    if rule == "best":
        return np.array([_best(classes, right, values, k) for k in ks])
    subsets = Subsets(n, key, draws)
    votes = np.ones(n) if rule == "majority" else values
    return np.array([_voted(subsets.of(k), classes, right, votes).mean() for k in ks])


def selected_of_chains(
    rule: str,
    classes: ArrayLike,
    right: ArrayLike,
    values: ArrayLike,
    ps: Sequence[int],
    *,
    key: str,
    draws: int = DRAWS,
) -> np.ndarray:
    """As `selected`, of all attempts in p chains of revisions, for each p.

    Args:
      rule: one of `RULES`, or "hierarchical" (paper section 6): weighted within each chain, then
        over chains.
      classes, right, values: [P, s], attempts of P chains; cut to the first s of them, what is left
        of longer chains is what shorter ones would have been.
      ps, key, draws: as in `selected`, with chains for candidates.

    Raises:
      ValueError: as `selected`.
    """
    classes, right = np.asarray(classes), np.asarray(right, bool)
    values = _checked(rule, (*RULES, "hierarchical"), classes, right, values)
    if rule == "coverage":
        first, right = np.zeros(len(right), np.int32), right.any(axis=1)
        return selected("coverage", first, right, first, ps, key=key, draws=draws)
    if rule in ("best", "hierarchical"):
        chosen = [_winner(rule, *chain) for chain in zip(classes, values, strict=True)]
        at = np.arange(len(chosen)), np.array([0 if i is None else i for i in chosen])
        answered = np.array([i is not None for i in chosen])
        across = "weighted" if rule == "hierarchical" else "best"
        kept = np.where(answered, classes[at], -1)
        return selected(across, kept, right[at], values[at], ps, key=key, draws=draws)
    chains, s = right.shape
    subsets = Subsets(chains, key, draws)
    votes = np.ones(right.size) if rule == "majority" else values.ravel()
    flat = classes.ravel(), right.ravel(), votes
    return np.array([_voted(subsets.of(p).repeat(s, axis=1), *flat).mean() for p in ps])


class Subsets:
    """Subsets of n things, of any size: every one where there are few, else random ones.

    A random subset of k is part of that of k + 1 with the same number.
    """

    def __init__(self, n: int, key: str, draws: int = DRAWS):
        """`key` is what random subsets are drawn from; `draws` is their number."""
        if draws < 1:
            raise ValueError(f"draws is {draws}; it must be at least 1")
        self._n, self._key, self._draws = n, key, draws

    def of(self, k: int) -> np.ndarray:
        """bool[D, n]: D subsets of size k.

        Raises:
          ValueError: there are none of this size.
        """
        if not 1 <= k <= self._n:
            raise ValueError(f"no {k} of {self._n} can be drawn: give 1 <= k <= {self._n}")
        if k > 1 and math.comb(self._n, k) > self._draws:
            return self._ranks < k
        members = np.array(list(itertools.combinations(range(self._n), k)))
        chosen = np.zeros((len(members), self._n), bool)
        np.put_along_axis(chosen, members, True, axis=1)
        return chosen

    @functools.cached_property
    def _ranks(self) -> np.ndarray:
        """i64[draws, n]: random permutations."""
        rng = np.random.default_rng(zlib.crc32(self._key.encode("utf-8")))
        return rng.random((self._draws, self._n)).argsort(axis=1)


def _checked(rule, rules, classes, right, values) -> np.ndarray:
    """The values as f64; ValueError for arguments that do not fit."""
    if rule not in rules:
        raise ValueError(f"no rule {rule!r}; there are {', '.join(rules)}")
    values = np.asarray(values, np.float64)
    if not classes.shape == right.shape == values.shape:
        raise ValueError(
            f"classes, right and values of shapes {classes.shape}, {right.shape} and "
            f"{values.shape} do not fit each other"
        )
    if rule not in ("majority", "coverage") and not np.isfinite(values).all():
        raise ValueError(f"{rule!r} reads scores, and there is one that is not finite")
    return values


def _best(classes: np.ndarray, right: np.ndarray, values: np.ndarray, k: int) -> float:
    """A candidate is selected where it is drawn and no better one is."""
    answered = np.flatnonzero(classes >= 0)
    ranked = answered[np.argsort(-values[answered], kind="stable")]
    ways, every = _ways(len(right), k)
    return sum(ways[i] for i in np.flatnonzero(right[ranked]).tolist()) / every


@functools.lru_cache(maxsize=64)
def _ways(n: int, k: int) -> tuple[list[int], int]:
    """For each rank the subsets of k in which it is the lowest, and the number of all subsets."""
    return [math.comb(n - 1 - rank, k - 1) for rank in range(n)], math.comb(n, k)


def _winner(rule: str, classes: np.ndarray, values: np.ndarray) -> int | None:
    """The attempt that stands for a chain."""
    numbers = [None if c < 0 else c for c in classes.tolist()]
    if rule == "best":
        return vote.best(numbers, values.tolist())
    return vote.hierarchical([range(len(numbers))], numbers, values.tolist())


def _voted(
    chosen: np.ndarray, classes: np.ndarray, right: np.ndarray, votes: np.ndarray
) -> np.ndarray:
    """Whether the winner of each subset, a row of bool[D, n], is right; bool[D]."""
    answered = np.flatnonzero(classes >= 0)
    n = len(right)
    if not len(answered):
        return np.zeros(len(chosen), bool)
    order = answered[np.argsort(classes[answered], kind="stable")]
    starts = np.flatnonzero(np.diff(classes[order], prepend=-1))
    chosen = chosen[:, order]
    totals = np.add.reduceat(np.where(chosen, votes[order], 0.0), starts, axis=1)
    first = np.minimum.reduceat(np.where(chosen, order, n), starts, axis=1)
    totals[first == n] = -np.inf
    top = totals.max(axis=1, keepdims=True)
    if not _exact(votes):
        slack = n * np.finfo(np.float64).eps * np.abs(votes).sum()
        members = np.split(np.arange(len(order)), starts[1:])
        near = totals >= top - slack
        for row in np.flatnonzero(near.sum(axis=1) > 1):
            for c in np.flatnonzero(near[row] & (first[row] < n)):
                drawn = order[members[c][chosen[row, members[c]]]]
                totals[row, c] = math.fsum(votes[drawn])
        top = totals.max(axis=1, keepdims=True)
    winner = np.where(totals == top, first, n).min(axis=1)
    return np.append(right, False)[winner]


def _exact(votes: np.ndarray) -> bool:
    """Whether all sums of the votes are exact, so that equal ones are found to be equal."""
    grains = votes / _GRAIN
    return bool((grains == np.floor(grains)).all() and np.abs(votes).sum() < 512)
