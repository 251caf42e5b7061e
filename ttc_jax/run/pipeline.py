# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline job: stages run in order, each a job of its own, and one report over all of them.

A stage named sft has the work directory WORKDIR/sft, in which everything is as if it had been run
alone. Its config is `config.stages.sft`, in whose texts "{workdir}" stands for the pipeline's own
directory, as in scorer.path = "{workdir}/prm/model". A stage that is done is passed over, one that
was killed goes on, and one whose settings changed is refused.
"""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from rich.console import Console

from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.metrics import Metrics, read_metrics
from ttc_jax.core.places import path_of
from ttc_jax.core.records import RunRecord, key_of
from ttc_jax.data.sources import Question
from ttc_jax.model.settings import read_json
from ttc_jax.run import settings, stage
from ttc_jax.run.models import Models
from ttc_jax.run.place import Launch
from ttc_jax.run.weights import check_weights
from ttc_jax.study.settings import ReportSettings

WORKDIR = "{workdir}"
TIMES = "stages.jsonl"  # seconds of each stage, by start
TICK_S = 10.0  # what a kill may lose of them
REPORT = "report"


def run(config: ConfigDict, workdir: str, launch: Launch) -> dict:
    """Runs every stage of config.order that is not done, then the report; the results.

    Raises:
      ValueError, OSError: a stage cannot work, which is named. What can be seen from the configs
        alone is seen before the first stage starts.
    """
    path = path_of(workdir)
    stages = check(config, path)
    left = {name: own for name, own in stages.items() if not _finished(path / name, own)}
    check_weights(left, config, path)
    config = config.copy_and_resolve_references()
    config.order = tuple(stages)
    asked: dict[str, list[Question]] = {}
    keys = {}
    say = Console(highlight=False, markup=False).print
    team = launch.team
    with RunRecord(path, depends={"job": "pipeline"}, team=team) as record:
        launch.place(record, config)
        clock = Clock(path / TIMES, record.n_starts, writes=team.leads)
        for number, (name, own) in enumerate(stages.items(), 1):
            head = f"[{number}/{len(stages)}] {name} ({own.job})"
            data = json.dumps(own.data.to_dict())
            with _named(name):
                if data not in asked:
                    with team.leader_first():
                        asked[data] = settings.questions(own, launch.cache_dir)
                done = _stage(own, asked[data], path / name, launch, clock, name)
            keys[name] = key_of(done["settings"])
            if team.leads:
                say(f"{head}: done, {clock.seconds().get(name, 0.0):.1f} s", soft_wrap=True)
        seconds = clock.seconds()
        results = {
            "stages": {
                name: {"job": own.job, "key": keys[name], "seconds": seconds.get(name, 0.0)}
                for name, own in stages.items()
            },
            "report": _report_settings(config),
            "settings": {"job": "pipeline"},
        }
        if team.leads:
            write_json_atomic(path / "results.json", results)
            say(*_report(results, stages, path), sep="\n", soft_wrap=True)
        team.wait()
    return results


def check(config: ConfigDict, workdir: Path) -> dict[str, ConfigDict]:
    """The config of each stage in order, its paths filled in.

    Raises:
      ValueError: a setting that cannot work, with its stage; or a stage reads what neither lies
        there nor comes before it.
      FileNotFoundError: what a stage learns from is not there, and no earlier stage makes it.
    """
    ReportSettings(**_report_settings(config))
    found: dict[str, ConfigDict] = {}
    for name in _names(config.order):
        if name not in config.stages or name in found:
            raise ValueError(
                f"order has {name!r}{' twice' if name in found else ''}; the stages are "
                f"{', '.join(config.stages)}: name some of them, each once"
            )
        if not re.fullmatch(r"[A-Za-z0-9_]+", name) or name == REPORT:
            raise ValueError(
                f"a stage is called {name!r}; a name is made of letters, digits and _, and is not "
                f"{REPORT!r}, as it is that of a directory"
            )
        own = _own(config, name, workdir)
        with _named(name):
            stage.check(own)
            for needed in _stages_in(own, workdir):
                if needed not in found and not (workdir / needed).exists():
                    raise ValueError(
                        f"it reads {WORKDIR}/{needed}, which is not there and is made by no stage "
                        f"before it; put {needed!r} before {name!r} in order"
                    )
            try:
                stage.check_source(own)
            except FileNotFoundError:
                source = own[own.job].source  # of train and probe, which alone look for one
                if found.keys().isdisjoint(_stages_in(source, workdir)):
                    raise
        found[name] = own
    if not found:
        raise ValueError(f"order is empty; name stages of {', '.join(config.stages)}")
    return found


class Clock:
    """Seconds of each stage over all starts, noted as they pass: a kill loses few of them."""

    def __init__(self, path: Path, start: int, *, writes: bool = True):
        """`start` counts from 1; lines of earlier ones are kept. One process of a team `writes`."""
        self._path, self._start = path, start
        self._metrics = Metrics(path, start) if writes else None

    @contextmanager
    def runs(self, name: str) -> Iterator[None]:
        """Counts for a stage."""
        if self._metrics is None:
            yield
            return
        begin, ended = time.perf_counter(), threading.Event()

        def note() -> None:
            seconds = time.perf_counter() - begin
            self._metrics.append({"start": self._start, "stage": name, "seconds": seconds})

        def tick() -> None:
            while not ended.wait(TICK_S):
                note()

        thread = threading.Thread(target=tick, name="clock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            note()
            self._metrics.flush()

    def seconds(self) -> dict[str, float]:
        """By stage, in the order in which they first ran."""
        last = {(line["stage"], line["start"]): line for line in read_metrics(self._path)}
        found: dict[str, float] = {}
        for (name, _), line in last.items():
            found[name] = found.get(name, 0.0) + line["seconds"]
        return found


# ---------------------------------------------------------------- one stage


def _stage(
    own: ConfigDict,
    questions: Sequence[Question],
    path: Path,
    launch: Launch,
    clock: Clock,
    name: str,
) -> dict:
    """The results of a stage, run unless it is done."""
    stage.check_source(own)
    depends = stage.depends_on(own, questions)
    try:
        record = RunRecord(path, depends=depends, team=launch.team)
    except ValueError as error:
        raise ValueError(f"{error}, or delete {path} to run the stage again") from error
    with record:
        results = _finished(path, own)
        if results is None:
            Console(stderr=True, highlight=False, markup=False).print(f"{name} in {path}")
            if launch.team.leads:  # results of other settings for the report, say
                (path / "results.json").unlink(missing_ok=True)
            changed = f"stages.{name}."
            mine = replace(
                launch,
                overrides={
                    key.removeprefix(changed): value
                    for key, value in launch.overrides.items()
                    if key.startswith(changed)
                },
                models=Models(launch.cache_dir),  # what other stages loaded makes room
            )
            with clock.runs(name):
                results = stage.run(own, questions, depends, record, mine)
    return results


def _finished(path: Path, own: ConfigDict) -> dict | None:
    """The results of a stage that is done with just these settings, wherever it keeps its cache."""
    before = read_json(path / "config.json").get("config", {})
    now = json.loads(json.dumps(own.to_dict()))  # lists for tuples
    same = before | {"cache_dir": ""} == now | {"cache_dir": ""}
    return (read_json(path / "results.json") or None) if same else None


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Lets errors say which stage they are about."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"stage {name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"stage {name}: {error}") from error


# ---------------------------------------------------------------- configs


def _names(order: Sequence[str]) -> list[str]:
    """Names of stages; a text may list several, as flags do."""
    return [name for text in order for name in re.split(r"[\s,]+", text) if name]


def _own(config: ConfigDict, name: str, workdir: Path) -> ConfigDict:
    """The config of a stage as if it were run alone; `stage` says that it was not."""
    own = config.stages[name].copy_and_resolve_references()
    _fill(own, workdir)
    with own.unlocked():
        own.stage, own.cache_dir = name, config.cache_dir
    return own


def _fill(config: ConfigDict, workdir: Path) -> None:
    """Puts the directory in place of its name, in all texts of a config."""
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            _fill(value, workdir)
        else:
            config[key] = _filled(value, str(workdir))


def _filled(value: Any, workdir: str) -> Any:
    if isinstance(value, str):
        return value.replace(WORKDIR, workdir)
    if isinstance(value, tuple | list):
        return type(value)(_filled(item, workdir) for item in value)
    if isinstance(value, Mapping):
        return {key: _filled(item, workdir) for key, item in value.items()}
    return value


def _stages_in(value: Any, workdir: Path) -> list[str]:
    """The stages that paths in a config lead into."""
    if isinstance(value, str):
        inside = value.startswith(f"{workdir}/")
        return [value.removeprefix(f"{workdir}/").split("/")[0]] if inside else []
    if isinstance(value, Mapping | ConfigDict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return list(dict.fromkeys(n for item in value for n in _stages_in(item, workdir)))
    return []


def _report_settings(config: ConfigDict) -> dict:
    """How the report is made, as JSON values."""
    report = config.report
    return {
        "n_bins": report.bins,
        "resamples": report.resamples,
        "confidence": report.confidence,
    }


def _report(results: Mapping, stages: Mapping[str, ConfigDict], workdir: Path) -> Iterator[str]:
    """What to print at the end, and the report of all runs, written now."""
    spent = [entry["seconds"] for entry in results["stages"].values()]
    yield f"{len(spent)} stages, {sum(spent):.0f} s over all starts: {workdir / 'results.json'}"
    asked = [own.data for own in stages.values() if own.job in ("search", "sweep")]
    learned = {json.dumps(data.to_dict()) for data in asked if data.split == "train"}
    if len(learned) > 1 and all(data.split == "train" for data in asked):
        yield "no report: all searches are over training questions, and not over the same ones"
    elif asked:
        from ttc_jax.report.write import report as write_report  # matplotlib takes a second

        yield from write_report([workdir], workdir / REPORT, ReportSettings(**results["report"]))
