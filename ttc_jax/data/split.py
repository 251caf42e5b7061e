# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Questions that are kept from training, to see how well it generalises."""

import hashlib
from collections.abc import Iterable


def held_out(questions: Iterable[str], fraction: float, seed: int = 0) -> frozenset[str]:
    """The ids of the questions that are not trained on: `fraction` of them, to the nearest whole.

    Which ones depends on hashes of (seed, id), so that sets that overlap are split alike. The paper
    keeps a tenth of the training *questions* (section 5.1), so that no question has solutions on
    both sides.

    Raises:
      ValueError: the fraction is not between 0 and 1, or one of the two sides would be empty.
    """
    ids = sorted(set(questions), key=lambda id: hashlib.sha256(f"{seed}/{id}".encode()).digest())
    if not 0 < fraction < 1:
        raise ValueError(f"a held-out fraction of {fraction}: it must lie between 0 and 1")
    n = round(fraction * len(ids))
    if not 0 < n < len(ids):
        raise ValueError(
            f"of {len(ids)} questions a held-out fraction of {fraction} leaves {n} to validate on "
            f"and {len(ids) - n} to train on; give more questions or another fraction"
        )
    return frozenset(ids[:n])
