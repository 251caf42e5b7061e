# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What lies on the path from the prompt to each candidate of a run, read column by column."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ttc_jax.core.samples import read_columns

_COLUMNS = (
    "question", "branch", "parent", "role", "place", "answer", "verdict", "value", "scores",
    "finish", "tokens", "logprob", "flops",
)  # fmt: skip


@dataclass(frozen=True)
class Paths:
    """The candidates of all questions in the order of the strategy, one question after the other.

    Fields:
      rows: where the candidates of each question are.
      answers, verdicts: as stored.
      values: f64[C], NaN without a verifier.
      steps: the scores along each path; () where there are none, or the verifier could not read it.
      tokens, logprobs: i64[C] sampled along each path, and f64[C] the sum of their
        log-probabilities.
      own: FLOPs by phase, f64[C], of nodes on this path alone, the plain prompt aside.
      flops, discarded: FLOPs by phase of all nodes of a question, of those on no path.
    """

    rows: dict[str, slice]
    answers: list[str | None]
    verdicts: list[str]
    values: np.ndarray
    steps: list[tuple[float, ...]]
    tokens: np.ndarray
    logprobs: np.ndarray
    own: dict[str, np.ndarray]
    flops: dict[str, dict[str, float]]
    discarded: dict[str, dict[str, float]]


def read_paths(directory: Path, questions: Sequence[str]) -> Paths:
    """The candidates of those of the questions that are stored in a directory of samples.

    Raises:
      ValueError: samples that cannot be read, a score or value that is not a number, a candidate
        without a value though others of the run have one, or a parent that is missing.
    """
    table = read_columns(directory, _COLUMNS)
    table = table.filter(pc.is_in(table["question"], pa.array(questions, pa.string())))
    table = table.combine_chunks()
    names = sorted(table["question"].unique().to_pylist())
    nodes = _Nodes(directory, table, names)
    found = np.flatnonzero(pc.equal(table["role"], "candidate").to_numpy())
    order = np.lexsort((nodes.branch[found], _ints(table["place"])[found], nodes.question[found]))
    found = found[order]
    ends = np.searchsorted(nodes.question[found], np.arange(len(names) + 1))
    chosen = table.take(pa.array(found))

    visits = np.zeros(len(nodes.up), np.int64)
    for _, at in nodes.upward(found):
        visits += np.bincount(at, minlength=len(visits))
    tokens, logprobs = np.zeros(len(found), np.int64), np.zeros(len(found))
    own = {phase: np.zeros(len(found)) for phase in nodes.flops}
    for who, at in nodes.upward(found):
        sampled = nodes.branch[at] >= 0
        tokens[who] += np.where(sampled, nodes.tokens[at], 0)
        logprobs[who] += np.where(sampled, nodes.logprobs[at], 0.0)
        alone = (visits[at] == 1) & (nodes.branch[at] != -1)
        for phase, cost in nodes.flops.items():
            own[phase][who] += np.where(alone, cost[at], 0.0)
    return Paths(
        rows={name: slice(ends[i], ends[i + 1]) for i, name in enumerate(names)},
        answers=chosen["answer"].to_pylist(),
        verdicts=chosen["verdict"].to_pylist(),
        values=nodes.values(found),
        steps=nodes.steps(found),
        tokens=tokens,
        logprobs=logprobs,
        own=own,
        flops=nodes.totals(np.ones(len(visits))),
        discarded=nodes.totals(visits == 0),
    )


class _Nodes:
    """Every node of the questions: where its path goes on towards the prompt, and what it cost."""

    def __init__(self, directory: Path, table: pa.Table, names: Sequence[str]):
        self._directory, self._names, self._table = directory, names, table
        self.question = pc.index_in(table["question"], pa.array(names, pa.string())).to_numpy()
        self.branch = _ints(table["branch"])
        self.tokens = pc.list_value_length(table["tokens"]).to_numpy()
        self.logprobs = table["logprob"].to_numpy()
        self.up = self._parents()
        self.flops = self._flops()
        self._scores, self._starts = self._all_scores()

    def upward(self, nodes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """From each of the nodes to its prompt, step by step: which are not there yet, and where.

        i64[n] indices into `nodes`, and i64[n] of the nodes reached.
        """
        who, at = np.arange(len(nodes)), nodes
        while len(at):
            yield who, at
            more = self.up[at] >= 0
            who, at = who[more], self.up[at][more]

    def steps(self, candidates: np.ndarray) -> list[tuple[float, ...]]:
        """All scores along the path of each candidate."""
        paths: list[list[int]] = [[] for _ in candidates]
        for who, at in self.upward(candidates):
            for i, node in zip(who.tolist(), at.tolist(), strict=True):
                paths[i].append(node)
        read = pc.not_equal(self._table["finish"], "unread").to_numpy()[candidates]
        scores, starts = self._scores.tolist(), self._starts.tolist()
        return [
            tuple(s for node in path[::-1] for s in scores[starts[node] : starts[node + 1]] if ok)
            for path, ok in zip(paths, read.tolist(), strict=True)
        ]

    def values(self, candidates: np.ndarray) -> np.ndarray:
        """f64[n]: the value of each candidate; NaN of all where no node has any."""
        column = self._table["value"]
        known = column.is_valid().to_numpy()
        values = column.to_numpy().astype(np.float64)
        self._refuse(known & np.isnan(values), "has a value that is not a number")
        if known.any():
            missing = np.zeros(len(known), bool)
            missing[candidates] = ~known[candidates]
            self._refuse(missing, "has no value, though others have")
        return values[candidates]

    def totals(self, weights: np.ndarray) -> dict[str, dict[str, float]]:
        """FLOPs by phase over all nodes of each question, each node times its weight."""
        sums = {
            phase: np.bincount(self.question, cost * weights, len(self._names))
            for phase, cost in self.flops.items()
        }
        return {
            name: {phase: float(sums[phase][i]) for phase in sums}
            for i, name in enumerate(self._names)
        }

    def _parents(self) -> np.ndarray:
        """i64[N]: the row of each node's parent, -1 of prompts.

        Early samples have no row for the plain prompt.
        """
        parent = _ints(self._table["parent"].fill_null(np.iinfo(np.int32).min))
        lowest = self.branch.min(initial=0)
        span = self.branch.max(initial=0) - lowest + 1
        keys = self.question * span + self.branch - lowest
        order = np.argsort(keys)
        wanted = self.question * span + parent - lowest
        at = order.take(np.searchsorted(keys, wanted, sorter=order), mode="clip")
        there = (keys[at] == wanted) & (parent >= lowest)
        sampled = self.branch >= 0
        self._refuse(sampled & ~there & (parent != -1), "continues one that is not stored")
        self._refuse(sampled & (parent >= self.branch), "continues one sampled after it")
        return np.where(there & sampled, at, -1)

    def _flops(self) -> dict[str, np.ndarray]:
        """FLOPs of each node by phase, f64[N]."""
        column = self._table["flops"].combine_chunks()
        offsets = column.offsets.to_numpy()
        own = slice(offsets[0], offsets[-1])
        phases = column.keys[own].dictionary_encode()
        cost = column.items[own].to_numpy()
        node = np.repeat(np.arange(len(column)), np.diff(offsets))
        found = {}
        for i, phase in enumerate(phases.dictionary.to_pylist()):
            mine = phases.indices.to_numpy() == i
            found[phase] = np.bincount(node[mine], cost[mine], len(column))
        return dict(sorted(found.items()))

    def _all_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores of all nodes one after the other, and where those of each begin (and end)."""
        column = self._table["scores"].combine_chunks()
        offsets = column.offsets.to_numpy()
        scores = column.values[offsets[0] : offsets[-1]].to_numpy().astype(np.float64)
        node = np.repeat(np.arange(len(column)), np.diff(offsets))
        bad = np.zeros(len(column), bool)
        bad[node[np.isnan(scores)]] = True
        self._refuse(bad, "has a score that is not a number")
        return scores, offsets - offsets[0]

    def _refuse(self, bad: np.ndarray, fault: str) -> None:
        """ValueError that names the first of the bad nodes, if there is any."""
        if bad.any():
            i = np.flatnonzero(bad)[0]
            raise ValueError(
                f"sample {self.branch[i]} of question {self._names[self.question[i]]!r} in "
                f"{self._directory} {fault}; delete its shard to sample its questions again"
            )


def _ints(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy().astype(np.int64)
