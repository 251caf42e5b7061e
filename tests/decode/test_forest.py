# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows copied, cut, released and extended in any order, against a decoder without sharing."""

from dataclasses import dataclass
from functools import cache

import jax
import numpy as np
import pytest
from decode.dense import Dense
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.batch import Job
from ttc_jax.decode.engine import Engine
from ttc_jax.decode.forest import Extension, Forest, OutOfPages
from ttc_jax.decode.sample import Sampler
from ttc_jax.decode.stop import build
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import logits

TOLERANCE = 1e-4
VOCAB, ROWS, CONTEXT, S = 60, 8, 56, 4
SHAPE = ModelShape("mistral", VOCAB, 24, 2, 4, 2, 8, 32, 1024, windows=(0, 9))
STOP = build([bytes([i]) for i in range(VOCAB)], range(0, VOCAB, 15))
EXAMPLES = [list(range(10, 33)), list(range(10, 20)) + list(range(30, 41))]  # 10 tokens in common


@dataclass(frozen=True)
class LogOdds:
    """Reads by how much one token is likelier than another."""

    def read(self, model, hidden):
        ahead = logits(model, hidden)
        return ahead[..., 7] - ahead[..., 41]

    def weights(self, shape) -> int:
        return shape.vocab * shape.width


READER = LogOdds()
_model = cache(lambda replicas: random_model(SHAPE, make_mesh(replicas)))


def _forest(replicas: int = 2, **changes) -> Forest:
    settings = {"rows": ROWS, "context": CONTEXT, "pages": ROWS * CONTEXT // S, "page_size": S}
    mesh = make_mesh(replicas)
    return Forest(_model(replicas), mesh=mesh, **(settings | changes))


def _check_pages(forest: Forest) -> None:
    """The invariants of pages.py, on the device's own tables, once nothing is noted any more."""
    forest.settle()
    pages = jax.device_get(forest.cache.pages)
    np.testing.assert_array_equal(pages.lens, forest.lens)
    assert not pages.short.any()
    used = 0
    for table, lens, free, n_free in zip(
        pages.table, pages.lens, pages.free, pages.n_free, strict=True
    ):
        counts = np.zeros(forest.pages, int)
        for row, n in zip(table, lens, strict=True):
            counts[row[: -(-n // S)]] += 1
        for row, n in zip(table, lens, strict=True):
            assert n % S == 0 or counts[row[n // S]] == 1  # one writer
        assert sorted(free[:n_free]) == np.flatnonzero(counts == 0).tolist()
        used += int((counts > 0).sum())
    assert forest.check_pages() == used


class Pair:
    """A forest and the oracle, which does at once what the forest notes."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.forest = _forest()
        self.dense = Dense(_model(1), self.forest.replicas * ROWS, CONTEXT)
        self.used: list = []
        self.left: list = []  # what rows held that were released since the last device call

    def tokens(self, n: int) -> list[int]:
        return self.random.integers(0, VOCAB, n).tolist()

    def held(self, place) -> list[int]:
        return self.dense.rows[place[0] * ROWS + place[1]]

    def hold(self, place, tokens) -> None:
        self.dense.rows[place[0] * ROWS + place[1]] = list(tokens)

    def one(self):
        return self.used[self.random.integers(len(self.used))]

    # ------------------------------------------------------------------ noted

    def copy(self) -> None:
        source = self.one()
        if not self.forest.free(source[0]):
            return
        held = self.held(source)
        n = len(held) if self.random.random() < 0.5 else int(self.random.integers(len(held) + 1))
        place = self.forest.copy(source, n)
        assert place not in self.used
        self.used.append(place)
        self.hold(place, held[:n])

    def cut(self) -> None:
        place = self.one()
        n = int(self.random.integers(len(self.held(place)) + 1))
        self.forest.cut(place, n)
        self.hold(place, self.held(place)[:n])

    def release(self) -> None:
        if len(self.used) > 2:
            place = self.one()
            self.forest.release(place)
            self.used.remove(place)
            self.left.append((place[0], self.held(place)))
            self.hold(place, [])

    def take(self) -> None:
        replica = int(self.random.integers(self.forest.replicas))
        if self.forest.free(replica):
            place = self.forest.take(replica)
            assert place not in self.used and not self.held(place)
            self.used.append(place)

    # ------------------------------------------------------------------ carried out

    def extend(self) -> None:
        chosen = [place for place in self.used if self.random.random() < 0.6]
        room = [min(CONTEXT - len(self.held(place)), 14) for place in chosen]
        self.append(
            [(place, self.tokens(self.random.integers(n + 1)))
             for place, n in zip(chosen, room, strict=True)]
        )  # fmt: skip

    def append(self, work) -> None:
        """Extend rows; what is read at each token must be what the oracle says there."""
        order = self.random.permutation(len(work))
        read = self.forest.extend([Extension(*work[i]) for i in order], READER)
        before = {place: len(self.held(place)) for place, _ in work}
        for place, tokens in work:
            self.hold(place, self.held(place) + tokens)
        ahead = self.dense.logits(self.dense.rows)
        odds = (ahead[..., 7] - ahead[..., 41]).reshape(-1, ROWS, CONTEXT)
        for i, found in zip(order, read, strict=True):
            place, tokens = work[i]
            expected = odds[place][before[place] : before[place] + len(tokens)]
            np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)

    def plant(self) -> None:
        free = [self.forest.free(r) for r in range(self.forest.replicas)]
        prompts = []
        for _ in range(self.random.integers(1, 4)):
            replica = int(self.random.integers(len(free)))
            if not free[replica]:
                continue
            free[replica] -= 1
            examples = EXAMPLES[self.random.integers(2)]
            prompts.append((replica, examples + self.tokens(self.random.integers(1, 9))))
        planted = self.forest.plant(prompts)
        known = [*self.left, *((place[0], self.held(place)) for place in self.used), *prompts]
        for (replica, tokens), (place, encoded) in zip(prompts, planted, strict=True):
            others = [held for r, held in known if r == replica and held is not tokens]
            longest = max((_common(tokens, held) for held in others), default=0)
            assert len(tokens) - encoded <= longest
            assert place[0] == replica and place not in self.used
            self.used.append(place)
            self.hold(place, tokens)
        # Examples are encoded once at most.
        for replica, tokens in prompts:
            same = [i for i, (r, t) in enumerate(prompts) if (r, t[:10]) == (replica, tokens[:10])]
            assert sum(planted[i][1] == len(prompts[i][1]) for i in same) <= 1

    def probe(self) -> None:
        """Read one more token on every row that holds something, and cut it off again."""
        live = [p for p in self.used if 0 < len(self.held(p)) < CONTEXT]
        self.append([(place, self.tokens(1)) for place in live])
        for place in live:
            self.forest.cut(place, len(self.held(place)) - 1)
            self.hold(place, self.held(place)[:-1])


def _common(one, other) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


@pytest.mark.parametrize("seed", range(6))
def test_random_operations_leave_rows_as_if_each_stood_alone(seed):
    pair = Pair(seed)
    pair.plant()
    noted = ["copy", "cut", "release", "take"]
    for _ in range(60):
        for kind in pair.random.choice(noted, pair.random.integers(0, 7), p=[0.35, 0.2, 0.4, 0.05]):
            getattr(pair, kind)()
        getattr(pair, pair.random.choice(["extend", "plant", "probe"], p=[0.4, 0.4, 0.2]))()
        _check_pages(pair.forest)
        pair.left.clear()
        for place in pair.used:
            assert pair.forest.lens[place] == len(pair.held(place))
    pair.probe()


def test_rows_may_hold_copies_of_copies_and_take_the_place_of_what_they_copy():
    pair = Pair(seed=0)
    forest, tokens = pair.forest, pair.tokens(11)
    first = forest.take(0)
    forest.extend([Extension(first, tokens)])
    forks = forest.forks
    second = forest.copy(first, 9)
    third = forest.copy(second, 7)
    forest.cut(second, 8)
    forest.release(first)
    again = forest.take(0)
    assert again == first and forest.lens[first] == 0
    fourth = forest.copy(third, 6)  # three rows now go on where the released one was
    forest.cut(third, 5)
    pair.used = [again, second, third, fourth]
    for place, n in ((again, 0), (second, 8), (third, 5), (fourth, 6)):
        pair.hold(place, tokens[:n])
    pair.append([(place, pair.tokens(3)) for place in pair.used])
    assert forest.forks == forks + 1
    _check_pages(forest)
    # Tokens 0 to 3 are one page for three rows.
    assert forest.pages_of([[second], [second, third], pair.used, [], [again]]) == [3, 4, 7, 0, 1]


def test_what_prompts_begin_with_is_encoded_once_and_only_while_it_is_held():
    forest = _forest()

    def plant(*prompts):
        planted = forest.plant([(0, prompt) for prompt in prompts])
        return [place for place, _ in planted], [encoded for _, encoded in planted]

    examples = EXAMPLES[0]
    # One after the other: what two have in common is taken from the first, and then from others.
    (one, two), encoded = plant([*examples, 1, 2], [*examples, 1, 3, 4])
    assert encoded == [25, 2]
    _, encoded = plant([*examples, 1, 3, 5], examples[:10] + [50], examples[:3] + [50])
    assert encoded == [1, 1, 4]  # less than a page is not worth sharing
    # What is written after a cut, or into a copy, is not what the prompt was.
    other = forest.copy(one, 8)
    forest.cut(two, 9)
    forest.extend([Extension(other, [50]), Extension(two, [50])])
    (same,), encoded = plant([*examples[:9], 51])
    assert encoded == [1]
    for place in (other, two, same):
        forest.release(place)
    # Released rows can be begun from until that has been carried out.
    forest.settle()
    for row in range(ROWS):
        if (0, row) != one and forest.lens[0, row]:
            forest.release((0, row))
    forest.release(one)
    (again,), encoded = plant([*examples, 1, 2, 3])
    assert encoded == [1]
    forest.release(again)
    forest.settle()
    assert forest.check_pages() == 0
    assert plant([*examples, 1, 2])[1] == [25]


def test_prompts_of_nothing_and_of_one_page():
    forest = _forest()
    ((place, encoded),) = forest.plant([(0, [])])
    assert encoded == 0 and forest.lens[place] == 0
    planted = forest.plant([(0, [1, 2, 3, 4]), (0, [1, 2, 3, 4]), (0, [1, 2, 3])])
    assert [encoded for _, encoded in planted] == [4, 0, 3]
    assert [len(read) for read in forest.extend([Extension(place, []) for place, _ in planted],
                                                READER)] == [0, 0, 0]  # fmt: skip


def test_an_extension_longer_than_the_largest_chunk():
    """Beside short ones, and in pieces beside the whole."""
    forest = _forest(replicas=1, rows=4, context=600, pages=80, page_size=16)
    random = np.random.default_rng(0)
    tokens = random.integers(0, VOCAB, 560).tolist()
    one, two = forest.take(0), forest.take(0)
    (whole, short) = forest.extend([Extension(one, tokens), Extension(two, tokens[:20])], READER)
    assert (whole.shape, short.shape) == ((560,), (20,))
    (rest,) = forest.extend([Extension(two, tokens[20:])], READER)
    dense = Dense(_model(1), 1, 560)
    ahead = dense.logits([tokens])[0]
    for found in (whole, np.concatenate([short, rest])):
        np.testing.assert_allclose(found, ahead[:, 7] - ahead[:, 41], atol=TOLERANCE, rtol=0)


def _held(forest: Forest) -> list:
    """Everything that rows hold, on the device: tables, lens, free pages, keys and values."""
    forest.settle()
    cache = jax.device_get(forest.cache)
    pages, held = cache.pages, []
    for r in range(forest.replicas):
        held.append(pages.free[r, : pages.n_free[r]])
        for row, n in enumerate(pages.lens[r]):
            table = pages.table[r, row, : -(-n // S)]
            held += [np.array(n), table]
            for pool in (*cache.k, *cache.v):
                held.append(pool[r][table].reshape(-1, pool.shape[-1])[:n])
    return held


@pytest.mark.parametrize("decoded", [False, True], ids=["extended", "decoded"])
def test_a_rollout_leaves_nothing_behind(decoded):
    """Two forests go through the same transitions; in one of them rows are rolled out before."""
    random = np.random.default_rng(4)
    plain, rolled = _forest(), _forest()
    engine = Engine(
        rolled, stop=STOP, sampler=Sampler(1.0), lanes=3, segment=8, rollouts=True,
        expected=(3, 1, 1),
    )  # fmt: skip

    def roll(places) -> None:
        before = {place: int(rolled.lens[place]) for place in places}
        if decoded:
            jobs = [
                [Job(row, row, 0, 3, 8, greedy=bool(row % 2)) for r, row in places if r == replica]
                for replica in range(2)
            ]
            engine.run(jobs, refill=False)
        else:
            work = [Extension(p, random.integers(0, VOCAB, 9).tolist()) for p in places]
            rolled.extend(work, READER)
        assert all(rolled.lens[place] > before[place] for place in places)
        for place in places:
            rolled.cut(place, before[place])

    prompts = [(r, [*EXAMPLES[r], i]) for r in range(2) for i in range(3)]
    places, same = ([place for place, _ in forest.plant(prompts)] for forest in (plain, rolled))
    assert places == same
    for _ in range(12):
        rolled.settle()
        plain.settle()
        mine = [[place for place in places if place[0] == r] for r in range(2)]
        roll([group[i] for group in mine for i in random.permutation(len(group))[:3]])
        for kind in random.choice(["copy", "cut", "release"], 3, p=[0.6, 0.2, 0.2]):
            place = places[random.integers(len(places))]
            n = int(random.integers(1, rolled.lens[place] + 1))
            if kind == "copy" and plain.free(place[0]):
                (new,) = {forest.copy(place, n) for forest in (plain, rolled)}
                places.append(new)
            elif kind == "cut":
                for forest in (plain, rolled):
                    forest.cut(place, n)
            elif kind == "release" and sum(r == place[0] for r, _ in places) > 3:
                for forest in (plain, rolled):
                    forest.release(place)
                places.remove(place)
        for one, other in zip(_held(plain), _held(rolled), strict=True):
            np.testing.assert_array_equal(one, other)
        work = [
            Extension(p, random.integers(0, VOCAB, 5).tolist())
            for p in places if rolled.lens[p] < CONTEXT - 20 and random.random() < 0.7
        ]  # fmt: skip
        for one, other in zip(*(f.extend(work, READER) for f in (plain, rolled)), strict=True):
            np.testing.assert_array_equal(one, other)
    _check_pages(rolled)


def test_bad_transitions_are_named():
    forest = _forest(rows=2, pages=5)
    place = forest.take(0)
    forest.extend([Extension(place, [1] * 9)], READER)
    for act in (forest.copy, forest.cut):
        with pytest.raises(ValueError, match="row .* holds 9 tokens; .*10"):
            act(place, 10)
    forest.cut(place, 5)
    for act in (forest.copy, forest.cut):  # although 9 are still there
        with pytest.raises(ValueError, match="row .* holds 5 tokens; .*6"):
            act(place, 6)
    forest.copy(place, 5)
    with pytest.raises(RuntimeError, match="all 2 rows of replica 0 are in use"):
        forest.take(0)


def test_running_out_of_pages_is_an_error():
    forest = _forest(rows=2, pages=5)
    forest.extend([Extension(forest.take(0), [1] * 20)], READER)
    with pytest.raises(OutOfPages, match="5 pages per replica was 2 pages short"):
        forest.extend([Extension(forest.take(0), [1] * 5)], READER)


def test_a_context_longer_than_the_models():
    with pytest.raises(ValueError, match="context 1025 exceeds the model's 1024"):
        _forest(context=1025)
