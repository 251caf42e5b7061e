# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Packed batches of one shape, in an order that depends on the seed and the step alone.

Each step takes the same number of examples, exactly, and packs them into rows of one length; how
many rows are needed is counted beforehand, from the lengths of the examples. Any step can be gone
back to, as in any `grain` pipeline with random access; each process takes its share of every step.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grain
import jax
import numpy as np


@dataclass(frozen=True)
class Example:
    """A text, and what is to be learned at each of its tokens.

    tokens i32[n]; targets [n], what belongs to the hidden state at each token: the next token (i32)
    for a language model, a value in [0, 1] (f32) for a verifier; weights f32[n], 0 where nothing is
    learned. `id` names the example in errors, `question` the question that it is about.
    """

    id: str
    question: str
    tokens: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Packed:
    """Rows of packed examples: tokens, positions, segments i32[R, T], targets, weights [R, T].

    The examples of a row have segments 1, 2, ... and positions from 0; padding is segment 0, of
    weight 0. Targets are i32 or f32 as in `Example`.
    """

    tokens: np.ndarray | jax.Array
    positions: np.ndarray | jax.Array
    segments: np.ndarray | jax.Array
    targets: np.ndarray | jax.Array
    weights: np.ndarray | jax.Array


@dataclass(frozen=True)
class Shape:
    """The shape of batches: `rows` rows of `length` tokens, on this process."""

    rows: int
    length: int


def assign(lengths: Sequence[int], length: int) -> list[list[int]]:
    """Rows of at most `length` tokens: the indices in each, longest first into the first that fits.

    Raises:
      ValueError: one of the lengths is larger than `length`.
    """
    rows: list[list[int]] = []
    free: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        row = _first_fit(lengths[index], length, free)
        if row == len(rows):
            rows.append([])
        rows[row].append(index)
    return rows


def _first_fit(need: int, length: int, free: list[int]) -> int:
    """The first row with room for `need` tokens, or a new one; notes in `free` what is left."""
    if need > length:
        raise ValueError(f"an example of {need} tokens does not fit rows of {length}")
    row = next((r for r, room in enumerate(free) if room >= need), len(free))
    if row == len(free):
        free.append(length)
    free[row] -= need
    return row


def pack(examples: Sequence[Example], rows: Sequence[Sequence[int]], shape: Shape) -> Packed:
    """The examples in the given rows, the rest of the shape padding."""
    dims = shape.rows, shape.length
    kind = examples[0].targets.dtype if examples else np.float32
    tokens, positions, segments = (np.zeros(dims, np.int32) for _ in range(3))
    targets, weights = np.zeros(dims, kind), np.zeros(dims, np.float32)
    for r, members in enumerate(rows):
        start = 0
        for number, index in enumerate(members, start=1):
            example = examples[index]
            end = start + len(example.tokens)
            tokens[r, start:end] = example.tokens
            positions[r, start:end] = np.arange(end - start)
            segments[r, start:end] = number
            targets[r, start:end] = example.targets
            weights[r, start:end] = example.weights
            start = end
    return Packed(tokens, positions, segments, targets, weights)


class _Order:
    """The examples of each step, i64[size], as a source for `grain`.

    Epochs are permutations of all `count` examples, drawn from (seed, epoch), one after the other.
    The shuffle of `grain` itself takes milliseconds for each example of a small set.
    """

    def __init__(self, count: int, size: int, seed: int):
        self._count, self._size, self._seed = count, size, seed
        self._epoch = functools.lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self._seed, epoch)).permutation(self._count)

    def __len__(self) -> int:
        return 1 << 40  # there is no end

    def __getitem__(self, step: int) -> np.ndarray:
        epoch, at = np.divmod(np.arange(step * self._size, (step + 1) * self._size), self._count)
        return np.concatenate([self._epoch(e)[at[epoch == e]] for e in np.unique(epoch).tolist()])


class Batches:
    """Batches of `size` examples without end, those of step 0 first; iterate over it.

    Examples are shuffled anew in every epoch. On each of `processes` processes a batch has the
    rows that its own share needs in any of `steps` steps, padded to a multiple of `multiple`
    (microbatches times shards). `length` is the tokens of a row; 0 stands for the longest example,
    rounded up to a multiple of 64.

    Raises:
      ValueError: there are no examples, one is longer than a row, or the processes cannot share a
        batch evenly.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        size: int,
        *,
        steps: int,
        seed: int,
        length: int = 0,
        multiple: int = 1,
        process: int = 0,
        processes: int = 1,
    ):
        if not examples:
            raise ValueError("there are no examples to learn from")
        if size < 1 or size % processes:
            raise ValueError(
                f"a batch of {size} examples cannot be shared by {processes} processes evenly"
            )
        self.examples, self.size = examples, size
        length = row_length(examples, length)
        order = _Order(len(examples), size, seed)
        lengths = np.array([len(example.tokens) for example in examples])
        rows = max(
            len(assign(lengths[order[step][p::processes]].tolist(), length))
            for step in range(steps)
            for p in range(processes)
        )
        self.shape = Shape(-(-rows // multiple) * multiple, length)
        self._share = slice(process, None, processes)
        batches = grain.MapDataset.source(order).map(self._pack)
        self._iterator = iter(batches.to_iter_dataset(grain.ReadOptions(1, prefetch_buffer_size=2)))

    def _pack(self, indices: np.ndarray) -> tuple[Packed, list[str], list[int]]:
        chosen = [self.examples[i] for i in indices]
        lengths, own = [len(example.tokens) for example in chosen], chosen[self._share]
        rows = assign(lengths[self._share], self.shape.length)
        return pack(own, rows, self.shape), [example.id for example in chosen], lengths

    def __iter__(self) -> Iterator[tuple[Packed, list[str], list[int]]]:
        """This process's rows, and of all processes the examples' ids and numbers of tokens."""
        return self

    def __next__(self) -> tuple[Packed, list[str], list[int]]:
        return next(self._iterator)

    @property
    def state(self) -> dict:
        """Where the pipeline is, as JSON values."""
        return self._iterator.get_state()

    @state.setter
    def state(self, state: dict) -> None:
        self._iterator.set_state(state)


def row_length(examples: Sequence[Example], length: int = 0) -> int:
    """`length`, or the longest example rounded up to a multiple of 64 where it is 0.

    Raises:
      ValueError: an example is longer than `length`; names it.
    """
    longest = max(examples, key=lambda example: len(example.tokens))
    need = len(longest.tokens)
    if not length:
        return -(-need // 64) * 64
    if need > length:
        raise ValueError(
            f"example {longest.id!r} has {need} tokens, rows have {length}; raise the length of "
            f"rows, or leave such examples out"
        )
    return length


@dataclass(frozen=True)
class Placed:
    """An example in a packed batch: its row, and the column of its first token."""

    example: Example
    row: int
    start: int


def in_order(examples: Sequence[Example], shape: Shape) -> Iterator[tuple[list[Placed], Packed]]:
    """All examples in their order, as many at once as the rows hold, and how they are packed.

    Raises:
      ValueError: an example is longer than a row.
    """
    some: list[Placed] = []
    free: list[int] = []

    def batch() -> tuple[list[Placed], Packed]:
        rows = [[i for i, at in enumerate(some) if at.row == r] for r in range(shape.rows)]
        return some, pack([at.example for at in some], rows, shape)

    for example in examples:
        need = len(example.tokens)
        row = _first_fit(need, shape.length, free)
        if row == shape.rows:
            yield batch()
            some, free = [], []
            row = _first_fit(need, shape.length, free)
        some.append(Placed(example, row, shape.length - free[row] - need))
    if some:
        yield batch()
