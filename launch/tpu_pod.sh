#!/usr/bin/env bash
# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
# usage: bash launch/tpu_pod.sh --name=NAME --zone=ZONE --type=TYPE [--nfs=HOST:/SHARE]
#            [--project=PROJECT] [--runtime=VERSION] [--spot | --reserved] [--tries=N] [--keep]
#            [--dry_run] -- FLAGS OF ttc run
#
# Runs on a slice of Cloud TPU machines: asks for it (or takes the one of that name), copies this
# checkout to all of its machines, runs launch/worker.sh on all of them at once and shows what they
# print. A slice that is preempted is asked for anew and the run goes on from its work directory,
# which lies in a bucket (--workdir=gs://...) or on a shared disk, under /mnt/ttc; at the end the
# slice is deleted. The same command continues what was interrupted here.
#
#   --type     v5litepod-16, v5p-128, v6e-16, ...: the number is of chips (v5p, v4: of cores)
#   --nfs      a Filestore share, or any NFS server that the slice reaches; for --workdir=/mnt/ttc/...
#   --runtime  image of the machines; default: Google's for JAX on that type
#   --tries    starts before it gives up, preemptions included; default: 20
#   --keep     leaves the slice, to be paid for, at the end
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/env.sh
((BASH_VERSINFO[0] > 3)) || fail "this is bash $BASH_VERSION; install bash 4.4 or newer"
NAME="" ZONE="" TYPE="" NFS="" RUNTIME="" TRIES=20 KEEP="" POLL_S="${TTC_POLL_S:-30}"
PROJECT=() HOW=()
while (($#)); do
    case "$1" in
        --name=*) NAME="${1#*=}" ;;
        --zone=*) ZONE="${1#*=}" ;;
        --type=*) TYPE="${1#*=}" ;;
        --nfs=*) NFS="${1#*=}" ;;
        --project=*) PROJECT=("$1") ;;
        --runtime=*) RUNTIME="${1#*=}" ;;
        --spot | --reserved) HOW+=("$1") ;;
        --tries=*) TRIES="${1#*=}" ;;
        --keep) KEEP=yes ;;
        --dry_run) DRY_RUN=yes ;;
        --) shift && break ;;
        *) usage "unknown argument $1" ;;
    esac
    shift
done
for flag in NAME ZONE TYPE; do
    [[ -n "${!flag}" ]] || usage "--${flag,,} is missing"
done
[[ -z "$NFS" || "$NFS" == *:/* ]] || usage "--nfs is '$NFS'; write HOST:/SHARE"
[[ "$TRIES" =~ ^[1-9][0-9]*$ ]] || usage "--tries is '$TRIES'; give a positive number"
((${#HOW[@]} < 2)) || usage "--spot or --reserved, not both"
check_workdir nfs "$NFS" "a slice" "$@"
if [[ -z "$RUNTIME" ]]; then
    case "$TYPE" in
        v5litepod-*) RUNTIME=v2-alpha-tpuv5-lite ;;
        v5p-*) RUNTIME=v2-alpha-tpuv5 ;;
        v6e-*) RUNTIME=v2-alpha-tpuv6e ;;
        v[234]-*) RUNTIME=tpu-ubuntu2204-base ;;
        *) usage "--type is '$TYPE', whose image is not known here; name it with --runtime" ;;
    esac
fi
WHERE=("--zone=$ZONE" "${PROJECT[@]}")
QUEUED=(gcloud compute tpus queued-resources)
VM=(gcloud compute tpus tpu-vm)
PACKED="$(mktemp -d)/ttc_jax.tar.gz"
trap 'rm -rf "$(dirname "$PACKED")"' EXIT
WORKER="bash launch/worker.sh --extra=tpu${NFS:+ --nfs=$(printf %q "$NFS")} --$(printf ' %q' "$@")"
UNPACK="mkdir -p ttc_jax && tar -xzf ttc_jax.tar.gz -C ttc_jax && cd ttc_jax"

# look: sets STATE to NONE, READY, LOST (to be deleted) or WAITING.
look() {
    local said queued="" node=""
    if [[ -n "$DRY_RUN" ]]; then
        run "${QUEUED[@]}" describe "$NAME" "${WHERE[@]}" "--format=value(state.state)"
        [[ "$STATE" == NONE ]] || run "${VM[@]}" describe "$NAME" "${WHERE[@]}" "--format=value(state)"
        return
    fi
    if said="$("${QUEUED[@]}" describe "$NAME" "${WHERE[@]}" "--format=value(state.state)" 2>&1)"
    then
        queued="${said##*$'\n'}"
    else
        [[ "$said" == *NOT_FOUND* || "$said" == *"not found"* ]] || fail "$said"
    fi
    if [[ "$queued" == ACTIVE ]]; then
        node="$("${VM[@]}" describe "$NAME" "${WHERE[@]}" "--format=value(state)")" || node=TERMINATED
    fi
    case "$queued/$node" in
        /) STATE=NONE ;;
        ACTIVE/READY) STATE=READY ;;
        SUSPENDED/ | FAILED/ | ACTIVE/PREEMPTED | ACTIVE/TERMINATED | ACTIVE/STOPPED) STATE=LOST ;;
        *) STATE=WAITING ;;
    esac
    echo "$NAME: ${queued:-not there}${node:+, machines $node}"
}

create() {
    run "${QUEUED[@]}" create "$NAME" "${WHERE[@]}" "--node-id=$NAME" "--accelerator-type=$TYPE" \
        "--runtime-version=$RUNTIME" "${HOW[@]}"
}

delete() {
    run "${QUEUED[@]}" delete "$NAME" "${WHERE[@]}" --force --quiet
}

start() {
    run tar --exclude=./.git --exclude=./.venv --exclude=./runs -czf "$PACKED" . &&
        run "${VM[@]}" scp "$PACKED" "$NAME:" "${WHERE[@]}" --worker=all &&
        run "${VM[@]}" ssh "$NAME" "${WHERE[@]}" --worker=all "--command=$UNPACK && $WORKER"
}

STATE=NONE
if [[ -n "$DRY_RUN" ]]; then  # of a slice that is not there yet, and is not preempted
    look
    create
    STATE=READY
    look
    start
    [[ -n "$KEEP" ]] || delete
    exit
fi
tries=0
while true; do
    look
    case "$STATE" in
        NONE) create ;;
        LOST) delete ;;
        WAITING) sleep "$POLL_S" ;;
        READY)
            code=0
            start || code=$?
            ((code)) || break
            tries=$((tries + 1))
            look
            if [[ "$STATE" == READY ]] && ((code == 2)); then
                fail "ttc run refuses to start, see above; the slice $NAME is kept"
            fi
            ((tries < TRIES)) ||
                fail "gave up after $tries tries, the last with code $code; the slice $NAME is kept"
            echo "the run ended with code $code; going on"
            ;;
    esac
done
[[ -n "$KEEP" ]] || delete
