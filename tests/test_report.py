# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A sweep of strategies over random weights, its report, and a probe of its questions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoint import SHAPE, write_checkpoint, write_short_config

from ttc_jax.__main__ import main
from ttc_jax.core import records
from ttc_jax.core.samples import SampleStore, candidates
from ttc_jax.report import write
from ttc_jax.run.models import Models
from ttc_jax.study import policy_file
from ttc_jax.study.probe import Probe

STRATEGIES = "best_of_n(N=8),beam(N=4,M=2)"
NAMES = ["best_of_n_N8", "beam_N4_M2"]


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A folder with a small model and a larger one, a config and a cache."""
    path = tmp_path_factory.mktemp("report")
    write_checkpoint(path / "small", writes_numbers=True)
    big = replace(SHAPE, width=64, ffn=128)
    write_checkpoint(path / "big", big, seed=1, writes_numbers=True)
    write_short_config(path / "short.py")
    asked = ({"question": f"{i} + {7 - i} = ?", "answer": "7"} for i in range(24))
    (path / "sums.jsonl").write_text("\n".join(map(json.dumps, asked)))
    return path


def command(room: Path, variant: str, name: str, *extra: str) -> list[str]:
    """A run over 16 sums; any last number is an answer, as random weights state none."""
    return [
        "ttc",
        "run",
        f"--config={room / 'short.py'}:{variant},tiny",
        f"--workdir={room / name}",
        f"--config.model.path={room / 'small'}",
        f"--config.cache_dir={room / 'cache'}",
        "--config.data.name=jsonl",
        f"--config.data.dir={room / 'sums.jsonl'}",
        "--config.data.limit=16",
        "--config.engine.questions=4",  # as large a batch whatever is left to do
        "--config.sample.max_new=16",
        "--config.sample.temperature=1.0",
        "--config.search.max_step=8",
        "--config.grade.last_number=True",
        "--config.report.resamples=100",
        *extra,
    ]


def sweep(room: Path, name: str, *extra: str) -> list[str]:
    """A sweep of two strategies against an untrained verifier, and a larger model's answers.

    The larger model repeats itself: the first of its tokens is the answer.
    """
    own = {"model.path": str(room / "big"), "sample.temperature": 0.0, "sample.max_new": 1}
    own |= {"scorer.path": ""}
    large = ("best_of_n(N=1)", own)
    return command(
        room, "sweep", name, f"--config.sweep.strategies={STRATEGIES}",
        f"--config.sweep.runs=({large!r},)", f"--config.scorer.path={room / 'small'}", *extra,
    )  # fmt: skip


@pytest.fixture(scope="module")
def swept(room) -> Path:
    assert main(sweep(room, "swept")) == 0
    return room / "swept"


def fails(argv: list[str], capsys) -> str:
    """The one line that a wrong command prints."""
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    return error


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_every_strategy_is_a_run_of_its_own(room, swept):
    folders = sorted(path.name for path in swept.iterdir() if (path / "results.json").exists())
    (large,) = set(folders) - {*NAMES, "report"}
    assert large.startswith("best_of_n_N1-big-")
    for name in (*NAMES, large):
        assert {"config.json", "questions.json", "models.json", "metrics.jsonl"} <= {
            path.name for path in (swept / name).iterdir()
        }
        assert len(SampleStore(swept / name / "samples").done()) == 16
    made = read(swept / "beam_N4_M2" / "config.json")
    assert made["samples_depend_on"]["job"] == "search" and "sweep" not in made["config"]
    models = read(swept / large / "models.json")
    assert models["policy"]["path"] == str(room / "big") and models["verifier"] is None
    small = read(swept / NAMES[0] / "models.json")
    assert models["policy"]["params"] > 2 * small["policy"]["params"]
    assert small["verifier"] == small["policy"] | {"kind": "prm"}
    answers = candidates(SampleStore(swept / large / "samples").read())
    assert read(swept / large / "config.json")["config"]["sample"]["temperature"] == 0.0
    assert len(answers) == 16
    results = read(swept / "results.json")["runs"]
    assert list(results) == [*NAMES, large]
    assert results["beam_N4_M2"]["generations"] == 4
    assert "weighted@4" in results["beam_N4_M2"]["figures"]


def test_the_sweep_ends_with_its_report(swept):
    assert (swept / "report" / "index.html").stat().st_size > 10_000
    found = read(swept / "report" / "results.json")
    assert any("untrained" in warning for warning in found["warnings"])
    policy = policy_file.read(swept / "report" / "policy.json")
    assert policy.sources.keys() <= {f"swept/{name}" for name in NAMES}


def test_a_killed_sweep_goes_on_and_a_finished_one_loads_nothing(room, swept, monkeypatch, capsys):
    class Killed(BaseException):
        """Nothing is stored after it."""

    def killing(source, target, replace=records.os.replace):
        replace(source, target)
        if str(target).endswith("beam_N4_M2/samples/000000.parquet"):
            raise Killed

    argv = sweep(room, "killed")
    monkeypatch.setattr(write, "report", lambda *args: iter(["reported"]))
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(records.os, "replace", killing)
        main(argv)
    assert len(SampleStore(room / "killed" / NAMES[1] / "samples").done()) < 16
    first = (room / "killed" / NAMES[0] / "results.json").read_bytes()
    assert not (room / "killed" / "results.json").exists()
    assert main(argv) == 0
    for name in NAMES:
        ours, theirs = (
            SampleStore(path / name / "samples").read() for path in (room / "killed", swept)
        )
        assert [(s.question, s.branch, s.tokens) for s in ours] == [
            (s.question, s.branch, s.tokens) for s in theirs
        ]
    assert (room / "killed" / NAMES[0] / "results.json").read_bytes() == first
    starts = [len(read(room / "killed" / name / "config.json")["runs"]) for name in NAMES]
    assert starts == [1, 2]
    monkeypatch.setattr(Models, "_load", None)
    capsys.readouterr()
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "beam_N4_M2" in shown and "reported" in shown
    # With other figures asked for, they are made anew from what is stored.
    assert main([*argv, "--config.report.ks=1,4"]) == 0
    assert "pass@4" in read(room / "killed" / NAMES[0] / "results.json")["figures"]["all"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config.sweep.strategies=()"], "sweep.strategies is empty"),
        (["--config.sweep.strategies=beam(N=4,M=2),beam(M=2,N=4)"], "beam(M=2,N=4) twice"),
        (["--config.sweep.strategies=beam(N=2,M=4)"], "budget N=2 is smaller than M=4"),
        (["--config.sweep.strategies=beam(N=4,M=2)", "--config.scorer.path="], "scorer.path"),
        (["--config.sweep.runs=('beam(N=4)',)"], "sweep.runs has 'beam(N=4)'"),
        (["--config.sweep.runs=(('beam(N=4)', {'data.limit': 3}),)"], "'data.limit' for beam(N=4)"),
        (["--config.sweep.runs=(('beam(N=4)', {'model.pat': 'x'}),)"], "'model.pat' for beam"),
        (["--config.sweep.runs=(('beam(N=4)', {'sample.top_k': 'x'}),)"], "sample.top_k = 'x'"),
        (["--config.sweep.bins=0"], "n_bins is 0"),
    ],
)
def test_wrong_sweeps_are_refused_before_anything_is_made(room, capsys, flags, message):
    argv = command(
        room, "sweep", "refused", f"--config.scorer.path={room / 'small'}",
        "--config.model.path=/nowhere", *flags,
    )  # fmt: skip
    assert message in fails(argv, capsys)
    assert not (room / "refused").exists()


def test_one_run_of_other_settings_stops_a_sweep_before_all(room, swept, capsys):
    argv = sweep(room, "swept", "--config.sample.temperature=0.75")
    assert "sample.temperature was " in fails(argv, capsys)
    argv = sweep(room, "swept", "--config.data.limit=8")
    assert "data.limit was 16, now 8" in fails(argv, capsys)
    assert len(read(swept / NAMES[0] / "config.json")["runs"]) == 1


@pytest.fixture(scope="module")
def probed(room, swept) -> Path:
    """A probe that has learned from the sweep's samples, of the same questions."""
    argv = command(room, "probe", "probed", f"--config.probe.source={swept / NAMES[0]}")
    assert main(argv) == 0
    return room / "probed"


def test_a_probe_tells_of_questions_that_it_was_not_trained_on(room, swept, probed):
    results = read(probed / "results.json")
    assert results["trained_on"] == {"questions": 16, "samples": 128}
    assert results["questions"] == results["cross_fitted"] == 16
    assert results["flops"]["difficulty"] == results["flops"]["training"] > 0
    assert 0 <= results["quality"]["auc"] <= 1
    probe = read(probed / "probe.json")
    assert probe["made_with"]["model.path"] == str(room / "small")
    assert Probe.from_json(probe).weights.shape == (32,)
    ease = read(probed / "difficulty.json")
    asked = read(swept / NAMES[0] / "questions.json")["questions"]
    assert ease.keys() == {question["id"] for question in asked}
    others = command(
        room, "probe", "others", f"--config.probe.source={swept / NAMES[0]}",
        "--config.data.limit=24",
    )  # fmt: skip
    assert main(others) == 0
    again, results = read(room / "others" / "difficulty.json"), read(room / "others/results.json")
    shared = ease.keys() & again.keys()
    assert len(again) == 24 and results["cross_fitted"] == len(shared) > 0
    assert np.allclose([ease[id] for id in shared], [again[id] for id in shared], atol=1e-4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "probe.source is empty"),
        (["--config.probe.source=nowhere"], "no samples in probe.source = nowhere"),
        (["--config.probe.source={swept}/beam_N4_M2"], "holds samples of beam(N=4,M=2)"),
        (["--config.probe.source={swept}/best_of_n_N8", "--config.prompt.style=chat"],
         "made with prompt.style = 'few_shot', this job has 'chat'"),
    ],
)  # fmt: skip
def test_a_probe_learns_only_from_samples_of_its_own_model(room, swept, capsys, flags, message):
    argv = command(room, "probe", "refused", *(flag.format(swept=swept) for flag in flags))
    assert message in fails(argv, capsys)


def test_ttc_report_of_several_directories(room, swept, probed, tmp_path, capsys):
    argv = ["ttc", "report", str(swept), str(probed), "--bins=2", "--resamples=100", "--R=1,2"]
    for out in ("one", "two"):
        assert main([*argv, f"--out={tmp_path / out}"]) == 0
    shown = capsys.readouterr().out
    assert f"report: {tmp_path / 'one' / 'index.html'}" in shown and "16 questions" in shown
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")]
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    found = read(tmp_path / "one" / "results.json")
    assert {row["R"] for row in found["matched"]} == {1, 2}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "required: WORKDIR"),
        (["/nowhere"], "no directory /nowhere"),
        (["."], "there is no search"),
        ([".", "--bins=0"], "n_bins is 0"),
        ([".", "--folds=1"], "n_folds is 1"),
        ([".", "--R=0"], "R is (0.0,)"),
        ([".", "--R=1,x"], "--R: invalid"),
        ([".", "--bins=3", "--absolute"], "not allowed with"),
        ([".", "--bin=3"], "unrecognized arguments: --bin=3"),
    ],
)
def test_wrong_reports(args, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = {"samples_depend_on": {"job": "labels"}, "config": {}}
    start = {"command": [], "versions": {}, "device": "", "git_commit": None}
    (tmp_path / "config.json").write_text(json.dumps(made | {"runs": [start]}))
    (tmp_path / "questions.json").write_text('{"questions": []}')
    assert message in fails(["ttc", "report", *args], capsys)


def test_ttc_flops_prints_the_paper_s_exchange(capsys):
    assert main(["ttc", "flops", "--M=14"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["0.16", "257.8", "135.9", "128.9"] in rows  # M + 3 (M - 1) / R, and so on
    assert ["22", "15.77", "14.89", "7.886"] in rows
    names = ["HuggingFaceTB/SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-1.7B-Instruct"]
    argv = ["ttc", "flops", f"--model={names[0]}", f"--large={names[1]}", "--R=0.16"]
    assert main([*argv, "--pretraining_tokens=2e12", "--convention=arxiv"]) == 0
    shown = capsys.readouterr().out
    M = 1_711_376_384 / 134_515_008
    assert f"M = {M:.4g}:" in shown and "134,515,008" in shown
    row = next(line.split() for line in shown.splitlines() if line.strip().startswith("0.16"))
    assert row == ["0.16", "3.2e+11", f"{M + 3 * (M - 1) / 0.16:.4g}"]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--M=0.5", "M is 0.5"),
        ("--R=0", "R is 0.0"),
        ("--convention=x", "no FLOPs convention 'x'"),
        ("--convention=counted", "measured, not priced"),
        ("--large=google/gemma-2-2b-it", "needs the small model"),
        ("--model=gemma-2b", "no preset 'gemma-2b'; there is google/gemma-2-9b-it"),
        ("--pretraining_tokens=-1", "--pretraining_tokens is -1"),
        ("--context=0", "--context is 0"),
        ("--N=3", "unrecognized arguments: --N=3"),
    ],
)
def test_wrong_exchanges(flag, message, capsys):
    assert message in fails(["ttc", "flops", flag], capsys)
