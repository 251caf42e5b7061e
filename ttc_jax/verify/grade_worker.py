# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that says whether two answers are equal, one JSON line in, one JSON line out.

Run by `ttc_jax.verify.grade` as `python -m ttc_jax.verify.grade_worker LIMIT`. It tells when it is
ready, then answers `[gold, answer]` with `true` or `false`, until its input ends. math-verify's own
limits are off: they cannot interrupt one long arithmetic operation, and the parent kills the
process instead. LIMIT (seconds) serves only when there is no parent left to do so.
"""

import contextlib
import functools
import json
import logging
import os
import signal
import sys
from typing import TextIO

from math_verify import parse, verify


def equal(gold: str, answer: str) -> bool:
    """Whether math-verify takes `answer` for `gold`; the order matters to it (x = 3 against 3)."""
    return verify(list(_parsed(gold)), list(_parsed(answer)), timeout_seconds=None)


# Numbering the answers of a question compares each of them with many others.
@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple:
    return tuple(parse(f"\\boxed{{{text}}}", parsing_timeout=None))


def serve(requests: TextIO, replies: TextIO, limit_s: float) -> None:
    """Answers requests until there are no more; SIGALRM ends the process beyond the limit."""

    def reply(value: object) -> None:
        print(json.dumps(value), file=replies, flush=True)

    equal("x^2", "x \\cdot x")  # the first call builds the parser
    reply("ready")
    for line in requests:
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        reply(equal(*json.loads(line)))
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Serves on the standard streams, with everything else that is printed sent to stderr."""
    logging.disable(logging.WARNING)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(sys.stdin, replies, float(sys.argv[1]))


if __name__ == "__main__":
    main()
