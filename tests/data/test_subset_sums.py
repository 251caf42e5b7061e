# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import re
from collections import Counter
from itertools import combinations, islice

import pytest

from ttc_jax.data import subset_sums
from ttc_jax.data.builders import SubsetSumsBuilder
from ttc_jax.data.sources import load_questions
from ttc_jax.data.subset_sums import DEFAULT_LEVELS, SubsetSums, generate, split_of

LEVELS = ((2, 5), (1, 4), (8, 11))


@pytest.fixture(scope="module")
def questions():
    return list(generate(SubsetSums(count=300, seed=3, levels=LEVELS), "train"))


def test_the_pair_of_every_target_is_the_only_one(questions):
    for text, solution, level in questions:
        m, n = LEVELS[level - 1]
        found = re.fullmatch(rf"((?:=\d+){{{m}}}): (\d+(?: \d+)*)", text)
        numbers = [int(x) for x in found[2].split(" ")]
        assert len(numbers) == n == len(set(numbers)) and numbers == sorted(numbers)
        assert 1 <= numbers[0] and numbers[-1] <= 24
        targets = [int(x) for x in found[1][1:].split("=")]
        assert len(set(targets)) == m
        lines = []
        for target in targets:
            ((x, y),) = [pair for pair in combinations(numbers, 2) if sum(pair) == target]
            lines.append(f"={target} {x}+{y}")
        assert solution == "\n".join(lines)


def test_levels_take_turns(questions):
    assert [level for _, _, level in questions] == [1, 2, 3] * 100


def test_numbers_and_targets_are_drawn_evenly():
    made = generate(SubsetSums(count=3000, levels=((2, 3),)), "train")
    numbers, targets = Counter(), Counter()
    for text, solution, _ in made:
        row = text.split(": ")[1].split()
        numbers.update(row)
        # The three pairs of three numbers never have the same sum; each lacks one number.
        parts = [set(line.split()[1].split("+")) for line in solution.split("\n")]
        targets[tuple(row.index((set(row) - pair).pop()) for pair in parts)] += 1
    assert len(numbers) == 24 and 300 < min(numbers.values()) and max(numbers.values()) < 450
    assert len(targets) == 6 and 430 < min(targets.values()) and max(targets.values()) < 570


def test_splits_are_disjoint_whatever_the_seed():
    texts = {
        (split, seed): {t for t, _, _ in generate(SubsetSums(200, seed, ((1, 4), (2, 5))), split)}
        for split in ("train", "test")
        for seed in (0, 1)
    }
    assert all(len(found) == 200 for found in texts.values())
    train, test = (texts[split, 0] | texts[split, 1] for split in ("train", "test"))
    assert not train & test
    assert {split_of(text) for text in test} == {"test"}


def test_a_larger_count_extends_a_smaller_one(questions):
    for count in (1, 100, 299):
        assert list(generate(SubsetSums(count, 3, LEVELS), "train")) == questions[:count]
    longer = generate(SubsetSums(9000, 3, LEVELS), "train")  # more than what is drawn at once
    assert list(islice(longer, 300)) == questions
    assert list(generate(SubsetSums(300, 4, LEVELS), "train")) != questions


def test_levels_that_are_alike_share_no_question():
    texts = [text for text, _, _ in generate(SubsetSums(1000, 0, ((2, 4), (2, 4))), "train")]
    assert len(set(texts)) == 1000


@pytest.mark.parametrize("change, message", [
    ({"count": 0}, "data.count is 0"),
    ({"seed": -1}, "data.seed is -1"),
    ({"levels": ()}, "data.levels is empty"),
    ({"levels": (2, 4)}, r"data.levels is \(2, 4\); give pairs"),
    ({"levels": ((2, 4), (3, 4, 5))}, r"level \(3, 4, 5\) of data.levels is not a pair"),
    ({"levels": ((2, 4), (0, 4))}, "has 0 targets; questions have 1 to 8"),
    ({"levels": ((9, 12),)}, "has 9 targets"),
    ({"levels": ((1, 1),)}, "has 1 numbers; questions have 2 to 24"),
    ({"levels": ((1, 25),)}, "has 25 numbers"),
    ({"levels": ((4, 3),)}, r"level \(4, 3\).*cannot be met: 3 numbers have 3 pairs"),
])  # fmt: skip
def test_settings_that_cannot_be_met(change, message):
    with pytest.raises(ValueError, match=message):
        SubsetSums(**change)


def test_too_few_different_questions_are_an_error():
    with pytest.raises(ValueError, match=r"level \(1, 2\) of data.levels has too few.*test split"):
        list(generate(SubsetSums(300, 0, ((1, 2),)), "test"))  # 276 pairs, a sixteenth of them


def test_a_level_that_no_list_meets_is_an_error(monkeypatch):
    # Of 1..24 only 3, 4, 46 and 47 are the sums of one pair alone.
    four = list(generate(SubsetSums(4, 0, ((4, 24),)), "train"))
    assert {frozenset(text.split(":")[0][1:].split("=")) for text, _, _ in four} == {
        frozenset(("3", "4", "46", "47"))
    }
    monkeypatch.setattr(subset_sums, "_PATIENCE", 2)
    with pytest.raises(ValueError, match=r"of 2,048 lists of 24 numbers none has 5 sums"):
        list(generate(SubsetSums(1, 0, ((5, 24),)), "train"))


def test_as_a_source_through_a_prepared_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(SubsetSumsBuilder, "BLOCK", 4)  # four examples of them, the last one short

    def load(split="test", **change):
        made = SubsetSums(**{"count": 15, "levels": LEVELS} | change)
        return load_questions("subset_sums", split=split, cache_dir=tmp_path, made=made)

    found = load()
    expected = list(generate(SubsetSums(15, 0, LEVELS), "test"))
    assert [(q.text, q.solution, q.level) for q in found] == expected
    assert [q.id for q in found] == [f"subset_sums/test/{i}" for i in range(15)]
    assert all(q.answer == q.solution for q in found)
    (record,) = tmp_path.rglob("*.array_record*")
    before = record.stat().st_mtime_ns
    assert load(levels=[list(level) for level in LEVELS]) == found  # as a stored config has them
    assert record.stat().st_mtime_ns == before
    assert load(count=16)[:15] == found
    assert load(seed=1) != found
    assert not {q.text for q in load("train")} & {q.text for q in found}
    with pytest.raises(ValueError, match="unknown split 'dev' of 'subset_sums'"):
        load("dev")
    with pytest.raises(ValueError, match="needs cache_dir"):
        load_questions("subset_sums")


def test_default_levels():
    assert len(list(generate(SubsetSums(count=5), "test"))) == len(DEFAULT_LEVELS)
