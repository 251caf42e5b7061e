# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The sharded programs compile for a real TPU slice, fit its memory, and talk as little as planned.

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


def compiled(*arguments: str) -> dict:
    """What tpu_programs.py says of a slice and a preset."""
    # An installed package is found from anywhere; a checkout, through the parent's own path.
    env = os.environ | {"TPU_SKIP_MDS_QUERY": "1", "JAX_PLATFORMS": "cpu"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.tpu_aot
def test_an_8b_model_compiles_for_v5e_4x4(record_property):
    """Llama 3.1 8B, data=2 x model=8, 64 rows of 2,048 tokens per replica, in bfloat16."""
    report = compiled("v5e:4x4", "meta-llama/Llama-3.1-8B-Instruct")
    pool = report["pool_bytes_per_chip"]
    for name in ("decode_segment", "extend"):
        facts = report[name]
        for key, value in facts.items():
            record_property(f"{name}.{key}", value)
        weights = 2 * report["block_params"] / 8
        assert weights + pool < facts["bytes_per_chip"] < HBM
        # The pools are updated in place, and nothing else of their size is made.
        assert facts["alias_bytes"] >= pool
        assert facts["temp_bytes"] < pool
        # Two sums per layer, and small ones for the embedding, the norms of logits and the draw.
        assert set(facts["collectives"]) <= {"all-reduce", "all-gather"}
        assert 2 * 32 <= facts["collectives"]["all-reduce"] <= 2 * 32 + 12
    # One token per row: no collective moves more than the rows' hidden states, 64 x 4096 x 2 bytes.
    assert max(report["decode_segment"]["largest_bytes"].values()) <= 64 * 4096 * 2


@pytest.mark.tpu_aot
@pytest.mark.parametrize(
    "preset", ["meta-llama/Llama-3.2-1B-Instruct", "Qwen/Qwen2.5-1.5B-Instruct"]
)
def test_no_pool_is_copied(preset):
    """data=2 x model=2: four heads of 64 on a chip, and one of 128."""
    report = compiled("v5e:2x2", preset)
    for name in ("decode_segment", "extend", "fork"):
        assert report[name]["pools_copied"] == 0, name
        assert report[name]["alias_bytes"] >= report["pool_bytes_per_chip"]
