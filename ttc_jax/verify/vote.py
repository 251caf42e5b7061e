# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing one sample of many by the classes of their answers and by scores.

A class is a number shared by samples with equal answers; None marks a sample without an answer,
which never wins. Every function returns the index of a sample, or None if no sample has an answer.
Of equals, the one seen first wins.
"""

import math
from collections.abc import Sequence


def majority(classes: Sequence[int | None]) -> int | None:
    """The first sample of the class with the most samples."""
    return weighted(classes, [1.0] * len(classes))


def best(classes: Sequence[int | None], scores: Sequence[float]) -> int | None:
    """The sample with the highest score (best-of-N)."""
    _check(classes, scores)
    answered = [i for i, c in enumerate(classes) if c is not None]
    return max(answered, key=lambda i: scores[i], default=None)


def weighted(classes: Sequence[int | None], scores: Sequence[float]) -> int | None:
    """The first sample of the class with the highest sum of scores.

    Source: Snell et al. 2024, section 5.1 (best-of-N weighted).
    """
    _check(classes, scores)
    members: dict[int, list[int]] = {}
    for i, c in enumerate(classes):
        if c is not None:
            members.setdefault(c, []).append(i)
    totals = {c: math.fsum(scores[i] for i in m) for c, m in members.items()}
    winner = max(totals, key=totals.__getitem__, default=None)
    return None if winner is None else members[winner][0]


def hierarchical(
    chains: Sequence[Sequence[int]], classes: Sequence[int | None], scores: Sequence[float]
) -> int | None:
    """The winner by `weighted` among the best samples of each chain.

    A chain is a sequence of indices of samples. Its best is the sample with the highest score among
    those of the answer that wins, by `weighted`, within the chain.

    Raises:
      ValueError: classes and scores do not fit each other, a score is not finite, or a chain names
        a sample that is not there.
    Source: Snell et al. 2024, section 6 (revisions, selection by a verifier).
    """
    _check(classes, scores)
    winners = []
    for chain in chains:
        absent = [i for i in chain if not 0 <= i < len(classes)]
        if absent:
            raise ValueError(f"a chain names sample {absent[0]} of {len(classes)}, counted from 0")
        first = weighted([classes[i] for i in chain], [scores[i] for i in chain])
        if first is not None:
            equal = [i for i in chain if classes[i] == classes[chain[first]]]
            winners.append(max(equal, key=lambda i: scores[i]))
    final = weighted([classes[i] for i in winners], [scores[i] for i in winners])
    return None if final is None else winners[final]


def by_rule(
    classes: Sequence[int | None],
    scores: Sequence[float] | None = None,
    chains: Sequence[Sequence[int]] = (),
) -> dict[str, int | None]:
    """The sample that each rule selects: "majority", with scores also "best" and "weighted".

    With chains of sample indices there is "hierarchical" too.
    """
    found = {"majority": majority(classes)}
    if scores is not None:
        found |= {"best": best(classes, scores), "weighted": weighted(classes, scores)}
        if chains:
            found["hierarchical"] = hierarchical(chains, classes, scores)
    return found


def _check(classes: Sequence[int | None], scores: Sequence[float]) -> None:
    if len(classes) != len(scores):
        raise ValueError(f"{len(classes)} classes but {len(scores)} scores")
    bad = [i for i, score in enumerate(scores) if not math.isfinite(score)]
    if bad:
        raise ValueError(f"score {scores[bad[0]]} of sample {bad[0]} is not finite")
