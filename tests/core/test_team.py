# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Each item goes to one process, whichever comes when; what processes agree on, and do not."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttc_jax.core.team import Supply, Team, stable_hash


class Store:
    """The key-value store and the barriers of jax.distributed, for threads of one process."""

    def __init__(self, count: int = 2):
        self.values, self._count, self._barriers = {}, count, {}
        self._changed = threading.Condition()

    def key_value_set(self, key, value):
        with self._changed:
            if key in self.values:
                raise RuntimeError(f"ALREADY_EXISTS: {key}")
            self.values[key] = value
            self._changed.notify_all()

    def blocking_key_value_get(self, key, timeout_in_ms):
        with self._changed:
            assert self._changed.wait_for(lambda: key in self.values, 5)
            return self.values[key]

    def wait_at_barrier(self, barrier_id, timeout_in_ms):
        with self._changed:
            barrier = self._barriers.setdefault(barrier_id, threading.Barrier(self._count))
        barrier.wait(5)


def teams(count: int) -> list[Team]:
    store = Store(count)
    return [Team(index, count, store) for index in range(count)]


def together(*calls) -> list:
    """What the calls return, each made on a thread of its own; an error where one raised it."""
    found: list = [None] * len(calls)

    def run(i: int) -> None:
        try:
            found[i] = calls[i]()
        except Exception as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_the_hash_of_a_name_never_changes():
    # What splits questions, and what keys their samples: a change would change every result.
    assert [stable_hash(name) for name in ("", "q1", "math/7")] == [
        1188227382,
        886194030,
        3525269626,
    ]


def test_alone_all_items_come_in_order():
    supply = Supply(range(20), [str(i) for i in range(20)], chunk=3)
    assert supply and [supply.take() for _ in range(20)] == list(range(20))
    assert not supply and supply.take() is None


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 60),
    count=st.integers(1, 5),
    chunk=st.integers(1, 9),
    turns=st.lists(st.integers(0, 4), max_size=200),
)
def test_every_item_is_taken_once_whoever_comes_when(n, count, chunk, turns):
    names = [f"q{i}" for i in range(n)]
    supplies = [Supply(names, names, team, what="w", chunk=chunk) for team in teams(count)]
    taken = [[] for _ in supplies]
    for turn in turns:
        taken[turn % count].append(supplies[turn % count].take())
    for supply, own in zip(supplies, taken, strict=True):
        while supply:
            own.append(supply.take())
    found = [item for own in taken for item in own if item is not None]
    assert sorted(found) == sorted(names)


def test_a_process_takes_its_own_first_and_then_from_the_ends_of_others():
    names = [f"q{i}" for i in range(40)]
    shares = [[name for name in names if stable_hash(name) % 2 == i] for i in range(2)]
    one, two = (Supply(names, names, team, what="w", chunk=2) for team in teams(2))
    assert [one.take() for _ in shares[0]] == shares[0]
    assert one.take() is None and one  # rests: the other may not have begun
    assert two.take() == shares[1][0]
    stolen = [one.take() for _ in range(4)]
    assert set(stolen) <= set(shares[1][-20:]) and stolen[0] in shares[1][-2:]
    left = [item for item in iter(two.take, None)]
    assert not set(left) & set(stolen)


def test_processes_that_differ_are_told_so():
    one, two = teams(2)
    assert together(lambda: one.agree("code", "a"), lambda: two.agree("code", "a")) == [None, None]
    first, second = together(lambda: one.agree("code", "a"), lambda: two.agree("code", "b"))
    assert first is None
    with pytest.raises(ValueError, match="process 1 has code b, process 0 has a; start all"):
        raise second


def test_the_first_goes_first_and_all_wait():
    said = []

    def run(team: Team) -> None:
        with team.leader_first():
            said.append(team.index)
        team.wait()
        said.append("end")

    one, two, three = teams(3)
    together(lambda: run(three), lambda: run(two), lambda: run(one))
    assert said[0] == 0 and set(said[:3]) == {0, 1, 2} and said[3:] == ["end"] * 3


def test_what_goes_wrong_with_the_store_is_not_taken_for_a_claim_of_others():
    class Broken(Store):
        def key_value_set(self, key, value):
            raise RuntimeError("UNAVAILABLE: the coordinator is gone")

    with pytest.raises(RuntimeError, match="UNAVAILABLE"):
        Team(0, 2, Broken()).claim("x")
    assert Team().claim("x") and Team().claim("x")  # alone there is nobody to ask
