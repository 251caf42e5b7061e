# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import subprocess
import sys

import pytest

from ttc_jax.data.jsonlines import read_rows
from ttc_jax.data.sources import load_questions

STEPS = "He has 2+3=<<2+3=5>>5 pens.\n#### 5"


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text(text + "\n", encoding="utf-8")
    return path.parent


def gsm8k_rows(n):
    return [{"question": f"Q{i}\N{LINE SEPARATOR}é?", "answer": f"s\n#### {i}"} for i in range(n)]


def math_row(i, **change):
    row = {"id": f"algebra/{i}", "problem": f"P{i}", "answer": str(i), "subject": "Algebra",
           "level": "Level 2"}
    return row | change


def load(name, source, tmp_path, **kwargs):
    return load_questions(name, data_dir=source, cache_dir=tmp_path / "cache", **kwargs)


def test_gsm8k_keeps_file_order_and_splits_answers(tmp_path):
    source = write(tmp_path / "in" / "test.jsonl", gsm8k_rows(40))
    write(tmp_path / "in" / "train.jsonl", [{"question": "Pens?", "answer": STEPS}])
    questions = load("gsm8k", source, tmp_path)
    assert [q.id for q in questions] == [f"gsm8k/test/{i}" for i in range(40)]
    assert [q.answer for q in questions] == [str(i) for i in range(40)]
    assert questions[7].text == "Q7\N{LINE SEPARATOR}é?"
    (train,) = load("gsm8k", source, tmp_path, split="train")
    assert (train.answer, train.solution) == ("5", "He has 2+3=5 pens.")
    assert [q.id for q in load("gsm8k", source, tmp_path, limit=3)] == [
        "gsm8k/test/0", "gsm8k/test/1", "gsm8k/test/2"]


def test_math_fields_and_levels(tmp_path):
    rows = [math_row(1, solution="Because."), math_row(2, level="Level 5"),
            math_row(3, level="Level ?")]
    source = write(tmp_path / "in" / "test.jsonl", rows)
    questions = load("math", source, tmp_path)
    assert [(q.id, q.text, q.answer, q.level) for q in questions] == [
        ("algebra/1", "P1", "1", 2), ("algebra/2", "P2", "2", 5), ("algebra/3", "P3", "3", None)]
    assert questions[0].solution == "Because." and questions[1].solution == ""
    assert {q.subject for q in questions} == {"Algebra"}


def test_prepared_copy_is_reused_and_a_changed_file_is_prepared_anew(tmp_path):
    source = write(tmp_path / "in" / "test.jsonl", gsm8k_rows(3))
    load("gsm8k", source, tmp_path)
    (record,) = (tmp_path / "cache").rglob("*.array_record*")
    before = record.stat().st_mtime_ns
    load("gsm8k", source, tmp_path)
    assert record.stat().st_mtime_ns == before
    write(tmp_path / "in" / "test.jsonl", gsm8k_rows(5))
    assert len(load("gsm8k", source, tmp_path)) == 5


def test_interrupted_preparation_leaves_nothing_that_passes_for_complete(tmp_path, monkeypatch):
    from ttc_jax.data import builders

    source = write(tmp_path / "in" / "test.jsonl", gsm8k_rows(3))

    def broken(self, path):
        yield 1, {"line": 1, "question": "Q", "answer": "#### 1"}
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(builders.Gsm8k, "_generate_examples", broken)
        with pytest.raises(KeyboardInterrupt):
            load("gsm8k", source, tmp_path)
    assert len(load("gsm8k", source, tmp_path)) == 3


def test_losing_the_race_to_prepare_uses_the_copy_of_the_winner(tmp_path, monkeypatch):
    from ttc_jax.data import builders

    source = write(tmp_path / "in" / "test.jsonl", gsm8k_rows(3))
    real = builders.Gsm8k.download_and_prepare

    def late(self):
        real(builders.Gsm8k(source_dir=source, splits=("test",),
                            data_dir=self.data_path.parent.parent))
        raise OSError("Directory not empty")

    monkeypatch.setattr(builders.Gsm8k, "download_and_prepare", late)
    assert len(load("gsm8k", source, tmp_path)) == 3


def test_builders_work_as_tfds_builders_without_tensorflow(tmp_path):
    source = write(tmp_path / "in" / "test.jsonl", gsm8k_rows(12))
    shutil.copy(source / "test.jsonl", source / "train.jsonl")
    program = f"""
import sys
import tensorflow_datasets as tfds
from ttc_jax.data.builders import Gsm8k
builder = Gsm8k(source_dir={str(source)!r}, data_dir={str(tmp_path / "tfds")!r})
builder.download_and_prepare()
assert builder.info.splits["train"].num_examples == 12
assert len(builder.as_data_source(split="test[:5]")) == 5
again = tfds.data_source("gsm8k", split="test", data_dir={str(tmp_path / "tfds")!r})
assert {{e["answer"].decode() for e in again}} == {{f"s\\n#### {{i}}" for i in range(12)}}
from ttc_jax.data.sources import load_questions
assert len(load_questions("gsm8k", data_dir={str(source)!r}, cache_dir={str(tmp_path)!r})) == 12
loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & {{"tensorflow", "torch", "jax"}}, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ownload" not in done.stdout


def test_own_file_or_directory(tmp_path):
    rows = [{"question": "A?", "answer": 18, "level": 3}, "",
            {"question": "B?", "answer": "x", "id": "mine", "subject": "s", "solution": "t"}]
    source = write(tmp_path / "in" / "test.jsonl", rows)
    for data_dir in (source, source / "test.jsonl"):
        first, second = load_questions("jsonl", data_dir=data_dir)
        assert (first.id, first.answer, first.level) == ("test/1", "18", 3)
        assert (second.id, second.subject, second.solution) == ("mine", "s", "t")
        assert second.level is None


@pytest.mark.parametrize("rows, message", [
    (['{"question": "A?", "answer": "1"}', '{"question": "B?"'], r"test\.jsonl, line 2: not valid"),
    (["[1, 2]"], r"line 1: expected a JSON object, found list"),
    ([{"question": "A?"}], r"line 1: field 'answer' is missing \(fields found: question\)"),
    ([{"question": "A?", "answer": ["1"]}], r"line 1: field 'answer' must be text"),
    ([{"question": "A?", "answer": " ", "id": "a7"}], r"line 1: a question without an answer.*a7"),
    ([{"question": " ", "answer": "1"}], r"line 1: question 'test/1' has no text"),
    ([{"question": "A?", "answer": "1", "level": "hard"}], r"line 1: level 'hard' is not a number"),
    ([{"question": "A?", "answer": "1", "id": "a"}] * 2, r"line 2: id 'a' is already on line 1"),
    ([], "holds no question"),
])
def test_bad_lines_are_named(tmp_path, rows, message):
    source = write(tmp_path / "in" / "test.jsonl", rows)
    with pytest.raises(ValueError, match=message):
        load_questions("jsonl", data_dir=source)


@pytest.mark.parametrize("name, rows, message", [
    ("gsm8k", [{"question": "A?", "answer": "18"}], r"line 1: the answer does not end in '#### n'"),
    ("gsm8k", [{"question": "A?", "answer": "1 ####"}], r"line 1: a question without an answer"),
    ("gsm8k", [{"question": "A?"}], r"line 1: field 'answer' is missing"),
    ("math", [math_row(1), "{"], r"line 2: not valid JSON"),
    ("math", [math_row(1), math_row(1)], r"line 2: id 'algebra/1' is already on line 1"),
])
def test_bad_lines_are_named_through_tfds(tmp_path, name, rows, message):
    source = write(tmp_path / "in" / "test.jsonl", rows)
    with pytest.raises(ValueError, match=message):
        load(name, source, tmp_path)


def test_unanswered_questions_are_dropped_only_on_request(tmp_path):
    source = write(tmp_path / "in" / "train.jsonl", [math_row(1), math_row(2, answer="")])
    with pytest.raises(ValueError, match="line 2: a question without an answer.*drop_unanswered"):
        load("math", source, tmp_path, split="train")
    kept = load("math", source, tmp_path, split="train", drop_unanswered=True)
    assert [q.id for q in kept] == ["algebra/1"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"test\.jsonl"):
        load("gsm8k", tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_questions("jsonl", data_dir=tmp_path / "nowhere")
    (tmp_path / "bytes.jsonl").write_bytes(b'{"question": "A?", "answer": "1"}\n\xff\xfe\n')
    with pytest.raises(ValueError, match=r"bytes\.jsonl, line 2: not UTF-8"):
        load_questions("jsonl", data_dir=tmp_path / "bytes.jsonl")
    (tmp_path / "dir.jsonl").mkdir()
    with pytest.raises(OSError, match=r"dir\.jsonl"):
        list(read_rows(tmp_path / "dir.jsonl"))


@pytest.mark.parametrize("kwargs, message", [
    ({"name": "gsm9k"}, "gsm9k.*gsm8k"),
    ({"name": "gsm8k"}, "needs data_dir"),
    ({"name": "gsm8k", "data_dir": "."}, "needs cache_dir"),
    ({"name": "math", "data_dir": ".", "cache_dir": ".", "split": "dev"}, "unknown split 'dev'"),
    ({"name": "word_problems", "limit": 0}, "limit must be at least 1"),
])
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        load_questions(**kwargs)
