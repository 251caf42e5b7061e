# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Questions with checked answers: GSM8K, MATH, word problems, subset sums, or the user's file."""

import importlib.resources
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from ttc_jax.data.jsonlines import Row, read_rows
from ttc_jax.data.subset_sums import SubsetSums

NAMES = ("word_problems", "subset_sums", "gsm8k", "math", "jsonl")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Question:
    """A question, its gold final answer, and what the source says about it."""

    id: str
    text: str
    answer: str
    level: int | None = None
    subject: str = ""
    solution: str = ""


def load_questions(
    name: str,
    *,
    data_dir: str | Path | None = None,
    split: str = "test",
    cache_dir: str | Path | None = None,
    limit: int | None = None,
    drop_unanswered: bool = False,
    made: SubsetSums | None = None,
) -> list[Question]:
    """The questions of a source in file order, at most `limit` of them.

    `word_problems` comes with the package. `subset_sums` are generated, as `made` says; `gsm8k` and
    `math` read `<split>.jsonl` in `data_dir`. Of these three a prepared copy stays in `cache_dir`.
    `jsonl` reads `data_dir`, a file of the user's own or a directory with `<split>.jsonl`: fields
    question, answer and optionally id, level, subject, solution. `drop_unanswered` leaves out
    questions without an answer (the public MATH training split has two) and logs how many;
    otherwise they are an error.

    Raises:
      FileNotFoundError: the data file is not there.
      ValueError: unknown name or split, a bad line, a question without text or answer, an id
        that occurs twice, or no question at all.
    """
    if name not in NAMES:
        raise ValueError(f"unknown question source {name!r}: choose from {', '.join(NAMES)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1 or None, not {limit}")
    if name == "word_problems":
        pairs = _word_problems()
    elif name == "subset_sums":
        pairs = _made(made or SubsetSums(), split, cache_dir)
    elif data_dir is None:
        raise ValueError(f"source {name!r} needs data_dir, the directory with its JSON lines")
    elif name == "jsonl":
        pairs = _user_file(Path(data_dir), split)
    else:
        pairs = _prepared(name, Path(data_dir), split, cache_dir)
    questions = _checked(pairs, drop_unanswered)
    if not questions:
        raise ValueError(f"source {name!r} holds no question (data_dir {data_dir})")
    return questions[:limit]


def _word_problems() -> Iterable[tuple[Row, Question]]:
    resource = importlib.resources.files("ttc_jax.data") / "word_problems.jsonl"
    with importlib.resources.as_file(resource) as path:
        return [(row, _from_fields(row)) for row in read_rows(path)]


def _user_file(path: Path, split: str) -> Iterable[tuple[Row, Question]]:
    path = path / f"{split}.jsonl" if path.is_dir() else path
    return [(row, _from_fields(row)) for row in read_rows(path)]


def _made(
    made: SubsetSums, split: str, cache_dir: str | Path | None
) -> Iterable[tuple[Row, Question]]:
    from ttc_jax.data import builders  # as in `_prepared`

    _check_prepared("subset_sums", split, cache_dir)
    rows = builders.made_rows(made, split, Path(cache_dir))
    return [(row, _from_subset_sums(row, i, made, split)) for i, row in enumerate(rows)]


def _prepared(
    name: str, source: Path, split: str, cache_dir: str | Path | None
) -> Iterable[tuple[Row, Question]]:
    from ttc_jax.data import builders  # TFDS takes most of a second to import

    _check_prepared(name, split, cache_dir)
    builder = {"gsm8k": builders.Gsm8k, "math": builders.Math}[name]
    rows = builders.prepared_rows(builder, source, split, Path(cache_dir))
    if name == "gsm8k":
        return [(row, _from_gsm8k(row, f"gsm8k/{split}/{i}")) for i, row in enumerate(rows)]
    return [(row, _from_fields(row, text="problem")) for row in rows]


def _check_prepared(name: str, split: str, cache_dir: str | Path | None) -> None:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r} of {name!r}: choose from {', '.join(SPLITS)}")
    if cache_dir is None:
        raise ValueError(f"source {name!r} needs cache_dir, where its prepared copy is kept")


def _from_fields(row: Row, text: str = "question") -> Question:
    return Question(
        id=row.text("id", default=f"{Path(row.path).stem}/{row.line}"),
        text=row.text(text).strip(),
        answer=row.text("answer").strip(),
        level=_level(row),
        subject=row.text("subject", default=""),
        solution=row.text("solution", default=""),
    )


def _from_gsm8k(row: Row, id: str) -> Question:
    """Splits `steps #### n`; the calculator marks `<<...>>` leave the solution."""
    steps, mark, answer = row.text("answer").rpartition("####")
    if not mark:
        raise ValueError(f"{row.where}: the answer does not end in '#### n'")
    solution = re.sub(r"<<[^>]*>>", "", steps).strip()
    return Question(id, row.text("question").strip(), answer.strip(), solution=solution)


def _from_subset_sums(row: Row, number: int, made: SubsetSums, split: str) -> Question:
    solution, level = row.text("solution"), number % len(made.levels) + 1
    id = f"subset_sums/{split}/{number}"
    return Question(id, row.text("question"), solution, level, solution=solution)


def _level(row: Row) -> int | None:
    """The number in 3, "3" or "Level 3"; None where the source has none or says "Level ?"."""
    text = row.text("level", default="")
    if text in ("", "Level ?"):
        return None
    match = re.fullmatch(r"(?:Level )?(\d+)", text)
    if not match:
        raise ValueError(f"{row.where}: level {text!r} is not a number or 'Level n'")
    return int(match[1])


def _checked(pairs: Iterable[tuple[Row, Question]], drop_unanswered: bool) -> list[Question]:
    kept: list[Question] = []
    first: dict[str, Row] = {}
    dropped = []
    for row, question in pairs:
        if not question.text:
            raise ValueError(f"{row.where}: question {question.id!r} has no text")
        if question.id in first:
            raise ValueError(
                f"{row.where}: id {question.id!r} is already on line "
                f"{first[question.id].line}; ids must be unique"
            )
        first[question.id] = row
        if question.answer:
            kept.append(question)
        elif drop_unanswered:
            dropped.append(question.id)
        else:
            raise ValueError(
                f"{row.where}: a question without an answer, id {question.id!r}; "
                "fill it in, or set drop_unanswered to leave such questions out"
            )
    if dropped:
        logging.warning("left out %d questions without an answer: %s", len(dropped), dropped)
    return kept
