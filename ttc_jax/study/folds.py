# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which questions are held out together: folds fixed by the ids of the questions alone."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def folds(questions: Sequence[str], bins: ArrayLike | None = None, k: int = 2) -> np.ndarray:
    """The fold of each question, i64[Q] in [0, k), balanced within every bin.

    The questions of a bin are put in the order of a hash of their ids and dealt out in turn, so
    that the sizes of its folds differ by at most 1 and no seed is needed. Odd bins take turns in
    starting. `bins` i64[Q]; None: one bin. Paper section 3.2 (two folds within each bin).

    Raises:
      ValueError: k below 2, a question listed twice, bins of another length, or a bin of fewer than
        k questions.
    """
    if k < 2:
        raise ValueError(f"k is {k}: cross-validation needs at least 2 folds")
    if len(set(questions)) != len(questions):
        twice = next(q for i, q in enumerate(questions) if q in questions[:i])
        raise ValueError(f"question {twice!r} is listed twice: leave one out")
    bins = np.zeros(len(questions), np.int64) if bins is None else np.asarray(bins, np.int64)
    if bins.shape != (len(questions),):
        raise ValueError(f"bins of shape {bins.shape} do not fit {len(questions)} questions")
    found = np.empty(len(questions), np.int64)
    for turn, number in enumerate(np.unique(bins)):
        members = sorted(np.flatnonzero(bins == number), key=lambda at: _hash(questions[at]))
        if len(members) < k:
            raise ValueError(
                f"bin {number + 1} has {len(members)} questions, too few for {k} folds: use fewer "
                "bins or folds, or more questions"
            )
        found[members] = (np.arange(len(members)) + turn) % k
    return found


def _hash(question: str) -> bytes:
    return hashlib.sha256(question.encode("utf-8")).digest()
