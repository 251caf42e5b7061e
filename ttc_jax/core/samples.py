# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The search trees of a run as Parquet shards, each written whole or not at all."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ttc_jax.core.files import TEMPORARY, check_writable
from ttc_jax.core.places import make_directory, path_of
from ttc_jax.core.tables import open_table, values_of, write_rows
from ttc_jax.core.team import Team

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
        ("round", pa.int32()),
        ("role", pa.string()),
        ("place", pa.int32()),
        ("value", pa.float32()),
        ("ahead", pa.string()),
        ("ahead_scores", pa.list_(pa.float32())),
        ("usage", pa.map_(pa.string(), pa.int64())),
    ]
)
_MAPS = ("flops", "usage")


@dataclasses.dataclass(frozen=True)
class Sample:
    """One node of the search tree of a question: a prompt, a step, or a whole solution.

    Fields:
      question: id of the question.
      branch: number of the node; prompts are -1 (the plain one), -2, ..., what is sampled 0, 1, ...
      parent: number of the node that this one continues; None for prompts.
      text: the node's own text, in full; of the plain prompt, the question.
      steps, offsets: its non-empty steps; `offsets[i]` is where `steps[i]` begins in `text`, in
        characters.
      tokens: its own token ids.
      scores: the verifier's score of each step (of all of them together, from an outcome verifier),
        between 0 and 1; empty where none ran.
      answer: the final answer of a candidate, None without one; of the plain prompt, the gold one.
      verdict: what grading found, "" for nodes that are no candidates.
      logprob: sum over `tokens`, in nats.
      finish: "step" (it could go on), "stop", "length", or "unread" (too long for the verifier).
      flops: useful FLOPs by phase, whole numbers (exact below 2^53): "prefill" of the plain prompt,
        "revision_context" of later ones, "decode", "lookahead", "rollout"; of the verifier
        "verifier_prefill", "verify", "verify_lookahead", and "verify_context" where attempts are
        read again for a later prompt.
      round: how often the strategy had asked for samples or prompts before.
      role: "prompt", "candidate", "expanded" (something was sampled after it) or "pruned".
      place: among the candidates, from 0, in the order of the strategy; -1 elsewhere, and where
        that is the order of their numbers.
      value: what the strategy compared, None without a verifier.
      ahead, ahead_scores: text of the rollout at whose end `value` was read, and the scores of its
        steps; empty without lookahead.
      usage: tokens by the same phases; a whole solution sampled only to estimate the value of its
        parent has "rollout" in place of "decode"; on the plain prompt also the most pages held by
        the question ("pages", "verifier_pages").

    The defaults are those of plain best-of-N, where every row is a candidate.
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
    parent: int | None = -1
    scores: Sequence[float] = ()
    flops: Mapping[str, float] = dataclasses.field(default_factory=dict)
    round: int = 0
    role: str = "candidate"
    place: int = -1
    value: float | None = None
    ahead: str = ""
    ahead_scores: Sequence[float] = ()
    usage: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def rollout(self) -> bool:
        """Whether it was sampled only to estimate the value of its parent."""
        return "rollout" in self.usage


_FIELDS = tuple(field.name for field in dataclasses.fields(Sample))


def candidates(samples: Sequence[Sample]) -> list[Sample]:
    """The rows among which an answer is chosen, in the order of the strategy, by question."""
    found = (sample for sample in samples if sample.role == "candidate")
    return sorted(found, key=lambda sample: (sample.question, sample.place, sample.branch))


class SampleStore:
    """Samples by question; a question is stored once, with its whole tree in one shard.

    Processes of a team store different questions, each in shards of its own.
    """

    def __init__(self, directory: Path, team: Team | None = None):
        """Opens the shards in `directory` and removes what a killed run left half-written.

        Raises:
          WorkdirError: the directory cannot be written.
          ValueError: a shard cannot be read or is of an earlier version, or two shards hold the
            same question.
        """
        self.directory = path_of(directory)
        self._process = team.index if team else 0
        if self._process:
            make_directory(self.directory)
        else:
            check_writable(self.directory)
        for stale in self.directory.glob(f".[0-9]*{TEMPORARY}"):
            owner = _writer(stale.name)
            if owner == self._process or team is None or owner >= team.count:
                stale.unlink(missing_ok=True)
        self._buffer: dict[str, list[Sample]] = {}
        self._done: set[str] = set()
        for shard in _shards(self.directory):
            names = _questions(shard)
            if twice := names & self._done:
                raise ValueError(f"{shard} repeats question {min(twice)!r}; delete one of the two")
            self._done |= names

    def append(self, samples: Sequence[Sample]) -> None:
        """Takes the whole tree of one question; they are stored by the next `flush`.

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
        rows = [
            vars(sample) | {name: list(getattr(sample, name).items()) for name in _MAPS}
            for rows in self._buffer.values()
            for sample in rows
        ]
        own = [path for path in _shards(self.directory) if _writer(path.name) == self._process]
        number = max((int(path.stem[:6]) for path in own), default=-1) + 1
        writer = f"-{self._process}" if self._process else ""
        write_rows(self.directory / f"{number:06d}{writer}.parquet", rows, SCHEMA)
        self._done |= self._buffer.keys()
        self._buffer.clear()

    def done(self) -> frozenset[str]:
        """Ids of the questions stored in complete shards when this was opened, and by it since."""
        return frozenset(self._done)

    def read(self) -> list[Sample]:
        """Every stored sample, ordered by question id and branch."""
        return read_samples(self.directory)


def stored_questions(directory: Path) -> frozenset[str]:
    """Ids of the questions of which there are samples; none where there is no such directory.

    Raises:
      ValueError: a shard cannot be read, or is of an earlier version.
    """
    return frozenset().union(*map(_questions, _shards(path_of(directory))))


def read_samples(directory: Path, question: str | None = None) -> list[Sample]:
    """The samples of one question, or of all, ordered by question id and branch.

    Nothing is written, so a run may go on meanwhile: every shard there is is whole.

    Raises:
      ValueError: a shard cannot be read, or is of an earlier version.
    """
    samples = []
    for shard in _shards(path_of(directory)):
        if question is not None and question not in _questions(shard):
            continue
        table = _read(shard, SCHEMA.names)
        if question is not None:
            table = table.filter(pc.equal(table["question"], question))
        columns = [values_of(table[name].combine_chunks()) for name in _FIELDS]
        samples += itertools.starmap(Sample, zip(*columns, strict=True))
    return sorted(samples, key=attrgetter("question", "branch"))


def by_question(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """The samples of each question, from samples in the order of `read_samples`."""
    for _, own in itertools.groupby(samples, key=attrgetter("question")):
        yield list(own)


def read_outline(directory: Path) -> dict[str, list[tuple[str, str]]]:
    """Role and verdict of every stored node, by question id in order of ids.

    Raises:
      ValueError: a shard cannot be read, or is of an earlier version.
    """
    outline: dict[str, list[tuple[str, str]]] = {}
    for shard in _shards(path_of(directory)):
        table = _read(shard, ["question", "role", "verdict"])
        for row in table.to_pylist():
            outline.setdefault(row["question"], []).append((row["role"], row["verdict"]))
    return dict(sorted(outline.items()))


def read_columns(directory: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of every stored node, shard by shard; far faster than `read_samples`.

    Raises:
      ValueError: a shard cannot be read, or is of an earlier version.
    """
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    tables = [_read(shard, list(columns)).select(columns) for shard in _shards(path_of(directory))]
    return pa.concat_tables([schema.empty_table(), *tables])


def _shards(directory: Path) -> list[Path]:
    return sorted(directory.glob("[0-9]" * 6 + "*.parquet"))


def _writer(name: str) -> int:
    """The process that a shard is from, 000000-1.parquet from 1, without a number from 0."""
    found = re.match(r"\.?\d{6}-(\d+)\.", name)
    return int(found[1]) if found else 0


def _questions(shard: Path) -> set[str]:
    return set(_read(shard, ["question"])["question"].to_pylist())


def _read(shard: Path, columns: list[str]) -> pa.Table:
    try:
        file = open_table(shard)
        there = file.schema_arrow.names
        if missing := [name for name in SCHEMA.names if name not in there]:
            raise ValueError(
                f"{shard} was written by an earlier version, without {', '.join(missing)}; delete "
                f"{shard.parent} to sample its questions again, or pass another --workdir"
            )
        return file.read(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(
            f"{shard} cannot be read ({error}); delete it and repeat the command to sample its "
            "questions again"
        ) from error
