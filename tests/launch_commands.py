# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Launch scripts as subprocesses, and what they would run."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / "launch"
BASH = shutil.which("bash")
SCRIPTS = [*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")]
RUN = ["--", "--config=configs/quickstart.py", "--workdir=/mnt/ttc/a b"]
POD = ["--name=pod", "--zone=us-west4-a", "--nfs=10.0.0.2:/share"]
XPK = ["--workload=ttc", "--cluster=c", "--zone=us-west4-a", "--image=i:1", "--storage=work"]


def script(name: str, *args: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BASH, str(cwd / "launch" / name), *args],
        capture_output=True, text=True, cwd=cwd, env=os.environ | env,
    )  # fmt: skip


def commands(name: str, *args: str, **env: str) -> list[list[str]]:
    """What --dry_run prints, as words."""
    done = script(name, "--dry_run", *args, **env)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]
