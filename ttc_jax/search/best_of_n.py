# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Best-of-N sampling: N independent solutions per question, over one prefill of its prompt.

The simplest strategy of all, and the yardstick of the others (paper section 5): no scores are
needed to sample, so selection (majority, best, weighted) happens afterwards, over what is stored.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ttc_jax.decode.batch import Completion, Request
from ttc_jax.decode.engine import Engine, Progress


def best_of_n(
    engine: Engine,
    prompts: Iterable[tuple[str, Sequence[int]]],
    n: int,
    max_new: int,
    on_segment: Callable[[Progress], None] | None = None,
) -> Iterator[Completion]:
    """Completions of n branches of at most max_new tokens for each (question id, prompt tokens).

    Questions come back in the order in which they finish. All prompts are checked before the first
    is sampled; raises ValueError, with the question and the numbers, for one that does not fit.
    """
    requests = [Request(id, tuple(tokens), n, max_new) for id, tokens in prompts]
    for request in requests:
        engine.check(request)
    yield from engine.generate(requests, on_segment=on_segment)
