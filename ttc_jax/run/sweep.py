# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The sweep job: strategies over the same questions, each a search of its own, and their report.

Every strategy has a work directory of its own within that of the sweep, as if it had been run
alone. Checkpoints that several of them name are loaded once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ml_collections import ConfigDict
from rich.console import Console
from rich.table import Table

from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.records import RunRecord, key_of
from ttc_jax.data.sources import Question
from ttc_jax.model.settings import read_json
from ttc_jax.report.terminal.results import runs_table
from ttc_jax.run import search, settings
from ttc_jax.run.checkpoints import identity
from ttc_jax.run.place import Place
from ttc_jax.search.names import parse
from ttc_jax.study.settings import ReportSettings

# Groups of settings in which the runs of one sweep may differ.
OWN = ("model", "prompt", "sample", "search", "scorer", "engine")
PATHS = ("model.path", "scorer.path")
# An attempt with others in view costs as much as so many without: prompts, and no round before.
_REVISED = 4


def check(config: ConfigDict) -> dict[str, ConfigDict]:
    """The config of each run, by the name of its directory, in order.

    Raises ValueError for a setting that cannot work, naming it, its value and the fix.
    """
    listed = [(strategy, {}) for strategy in _strategies(config.sweep.strategies)]
    listed += [_entry(entry) for entry in config.sweep.runs]
    if not listed:
        raise ValueError(
            "sweep.strategies is empty; name some, as in "
            '--config.sweep.strategies="best_of_n(N=16),beam(N=16,M=4)"'
        )
    ReportSettings(**_report_settings(config))
    found: dict[str, ConfigDict] = {}
    for strategy, changes in listed:
        own = _own(config, strategy, changes)
        name = directory_of(strategy, changes)
        if name in found:
            raise ValueError(f"the sweep has {own.search.strategy} twice; take one of them out")
        try:
            search.check(own)
        except ValueError as error:
            raise ValueError(f"{strategy} in the sweep: {error}") from error
        found[name] = own
    return found


def directory_of(strategy: str, changes: Mapping) -> str:
    """The directory of a run: beam(N=16,M=4) is in beam_N16_M4, the same whatever else is run.

    Of a run with settings of its own, the name of its model and a number made of them follow.
    """
    name = re.sub(r"\W+", "_", re.sub(r"[=\s]", "", str(parse(strategy)))).strip("_")
    if not changes:
        return name
    path = Path(str(changes.get("model.path", "own")).split(":")[-1])
    model = path.parent.name if path.name == "model" else path.name  # as training jobs leave them
    made = {key: identity(v) if key in PATHS else v for key, v in changes.items()}
    return f"{name}-{re.sub(r'[^-.A-Za-z0-9]', '_', model)}-{key_of(made)[:6]}"


def depends_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """What no run may change; strategies may be added to a sweep, and those it has go on."""
    depends = settings.sampling_depends_on(config, questions)
    return {key: value for key, value in depends.items() if key.split(".")[0] not in OWN}


def run(config: ConfigDict, questions: Sequence[Question], place: Place) -> dict | None:
    """Runs every search that has no results yet; what all of them came to.

    Each process of a team begins searches that no other has begun, the longest first, and then
    helps with those that are not done. None in all but the first.
    """
    runs, team = check(config), place.team
    with ExitStack() as held:
        records = {  # all of them are held, and fit, before any goes on
            name: held.enter_context(
                RunRecord(place.path / name, depends=_depends(own, questions), team=team)
            )
            for name, own in runs.items()
        }
        done = {name for name, own in runs.items() if _finished(records[name].path, own)}
        places = {
            name: _begun(runs[name], records[name], place) for name in runs if name not in done
        }
        left = []
        for name in sorted(places, key=_by_models(runs)):
            if team.claim(f"begin/{places[name].path}"):
                _search(runs[name], questions, places[name])
            else:
                left.append(name)
        for name in left:
            _search(runs[name], questions, places[name])
        team.wait()
    if not team.leads:
        return None
    results = {name: read_json(place.path / name / "results.json") for name in runs}
    return {
        "runs": {name: _summary(runs[name], results[name]) for name in runs},
        "report": _report_settings(config),
        "stage": config.get("stage", ""),
    }


def report(results: Mapping, workdir: Path) -> Iterator[Table | str]:
    """What to print of results.json, and of the report that is written now.

    A stage of a pipeline has none of its own: it is part of the pipeline's.
    """
    yield runs_table(results["runs"])
    if results["stage"]:
        return
    from ttc_jax.report.write import report as write_report  # matplotlib takes a second

    yield from write_report([workdir], workdir / "report", ReportSettings(**results["report"]))


# ---------------------------------------------------------------- runs of a sweep


def _report_settings(config: ConfigDict) -> dict:
    """How the report is made, as JSON values."""
    return {
        "n_bins": config.sweep.bins,
        "resamples": config.report.resamples,
        "confidence": config.report.confidence,
    }


def _strategies(listed: Sequence[str]) -> list[str]:
    """Names of strategies; a text may list several, as flags do."""
    return [name for text in listed for name in re.split(r"(?<=\))\s*,\s*", text.strip(" ,"))]


def _entry(entry: object) -> tuple[str, Mapping]:
    """A strategy and the settings of its own, of an entry in sweep.runs."""
    pair = isinstance(entry, tuple | list) and len(entry) == 2
    if not pair or not isinstance(entry[0], str) or not isinstance(entry[1], Mapping):
        raise ValueError(
            f"sweep.runs has {entry!r}; each entry is a strategy and its settings, as in "
            '("best_of_n(N=1)", {"model.path": "DIR", "sample.temperature": 0.0})'
        )
    return entry[0], dict(entry[1])


def _own(config: ConfigDict, strategy: str, changes: Mapping) -> ConfigDict:
    """The config of one run, as if it were run alone."""
    own = config.copy_and_resolve_references()
    for key, value in changes.items():
        group, _, name = key.partition(".")
        if group not in OWN or key == "search.strategy" or name not in config[group]:
            raise ValueError(
                f"sweep.runs has {key!r} for {strategy}; a run may have its own settings of "
                f"{', '.join(OWN)}, spelled as in the config, as in 'model.path'"
            )
        try:
            own[group][name] = value
        except TypeError as error:
            raise ValueError(f"sweep.runs has {key} = {value!r} for {strategy}: {error}") from error
    with own.unlocked():
        own.job, own.search.strategy = "search", strategy
        del own.sweep
        own.report.ks = tuple(k for k in config.report.ks if k <= parse(strategy).generations)
    return own


def _depends(own: ConfigDict, questions: Sequence[Question]) -> dict:
    return {"job": "search"} | search.depends_on(own, questions)


def _by_models(runs: Mapping[str, ConfigDict]):
    """Orders runs so that those of the same models follow each other, long ones before short."""
    pairs = {name: (own.model.path, own.scorer.path) for name, own in runs.items()}
    work = {name: _work(own.search.strategy) for name, own in runs.items()}
    longest: dict[tuple[str, str], int] = {}
    for name, pair in pairs.items():
        longest[pair] = max(longest.get(pair, 0), work[name])
    groups = sorted(longest, key=lambda pair: -longest[pair])
    return lambda name: (groups.index(pairs[name]), -work[name])


def _work(strategy: str) -> int:
    """About how long a search takes, in samples."""
    found = parse(strategy)
    return found.generations * (_REVISED if found.load.attempts else 1)


def _finished(path: Path, own: ConfigDict) -> dict | None:
    """The results of a run that is done, unless they were reported with other settings."""
    results = read_json(path / "results.json")
    reported = read_json(path / "config.json").get("config", {}).get("report")
    now = own.report.to_dict() | {"ks": list(own.report.ks)}
    return results if results and reported == now else None


def _begun(own: ConfigDict, record: RunRecord, place: Place) -> Place:
    """The place of a run, without results that were reported with other settings."""
    if place.team.leads:
        (record.path / "results.json").unlink(missing_ok=True)
    return place.launch.place(record, own)


def _search(own: ConfigDict, questions: Sequence[Question], place: Place) -> None:
    Console(stderr=True, highlight=False).print(f"{own.search.strategy} in {place.path}")
    place.launch.models.keep_only(own)
    results = search.run(own, questions, place)
    if results is not None:
        results |= {"settings": _depends(own, questions)}
        write_json_atomic(place.path / "results.json", results)


def _summary(own: ConfigDict, results: Mapping) -> dict:
    """What results.json of the sweep says of a run."""
    return {
        "strategy": results["strategy"],
        "generations": parse(results["strategy"]).generations,
        "model": identity(own.model.path),
        "verifier": identity(own.scorer.path),
        "figures": results["figures"]["all"],
    }
