# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Finding runs in directories, and what they say about themselves."""

import json
import re
import shutil

import pytest
from study.synthetic_runs import HISTORY, REVISION, SMALL, write_run, write_training
from study.synthetic_world import questions_of

from ttc_jax.search.beam import Beam
from ttc_jax.study.runs import Model, find_runs


def edit(file, **changes):
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | changes))


def test_a_run_says_what_it_is(tmp_path):
    write_run(tmp_path / "beam", "beam(N=4)", questions=5, policy=REVISION, verifier=HISTORY)
    (run,) = find_runs([tmp_path / "beam"])
    assert run.path == tmp_path / "beam" and run.name == "beam" and run.job == "search"
    assert run.strategy == Beam(N=4, M=2)
    assert run.policy == Model("runs/revision/model", "revision", 100_000_000)
    assert run.verifier.kind == "orm_history"
    assert run.questions == tuple((f"q{i:03d}", i + 1) for i in range(5))
    assert run.command == "ttc run --config=configs/made_up.py --workdir=beam"
    assert run.device == "1 x cpu" and run.git_commit is None
    assert run.versions["ttc_jax"] == "0.1.0"
    assert run.depends["data.name"] == run.config["data"]["name"] == "made_up"


def test_runs_are_found_below_a_directory_once_and_in_order(tmp_path):
    for name in ("study/b", "study/a", "study/deep/er/c", "other/a"):
        write_run(tmp_path / name, questions=2, answered=0)
    (tmp_path / "study" / "link").symlink_to(tmp_path / "study")  # a loop
    found = find_runs([tmp_path / "study", tmp_path / "other", tmp_path / "study" / "a"])
    (tmp_path / "alias").symlink_to(tmp_path / "study")
    assert find_runs([tmp_path / "study", tmp_path / "alias"]) == found[:3]
    names = ["study/a", "study/b", "study/deep/er/c", "other/a"]
    assert [run.name for run in found] == names
    assert [run.path for run in found] == [tmp_path / name for name in names]


def test_names_are_as_long_as_it_takes_to_tell_runs_apart(tmp_path):
    for name in ("x/runs/beam", "y/runs/beam", "y/runs/other"):
        write_run(tmp_path / name, questions=2, answered=0)
    found = find_runs([tmp_path / "x" / "runs" / "beam", tmp_path / "y" / "runs"])
    assert [run.name for run in found] == ["beam", "runs/beam", "runs/other"]
    found = find_runs([tmp_path / "x" / "runs", tmp_path / "y" / "runs"])
    assert [run.name for run in found] == ["x/runs/beam", "y/runs/beam", "runs/other"]


def test_a_working_directory_can_be_given_as_a_dot(tmp_path, monkeypatch):
    write_run(tmp_path / "study" / "a", questions=2, answered=0)
    monkeypatch.chdir(tmp_path / "study")
    assert [run.name for run in find_runs(["."])] == ["study/a"]
    assert [run.name for run in find_runs(["../study"])] == ["study/a"]


def test_what_is_no_run_is_ignored(tmp_path):
    write_training(tmp_path / "study" / "prm")
    exported = tmp_path / "study" / "prm" / "model"
    exported.mkdir()
    (exported / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "study" / "notes").mkdir()
    (run,) = find_runs([tmp_path / "study"])
    assert run.job == "train" and run.strategy is None and run.questions == ()
    with pytest.raises(ValueError, match=f"no run in {exported}"):
        find_runs([tmp_path / "study", exported])
    with pytest.raises(FileNotFoundError, match="no directory .*nowhere"):
        find_runs([tmp_path / "nowhere"])


def test_a_broken_file_is_named(tmp_path):
    write_run(tmp_path / "run", questions=2, answered=0)
    (tmp_path / "run" / "models.json").write_text("{")
    with pytest.raises(ValueError, match="models.json cannot be read"):
        find_runs([tmp_path])


def test_an_unfinished_run_and_one_of_an_earlier_version_are_fine(tmp_path):
    run = write_run(tmp_path / "run", questions=4, answered=3)
    assert not (run / "results.json").exists()
    assert len(find_runs([run])[0].questions) == 4
    (run / "questions.json").unlink()
    (run / "models.json").unlink()
    (found,) = find_runs([run])
    assert found.questions == (("q000", None), ("q001", None), ("q002", None))
    assert found.policy is None and found.verifier is None
    shutil.rmtree(run / "samples")
    assert find_runs([run])[0].questions == ()


def test_without_a_verifier_there_is_none(tmp_path):
    write_run(tmp_path / "run", questions=2, verifier=None)
    (run,) = find_runs([tmp_path])
    assert run.verifier is None and run.policy == Model(**SMALL)


def test_timing_adds_up_the_last_line_of_every_start(tmp_path):
    run = write_run(tmp_path / "run", questions=2)
    lines = [
        {"start": 1, "seconds": 5.0, "new_tokens": 10, "ledger": {}},
        {"start": 1, "seconds": 20.0, "new_tokens": 100,
         "ledger": {"decode": {"useful": 7, "executed": 9, "bytes": 1}}},
        {"start": 2, "seconds": 3.0, "new_tokens": 50,
         "ledger": {"decode": {"useful": 1, "executed": 2, "bytes": 3},
                    "verify": {"useful": 4, "executed": 5, "bytes": 6}}},
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "metrics.jsonl").write_text(text + '{"start": 2, "sec')  # killed while writing
    (found,) = find_runs([run])
    assert found.timing() == {
        "seconds": 23.0,
        "tokens": 150,
        "starts": 2,
        "ledger": {
            "decode": {"useful": 8, "executed": 11, "bytes": 4},
            "verify": {"useful": 4, "executed": 5, "bytes": 6},
        },
    }


def test_timing_of_training_and_of_earlier_versions(tmp_path):
    write_training(tmp_path / "prm", params=1000)
    run = write_run(tmp_path / "run", questions=2)
    (run / "metrics.jsonl").write_text('{"start": 1, "seconds": 2.0, "new_tokens": 5}\n')
    prm, old = find_runs([tmp_path / "prm", run])
    # The last line of training may be one of an evaluation.
    with open(prm.path / "metrics.jsonl", "a") as file:
        file.write('{"start": 1, "step": 10, "held_out/loss": 0.5}\n')
    assert prm.timing()["ledger"]["training"]["useful"] == 6 * 1000 * 100_000
    assert prm.timing()["ledger"]["training"]["executed"] == 2 * 6 * 1000 * 100_000
    assert prm.timing()["seconds"] == 60.0 and prm.timing()["tokens"] == 100_000
    assert prm.timing()["starts"] == 2
    assert old.timing() == {"seconds": 2.0, "tokens": 5, "starts": 1, "ledger": {}}
    (run / "metrics.jsonl").unlink()
    assert old.timing() == {"seconds": 0, "tokens": 0, "starts": 0, "ledger": {}}
    (run / "metrics.jsonl").write_text("nonsense\n")
    with pytest.raises(ValueError, match=r"metrics\*.jsonl cannot be read"):
        old.timing()


def test_searches_over_different_questions_are_refused(tmp_path):
    write_run(tmp_path / "a", questions=4, answered=0)
    write_run(tmp_path / "b", questions=2, answered=0)
    edit(
        tmp_path / "b" / "config.json",
        samples_depend_on=json.loads((tmp_path / "b" / "config.json").read_text())[
            "samples_depend_on"
        ] | {"data.limit": 2},
    )  # fmt: skip
    both = f"{re.escape(str(tmp_path / 'a'))} and {re.escape(str(tmp_path / 'b'))}"
    with pytest.raises(ValueError, match=f"{both}: data.limit is 0 and 2; report them apart"):
        find_runs([tmp_path])
    write_run(tmp_path / "c" / "d", questions=questions_of(5)[1:], answered=0)
    with pytest.raises(ValueError, match="texts or answers of the questions changed"):
        find_runs([tmp_path / "a", tmp_path / "c"])


def test_training_may_be_over_other_questions(tmp_path):
    write_run(tmp_path / "a", questions=2, answered=0)
    write_training(tmp_path / "prm")
    assert [run.job for run in find_runs([tmp_path])] == ["search", "train"]
