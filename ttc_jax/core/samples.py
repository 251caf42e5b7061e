# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The samples of a run as Parquet shards, each written whole or not at all."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ttc_jax.core.records import TEMPORARY, check_writable, write_bytes_atomic

SCHEMA = pa.schema(
    [
        ("question", pa.string()),
        ("branch", pa.int32()),
        ("parent", pa.int32()),
        ("text", pa.string()),
        ("steps", pa.list_(pa.string())),
        ("offsets", pa.list_(pa.int32())),
        ("tokens", pa.list_(pa.int32())),
        ("scores", pa.list_(pa.float32())),
        ("answer", pa.string()),
        ("verdict", pa.string()),
        ("logprob", pa.float64()),
        ("finish", pa.string()),
        ("flops", pa.map_(pa.string(), pa.float64())),
    ]
)


@dataclasses.dataclass(frozen=True)
class Sample:
    """One finished branch of one question.

    `offsets[i]` is where `steps[i]` begins in `text`, in characters. `scores` holds one number a
    step, or nothing where no verifier ran. `logprob` is the sum over `tokens`, in nats. `parent` is
    the branch that this one was forked from, -1 for the prompt. `flops` counts by phase.
    """

    question: str
    branch: int
    text: str
    steps: Sequence[str]
    offsets: Sequence[int]
    tokens: Sequence[int]
    verdict: str
    logprob: float
    finish: str
    answer: str | None = None
    parent: int = -1
    scores: Sequence[float] = ()
    flops: Mapping[str, float] = dataclasses.field(default_factory=dict)


class SampleStore:
    """Samples by question; a question is stored once, with all of its branches in one shard."""

    def __init__(self, directory: Path):
        """Opens the shards in `directory` and removes what a killed run left half-written.

        Raises:
          WorkdirError: the directory cannot be written.
          ValueError: a shard cannot be read, or two shards hold the same question.
        """
        self.directory = Path(directory)
        check_writable(self.directory)
        for stale in self.directory.glob(f".*{TEMPORARY}"):
            stale.unlink()
        self._buffer: dict[str, list[Sample]] = {}
        self._done: set[str] = set()
        for shard in self._shards():
            names = set(_read(shard, ["question"])["question"].to_pylist())
            if twice := names & self._done:
                raise ValueError(f"{shard} repeats question {min(twice)!r}; delete one of the two")
            self._done |= names

    def append(self, samples: Sequence[Sample]) -> None:
        """Takes all branches of one question; they are stored by the next `flush`.

        Raises:
          ValueError: no samples, samples of several questions, a branch twice, or a question that
            is stored or waiting already.
        """
        names = {sample.question for sample in samples}
        if len(names) != 1:
            raise ValueError(f"append takes the samples of one question, got {sorted(names)}")
        if len({sample.branch for sample in samples}) != len(samples):
            raise ValueError(f"question {samples[0].question!r} has the same branch twice")
        (name,) = names
        if name in self._done or name in self._buffer:
            raise ValueError(f"question {name!r} is stored already")
        self._buffer[name] = list(samples)

    @property
    def waiting(self) -> int:
        """Number of questions taken but not stored yet."""
        return len(self._buffer)

    def flush(self) -> None:
        """Stores what was taken as one new shard.

        Raises:
          WorkdirError: the disk is full; the samples stay taken, so `flush` can be called again.
        """
        if not self._buffer:
            return
        rows = [dataclasses.asdict(sample) for rows in self._buffer.values() for sample in rows]
        for row in rows:
            row["flops"] = list(row["flops"].items())
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink, compression="zstd")
        number = max((int(path.stem) for path in self._shards()), default=-1) + 1
        path = self.directory / f"{number:06d}.parquet"
        write_bytes_atomic(path, sink.getvalue().to_pybytes())
        self._done |= self._buffer.keys()
        self._buffer.clear()

    def done(self) -> frozenset[str]:
        """Ids of the questions stored in complete shards."""
        return frozenset(self._done)

    def read(self) -> list[Sample]:
        """Every stored sample, ordered by question id and branch."""
        samples = []
        for shard in self._shards():
            for row in _read(shard, SCHEMA.names).to_pylist():
                samples.append(Sample(**{**row, "flops": dict(row["flops"])}))
        return sorted(samples, key=lambda sample: (sample.question, sample.branch))

    def _shards(self) -> list[Path]:
        return sorted(self.directory.glob("[0-9]" * 6 + ".parquet"))


def _read(shard: Path, columns: list[str]) -> pa.Table:
    try:
        return pq.ParquetFile(shard).read(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(
            f"{shard} cannot be read ({error}); delete it and repeat the command to sample its "
            "questions again"
        ) from error
