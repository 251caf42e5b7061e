# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh and the batch that are suggested are the best that fit, and times add up."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from json import loads
from pathlib import Path

import pytest
from plan.shapes import LLAMA, QWEN, sampling

from ttc_jax.learn.learner import Numerics
from ttc_jax.learn.losses import language_loss
from ttc_jax.learn.optim import Optimiser
from ttc_jax.model.transformer import abstract
from ttc_jax.plan import meshes
from ttc_jax.plan.facts import facts
from ttc_jax.plan.outlook import outlook
from ttc_jax.plan.stage import stage
from ttc_jax.plan.topologies import topology
from ttc_jax.plan.work import Training


def training(**changes) -> Training:
    settings = {
        "name": "train", "job": "train", "model": abstract(QWEN), "loss": language_loss,
        "optimiser": Optimiser(), "numerics": Numerics(dtype="bfloat16", fsdp=True, remat=True),
        "trained": "", "steps": 100, "batch": 64, "example": 500, "length": 1024, "every": 50,
        "tried": 640,
    }  # fmt: skip
    return Training(**(settings | changes))


def test_of_the_sensible_meshes_the_fastest_that_fits_is_taken():
    work, slice_ = sampling(shape=LLAMA, count=256, rows=64), topology("v5e:2x4")
    found = outlook([work], slice_)
    assert [(t.data, t.model) for t in found.tried] == [(8, 1), (4, 2), (2, 4), (1, 8)]
    assert "weights alone take 16.06 GB" in found.tried[0].why  # 8.03 G parameters in bfloat16
    fitting = [t for t in found.tried if t.fits]
    best = min(fitting, key=lambda t: t.seconds)
    assert (found.data, found.model) == (best.data, best.model)
    for tried in fitting:
        alone = outlook([work], slice_, (tried.data, tried.model))
        assert alone.seconds == pytest.approx(tried.seconds)
    assert found.fits and found.seconds == best.seconds


def test_a_machine_that_no_mesh_suits_says_why_of_each():
    with pytest.raises(ValueError, match="no mesh of h100.*data=1,model=1: test: the weights"):
        outlook([sampling(shape=replace(LLAMA, ffn=16 * LLAMA.ffn))], topology("h100"))
    with pytest.raises(ValueError, match="data=8 x model=2 has 16 devices"):
        outlook([sampling()], topology("v5e:2x4"), (8, 2))


def test_the_largest_batch_fits_and_twice_as_many_rows_do_not():
    work, h100 = sampling(count=2048, max_new=1024), topology("h100")
    largest = outlook([work], h100).stages[0].largest
    assert largest >= 64 and math.log2(largest).is_integer()

    def fits(rows: int) -> bool:
        found = stage(work.with_rows(rows), meshes.mesh(1, 1), h100.chip)
        room = all(use.needs.total <= h100.chip.memory for use in found.uses)
        return room and found.questions == found.wanted

    assert fits(largest) and not fits(2 * largest)


def test_a_step_of_training_by_hand():
    found = stage(training(), meshes.mesh(4, 2), topology("v5e:2x4").chip)
    (use,) = found.uses
    # Two examples of 500 tokens in each row of 1,024: 32 rows.
    assert found.rows == 32 and found.tokens == 100 * 64 * 500
    # Master weights and two moments in float32, over all eight chips, norms and biases aside.
    assert use.needs.weights == pytest.approx(12 * QWEN.params / 8, rel=0.01)
    # 3 evaluations of 640 examples, each forward pass a third of a step over 64.
    assert use.calls == pytest.approx(100 + 3 * 10 / 3)
    tokens = 32 * 1024
    least = 6 * tokens * (QWEN.block_weights + QWEN.vocab * QWEN.width) / 8
    assert least < use.program.cost.flops < 2 * least  # attention, and layers computed anew
    kinds = {(c.kind, c.group): c for c in use.program.collectives}
    assert kinds["all-gather", 4].bytes == pytest.approx(2 * QWEN.params / 2, rel=0.01)
    assert kinds["all-reduce", 2].bytes == tokens / 4 * QWEN.width * 2


def test_facts_add_up_and_are_json():
    seen = facts(outlook([sampling(), training()], topology("v5e:2x4"), (4, 2)))
    assert seen["model"].startswith("analytic: no program was compiled")
    assert seen["seconds"] == pytest.approx(sum(s["seconds"] for s in seen["stages"]))
    for one in seen["stages"]:
        spent = sum(p["calls"] * p["seconds"] for p in one["programs"])
        assert one["seconds"] == pytest.approx(spent)
        assert one["tokens_per_second"] == pytest.approx(one["tokens"] / spent)
        for p in one["programs"]:
            parts = p["weights_bytes"] + p["pool_bytes"] + p["temporary_bytes"]
            assert p["total_bytes"] == parts
    assert seen["chip_hours"] == pytest.approx(8 * seen["hours"])


def test_attention_that_is_not_planned_is_named():
    work = sampling()
    fused = replace(work, policy=replace(work.policy, attention="cudnn"))
    said = [facts(outlook([w], topology("v5e:2x4"), (8, 1)))["assumptions"] for w in (work, fused)]
    only = set(said[1]) - set(said[0])
    assert only == {"attention is planned as that of plain XLA, where the run takes cudnn"}
    assert said[0] == [line for line in said[1] if line not in only]


COMPILED = """
import json
from plan.shapes import sampling
from plan.test_outlook import SMALL, training
from ttc_jax.model.transformer import abstract
from ttc_jax.plan.facts import facts
from ttc_jax.plan.outlook import outlook
from ttc_jax.plan.topologies import topology
short = {"example": 100, "length": 256, "batch": 16}
works = [sampling(shape=SMALL, rows=16), training(model=abstract(SMALL), **short)]
print(json.dumps(facts(outlook(works, topology("v5e:2x4"), (4, 2), compiled=4))))
"""
SMALL = replace(QWEN, layers=2, width=256, heads=4, kv_heads=2, ffn=512, vocab=1024)


@pytest.mark.tpu_aot
def test_compiled_programs_need_and_talk_as_foretold():
    """In a process of its own: libtpu reads its environment when it is loaded."""
    pytest.importorskip("libtpu")
    env = os.environ | {"JAX_PLATFORMS": "cpu"}
    tests = str(Path(__file__).resolve().parent.parent)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [tests, *sys.path]))
    command = [sys.executable, "-c", COMPILED]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = loads(done.stdout.splitlines()[-1])
    assert seen["model"].startswith("compiled: XLA's programs for 4 of 4")
    programs = {p["name"]: p for one in seen["stages"] for p in one["programs"]}
    foretold = outlook([sampling(shape=SMALL, rows=16)], topology("v5e:2x4"), (4, 2)).stages[0]
    for part in foretold.parts:
        name = part.use.program.name
        listed = programs[name]["collectives"]
        for one in part.collectives:
            same = [c for c in listed if (c["bytes"], c["group"]) == (one.bytes, one.group)]
            assert sum(c["times"] for c in same) == one.times, name
        assert programs[name]["sent_bytes"] < 1.5 * sum(c.sent for c in part.collectives) + 1e6
    for name, p in programs.items():
        assert p["compiled"] and p["fits"] and p["xla_seconds"] > 0, name
        assert p["seconds"] >= p["floor_seconds"] > 0
