# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a run cost, counted again from its stored rows, token by token and key by key.

Of the models only the arrays and the windows are used, of the verifier its format: texts are
encoded again from their start to find where their steps stand. What a row says of its own tokens
is held to that.
"""

import math
from collections import Counter
from functools import cache

import jax

from ttc_jax.core.mesh import path_name
from ttc_jax.core.samples import Sample
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import abstract
from ttc_jax.verify.formats import Format
from ttc_jax.verify.readers import TokenPair

MATRICES = ("q", "k", "v", "o", "gate", "up", "down")


@cache
def _sizes(shape: ModelShape) -> dict[str, int]:
    """Numbers in each parameter, by path."""
    leaves = jax.tree_util.tree_leaves_with_path(abstract(shape))
    return {path_name(path): math.prod(leaf.shape) for path, leaf in leaves}


@cache
def one_token(shape: ModelShape, position: int, head: int) -> int:
    """FLOPs of one token at a position; each of its `head` numbers is one of a head's weights."""
    sizes = _sizes(shape)
    weights = sum(n for path, n in sizes.items() if path.split("/")[-1] in MATRICES) + head
    keys = 0
    for layer in range(shape.layers):
        window = shape.windows[layer] if shape.windows else 0
        keys += sum(not window or key > position - window for key in range(position + 1))
    # A product with each key, and one with each value.
    return 2 * weights + 2 * 2 * keys * shape.heads * shape.head_dim


def _read(shape: ModelShape, start: int, end: int, head: int = 0) -> int:
    return sum(one_token(shape, position, head) for position in range(start, end))


class Recount:
    """FLOPs of the rows of one question, by number of the row and phase, without zeros.

    `chain` and `memory` are those of revisions whose verifier reads the attempts before (0: there
    are none).
    """

    def __init__(
        self, rows: list[Sample], policy: ModelShape, verifier: ModelShape | None = None,
        format: Format | None = None, *, chain: int = 0, memory: int = 0,
    ):  # fmt: skip
        self.rows = {row.branch: row for row in rows}
        self.policy, self.verifier, self.format = policy, verifier, format
        self.flops = {number: Counter() for number in self.rows}
        self.shared = self.again = 0  # judgements that cost nothing; attempts that were read again
        for number, row in self.rows.items():
            self._prompt(row) if number < 0 else self._sampled(row)
        if format is None:
            return
        sizes = _sizes(verifier)
        self._head = sizes.get("value_head", 0) + sizes.get("value_up", 0)
        if isinstance(format.reader, TokenPair):
            self._head = 2 * verifier.width
        self._opened()
        self._chains(chain, memory) if chain else self._judged()

    # ------------------------------------------------------------------ the policy

    def path(self, row: Sample) -> list[Sample]:
        """The prompt, and the rows from there to this one."""
        path = [row]
        while path[0].parent is not None:
            path.insert(0, self.rows[path[0].parent])
        return path

    def _prompt(self, row: Sample) -> None:
        phase = "prefill" if row.branch == -1 else "revision_context"
        end = len(row.tokens) - 1  # the last one is read when the first is sampled
        self.flops[row.branch][phase] += _read(self.policy, end - row.usage[phase], end)

    def _sampled(self, row: Sample) -> None:
        head = _sizes(self.policy)["embed" if self.policy.tied else "head"]
        prompt, *before, _ = self.path(row)
        start = len(prompt.tokens) - 1 + sum(len(earlier.tokens) for earlier in before)
        end = start + len(row.tokens)
        phase = "rollout" if row.rollout else "decode"
        assert row.usage[phase] == len(row.tokens)
        self.flops[row.branch][phase] += _read(self.policy, start, end, head)
        ahead = row.usage.get("lookahead", 0)
        # A token is a letter, but for the end of a solution, which is no text.
        assert ahead - len(row.ahead) in (0, 1)
        self.flops[row.branch]["lookahead"] += _read(self.policy, end, end + ahead, head)

    # ------------------------------------------------------------------ the verifier

    def _length(self, texts) -> int:
        return len(self.format.whole(self.rows[-1].text, texts)[0])

    def _scored(self, row: Sample, phase: str, start: int, end: int) -> None:
        self.flops[row.branch][phase] += _read(self.verifier, start, end, self._head)

    def _opened(self) -> None:
        """The question, of which what another one begins with too may have been shared."""
        root, end = self.rows[-1], self._length(())
        encoded = root.usage["verifier_prefill"]
        assert 0 < encoded <= end
        self.shared += encoded < end
        read = _read(self.verifier, end - encoded, end)
        self.flops[-1]["verifier_prefill"] += read

    def _judged(self) -> None:
        """Steps, of which equal ones after equal ones are read once, by the first."""
        states = {number: "question" for number in self.rows if number < 0}
        seen = set()
        for number, row in sorted(self.rows.items()):
            if number < 0 or row.rollout:
                continue
            ahead = [line.strip() for line in row.ahead.split("\n") if line.strip()]
            steps = [row.text] if self.format.outcome else row.steps
            key = states[row.parent], tuple(steps), tuple(ahead)
            states[number] = key
            before = [step for earlier in self.path(row)[1:-1] for step in earlier.steps]
            start, middle = self._length(before), self._length([*before, *steps])
            end = self._length([*before, *steps, *ahead])
            if key in seen:
                middle = end = start
                self.shared += 1
            seen.add(key)
            usage = row.usage["verify"], row.usage.get("verify_lookahead", 0)
            assert usage == (middle - start, end - middle)
            self._scored(row, "verify", start, middle)
            self._scored(row, "verify_lookahead", middle, end)

    def _chains(self, chain: int, memory: int) -> None:
        """Attempts behind those that their prompts had in view, which may be read again."""
        attempts = [row for row in self.rows.values() if row.role == "candidate"]
        attempts.sort(key=lambda row: row.place)
        for i, row in enumerate(attempts):
            at = i % chain
            view = [earlier.text for earlier in attempts[i - min(at, memory) : i]]
            start, end = self._length(view), self._length([*view, row.text])
            if row.usage["verify"]:
                assert row.usage["verify"] == end - start
                self._scored(row, "verify", start, end)
            prompt = self.rows[row.parent]
            if again := prompt.usage.get("verify_context", 0):
                assert again == start - self._length(())
                self._scored(prompt, "verify_context", self._length(()), start)
                self.again += 1
