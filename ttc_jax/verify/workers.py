# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that compare answers under a hard wall-clock limit."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import ttc_jax

COMMAND = (sys.executable, "-m", "ttc_jax.verify.grade_worker")
START_S = 120.0  # importing sympy on a loaded machine; a worker that needs longer is broken
ORPHAN_S = 30.0  # added to the limit after which a worker that lost its parent ends by itself

Pair = tuple[str, str]


class WorkerPool:
    """Keeps up to `size` warm processes; no signals and no threads, so any thread may use it.

    One call at a time: the owner holds a lock around `compare`.
    """

    def __init__(self, size: int, limit_s: float):
        self.limit_s = limit_s
        self._size = size
        self._idle: list[_Worker] = []

    def compare(self, pairs: Sequence[Pair]) -> list[bool | None]:
        """For each `(gold, answer)` whether they are equal; None where the limit was reached.

        Raises:
          RuntimeError: a worker died twice over the same pair, or does not start.
        """
        results: list[bool | None] = [None] * len(pairs)
        waiting = deque(range(len(pairs)))
        tries = [0] * len(pairs)
        busy: list[_Worker] = []
        try:
            while waiting or busy:
                while waiting and len(busy) < self._size:
                    busy.append(self._idle.pop() if self._idle else _Worker(self.limit_s))
                    busy[-1].give(waiting[0], pairs[waiting.popleft()])
                for worker in _settled(busy):
                    busy.remove(worker)
                    if worker.outcome == "died":
                        tries[worker.item] += 1
                        if tries[worker.item] > 1:
                            raise RuntimeError(worker.obituary(pairs[worker.item]))
                        waiting.appendleft(worker.item)
                    else:
                        results[worker.item] = worker.result
                    if worker.outcome == "done":
                        self._idle.append(worker)
        finally:
            for worker in busy:  # only after an error: its reply would answer a later question
                worker.close()
        return results

    def close(self) -> None:
        """Ends all processes."""
        while self._idle:
            self._idle.pop().close()


class _Worker:
    """One process and the pair it works on. `outcome` is "", "done", "late" or "died"."""

    def __init__(self, limit_s: float):
        self._limit_s = limit_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        package_parent = str(Path(ttc_jax.__file__).parent.parent)
        paths = [package_parent, os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [*COMMAND, str(limit_s + ORPHAN_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        self._buffer = b""
        self._ready = False
        self.deadline = time.monotonic() + START_S

    def give(self, item: int, pair: Pair) -> None:
        """Hands over a pair; a worker that is still starting gets it as soon as it is ready."""
        self.item, self._pair, self.outcome, self.result = item, pair, "", None
        if self._ready:
            self._send()

    def _send(self) -> None:
        self.deadline = time.monotonic() + self._limit_s
        try:
            self.process.stdin.write(json.dumps(self._pair).encode() + b"\n")
        except BrokenPipeError:
            self._end("died")

    def receive(self) -> None:
        """Takes what the process has written; call when there is something, or its end."""
        chunk = os.read(self.process.stdout.fileno(), 1 << 16)
        if not chunk:
            self._end("died")
            return
        self._buffer += chunk
        if not self._buffer.endswith(b"\n"):
            return
        reply, self._buffer = json.loads(self._buffer), b""
        if self._ready:
            self.result, self.outcome = reply, "done"
        else:
            self._ready = True
            self._send()

    def expire(self) -> None:
        """Kills the process if it is past its deadline."""
        if not self.outcome and time.monotonic() >= self.deadline:
            self._end("late" if self._ready else "died")

    def obituary(self, pair: Pair) -> str:
        """Why comparing the pair failed, with the end of what the process wrote to stderr."""
        return (f"the grading worker died twice on gold {pair[0]!r} and answer {pair[1]!r} "
                f"(exit status {self.process.returncode}): {self._last_words}")

    def _end(self, outcome: str) -> None:
        self.outcome = outcome
        self.close()

    def close(self) -> None:
        """Kills the process and frees its pipes."""
        if self._errors.closed:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self._errors.seek(0)
        self._last_words = self._errors.read()[-1000:].decode(errors="replace").strip()
        self._errors.close()


def _settled(busy: Sequence[_Worker]) -> list[_Worker]:
    """Waits until at least one worker has replied, died or run out of time; returns those."""
    with selectors.DefaultSelector() as selector:
        for worker in busy:
            if not worker.outcome:
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        if not any(worker.outcome for worker in busy):
            left = min(worker.deadline for worker in busy) - time.monotonic()
            for key, _ in selector.select(max(0.0, left)):
                key.data.receive()
    for worker in busy:
        worker.expire()
    return [worker for worker in busy if worker.outcome]
