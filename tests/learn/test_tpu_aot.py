# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The training step compiles for a real TPU slice, fits its memory, and talks as planned.

Needs libtpu but no TPU (`pip install libtpu==0.0.42.1` beside jax 0.10.2).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HBM = 16e9  # bytes of one v5e chip
SCRIPT = Path(__file__).with_name("tpu_programs.py")
ROWS, LENGTH, WIDTH = 256, 2048, 4096
DATA, MODEL = 32, 8


@pytest.mark.tpu_aot
@pytest.mark.parametrize(("loss", "layers"), [("value", 4), ("language", 32)])
def test_a_step_of_a_7b_model_compiles_for_v5e_16x16(loss, layers, record_property):
    """Llama 2 7B, 256 rows of 2,048 tokens; as a verifier, the first few of its layers."""
    env = os.environ | {"TPU_SKIP_MDS_QUERY": "1", "JAX_PLATFORMS": "cpu"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    what = ["v5e:16x16", "meta-llama/Llama-2-7b-hf", str(DATA), str(MODEL), loss, str(layers)]
    command = [sys.executable, str(SCRIPT), *what]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    for key, value in facts.items():
        record_property(key, value)
    assert facts["bytes_per_chip"] < HBM
    # The state is updated in place; every chip holds its share of it.
    state = facts["state_bytes_per_chip"]
    assert state <= facts["alias_bytes"] < 1.01 * state
    assert state < 1.02 * 12 * facts["params"] / (DATA * MODEL)
    # In each layer the sums of attention and of the feed-forward, forward and backward, and of
    # attention once more as layers are computed anew; the gathers of weights for each of the three
    # times; gradients are summed in rings. Beside them what embeddings and the head need.
    counts = facts["collectives"]
    assert counts["all-reduce"] <= 5 * layers + 12
    assert counts["all-gather"] <= 3 * 7 * layers + 8
    assert counts["all-to-all"] <= 2
    # Nothing is larger than the hidden states of a chip's rows, in bfloat16.
    assert max(facts["largest_bytes"].values()) <= ROWS // DATA * LENGTH * WIDTH * 2
