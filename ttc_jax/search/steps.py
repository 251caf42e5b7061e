# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where steps and solutions end in what was sampled."""

from dataclasses import dataclass

import numpy as np

from ttc_jax.data.prompts import split_steps
from ttc_jax.decode.batch import Job
from ttc_jax.decode.stop import StopAutomaton, build
from ttc_jax.search.plan import Policy

_TAIL = 256  # bytes of a solution that stop strings across steps are looked for in


@dataclass(frozen=True)
class Stretch:
    """What a job sampled until it stopped: tokens i32[len], logprobs f32[len] and their text.

    `tail` are the last bytes of the solution with them; `met` is what stopped it, an end-of-turn
    token, an end string or the delimiter of steps, or None where its tokens were used up.
    """

    tokens: np.ndarray
    logprobs: np.ndarray
    text: str
    tail: bytes
    met: int | str | None


class StepReader:
    """Reads what jobs of a policy sampled.

    With `stepwise` the delimiter stops a job as the ends of solutions do. The automaton reports
    whichever string is complete first; an end that begins with the delimiter (a blank line after a
    newline) is found here when one token completes both, and by `resume` when it takes another.
    """

    def __init__(self, policy: Policy, stepwise: bool):
        self._policy = policy
        known = policy.tokenizer.token_bytes()
        boundary = policy.delimiter if stepwise else None
        self.stop: StopAutomaton = build(known, policy.tokenizer.eos, policy.ends, boundary)
        self._bytes = [*known, *[b""] * (policy.model.shape.vocab - len(known))]

    def read(self, job: Job, tail: bytes) -> Stretch | None:
        """What the job sampled after a solution that ends with `tail`; None while it goes on."""
        met = self.stop.met(job.state)
        if met is None and job.limit:
            return None
        tokens, logprobs = job.sampled()
        data = b"".join(self._bytes[token] for token in tokens)
        tail = (tail + data)[-_TAIL:]
        if met == self._policy.delimiter:
            met = self._end_in(tail, len(self._bytes[tokens[-1]]))
        return Stretch(tokens, logprobs, data.decode(errors="replace"), tail, met)

    def resume(self, tail: bytes, *, whole: bool = False) -> int:
        """The automaton's state in which a solution that ends with `tail` goes on.

        By a step, or to its `whole` length.
        """
        return self.stop.resume(tail, whole=whole)

    def split(self, text: str) -> tuple[str, ...]:
        """The non-empty steps of a text."""
        if not text:  # of most nodes there is no rollout
            return ()
        return tuple(step.text for step in split_steps(text, self._policy.delimiter))

    def by_step(
        self, tokens: np.ndarray, logprobs: np.ndarray, text: str
    ) -> tuple[np.ndarray, ...]:
        """The logprobs f32[len] of the tokens of a text, cut into those of each of its steps.

        A step's tokens begin where those of the step before end, with the one that completes the
        delimiter; the last step has all that follow. They may be none, where one token holds the
        end of a step and all of another.
        """
        steps, ends = split_steps(text, self._policy.delimiter), []
        # In bytes: text that is not UTF-8 reads otherwise, but newlines in it are newlines.
        data = b"".join(self._bytes[token] for token in tokens)
        newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        held = np.cumsum([len(self._bytes[token]) for token in tokens], dtype=np.int64)
        for step, following in zip(steps, steps[1:], strict=False):
            at = text.find(self._policy.delimiter, step.end, following.start)
            if at < 0:  # the line of a final answer, which no delimiter sets off
                end = text.index("\n", step.end) + 1
            else:
                end = at + len(self._policy.delimiter)
            last = newlines[text.count("\n", 0, end) - 1]
            ends.append(int(np.searchsorted(held, last, "right")) + 1)
        return tuple(np.split(logprobs, ends)) if steps else ()

    def _end_in(self, tail: bytes, last: int) -> str:
        """The end string that the last token, `last` bytes, completed too; else the delimiter."""
        for end in self._policy.ends:
            data = end.encode()
            if data in tail[-(len(data) - 1 + last) :]:
                return end
        return self._policy.delimiter
