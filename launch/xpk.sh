#!/usr/bin/env bash
# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
# usage: bash launch/xpk.sh --workload=NAME --cluster=CLUSTER --zone=ZONE --type=TYPE --image=IMAGE
#            [--storage=STORAGE] [--project=PROJECT] [--slices=N] [--restarts=N] [--dry_run]
#            -- FLAGS OF ttc run
#
# Puts a run into the queue of a GKE cluster that xpk has made (`xpk cluster create`). Machines that
# are lost are replaced and all processes start again, which continues the run. The same command
# continues a run that has ended: the workload of that name is deleted first.
#
#   --type      v5litepod-16, v5p-128, ...; the cluster must have such slices
#   --image     made with launch/Dockerfile and pushed
#   --storage   name of a storage that `xpk storage attach` made, mounted at /mnt/ttc; not needed for
#               a work directory in a bucket (--workdir=gs://...)
#   --restarts  of all processes; default: 100
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/env.sh
((BASH_VERSINFO[0] > 3)) || fail "this is bash $BASH_VERSION; install bash 4.4 or newer"
WORKLOAD="" CLUSTER="" ZONE="" TYPE="" IMAGE="" STORAGE="" SLICES=1 RESTARTS=100
PROJECT=()
while (($#)); do
    case "$1" in
        --workload=*) WORKLOAD="${1#*=}" ;;
        --cluster=*) CLUSTER="${1#*=}" ;;
        --zone=*) ZONE="${1#*=}" ;;
        --type=*) TYPE="${1#*=}" ;;
        --image=*) IMAGE="${1#*=}" ;;
        --storage=*) STORAGE="${1#*=}" ;;
        --project=*) PROJECT=("$1") ;;
        --slices=*) SLICES="${1#*=}" ;;
        --restarts=*) RESTARTS="${1#*=}" ;;
        --dry_run) DRY_RUN=yes ;;
        --) shift && break ;;
        *) usage "unknown argument $1" ;;
    esac
    shift
done
for flag in WORKLOAD CLUSTER ZONE TYPE IMAGE; do
    [[ -n "${!flag}" ]] || usage "--${flag,,} is missing"
done
check_workdir storage "$STORAGE" "a pod" "$@"
# Of a large slice the first machine may be ready long before the last.
COMMAND="ttc run --coordinator_timeout_s=3600$(printf ' %q' "$@")"
WHERE=("--workload=$WORKLOAD" "--cluster=$CLUSTER" "--zone=$ZONE" "${PROJECT[@]}")
run xpk workload delete "${WHERE[@]}" --force || echo "there was no workload $WORKLOAD"
run xpk workload create "${WHERE[@]}" "--tpu-type=$TYPE" "--num-slices=$SLICES" \
    "--docker-image=$IMAGE" ${STORAGE:+"--storage=$STORAGE"} "--max-restarts=$RESTARTS" "--command=$COMMAND"
