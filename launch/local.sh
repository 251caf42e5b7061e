#!/usr/bin/env bash
# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
# Makes .venv, installs, runs the main job and prints where the results lie. Called again it re-uses
# the environment and continues the run. The default job runs as two processes on two cores or more;
# --local_processes=1 takes one. With --dry_run first it prints its commands instead.
# Other arguments go to `ttc run` after the defaults, e.g.
#   bash launch/local.sh --config=configs/smollm2.py --workdir=runs/smollm2
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/env.sh
[[ "${1:-}" != --dry_run ]] || { DRY_RUN=yes; shift; }
ensure_env gguf

[[ " $* " == *" --workdir"[=\ ]* ]] || set -- --workdir=runs/quickstart "$@"
if [[ " $* " != *" --config"[=\ ]* ]]; then
    set -- --config=configs/quickstart.py "$@"
    # Its models are small: one process leaves the second core idle, and more than two add little.
    [[ "$*" == *--local_processes* || "$(getconf _NPROCESSORS_ONLN)" -lt 2 ]] ||
        set -- --local_processes=2 "$@"
fi
run exec .venv/bin/ttc run "$@"
