# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded searches, and two ways to score them: step by step, or every text from its start."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from unittest import mock

import jax
import numpy as np
import workload

from ttc_jax.data.sources import Question
from ttc_jax.decode import segment as programs
from ttc_jax.model.transformer import Transformer, forward
from ttc_jax.verify.formats import Format
from ttc_jax.verify.readers import Reader
from ttc_jax.verify.scorer import Claim, Room

# Whole texts are padded to a multiple of so many tokens; so many tokens are a batch, as many as
# `extend` reads at once. Larger batches are no faster on CPUs.
LENGTHS, AREA = 32, 1024


@dataclass(frozen=True)
class Recorded:
    """A search over a question: the candidates of each round, and their steps.

    parents[round][i] is the candidate of the round before that steps[round][i] continues.
    """

    question: Question
    parents: list[list[int]]
    steps: list[list[str]]

    def solution(self, round: int, i: int) -> tuple[str, ...]:
        """The steps of candidate i of a round, from the first."""
        before = self.solution(round - 1, self.parents[round][i]) if round else ()
        return (*before, self.steps[round][i])


def record(models: workload.Models, questions, n: int, m: int, rounds: int, step: int, seed: int):
    """A Recorded beam search with n beams of width m for each question; steps of random words."""
    words = [word.decode() for word in workload.words(models.tokenizer)]
    draw = random.Random(seed)
    trees = []
    for question in questions:
        kept = [sorted(draw.sample(range(n), n // m)) for _ in range(rounds - 1)]
        parents = [[0] * n, *([i for i in best for _ in range(m)] for best in kept)]
        steps = [
            ["".join(draw.choices(words, k=step)).strip() for _ in range(n)] for _ in range(rounds)
        ]
        trees.append(Recorded(question, parents, steps))
    return trees


def whole_texts(format: Format, tree: Recorded) -> list[list[tuple[int, ...]]]:
    """The ids of question and solution of each candidate, by round."""
    start = format.begin(tree.question.text)
    rounds = []
    for round, parents in enumerate(tree.parents):
        before = [rounds[-1][parent] for parent in parents] if round else [start] * len(parents)
        steps = [format.step(text, round).ids for text in tree.steps[round]]
        rounds.append([(*b, *ids) for b, ids in zip(before, steps, strict=True)])
    return rounds


def unique_tokens(texts: Sequence[Sequence[int]]) -> int:
    """Different non-empty beginnings of the texts: what has to be read at least."""
    known: dict[tuple[int, int], int] = {}
    for ids in texts:
        place = 0
        for id in ids:
            place = known.setdefault((place, id), len(known) + 1)
    return len(known)


@contextmanager
def counted_extends() -> Iterator[Counter]:
    """Tokens that `extend` encodes inside, and positions that it computes with padding."""
    counts, extend = Counter(), programs.extend

    def counting(model, cache, rows, tokens, n, **kwargs):
        counts.update(encoded=int(n.sum()), computed=tokens.size, calls=1)
        return extend(model, cache, rows, tokens, n, **kwargs)

    with mock.patch.object(programs, "extend", counting):
        yield counts


class Appended:
    """Our verifier over recorded searches, a round of all of them at a time."""

    def __init__(self, models: workload.Models, trees: Sequence[Recorded], step: int):
        self.models, self.trees = models, trees
        self.rounds, self.n = len(trees[0].steps), len(trees[0].parents[0])
        paths = len(set(trees[0].parents[-1]))
        self.room = Room(self.n + paths, paths, step * self.rounds, step, self.rounds)

    def __call__(self) -> tuple[float, list[float]]:
        """Seconds, the questions' own included, and the score of every step, round by round."""
        verifier = workload.verifier(self.models)
        verifier.prepare({t.question.id: t.question.text for t in self.trees}, self.room)
        verifier.allocate(len(self.trees), self.room.rows)
        scores = []
        start = time.perf_counter()
        opened = verifier.open([tree.question.id for tree in self.trees])
        pools = [[state] for state, _ in opened]
        for round in range(self.rounds):
            last = round == self.rounds - 1
            claims = [
                Claim(pool[parent], (text,), final=last)
                for tree, pool in zip(self.trees, pools, strict=True)
                for parent, text in zip(tree.parents[round], tree.steps[round], strict=True)
            ]
            judged = verifier.score(claims)
            scores += [judgement.scores[-1] for judgement in judged]
            for tree, pool in zip(self.trees, pools, strict=True):
                for parent in set(tree.parents[round]):
                    verifier.close(pool[parent])
            if not last:
                states = [judgement.state for judgement in judged]
                pools = [states[i : i + self.n] for i in range(0, len(states), self.n)]
                for tree, pool in zip(self.trees, pools, strict=True):
                    for i in set(range(self.n)) - set(tree.parents[round + 1]):
                        verifier.close(pool[i])
        return time.perf_counter() - start, scores


class Reread:
    """The same model over the whole text of every candidate, a round of all searches at a time."""

    def __init__(self, models: workload.Models, format: Format, trees: Sequence[Recorded]):
        self.model, self.reader = models.verifier, format.reader
        texts = [whole_texts(format, tree) for tree in trees]
        self.rounds = [[ids for rounds in texts for ids in rounds[r]] for r in range(len(texts[0]))]
        self.encoded = self.computed = 0

    def __call__(self) -> tuple[float, list[float]]:
        """Seconds, and the score of every step, round by round."""
        self.encoded = self.computed = 0
        scores = []
        start = time.perf_counter()
        for texts in self.rounds:
            scores += self._round(texts)
        return time.perf_counter() - start, scores

    def compile(self) -> None:
        """Runs every shape once."""
        for length in {self._bucket(ids) for texts in self.rounds for ids in texts}:
            self._batch([(0,)], length)

    def _bucket(self, ids: Sequence[int]) -> int:
        return -(-len(ids) // LENGTHS) * LENGTHS

    def _round(self, texts: Sequence[Sequence[int]]) -> list[float]:
        scores = [0.0] * len(texts)
        left = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        while left:
            length = self._bucket(texts[left[-1]])
            rows = AREA // length
            now, left = left[-rows:], left[:-rows]
            read = self._batch([texts[i] for i in now], length)
            for i, score in zip(now, read, strict=False):
                scores[i] = float(score)
        return scores

    def _batch(self, texts: Sequence[Sequence[int]], length: int) -> np.ndarray:
        tokens = np.zeros((AREA // length, length), np.int32)
        lens = np.ones((len(tokens),), np.int32)
        for row, ids in enumerate(texts):
            tokens[row, : len(ids)], lens[row] = ids, len(ids)
        self.encoded += sum(map(len, texts))
        self.computed += tokens.size
        return np.asarray(_last_score(self.model, tokens, lens, reader=self.reader))


@partial(jax.jit, static_argnames=("reader",))
def _last_score(model: Transformer, tokens, lens, *, reader: Reader) -> jax.Array:
    """What is read at the newline that ends each row; the format's last token."""
    hidden = forward(model, tokens, lens)
    return reader.read(model, hidden[np.arange(len(tokens)), lens - 1])
