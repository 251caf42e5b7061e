#!/usr/bin/env bash
# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
# Makes .venv with the test extra, then runs ruff and the tests, whole files side by side on all
# cores (PYTEST_XDIST_AUTO_NUM_WORKERS=2 takes two). With --dry_run first it prints its commands
# instead. Other arguments go to pytest, e.g.
#   bash launch/test.sh tests/core -x
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/env.sh
[[ "${1:-}" != --dry_run ]] || { DRY_RUN=yes; shift; }
ensure_env gguf,test

run .venv/bin/python -m ruff check .
run exec .venv/bin/python -m pytest -q -n auto --dist loadfile "$@"
