# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Packed batches hold each example once and whole, in an order that only seed and step decide."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttc_jax.data.batches import Batches, Example, Shape, assign, in_order, pack, row_length

LENGTHS = [3, 9, 1, 6, 4, 12, 7, 2, 5, 11, 8]


def examples_of(lengths, kind=np.float32):
    """Examples whose tokens, targets and weights are like no other's."""
    found = []
    for number, n in enumerate(lengths):
        at = 1000 * (number + 1) + np.arange(n)
        found.append(
            Example(
                f"e{number}", f"q{number}", at.astype(np.int32), (at + 0.5).astype(kind),
                (at + 0.25).astype(np.float32),
            )  # fmt: skip
        )
    return found


def unpacked(packed):
    """The examples in a batch: (row, first column, tokens, targets, weights), padding checked."""
    found = []
    for row in range(packed.tokens.shape[0]):
        segments = packed.segments[row]
        used = int((segments > 0).sum())
        assert (segments[used:] == 0).all() and (segments[:used] > 0).all()
        assert (packed.weights[row, used:] == 0).all()
        count = int(segments.max(initial=0))
        assert segments[:used].tolist() == sorted(segments[:used].tolist())
        for segment in range(1, count + 1):
            own = np.flatnonzero(segments == segment)
            assert own.size and own.tolist() == list(range(own[0], own[-1] + 1))
            assert packed.positions[row, own].tolist() == list(range(len(own)))
            parts = (packed.tokens, packed.targets, packed.weights)
            found.append((row, int(own[0]), *(part[row, own].tolist() for part in parts)))
    return found


def contents(examples):
    return [tuple(x.tolist() for x in (e.tokens, e.targets, e.weights)) for e in examples]


def stream(examples=None, size=4, steps=12, seed=0, **how):
    return Batches(examples or examples_of(LENGTHS), size, steps=steps, seed=seed, **how)


def ids_of(batches, steps):
    return [ids for _, ids, _ in islice(batches, steps)]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(20, 50))
@settings(max_examples=50, deadline=None)
def test_every_example_is_in_one_row_once_and_whole(lengths, length):
    examples, rows = examples_of(lengths), assign(lengths, length)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= length for row in rows)
    # First fit opens a row only where nothing else has room: no two rows are half empty.
    assert sum(2 * sum(lengths[i] for i in row) <= length for row in rows) <= 1
    found = unpacked(pack(examples, rows, Shape(len(rows) + 2, length)))
    assert sorted(one[2:] for one in found) == sorted(contents(examples))
    assert [row for row, *_ in found] == [r for r, row in enumerate(rows) for _ in row]


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(1, 6), st.integers(0, 9),
    st.sampled_from([1, 2, 3]), st.sampled_from([1, 2]),
)  # fmt: skip
@settings(max_examples=10, deadline=None)
def test_the_rows_are_enough_in_every_step_that_is_planned(lengths, size, seed, multiple, parts):
    examples, shares = examples_of(lengths), []
    for process in range(parts):
        batches = Batches(
            examples, size * parts, steps=5, seed=seed, length=20, multiple=multiple,
            process=process, processes=parts,
        )  # fmt: skip
        rows = batches.shape.rows
        assert rows % multiple == 0 and batches.shape.length == 20
        shares.append(list(islice(batches, 5)))
    for of_step in zip(*shares, strict=True):
        assert all(packed.tokens.shape == (rows, 20) for packed, _, _ in of_step)
        _, ids, counted = of_step[0]
        assert all(rest == [ids, counted] for _, *rest in of_step)
        assert len(ids) == len(counted) == size * parts
        own = [examples[int(id[1:])] for id in ids]
        assert counted == [len(example.tokens) for example in own]
        found = [one[2:] for packed, _, _ in of_step for one in unpacked(packed)]
        assert len({len(unpacked(packed)) for packed, _, _ in of_step}) == 1
        assert sorted(found) == sorted(contents(own))


def test_rows_are_no_more_than_the_fullest_step_needs():
    batches = stream(length=16)
    needed = [len(assign(lengths, 16)) for _, _, lengths in islice(batches, 12)]
    assert batches.shape.rows == max(needed)
    assert stream(length=16, multiple=4).shape.rows == -(-max(needed) // 4) * 4


def test_every_epoch_covers_all_examples_in_another_order():
    seen = sum(ids_of(stream(steps=33), 33), [])
    epochs = [seen[i : i + 11] for i in range(0, 132, 11)]
    assert all(sorted(epoch) == sorted(f"e{i}" for i in range(11)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 12


def test_a_batch_beyond_the_examples_repeats_them():
    (ids,) = ids_of(stream(examples_of([3, 4, 5]), 8), 1)
    counts = Counter(ids)
    assert len(ids) == 8 and set(counts.values()) <= {2, 3} and len(counts) == 3


def test_batches_of_one_example():
    (first, *_), *others = ids_of(stream(size=1, seed=3), 11)
    assert sorted([first, *sum(others, [])]) == sorted(f"e{i}" for i in range(11))


def test_order_depends_on_the_seed_and_the_step_only():
    one = ids_of(stream(), 9)
    assert one == ids_of(stream(steps=100), 9) == ids_of(stream(length=50, multiple=8), 9)
    assert one != ids_of(stream(seed=1), 9)
    longer = ids_of(stream(examples_of([n + 1 for n in LENGTHS])), 9)
    assert longer == one  # not on the lengths


@pytest.mark.parametrize("processes", [2, 4])
def test_the_shares_of_processes_together_are_the_batch_of_one(processes):
    shares = [stream(size=8, process=p, processes=processes) for p in range(processes)]
    assert len({share.shape for share in shares}) == 1
    for whole, *parts in zip(*(islice(s, 9) for s in (stream(size=8), *shares)), strict=True):
        assert all(rest == list(whole[1:]) for _, *rest in parts)
        found = [[one[2:] for one in unpacked(packed)] for packed, _, _ in parts]
        assert {len(part) for part in found} == {8 // processes}
        assert sorted(sum(found, [])) == sorted(one[2:] for one in unpacked(whole[0]))


@pytest.mark.parametrize("done", [0, 1, 4, 7])
def test_a_state_goes_on_in_the_middle_of_an_epoch(done):
    batches = stream()
    ids_of(batches, done)
    state = json.loads(json.dumps(batches.state))
    expected = list(islice(batches, 6))
    again = stream()
    ids_of(again, 3)  # wherever it is
    again.state = state
    for (ours, *rest), (theirs, *others) in zip(islice(again, 6), expected, strict=True):
        assert rest == others
        assert all(
            np.array_equal(getattr(ours, name), getattr(theirs, name))
            for name in ("tokens", "positions", "segments", "targets", "weights")
        )


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_targets_keep_their_kind(kind):
    packed, _, _ = next(stream(examples_of(LENGTHS, kind)))
    assert packed.targets.dtype == kind
    assert packed.tokens.dtype == packed.segments.dtype == packed.positions.dtype == np.int32
    assert packed.weights.dtype == np.float32


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 5), st.integers(20, 40))
@settings(max_examples=50, deadline=None)
def test_in_order_covers_all_and_tells_where_they_are(lengths, rows, length):
    examples, seen = examples_of(lengths), []
    for some, packed in in_order(examples, Shape(rows, length)):
        assert packed.tokens.shape == (rows, length) and some
        places = {(row, start): parts for row, start, *parts in unpacked(packed)}
        assert len(places) == len(some)
        for at in some:
            assert tuple(places[at.row, at.start]) == contents([at.example])[0]
            seen.append(at.example.id)
    assert seen == [example.id for example in examples]


def test_rows_are_as_long_as_the_longest_example_or_as_told():
    assert row_length(examples_of([3, 64])) == 64
    assert row_length(examples_of([65, 2])) == 128
    assert row_length(examples_of([65, 2]), 65) == 65
    assert stream().shape.length == 64


def test_an_example_that_is_too_long_is_named():
    with pytest.raises(ValueError, match="'e5' has 12 tokens, rows have 11"):
        stream(length=11)
    with pytest.raises(ValueError, match="an example of 12 tokens does not fit rows of 11"):
        assign(LENGTHS, 11)
    with pytest.raises(ValueError, match="12 tokens"):
        list(in_order(examples_of(LENGTHS), Shape(2, 11)))


def test_no_examples():
    with pytest.raises(ValueError, match="no examples to learn from"):
        Batches([], 4, steps=1, seed=0)
    assert list(in_order([], Shape(2, 8))) == []


@pytest.mark.parametrize(("size", "processes"), [(5, 2), (0, 1), (-2, 2), (2, 4)])
def test_a_batch_that_processes_cannot_share(size, processes):
    with pytest.raises(ValueError, match=f"a batch of {size} examples .* {processes} processes"):
        stream(size=size, processes=processes)
