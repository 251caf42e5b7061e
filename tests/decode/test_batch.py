# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs, sizes, and which rows of a segment read their first pages together."""

import numpy as np
import pytest

from ttc_jax.decode.batch import Grouping, Job, bucket, coarse

PAGE = 4


def _job(row: int, question: int) -> Job:
    return Job(row, question, branch=row, last=0, limit=8)


def test_the_partition_that_reads_less_is_taken():
    # Two questions of 2 rows: their first 5 pages are the same, the sixth is each question's own.
    jobs = [_job(0, 7), _job(1, 7), _job(2, 8), _job(3, 8)]
    lens = np.full((1, 4), 6 * PAGE)
    tables = np.array([[[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]] + [[0, 1, 2, 3, 4, 9]] * 2])
    groups = Grouping(PAGE).of([jobs], 4, tables, lens)
    assert groups.lens[0].max() == 5 * PAGE
    assert (groups.group[0] == 0).all() and sorted(groups.members[0, 0]) == [0, 1, 2, 3]
    # Nothing in common: each question reads its own six pages.
    tables = np.array([[[0, 1, 2, 3, 4, 5]] * 2 + [[6, 7, 8, 9, 10, 11]] * 2])
    groups = Grouping(PAGE).of([jobs], 4, tables, lens)
    assert groups.lens[0, :2].tolist() == [6 * PAGE] * 2
    assert groups.pages[0, 1, :6].tolist() == [6, 7, 8, 9, 10, 11]
    assert groups.group[0].tolist() == [0, 0, 1, 1] and groups.place[0].tolist() == [0, 1, 0, 1]


def test_only_full_pages_of_all_members_are_shared():
    jobs = [_job(row, 7) for row in range(3)]
    tables = np.array([[[0, 1, 2, 3, 4, 5]] * 3])
    for lens, shared in (([24, 24, 24], 6), ([24, 23, 24], 5), ([24, 15, 16], 3), ([24, 24, 3], 0)):
        groups = Grouping(PAGE).of([jobs], 4, tables, np.array([lens]))
        assert groups.lens[0, 0] == shared * PAGE


def _random_tables(random, replicas: int, rows: int, row_pages: int):
    """Rows that go on where others were, or begin anew; entries beyond a row's last are junk."""
    tables = random.integers(0, 999, (replicas, rows, row_pages))
    lens = random.integers(0, row_pages * PAGE + 1, (replicas, rows))
    fresh = 1000
    for r in range(replicas):
        for row in range(rows):
            own = np.arange(fresh, fresh + row_pages)
            fresh += row_pages
            parent = random.integers(0, row + 1)
            depth = random.integers(0, lens[r, parent] // PAGE + 1) if parent < row else 0
            depth = min(depth, lens[r, row] // PAGE)
            held = -(-lens[r, row] // PAGE)
            tables[r, row, :depth] = tables[r, parent, :depth]
            tables[r, row, depth:held] = own[depth:held]
    return tables, lens


@pytest.mark.parametrize("expected", [None, (2, 2, 3)], ids=str)
def test_groups_of_random_rows_list_pages_that_their_members_hold(expected):
    random = np.random.default_rng(0)
    grouping, rows, width = Grouping(PAGE, expected), 12, 8
    shared = []
    for _ in range(60):
        tables, lens = _random_tables(random, 2, rows, row_pages=7)
        jobs = [
            [_job(int(row), int(random.integers(0, 4))) for row in random.permutation(rows)[:count]]
            for count in random.integers(0, width + 1, 2)
        ]
        groups = grouping.of(jobs, width, tables, lens)
        for r, replica in enumerate(jobs):
            assert (groups.group[r, len(replica) :] == groups.lens.shape[1]).all()
            for x, job in enumerate(replica):
                group, place = groups.group[r, x], groups.place[r, x]
                assert groups.members[r, group, place] == x
                count = groups.lens[r, group] // PAGE
                assert groups.lens[r, group] == count * PAGE <= lens[r, job.row]
                same = groups.pages[r, group, :count] == tables[r, job.row, :count]
                assert same.all()
                shared.append(count)
            assert (groups.members[r] < width).sum() == len(replica)
    # Of prompts of three pages four at most are taken to be shared, a whole bucket.
    assert max(shared) == 4 if expected else max(shared) > 4


def test_sizes_of_groups_never_shrink():
    grouping, table = Grouping(PAGE), np.arange(12 * 8).reshape(1, 12, 8)
    table[:] = table[:, :1]  # all rows begin alike
    for question in (lambda row: 7, lambda row: row):  # one question, then as many as rows
        sizes = []
        for count in (8, 2, 5):
            jobs = [_job(row, question(row)) for row in range(count)]
            groups = grouping.of([jobs], 8, table, np.full((1, 12), 8 * PAGE - 1))
            sizes.append((groups.pages.shape, groups.members.shape))
        assert sizes[0] == sizes[1] == sizes[2]


def test_sizes_are_rounded_up():
    assert [bucket(n) for n in (0, 1, 2, 3, 4, 5, 64, 65)] == [0, 1, 2, 4, 4, 8, 64, 128]
    assert [bucket(n, 16) for n in (0, 1, 16, 17)] == [0, 16, 16, 32]
    assert [coarse(n, 100) for n in (0, 1, 4, 5, 16, 17, 64, 65)] == [0, 4, 4, 16, 16, 64, 64, 100]
    assert [coarse(n, 30, least=16) for n in (1, 16, 17, 30)] == [16, 16, 30, 30]
    assert coarse(2, 3) == 3


def test_a_job_takes_what_segments_sample():
    job = Job(row=3, question=1, branch=2, last=5, limit=4)
    assert [part.shape for part in job.sampled()] == [(0,), (0,)]
    job.take(np.array([7, 8]), np.array([-0.5, -1.0], np.float32), state=1)
    job.take(np.array([], np.int32), np.array([], np.float32), state=1)
    assert (job.last, job.limit, job.length, job.state) == (8, 2, 2, 1)
    job.take(np.array([9]), np.array([-2.0], np.float32), state=4)
    tokens, logprobs = job.sampled()
    assert tokens.tolist() == [7, 8, 9] and logprobs.tolist() == [-0.5, -1.0, -2.0]
    assert (job.last, job.limit, job.length, job.state) == (9, 1, 3, 4)
