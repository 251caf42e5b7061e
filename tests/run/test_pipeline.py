# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A pipeline on GSM8K's format with random weights: its stages, a kill, going on, what is refused.

All stages of configs/gsm8k_smollm2.py run by
`ttc run --config=configs/gsm8k_smollm2.py:tiny --config.data.dir=DIR --workdir=runs/tiny`; here
those that every other one is like do.
"""

import json
from pathlib import Path

import pytest
from tiny_checkpoint import write_checkpoint

from ttc_jax.__main__ import main
from ttc_jax.run import stage
from ttc_jax.study.runs import find_runs

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "gsm8k_smollm2.py"
ORDER = ["labels", "prm", "samples", "test"]


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A folder with a model that writes sevens, twelve questions for each split, and a cache."""
    path = tmp_path_factory.mktemp("pipeline")
    write_checkpoint(path / "small", writes_numbers=True)
    for split in ("train", "test"):
        lines = [
            {"question": f"{split} {i} + {7 - i}?", "answer": f"{i} + {7 - i} = 7\n#### 7"}
            for i in range(12)
        ]
        (path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return path


def command(room: Path, name: str, *extra: str, order: str = ",".join(ORDER)) -> list[str]:
    """A pipeline without fine-tuning: everything begins with the random weights."""
    own = [f"--config.stages.{name}.model.path={room / 'small'}" for name in ORDER]
    return [
        "ttc",
        "run",
        f"--config={CONFIG}:tiny",
        f"--workdir={room / name}",
        f"--config.data.dir={room}",
        f"--config.cache_dir={room / 'cache'}",
        f"--config.order={order}",
        *own,
        "--config.stages.labels.labels.rollouts=0",
        "--config.stages.samples.search.strategy=best_of_n(N=4)",
        "--config.stages.samples.data.limit=12",
        "--config.stages.test.sweep.strategies=best_of_n(N=4)",
        "--config.stages.test.sweep.runs=()",
        *extra,
    ]


@pytest.fixture(scope="module")
def whole(room) -> Path:
    """The work directory of a pipeline that nothing stopped."""
    assert main(command(room, "whole")) == 0
    return room / "whole"


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def fails(argv: list[str], capsys) -> str:
    """The one line that a wrong command prints."""
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert "error: " in error and "Traceback" not in error
    return error


def test_stages_run_in_order_each_as_if_alone(room, whole):
    found = read(whole / "results.json")
    assert list(found["stages"]) == ORDER
    for name, entry in found["stages"].items():
        made = read(whole / name / "config.json")
        assert made["key"] == entry["key"] and made["config"]["stage"] == name
        assert made["config"]["data"]["dir"] == str(room)
        assert 0 < entry["seconds"] < 1000
    assert read(whole / "labels" / "config.json")["runs"][0]["overrides"] == {
        "labels.rollouts": 0, "model.path": str(room / "small"),
    }  # fmt: skip
    prm = read(whole / "prm" / "config.json")
    assert prm["config"]["train"]["source"] == str(whole / "labels")
    (searched,) = (whole / "test").glob("best_of_n*/config.json")
    assert read(searched)["samples_depend_on"]["scorer.path"] == f"stage prm, {prm['key']}"
    assert read(searched)["config"]["scorer"]["path"] == str(whole / "prm" / "model")


def test_the_report_is_about_test_questions_and_counts_everything(whole):
    jobs = {run.name: run.job for run in find_runs([whole])}
    assert jobs == {
        "whole": "pipeline", "whole/labels": "labels", "whole/prm": "train",
        "whole/samples": "samples", "whole/test": "sweep", "whole/test/best_of_n_N4": "search",
    }  # fmt: skip
    assert (whole / "report" / "index.html").exists()


def test_searches_over_different_training_questions_alone_have_no_report(room, capsys):
    own = ["data.split=train", "data.limit=6", "scorer.path=likelihood"]
    own = [f"--config.stages.test.{setting}" for setting in own]
    assert main(command(room, "learning", *own, order="samples,test")) == 0
    assert "no report: all searches are over training questions" in capsys.readouterr().out
    assert not (room / "learning" / "report").exists()


def test_killed_elsewhere_it_goes_on_to_the_same_results(room, whole, monkeypatch, capsys):
    class Killed(BaseException):
        """Nothing is stored after it."""

    def killing(config, *args, run=stage.run):
        if config.stage == "prm":
            raise Killed
        return run(config, *args)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stage, "run", killing)
        main(command(room, "killed"))
    assert not (room / "killed" / "results.json").exists()
    assert main(["ttc", "show", str(room / "killed")]) == 0
    states = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["labels", "labels", "done"] in states and ["test", "sweep", "-"] in states
    assert main(command(room, "killed")) == 0
    assert "[1/4] labels (labels): done" in capsys.readouterr().out

    def timeless(file: Path):
        return json.loads(file.read_text(), object_hook=_without_times)

    for file in ("results.json", *(f"{name}/results.json" for name in ORDER)):
        assert timeless(room / "killed" / file) == timeless(whole / file)


def _without_times(found: dict) -> dict:
    return {key: value for key, value in found.items() if key not in ("seconds", "timing")}


def test_what_is_done_is_passed_over_and_other_settings_are_refused(
    room, whole, monkeypatch, capsys
):
    monkeypatch.setattr(stage, "run", None)
    before = read(whole / "results.json")
    assert main(command(room, "whole")) == 0
    assert read(whole / "results.json") == before
    error = fails(command(room, "whole", "--config.stages.prm.train.steps=3"), capsys)
    assert "error: stage prm: " in error and "train.steps was 2, now 3" in error


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("labels,rest", "order has 'rest'; the stages are chains, labels"),
        ("labels,labels", "order has 'labels' twice"),
        ("prm,labels", "stage prm: it reads {workdir}/labels, which is not there"),
    ],
)
def test_an_order_that_cannot_be_run(room, order, message, capsys):
    assert message in fails(command(room, "refused", order=order), capsys)
    assert not (room / "refused").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (
            "stages.test.search.max_step=0",
            "stage test: best_of_n(N=4) in the sweep: search.max_step is 0",
        ),
        ("stages.prm.train.source=/nowhere", "stage prm: no labels.parquet"),
        ("stages.prm.train.source=", "stage prm: train.source is empty"),
        ("stages.prm.job=pipeline", "stage prm: job is 'pipeline'"),
        ("report.bins=0", "n_bins is 0"),
    ],
)
def test_bad_settings_are_refused_before_the_first_stage(room, flag, message, capsys):
    assert message in fails(command(room, "refused", f"--config.{flag}"), capsys)
    assert not (room / "refused").exists()
