# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""TFDS builders for GSM8K and MATH over local JSON lines, and for subset sums, as array_record.

TensorFlow is never imported: the default tfrecord format would need it, array_record does not.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ttc_jax.data.jsonlines import Row, read_rows
from ttc_jax.data.subset_sums import SubsetSums, generate


class _Texts(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Shared by all builders: examples of texts, prepared here from what is already there.

    Every example also carries `line`, its number, from 1: TFDS shuffles rows when it writes them,
    and `line` restores the order.
    """

    VERSION = tfds.core.Version("1.0.0")
    code_path = None  # where TFDS would look for checksum files; there is nothing to download
    REQUIRED: tuple[str, ...] = ()
    OPTIONAL: tuple[str, ...] = ()

    def __init__(self, *, file_format: str = "array_record", **kwargs: Any):
        super().__init__(file_format=file_format, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        text = {name: tfds.features.Text() for name in self.REQUIRED + self.OPTIONAL}
        features = tfds.features.FeaturesDict({"line": tfds.features.Scalar(np.int64), **text})
        return tfds.core.DatasetInfo(builder=self, description=self.__doc__, features=features)

    def _log_download_bytes(self) -> None:
        """Says nothing: TFDS would print that it downloads."""

    def _log_download_done(self) -> None:
        """Says nothing: see `_log_download_bytes`."""


class _JsonLines(_Texts, skip_registration=True):
    """`<split>.jsonl` in `source_dir` becomes the split `<split>`; `line` is that of the file."""

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike | None = None,
        splits: Sequence[str] = ("train", "test"),
        **kwargs: Any,
    ):
        self._source_dir = source_dir
        self._source_splits = tuple(splits)
        super().__init__(**kwargs)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        if self._source_dir is None:
            raise ValueError(f"{self.name}: source_dir is needed to prepare the data")
        source = Path(self._source_dir)
        return {s: self._generate_examples(source / f"{s}.jsonl") for s in self._source_splits}

    def _generate_examples(self, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in read_rows(path, self.REQUIRED):
            text = {name: row.text(name) for name in self.REQUIRED}
            text |= {name: row.text(name, default="") for name in self.OPTIONAL}
            yield row.line, {"line": row.line, **text}


class Gsm8k(_JsonLines, skip_registration=True):
    """GSM8K (Cobbe et al. 2021): grade-school word problems; answers end in `#### n`."""

    name = "gsm8k"
    REQUIRED = ("question", "answer")


class Math(_JsonLines, skip_registration=True):
    """MATH (Hendrycks et al. 2021) in the 12,000/500 split of Lightman et al. 2023."""

    name = "math"
    REQUIRED = ("id", "problem", "answer", "subject", "level")
    OPTIONAL = ("solution",)


class SubsetSumsBuilder(_Texts, skip_registration=True):
    """Subset sums: targets and numbers, of which exactly one pair adds up to each target.

    An example is a block of questions, from number `line` on: TFDS decodes so slowly that examples
    of one question would take longer to read than to make. Questions are parted by newlines,
    solutions by blank lines; levels take turns.
    """

    name = "subset_sums"
    REQUIRED = ("questions", "solutions")
    BLOCK = 1000

    def __init__(
        self,
        *,
        made: SubsetSums | None = None,
        splits: Sequence[str] = ("train", "test"),
        **kwargs: Any,
    ):
        self._made = made or SubsetSums()
        self._made_splits = tuple(splits)
        super().__init__(**kwargs)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in self._made_splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        made = generate(self._made, split)
        line = 1
        while block := list(islice(made, self.BLOCK)):
            texts, solutions, _ = zip(*block, strict=True)
            yield (
                line,
                {
                    "line": line,
                    "questions": "\n".join(texts),
                    "solutions": "\n\n".join(solutions),
                },
            )
            line += len(block)


def made_rows(made: SubsetSums, split: str, cache_dir: Path) -> list[Row]:
    """The subset sums of one split in order, through a prepared copy under `cache_dir`.

    Raises:
      ValueError: there are too few different questions, or none of a level.
    """
    root = cache_dir / "tfds" / f"{split}-{made.key}"

    def make() -> SubsetSumsBuilder:
        return SubsetSumsBuilder(made=made, splits=(split,), data_dir=root)

    dataset = make()
    if not dataset.data_path.exists():
        dataset = _prepare(dataset, make)
    rows: list[Row] = []
    for block in _rows(dataset, split, SubsetSumsBuilder.name):
        texts = block.text("questions").split("\n")
        solutions = block.text("solutions").split("\n\n")
        for line, own in enumerate(zip(texts, solutions, strict=True), start=block.line):
            fields = dict(zip(("question", "solution"), own, strict=True))
            rows.append(Row(block.path, line, fields))
    return rows


def prepared_rows(
    builder: type[_JsonLines], source_dir: Path, split: str, cache_dir: Path
) -> list[Row]:
    """The rows of one split in file order, through a prepared copy under `cache_dir`.

    The copy is keyed by the content of `<split>.jsonl`, so a changed file is prepared anew, and
    appears under its final name only when complete.

    Raises:
      FileNotFoundError, OSError, ValueError: as `read_rows`.
    """
    path = source_dir / f"{split}.jsonl"
    if not path.exists():
        raise FileNotFoundError(f"no data file {path}: data_dir must hold {split}.jsonl")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    root = cache_dir / "tfds" / f"{split}-{digest}"

    def make() -> _JsonLines:
        return builder(source_dir=source_dir, splits=(split,), data_dir=root)

    dataset = make()
    if not dataset.data_path.exists():
        for _ in read_rows(path, builder.REQUIRED):
            pass  # a bad line is reported before TFDS starts to write
        dataset = _prepare(dataset, make)
    return _rows(dataset, split, str(path))


def _rows(dataset: _Texts, split: str, path: str) -> list[Row]:
    """The rows of a prepared split in order; `path` is where errors say that they stand."""
    source = dataset.as_data_source(split=split)
    examples = source.__getitems__(range(len(source)))
    rows = [Row(path, int(e.pop("line")), _texts(e)) for e in examples]
    return sorted(rows, key=lambda row: row.line)


def _prepare(dataset: _Texts, make: Callable[[], _Texts]) -> _Texts:
    tfds.disable_progress_bar()
    try:
        dataset.download_and_prepare()
    except OSError:
        # TFDS writes under a temporary name and renames it. The rename fails when another
        # process came first; then its copy, of the same content, serves.
        if not dataset.data_path.exists():
            raise
        dataset = make()
    return dataset


def _texts(example: dict[str, Any]) -> dict[str, str]:
    return {name: value.decode("utf-8") for name, value in example.items()}
