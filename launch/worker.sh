#!/usr/bin/env bash
# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
# usage: bash launch/worker.sh --extra=tpu|gpu [--nfs=HOST:/SHARE] [--dry_run] -- FLAGS OF ttc run
#
# One machine's part of a run on several, started by tpu_pod.sh and sky.yaml on each: mounts the
# shared disk at /mnt/ttc, installs Python and the package, ends what an earlier start left running,
# and runs `ttc run`, with the machine's name before every line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/env.sh
EXTRA="" NFS=""
while (($#)); do
    case "$1" in
        --extra=*) EXTRA="${1#*=}" ;;
        --nfs=*) NFS="${1#*=}" ;;
        --dry_run) DRY_RUN=yes ;;
        --) shift && break ;;
        *) usage "unknown argument $1" ;;
    esac
    shift
done
[[ "$EXTRA" == tpu || "$EXTRA" == gpu ]] || usage "--extra is '$EXTRA'; say tpu or gpu"
(($#)) || usage "no flags of ttc run after --"

if [[ -n "$NFS" ]] && ! mountpoint -q /mnt/ttc; then
    # A machine that has just begun is still updating itself, which locks apt.
    run sudo apt-get -qq -o DPkg::Lock::Timeout=600 install -y nfs-common
    run sudo mkdir -p /mnt/ttc
    run sudo mount -t nfs -o hard "$NFS" /mnt/ttc
    run sudo chmod a+rwx /mnt/ttc
fi

if ! new_enough .venv/bin/python && ! (find_python) >/dev/null 2>&1; then
    # Images of TPU machines have Python 3.10.
    run python3 -m pip install --quiet --user uv
    run python3 -m uv venv --quiet --seed --python 3.12 .venv
    make_venv() { :; }  # it is made
fi
[[ " $* " != *"://"* ]] || EXTRA="$EXTRA,bucket"
ensure_env "gguf,$EXTRA"

# A connection that broke leaves its run behind, which holds the devices.
OLD="$(cat .ttc.pid 2>/dev/null || true)"
if [[ -n "$OLD" ]] && grep -qs ttc "/proc/$OLD/cmdline"; then
    run kill -KILL "$OLD"
fi
if [[ -n "$DRY_RUN" ]]; then
    run .venv/bin/ttc run "$@"
    exit
fi
export PYTHONUNBUFFERED=1  # lines are shown as they come
(
    echo "$BASHPID" >.ttc.pid
    exec .venv/bin/ttc run "$@"
) 2>&1 | sed -u "s/^/$(hostname): /"
