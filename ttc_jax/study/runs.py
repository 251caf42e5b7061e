# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The runs that a report is about: what was asked, with which models, and how long it took."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ttc_jax.core.metrics import read_all_metrics
from ttc_jax.core.places import in_bucket, path_of
from ttc_jax.core.records import key_of
from ttc_jax.core.samples import read_columns
from ttc_jax.search.names import parse
from ttc_jax.search.strategy import Strategy

# What makes a config.json that of a run: exported models have a file of this name too.
_KEYS = ("samples_depend_on", "config", "runs")


@dataclass(frozen=True)
class Model:
    """A model of a run: where it lies, its kind, and its number of parameters.

    Policies are "base", "revision" or "restem"; verifiers "prm" (scores every step), "orm" or
    "orm_history" (whole solutions; the latter with earlier attempts in view).
    """

    path: str
    kind: str
    params: int


@dataclass(frozen=True)
class Run:
    """A work directory, finished or not.

    Fields:
      path, name: where it lies, and what a report calls it: the path below the parent of the
        directory that was asked for, no two alike.
      job: "search", "labels", "train", ...; "samples" for searches to learn from.
      config, depends: all settings, and those that the samples depend on ("group.key").
      command, versions, device, git_commit: of the last start.
      strategy: that of a search, else None.
      policy, verifier: None where models.json is not there yet, the verifier also where none ran.
      questions: (id, level) of all that it is to answer, by id; of an earlier version those stored.
    """

    path: Path
    name: str
    job: str
    config: Mapping[str, Any]
    depends: Mapping[str, Any]
    command: str
    versions: Mapping[str, str]
    device: str
    git_commit: str | None
    strategy: Strategy | None
    policy: Model | None
    verifier: Model | None
    questions: tuple[tuple[str, int | None], ...]

    def timing(self) -> dict[str, Any]:
        """Seconds, tokens, number of starts and the ledger, over all starts.

        The ledger is {phase: {"useful", "executed" (FLOPs), "bytes"}}, for training without bytes,
        for a probe useful FLOPs alone; what a run does not note adds nothing. Tokens are those
        sampled, or trained on.

        Raises:
          ValueError: metrics.jsonl cannot be read.
        """
        try:
            lines = list(read_all_metrics(self.path))
            if self.job == "probe":
                return _of_probe(_json(self.path / "results.json") or {})
            return _of_steps(lines) if self.job == "train" else _of_starts(lines)
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{self.path}/metrics*.jsonl cannot be read ({error}); delete its broken lines"
            ) from error


def _of_starts(lines: Sequence[Mapping]) -> dict[str, Any]:
    """Of lines that count from the beginning of their start: the last of each process."""
    last: dict[tuple[int, int], dict] = {}
    seconds: dict[int, float] = {}
    for line in lines:
        last.setdefault((line["start"], line["process"]), {}).update(line)
    for (start, _), line in last.items():
        seconds[start] = max(seconds.get(start, 0.0), line.get("seconds", 0.0))
    ledger: dict[str, Counter] = {}
    for line in last.values():
        for phase, counts in line.get("ledger", {}).items():
            ledger.setdefault(phase, Counter()).update(counts)
    return {
        "seconds": sum(seconds.values()),
        "tokens": sum(line.get("new_tokens", 0) for line in last.values()),
        "starts": len(seconds),
        "ledger": {phase: dict(counts) for phase, counts in ledger.items()},
    }


def _of_steps(lines: Sequence[Mapping]) -> dict[str, Any]:
    """Of lines of training, one for each step: those that a kill made run again count twice."""
    useful = sum(line.get("flops", 0) for line in lines)
    executed = sum(line.get("executed_flops", 0) for line in lines)
    return {
        "seconds": sum(line.get("seconds", 0.0) for line in lines),
        "tokens": sum(line.get("tokens", 0) for line in lines),
        "starts": len({line["start"] for line in lines}),
        "ledger": {"training": {"useful": useful, "executed": executed}} if useful else {},
    }


def _of_probe(results: Mapping) -> dict[str, Any]:
    """Of a probe, which notes the FLOPs of its features and nothing else."""
    flops = results.get("flops")
    ledger = {"difficulty": {"useful": flops["difficulty"] + flops["training"]}} if flops else {}
    return {"seconds": 0.0, "tokens": 0, "starts": 1, "ledger": ledger}


def find_runs(workdirs: Sequence[str | Path]) -> list[Run]:
    """Every run at or below the directories, in their order, then by path; each directory once.

    Raises:
      FileNotFoundError: a directory is not there.
      ValueError: there is no run in one of them, a file cannot be read, or two searches are over
        different questions.
    """
    found: dict[Path, str] = {}
    for workdir in map(path_of, workdirs):
        if not workdir.is_dir():
            raise FileNotFoundError(f"no directory {workdir}; give the --workdir of a run")
        top = _real(workdir) if ".." in workdir.parts else workdir
        inside = [path for path in _directories(top, set()) if _record(path) is not None]
        if not inside:
            raise ValueError(
                f"no run in {workdir}: nowhere in it is a config.json of `ttc run`; give the "
                f"--workdir of a run, or a directory of several"
            )
        for path in inside:
            found.setdefault(_real(path), _below(path, top.parent))
    runs = [_run(path, name) for path, name in zip(found, _unique(found), strict=True)]
    runs = _apart(runs)
    _check_questions([run for run in runs if run.job == "search"])
    return runs


def _apart(runs: Sequence[Run]) -> list[Run]:
    """The runs, with the job "samples" for searches over questions that are there to learn from.

    Those are the searches over a training split and those that another job of the runs learned
    from, as long as others are over other questions: held-out ones, which the report is about.
    """
    sources = {run.depends.get(f"{job}.source") for run in runs for job in ("train", "probe")}
    learned = {
        run.name
        for run in runs
        if run.depends.get("data.split") == "train" or key_of(run.depends) in sources
    }
    searches = [run for run in runs if run.job == "search"]
    asked = {run.name: run.depends.get("data.questions") for run in searches}
    about = {asked[run.name] for run in searches if run.name not in learned}
    aside = {name for name in learned & asked.keys() if about and asked[name] not in about}
    return [replace(run, job="samples") if run.name in aside else run for run in runs]


def _directories(top: Path, seen: set[Path]) -> Iterator[Path]:
    """The directory and all below it, links followed, hidden ones left out."""
    if _real(top) in seen:
        return
    seen.add(_real(top))
    yield top
    for path in sorted(top.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield from _directories(path, seen)


def _real(path: Path) -> Path:
    """The path without links; there are none in a bucket."""
    return path if in_bucket(path) else path.resolve()


def _below(path: Path, top: Path) -> str:
    return "/".join(path.parts[len(top.parts) :])


def _record(path: Path) -> dict | None:
    """What config.json of a run says, None in a directory that is none."""
    record = _json(path / "config.json")
    return record if isinstance(record, dict) and all(key in record for key in _KEYS) else None


def _json(file: Path) -> Any:
    """The content of a file, None where there is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{file} cannot be read ({error}); delete it or its run") from error


def _unique(found: Mapping[Path, str]) -> list[str]:
    """The names, those that several share with as much of the path before them as is needed."""
    names = list(found.values())
    parts = [path.parts for path in found]
    length = [len(Path(name).parts) for name in names]
    while clashes := {name for name, count in Counter(names).items() if count > 1}:
        for i, name in enumerate(names):
            if name in clashes and length[i] < len(parts[i]):
                length[i] += 1
                names[i] = Path(*parts[i][-length[i] :]).as_posix()
    return names


def _run(path: Path, name: str) -> Run:
    record = _record(path)
    depends, start = record["samples_depend_on"], record["runs"][-1]
    job = depends.get("job", "search")
    models = _json(path / "models.json") or {}
    return Run(
        path=path,
        name=name,
        job=job,
        config=record["config"],
        depends=depends,
        command=shlex.join(["ttc", *start["command"][1:]]),
        versions=start["versions"],
        device=start["device"],
        git_commit=start["git_commit"],
        strategy=parse(depends["search.strategy"]) if job == "search" else None,
        policy=_model(models.get("policy")),
        verifier=_model(models.get("verifier")),
        questions=_questions(path),
    )


def _model(values: Mapping | None) -> Model | None:
    if values is None:
        return None
    path = values["path"]
    if values.get("weights"):  # another model, though of the same checkpoint
        path = f"{path} in {values['weights']}"
    return Model(path, values["kind"], values["params"])


def _questions(path: Path) -> tuple[tuple[str, int | None], ...]:
    noted = _json(path / "questions.json")
    if noted is not None:
        return tuple(sorted((question["id"], question["level"]) for question in noted["questions"]))
    stored = read_columns(path / "samples", ["question"])["question"].unique().to_pylist()
    return tuple((question, None) for question in sorted(stored))


def _check_questions(searches: Sequence[Run]) -> None:
    """ValueError, naming both, where two searches were not over the same questions."""
    for run in searches[1:]:
        first, key = searches[0], "data.questions"
        if run.depends.get(key) == first.depends.get(key):
            continue
        data = [name for name in first.depends if name.startswith("data.") and name != key]
        differ = [
            f"{name} is {first.depends[name]!r} and {run.depends.get(name)!r}"
            for name in data
            if first.depends[name] != run.depends.get(name)
        ]
        raise ValueError(
            f"two runs of different questions, {first.path} and {run.path}: "
            f"{'; '.join(differ) or 'the texts or answers of the questions changed'}; report them "
            f"apart"
        )
