# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Grades finished questions and stores them while others are still being sampled."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from ttc_jax.core.samples import Sample, SampleStore
from ttc_jax.data.prompts import split_steps
from ttc_jax.decode.batch import Branch, Completion
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.verify.grade import Graded, Grader

QUESTIONS_PER_SHARD = 8
SECONDS_PER_SHARD = 10.0
BACKLOG = 2  # shards being graded before sampling waits for them

Cost = Callable[[Completion, Branch], Mapping[str, float]]


class Recorder:
    """Takes completions and stores their samples, a shard for every 8 questions or 10 seconds.

    Grading and writing happen on one thread, in order; their errors come out of the next call. Use
    as a context manager: what is finished is stored on leaving it, after an interrupt too.
    """

    def __init__(
        self,
        store: SampleStore,
        grader: Grader,
        tokenizer: Tokenizer,
        answers: Mapping[str, str],
        cost: Cost,
    ):
        """`answers` maps question ids to gold answers; `cost` gives FLOPs of a branch by phase."""
        self._store, self._grader, self._tokenizer = store, grader, tokenizer
        self._answers, self._cost = answers, cost
        self._waiting: list[Completion] = []
        self._since = time.monotonic()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._jobs: deque[Future] = deque()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        try:
            if kind is None or issubclass(kind, KeyboardInterrupt):
                self._hand_over()
                while self._jobs:
                    self._jobs.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def add(self, completion: Completion) -> None:
        """Takes a finished question."""
        self._waiting.append(completion)
        self.tick()

    def tick(self) -> None:
        """Hands over what waits if it is enough or old enough; call it now and then."""
        old = time.monotonic() - self._since >= SECONDS_PER_SHARD
        if self._waiting and (old or len(self._waiting) >= QUESTIONS_PER_SHARD):
            self._hand_over()

    def _hand_over(self) -> None:
        while self._jobs and (self._jobs[0].done() or len(self._jobs) >= BACKLOG):
            self._jobs.popleft().result()
        self._jobs.append(self._thread.submit(self._record, self._waiting))
        self._waiting, self._since = [], time.monotonic()

    def _record(self, completions: list[Completion]) -> None:
        pairs = [(c, branch) for c in completions for branch in c.branches]
        texts = [self._tokenizer.decode(branch.tokens.tolist()) for _, branch in pairs]
        graded = self._grader.grade(
            [(self._answers[c.id], text) for (c, _), text in zip(pairs, texts, strict=True)]
        )
        samples: dict[str, list[Sample]] = {c.id: [] for c in completions}
        for (completion, branch), text, grade in zip(pairs, texts, graded, strict=True):
            cost = self._cost(completion, branch)
            samples[completion.id].append(_sample(completion.id, branch, text, grade, cost))
        for rows in samples.values():
            self._store.append(rows)
        self._store.flush()


def _sample(
    question: str, branch: Branch, text: str, grade: Graded, cost: Mapping[str, float]
) -> Sample:
    steps = split_steps(text)
    return Sample(
        question=question,
        branch=branch.index,
        text=text,
        steps=[step.text for step in steps],
        offsets=[step.start for step in steps],
        tokens=branch.tokens.tolist(),
        verdict=grade.verdict.value,
        logprob=float(branch.logprobs.sum(dtype="float64")),
        finish=branch.finish,
        answer=grade.answer,
        flops=dict(cost),
    )
