# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import re
from collections import Counter
from itertools import combinations, islice

import pytest

from ttc_jax.data.pair_sums import DEFAULT_LEVELS, PairSums, generate, split_of
from ttc_jax.data.sources import load_questions

LEVELS = ((3, 3), (4,), (5, 5, 6, 8))


@pytest.fixture(scope="module")
def questions():
    return list(generate(PairSums(count=300, seed=3, levels=LEVELS), "train"))


def test_the_pair_of_every_row_is_the_only_one(questions):
    for text, solution, level in questions:
        rows, pairs = text.split("\n"), solution.split("\n")
        assert len(rows) == len(pairs) == len(LEVELS[level - 1])
        for label, n, row, pair in zip("ABCDEFGH", LEVELS[level - 1], rows, pairs, strict=False):
            found = re.fullmatch(rf"{label} (\d+): ((?:\d+ ?)+)", row)
            target, numbers = int(found[1]), [int(x) for x in found[2].split(" ")]
            assert len(numbers) == n == len(set(numbers)) and numbers == sorted(numbers)
            assert 1 <= numbers[0] and numbers[-1] <= 24
            (right,) = [p for p in combinations(numbers, 2) if sum(p) == target]
            assert pair == f"{label} {right[0]} {right[1]}"


def test_levels_take_turns(questions):
    assert [level for _, _, level in questions] == [1, 2, 3] * 100


def test_pairs_and_numbers_are_drawn_evenly():
    rows = [text for text, _, _ in generate(PairSums(count=3000, levels=((4,),)), "train")]
    counts = Counter(n for row in rows for n in row.split(": ")[1].split())
    assert len(counts) == 24 and 400 < min(counts.values()) and max(counts.values()) < 600
    threes = generate(PairSums(count=3000, levels=((3,),)), "train")
    smallest = sum(solved.split()[1:] == text.split()[2:4] for text, solved, _ in threes)
    assert 900 < smallest < 1100  # one pair of three


def test_splits_are_disjoint_whatever_the_seed():
    texts = {
        (split, seed): {t for t, _, _ in generate(PairSums(200, seed, ((3,), (3, 3))), split)}
        for split in ("train", "test")
        for seed in (0, 1)
    }
    assert all(len(found) == 200 for found in texts.values())
    train, test = (texts[split, 0] | texts[split, 1] for split in ("train", "test"))
    assert not train & test
    assert {split_of(text) for text in test} == {"test"}


def test_a_larger_count_extends_a_smaller_one(questions):
    for count in (1, 100, 299):
        assert list(generate(PairSums(count, 3, LEVELS), "train")) == questions[:count]
    longer = generate(PairSums(9000, 3, LEVELS), "train")  # more than what is drawn at once
    assert list(islice(longer, 300)) == questions
    assert list(generate(PairSums(300, 4, LEVELS), "train")) != questions


def test_levels_that_are_alike_share_no_question():
    texts = [text for text, _, _ in generate(PairSums(1000, 0, ((3,), (3,))), "train")]
    assert len(set(texts)) == 1000


@pytest.mark.parametrize("change, message", [
    ({"count": 0}, "data.count is 0"),
    ({"seed": -1}, "data.seed is -1"),
    ({"levels": ()}, "data.levels is empty"),
    ({"levels": ((3,) * 9,)}, "has 9 rows; rows are labelled A to H"),
    ({"levels": ((3, 3), ())}, "has 0 rows"),
    ({"levels": ((3, 1),)}, "has a row of 1 numbers; rows have 2 to 24"),
    ({"levels": ((25,),)}, "has a row of 25 numbers"),
])  # fmt: skip
def test_settings_that_cannot_be_met(change, message):
    with pytest.raises(ValueError, match=message):
        PairSums(**change)


def test_too_few_different_questions_are_an_error():
    with pytest.raises(ValueError, match=r"level \(2,\) of data.levels has too few.*train split"):
        list(generate(PairSums(300, 0, ((2,),)), "train"))  # 276 pairs


def test_as_a_source_through_a_prepared_copy(tmp_path):
    def load(split="test", **change):
        made = PairSums(**{"count": 15, "levels": LEVELS} | change)
        return load_questions("pair_sums", split=split, cache_dir=tmp_path, made=made)

    found = load()
    expected = list(generate(PairSums(15, 0, LEVELS), "test"))
    assert [(q.text, q.solution, q.level) for q in found] == expected
    assert [q.id for q in found] == [f"pair_sums/test/{i}" for i in range(15)]
    assert all(q.answer == q.solution for q in found)
    (record,) = tmp_path.rglob("*.array_record*")
    before = record.stat().st_mtime_ns
    assert load(levels=[list(level) for level in LEVELS]) == found  # as a stored config has them
    assert record.stat().st_mtime_ns == before
    assert load(count=16)[:15] == found
    assert load(seed=1) != found
    assert not {q.text for q in load("train")} & {q.text for q in found}
    with pytest.raises(ValueError, match="unknown split 'dev' of 'pair_sums'"):
        load("dev")
    with pytest.raises(ValueError, match="needs cache_dir"):
        load_questions("pair_sums")


def test_default_levels():
    assert len(list(generate(PairSums(count=5), "test"))) == len(DEFAULT_LEVELS)
