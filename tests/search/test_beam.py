# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Beam search, lookahead and DVTS on trees small enough to follow by hand."""

from dataclasses import fields

import pytest
from search.recorded import GREEDY, RandomTree, Sample, drive

from ttc_jax.search.beam import Beam, first_of_each
from ttc_jax.search.dvts import DVTS
from ttc_jax.search.names import parse
from ttc_jax.search.tree import Node


def steps(**values: float) -> dict[tuple, Sample]:
    """Unfinished steps of the values given; `_01` is the path (0, 1), `_0g` a rollout from (0,)."""
    paths = {name: tuple(GREEDY if c == "g" else int(c) for c in name[1:]) for name in values}
    return {paths[name]: Sample(f"{name}\n", "step", value) for name, value in values.items()}


def candidates(ran) -> list[tuple]:
    return [path for path, _ in ran.candidates]


def test_lookahead_changes_which_beams_survive():
    # By their own steps 0 and 1 are best; one step later 2 and 3 are.
    samples = steps(_0=0.9, _1=0.8, _2=0.3, _3=0.2, _0g=0.1, _1g=0.15, _2g=0.6, _3g=0.7)
    samples |= steps(**{f"_{i}{j}": 0.5 for i in range(4) for j in range(2)})
    samples |= steps(**{f"_{i}{j}g": 0.4 for i in range(4) for j in range(2)})
    beam = drive(Beam(N=4, M=2, rounds=2), samples)
    ahead = drive(Beam(N=4, M=2, k=1, rounds=2), samples)
    assert beam.asked == [[()] * 4, [(0,), (0,), (1,), (1,)]]
    assert ahead.asked == [[()] * 4, [(3,), (3,), (2,), (2,)]]
    assert [n.value for n in beam.tree.nodes[1:5]] == [0.9, 0.8, 0.3, 0.2]
    assert [n.value for n in ahead.tree.nodes[1:5]] == [0.1, 0.15, 0.6, 0.7]
    # The rollout only scores: what is kept is the step itself.
    assert ahead.candidates[0] == ((3, 0), "_3\n_30\n")


def test_lookahead_of_no_steps_is_beam_search_in_every_field():
    for seed in range(50):
        samples = RandomTree(seed)
        beam, ahead = parse("beam(N=6,M=2)"), parse("lookahead(N=6,M=2,k=0)")
        assert beam == ahead and str(beam) == str(ahead)
        one, other = drive(beam, samples), drive(ahead, samples)
        assert one.asked == other.asked
        for node, twin in zip(one.tree.nodes, other.tree.nodes, strict=True):
            for name in {field.name for field in fields(Node)} - {"parent", "tokens", "logprobs"}:
                assert getattr(node, name) == getattr(twin, name)
            assert [n.number for n in node.path] == [n.number for n in twin.path]


def test_rollouts_that_change_no_value_change_nothing():
    class BlankAhead(RandomTree):
        def __getitem__(self, path):
            return Sample("\n", "step", None) if path[-1] == GREEDY else super().__getitem__(path)

    for seed in range(50):
        beam = drive(Beam(N=8, M=2, rounds=6), BlankAhead(seed))
        ahead = drive(Beam(N=8, M=2, k=2, rounds=6), BlankAhead(seed))
        assert ahead.asked == beam.asked and ahead.candidates == beam.candidates
        assert any(node.ahead for node in ahead.tree.nodes)


def test_an_ended_beam_stays_and_competes_until_it_is_beaten():
    samples = steps(_0=0.5, _1=0.9, _2=0.1, _3=0.2, _00=0.4, _01=0.3, _000=0.8, _001=0.7)
    samples |= {(1,): Sample("one", "stop", 0.45)}
    samples |= steps(_0000=0.1, _0001=0.1, _0010=0.1, _0011=0.1)
    # Round 2: 0 goes on, 1 is frozen. Round 3: 1 and 00 are the best two. Round 4: 000 and 001.
    for rounds, last in ((2, [(1,), (0, 0), (0, 1)]), (3, [(1,), (0, 0, 0), (0, 0, 1)])):
        assert candidates(drive(Beam(N=4, M=2, rounds=rounds), samples)) == last
    ran = drive(Beam(N=4, M=2, rounds=4), samples)
    assert ran.asked[1:] == [[(0,)] * 2, [(0, 0)] * 2, [(0, 0, 0)] * 2 + [(0, 0, 1)] * 2]
    assert candidates(ran) == [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 1, 1)]
    assert ran.roles[(1,)] == "pruned"


def test_the_search_ends_when_all_that_is_kept_has_ended():
    samples = steps(_0=0.1, _1=0.2)
    samples |= {(2,): Sample("two", "stop", 0.9), (3,): Sample("three", "length", 0.9)}
    ran = drive(Beam(N=4, M=2), samples)
    assert ran.asked == [[()] * 4]
    assert candidates(ran) == [(2,), (3,)]  # what was given up is no candidate
    assert ran.roles[(0,)] == "pruned"


def test_distinct_keeps_one_of_equal_texts_and_spends_the_rest_on_new_samples():
    texts = {0: "a\n", 1: "a \n", 2: "b\n", 3: "a\n", 4: "c\n", 5: "a\n"}
    values = {0: 0.9, 1: 0.9, 2: 0.3, 3: 0.8, 4: 0.2, 5: 0.9}
    samples = {(i,): Sample(texts[i], "step", values[i]) for i in range(6)}
    samples |= {(i, j): Sample(f"{j}\n", "step", 0.5) for i in range(6) for j in range(6)}
    assert drive(Beam(N=6, M=2, rounds=2), samples).asked[1] == [(0,)] * 2 + [(1,)] * 2 + [(5,)] * 2
    distinct = Beam(N=6, M=2, rounds=2, distinct=True)
    assert drive(distinct, samples).asked[1] == [(0,)] * 2 + [(2,)] * 2 + [(4,)] * 2
    # Two texts for three places: six samples for two beams. Then for one.
    samples[(4,)] = Sample("b", "step", 0.2)
    assert drive(distinct, samples).asked[1] == [(0,)] * 3 + [(2,)] * 3
    samples |= {(2,): Sample("a", "step", 0.3), (4,): Sample("a", "step", 0.2)}
    assert drive(distinct, samples).asked[1] == [(0,)] * 6
    # An odd rest goes to the better one: 0 has ended, five samples are for 2 and 4.
    samples |= {(0,): Sample("a", "stop", 0.9), (2,): Sample("b", "step", 0.3)}
    samples |= {(4,): Sample("c", "step", 0.4)}
    wide = Beam(N=6, M=1, rounds=2, distinct=True)
    assert drive(wide, samples).asked[1] == [(4,)] * 3 + [(2,)] * 2


def test_of_equal_texts_the_first_sampled_is_the_one_in_whatever_order_they_come():
    texts = [(7, "a\n"), (3, "a "), (5, "b"), (4, " b"), (9, "b\n\n")]
    nodes = [Node(number, text=text) for number, text in texts]
    assert [node.number for node in first_of_each(nodes)] == [3, 4, 5]


def test_subtrees_do_not_compete():
    samples = steps(_0=0.9, _1=0.8, _2=0.1, _3=0.2)
    samples |= steps(**{f"_{i}{j}": 0.5 for i in range(4) for j in range(2)})
    assert drive(Beam(N=4, M=2, rounds=2), samples).asked[1] == [(0,), (0,), (1,), (1,)]
    ran = drive(DVTS(N=4, M=2, rounds=2), samples)
    assert ran.asked == [[()] * 4, [(0,), (0,), (3,), (3,)]]
    assert candidates(ran) == [(0, 0), (0, 1), (3, 0), (3, 1)]
    samples[(0,)] = Sample("done", "stop", 0.9)
    ran = drive(DVTS(N=4, M=2, rounds=2), samples)
    assert ran.asked == [[()] * 4, [(3,), (3,)]]
    assert candidates(ran) == [(0,), (3, 0), (3, 1)]


def test_one_subtree_is_a_beam_search():
    for seed in range(50):
        samples = RandomTree(seed)
        one, other = drive(DVTS(N=6, M=6), samples), drive(Beam(N=6, M=6), samples)
        assert (one.asked, one.candidates) == (other.asked, other.candidates)


@pytest.mark.parametrize("N, M", [
    (1, 1), (2, 1), (3, 1), (4, 2), (5, 1), (6, 2), (7, 1), (8, 2), (12, 3), (16, 4), (18, 3),
    (20, 4), (24, 4), (30, 5), (32, 4), (48, 6), (64, 8), (128, 8), (256, 16), (512, 16),
])
def test_width_without_one_is_the_divisor_nearest_to_the_root(N, M):
    assert Beam(N=N).M == DVTS(N=N).M == M
    assert str(Beam(N=N)) == f"beam(N={N},M={M})"


@pytest.mark.parametrize("make", [Beam, DVTS])
def test_a_width_that_does_not_fit_is_refused(make):
    with pytest.raises(ValueError, match=r"N=2 is smaller than M=4.*divides it \(1, 2\)"):
        make(N=2, M=4)
    with pytest.raises(ValueError, match=r"N=16 is not a multiple of M=6.*\(1, 2, 4, 8, 16\)"):
        make(N=16, M=6)
    for wrong in ({"N": 0}, {"N": 4, "M": 0}, {"N": 4, "rounds": 0}, {"N": 4, "M": 2.0}):
        with pytest.raises(ValueError, match="give a whole number of at least 1"):
            make(**wrong)
