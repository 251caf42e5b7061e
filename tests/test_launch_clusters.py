# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What runs in clusters: what is started in them is what `ttc run` and the cluster take."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from launch_commands import BASH, LAUNCH, ROOT, RUN, XPK, commands

from ttc_jax.core import processes
from ttc_jax.run.commands import run

# Chips and machines of a slice by type.
SLICES = {"v5litepod-16": (16, 4), "v5p-128": (64, 16)}

pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")


def taken(flags: list[str]):
    """The flags as `ttc run` reads them, which refuses what it does not know."""
    values = run.arguments(flags)
    processes.check(
        values.coordinator, values.processes, values.process, values.coordinator_timeout_s
    )
    return values


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((LAUNCH / name).read_text(encoding="utf-8")))


# ---------------------------------------------------------------- clusters


@pytest.mark.parametrize("per", ["gpu", "node"], ids="by_{}".format)  # not the mark gpu
def test_slurm_starts_a_process_for_each_gpu_or_node(per):
    nodes = {"SLURM_JOB_NUM_NODES": "4", "SLURM_GPUS_ON_NODE": "8"}
    made = commands("slurm.sbatch", f"--per={per}", *RUN, **nodes, TTC_PYTHON=sys.executable)
    srun = made[-1]
    tasks = {"gpu": 8, "node": 1}[per]
    assert f"--ntasks-per-node={tasks}" in srun and f"--ntasks={4 * tasks}" in srun
    assert srun[srun.index(".venv/bin/ttc") :] == [".venv/bin/ttc", "run", *RUN[1:]]
    devices = ["export", "JAX_LOCAL_DEVICE_IDS=0,1,2,3,4,5,6,7"]
    assert (devices in made) == (per == "node")


def job_of(document: dict) -> dict:
    """The one Job that a Job or JobSet holds."""
    if document["kind"] == "Job":
        return document
    (replicated,) = document["spec"]["replicatedJobs"]
    spec = replicated["template"]["spec"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": spec}


@pytest.mark.parametrize("name", ["gke_jobset.yaml", "gpu_k8s.yaml"])
def test_kubernetes_accepts_the_objects(name):
    validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    for document in documents(name):
        whole = job_of(document) if document["kind"] in ("Job", "JobSet") else document
        validate.validate(whole, "1.33", strict=True)
        whole["spec"]["complections"] = 1
        with pytest.raises(validate.ValidationError):
            validate.validate(whole, "1.33", strict=True)


def test_the_pods_of_a_slice_run_what_ttc_takes():
    ((container,),) = [
        job_of(document)["spec"]["template"]["spec"]["containers"]
        for document in documents("gke_jobset.yaml")
    ]
    assert container["command"] == ["ttc", "run"]
    values = taken(container["args"])
    chips = container["resources"]["limits"]["google.com/tpu"]
    assert values.config.mesh.data * values.config.mesh.model == chips


def test_the_pods_of_a_job_find_the_first_one():
    service, job = documents("gpu_k8s.yaml")
    name, spec = job["metadata"]["name"], job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == spec["completions"] == int(env["NODES"])
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    assert service["spec"]["selector"] == {"job-name": name}
    subdomain = spec["template"]["spec"]["subdomain"]
    assert subdomain == service["metadata"]["name"]
    # A stub in place of ttc shows what bash makes of the arguments.
    flags = subprocess.run(
        [BASH, "-c", container["args"][0].replace("exec ttc run", "exec printf '%s\\n'")],
        capture_output=True, text=True, check=True, env=env | {"JOB_COMPLETION_INDEX": "1"},
    ).stdout.splitlines()  # fmt: skip
    assert f"--coordinator={name}-0.{subdomain}:8476" in flags
    assert "--processes=2" in flags and "--process=1" in flags
    taken(flags)


def xpk_manifest(tmp_path: Path, kind: str) -> dict:
    """The JobSet that xpk would create of the command that xpk.sh prints."""
    *_, create = commands("xpk.sh", *XPK, f"--type={kind}", "--project=p", *RUN)
    path = tmp_path / "jobset.yaml"
    create = [word for word in create if not word.startswith("--storage")]  # looks at the cluster
    done = subprocess.run(
        [*create, "--dry-run", "--skip-validation", f"--output-manifest-file={path}"],
        capture_output=True, text=True, cwd=tmp_path,
        env=os.environ
        | {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}
        | {"CLOUDSDK_CORE_CHECK_GCE_METADATA": "0"},
    )  # fmt: skip
    assert path.is_file(), done.stdout + done.stderr
    return yaml.safe_load(path.read_text())


@pytest.mark.skipif(shutil.which("xpk") is None, reason="needs xpk")
@pytest.mark.parametrize("kind", SLICES)
def test_xpk_takes_the_command_and_agrees_with_our_jobset(tmp_path, kind):
    theirs = xpk_manifest(tmp_path, kind)
    assert theirs["spec"]["failurePolicy"]["maxRestarts"] == 100
    spec = job_of(theirs)["spec"]
    assert spec["parallelism"] == spec["completions"] == SLICES[kind][1]
    script_of = spec["template"]["spec"]["containers"][0]["command"][-1]
    assert "ttc run --coordinator_timeout_s=3600 --config=configs/quickstart.py" in script_of
    if kind == "v5litepod-16":
        (ours,) = documents("gke_jobset.yaml")
        mine = job_of(ours)["spec"]
        assert ours["apiVersion"] == theirs["apiVersion"]
        assert ours["metadata"]["annotations"] == theirs["metadata"]["annotations"]
        for key in ("parallelism", "completions", "backoffLimit"):
            assert mine[key] == spec[key]
        pods, pod = mine["template"]["spec"], spec["template"]["spec"]
        assert pods["nodeSelector"] == pod["nodeSelector"]
        assert pods["containers"][0]["resources"] == pod["containers"][0]["resources"]
    else:  # what the head of our file says of it
        text = (LAUNCH / "gke_jobset.yaml").read_text(encoding="utf-8")
        chosen = spec["template"]["spec"]["nodeSelector"].values()
        assert all(value in text for value in chosen)


def test_sky_takes_the_task():
    schemas = pytest.importorskip("sky.utils.schemas", reason="needs skypilot")
    import jsonschema

    (task,) = documents("sky.yaml")
    jsonschema.validate(task, schemas.get_task_schema())
    jsonschema.validate(task["resources"], schemas.get_resources_schema())
    (storage,) = task["file_mounts"].values()
    jsonschema.validate(storage | {"name": "bucket"}, schemas.get_storage_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(task | {"nodes": 2}, schemas.get_task_schema())


def test_the_task_of_sky_names_its_processes():
    (task,) = documents("sky.yaml")
    env = {"SKYPILOT_NODE_IPS": "10.0.0.5\n10.0.0.6", "SKYPILOT_NUM_NODES": "2"}
    env |= {"SKYPILOT_NODE_RANK": "1", "TTC_FLAGS": task["envs"]["TTC_FLAGS"]}
    words = subprocess.run(
        [BASH, "-c", task["run"].replace("bash launch/worker.sh", "printf '%s\\n'")],
        capture_output=True, text=True, check=True, env=env,
    ).stdout.splitlines()  # fmt: skip
    assert words[:2] == ["--extra=gpu", "--"]
    assert words[-3:] == ["--coordinator=10.0.0.5:8476", "--processes=2", "--process=1"]
    taken(words[2:])


# ---------------------------------------------------------------- what is said of it


def test_the_image_has_the_weights_of_the_environment():
    pin = re.search(r'^SMOLLM2="(.+?)"', (LAUNCH / "env.sh").read_text(), re.MULTILINE)[1]
    image = (LAUNCH / "Dockerfile").read_text()
    assert f"--no-deps {pin}" in image
    for line in re.findall(r"^COPY (.+) \S+$", image, re.MULTILINE):
        assert all((ROOT / path).exists() for path in line.split()), line


def test_the_commands_of_the_readme_are_taken():
    text = (LAUNCH / "README.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    lines = [shlex.split(line, comments=True) for line in blocks.replace("\\\n", " ").split("\n")]
    seen = set()
    for line in filter(None, lines):
        at = next((n for n, word in enumerate(line) if word.startswith("launch/")), None)
        if line[:2] == ["ttc", "run"]:
            taken([word for word in line[2:] if word != "&"])
        elif line[0] in ("bash", "sbatch"):
            name, args = line[at].removeprefix("launch/"), line[at + 1 :]
            seen.add(name)
            assert commands(name, *args, TTC_PYTHON=sys.executable)
            if "--" in args:
                taken(args[args.index("--") + 1 :])
    assert seen >= {"tpu_pod.sh", "xpk.sh", "slurm.sbatch", "worker.sh", "local.sh"}
    for path in LAUNCH.iterdir():
        assert f"`{path.name}`" in text or path.name == "README.md", path
