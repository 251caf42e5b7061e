# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A pipeline in a bucket, killed and continued, makes what it makes in a directory."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from directory_bucket import install
from safetensors.numpy import load

from ttc_jax.__main__ import main
from ttc_jax.core.metrics import read_all_metrics
from ttc_jax.core.places import path_of
from ttc_jax.core.samples import read_samples
from ttc_jax.study.runs import find_runs

ROOT = Path(__file__).resolve().parent.parent
# Labels, a PRM trained of them, and a beam search that it guides.
PIPELINE = """

full_config = get_config


def get_config(arg=None):
    config = full_config("tiny").unlock()
    config.order = ("labels", "prm_short", "test")
    config.stages.labels.data.count = 32
    config.stages.labels.model.path = "builtin:subset_sums_base"
    config.stages.prm_short.train.steps = 6
    config.stages.prm_short.train.evaluate_every = 3
    test = config.stages.test
    test.data.count = 16
    test.sweep.runs = (("beam(N=4,M=2)", {"scorer.path": "{workdir}/prm_short/model"}),)
    return config.lock()
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A folder with the config, a cache and a bucket."""
    path = tmp_path_factory.mktemp("bucket")
    text = (ROOT / "configs" / "quickstart.py").read_text()
    (path / "pipeline.py").write_text(text + PIPELINE)
    (path / "buckets" / "runs").mkdir(parents=True)
    return path


def command(room: Path, workdir) -> list[str]:
    return [
        "run", f"--config={room / 'pipeline.py'}", f"--workdir={workdir}",
        f"--config.cache_dir={room / 'cache'}",
    ]  # fmt: skip


def figures(workdir: Path) -> dict:
    """What results.json of the beam search says, without times."""
    (file,) = workdir.glob("test/beam*/results.json")
    results = json.loads(file.read_text())
    return {key: value for key, value in results.items() if key not in ("timing", "settings")}


def objects(room: Path, ending: str) -> list[Path]:
    return [p for p in (room / "buckets" / "runs").iterdir() if p.name.endswith(ending)]


def test_a_killed_pipeline_in_a_bucket_ends_as_one_in_a_directory(room, capsys):
    url = "gs://runs/x"
    process = subprocess.Popen(
        [sys.executable, "tests/directory_bucket.py", str(room / "buckets"), *command(room, url)],
        cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not objects(room, ".tar") and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    assert objects(room, ".tar") and process.returncode == -signal.SIGKILL, said
    assert objects(room, ".lock") and not objects(room, "prm_short%2Fresults.json")

    install(room / "buckets")
    assert main(["ttc", *command(room, url)]) == 0
    assert "[3/3] test (sweep): done" in capsys.readouterr().out
    assert main(["ttc", *command(room, room / "local")]) == 0
    ours, local = path_of(url), room / "local"
    assert figures(ours) == figures(local)
    for name in ("labels/samples", "test/beam_N4_M2*/samples"):
        (mine,), (theirs,) = ours.glob(name), local.glob(name)
        assert [(r.question, r.branch, r.text) for r in read_samples(mine)] == [
            (r.question, r.branch, r.text) for r in read_samples(theirs)
        ]
    file = "prm_short/model/model.safetensors"
    one, other = (load((workdir / file).read_bytes()) for workdir in (ours, local))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-5)
    assert {line["step"] for line in read_all_metrics(ours / "prm_short")} >= {1, 6}
    names = [
        {run.name.partition("/")[2] for run in find_runs([place])} for place in (url, local)
    ]
    assert names[0] == names[1] >= {"labels", "prm_short"}
    assert not objects(room, ".lock") and not objects(room, ".probe")
    copy = room / "copy"
    copied(room, copy)
    assert main(["ttc", "report", str(copy)]) == 0  # as downloaded
    assert main(["ttc", "report", url, "--out=gs://runs/report"]) == 0
    assert main(["ttc", "show", url]) == 0
    assert path_of("gs://runs/report/index.html").read_text().startswith("<!DOCTYPE html>")
    assert list(path_of("gs://runs/report/figures").glob("*.svg"))


def copied(room: Path, target: Path) -> None:
    """The objects of a bucket as files, as any client downloads them."""
    from urllib.parse import unquote

    for found in (room / "buckets" / "runs").iterdir():
        name = unquote(found.name).removeprefix("x/")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target / name)


@pytest.mark.parametrize("bucket, why", [("none", "does not exist"), ("kept", "403")])
def test_a_bucket_that_takes_nothing_is_refused(room, capsys, monkeypatch, bucket, why):
    install(room / "buckets")
    (room / "buckets" / "kept").mkdir(exist_ok=True)
    (room / "buckets" / "kept.read-only").touch()

    def load(*args, **kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("ttc_jax.run.models.load_checkpoint", load)
    assert main(["ttc", *command(room, f"gs://{bucket}/x")]) == 2
    said = capsys.readouterr().err
    assert f"cannot write gs://{bucket}/x/.probe" in said
    assert why in said and "see that the bucket exists and that your credentials" in said
