# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc plan` from the command line: every job, models that are names alone, and what is refused."""

import json
from pathlib import Path

import pytest

from ttc_jax.__main__ import main

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
QWEN = "--config.model.path=preset:Qwen/Qwen2.5-0.5B-Instruct"


def command(config: str, *more: str, topology: str = "v5e:2x4") -> list[str]:
    flags = [f"--config={CONFIGS / config}", f"--topology={topology}", "--compile=0", *more]
    return ["ttc", "plan", *flags]


def planned(capsys, *args: str, **how) -> dict:
    assert main(command(*args, "--json", **how)) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys, *args: str, **how) -> str:
    assert main(command(*args, **how)) == 2
    return capsys.readouterr().err


def test_a_search_with_a_model_that_is_a_name(capsys):
    found = planned(capsys, "smollm2.py", QWEN, "--mean_tokens=100", "--mesh=data=4,model=2")
    assert found["mesh"] == {"data": 4, "model": 2} and found["meshes"] == []
    (stage,) = found["stages"]
    assert stage["tokens"] == 100 * 16 * 100  # questions, samples, tokens
    assert [p["name"] for p in stage["programs"]] == ["prefill", "decode_segment", "fork"]
    assert found["fits"] and 0 < found["hours"] < 1
    assert "solutions have 100 tokens, their steps 64" in found["assumptions"]


def test_the_pages_of_a_plan_are_printed(capsys):
    assert main(command("smollm2.py", QWEN)) == 0
    out = capsys.readouterr().out
    for text in ("v5e:2x4: 8 x v5e", "analytic: no program was compiled", "decode_segment",
                 "all-reduce", "the largest batch that fits", "chosen", "fits: "):  # fmt: skip
        assert text in out


def test_each_machine_of_a_slice_has_a_process_with_a_batch_of_its_own(capsys):
    what = ("smollm2.py", QWEN, "--config.engine.rows=32", "--mean_tokens=100")
    one = planned(capsys, *what, topology="v5e:2x2")
    four = planned(capsys, *what, topology="v5e:4x4")
    assert (one["processes"], four["processes"]) == (1, 4)
    assert [found["stages"][0]["rows"] for found in (one, four)] == [32, 128]
    assert main(command(*what, topology="v5e:4x4")) == 0
    out = capsys.readouterr().out
    assert "16 x v5e" in out and "4 processes" in out and "32 rows of a process; the largest" in out


def test_all_stages_of_a_pipeline_with_models_that_they_make(capsys):
    found = planned(capsys, "quickstart.py:scratch,tiny", topology="h100")
    jobs = {one["name"]: one for one in found["stages"]}
    trained = [name for name, one in jobs.items() if one["job"] == "train"]
    assert trained == ["base", "medium", "large", "prm_short", "prm", "orm", "revision",
                       "revision_orm"]  # fmt: skip
    assert jobs["probe"]["job"] == "probe" and jobs["labels"]["job"] == "labels"
    runs = [name for name in jobs if name.startswith("test/")]
    assert "test/beam_N4_M4" in {name.split("-")[0] for name in runs}
    assert found["seconds"] == pytest.approx(sum(one["seconds"] for one in found["stages"]))
    # The base has 35 k parameters; with its optimiser's state they are float32 three times.
    (step,) = jobs["base"]["programs"]
    assert 12 * 30_000 < step["weights_bytes"] < 12 * 40_000


def test_questions_that_are_not_at_hand(capsys):
    what = ("smollm2.py:math", QWEN)
    assert "--questions=N" in refused(capsys, *what)
    found = planned(capsys, *what, "--questions=5000", "--question_tokens=90")
    assert found["stages"][0]["tokens"] == 5000 * 16 * 512


def test_kv_heads_that_the_mesh_does_not_divide_are_held_whole(capsys):
    model = "--config.model.path=preset:google/gemma-3-1b-it"  # 4 heads, 1 kv head
    alone = planned(capsys, "smollm2.py", model, "--mesh=data=8")
    shards = planned(capsys, "smollm2.py", model, "--mesh=data=2,model=4")
    assert "1 kv heads are held whole by each of 4 shards" in shards["assumptions"]
    assert not any("kv heads" in text for text in alone["assumptions"])


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--topology=v9"], "unknown topology 'v9'; there are v5e:"),
        ([QWEN, "--mesh=data=2,model=2"], "has 4 devices, v5e:2x4 has 8"),
        (["--mesh=data=1,model=8"], "does not divide the 9 query heads"),
        ([QWEN, "--mean_tokens=1000"], "sample.max_new = 128"),
        ([QWEN, "--mean_tokens=x"], "--mean_tokens=x: give a whole number"),
        (["--config.model.path=preset:none"], "no preset 'none'; there is "),
        ([QWEN, "--config.search.strategy=beam(N=4,M=2)"], "name a verifier's checkpoint"),
        ([QWEN, "--config.scorer.path=preset:Qwen/Qwen3-8B", "--config.scorer.mesh.data=2"],
         "--config.scorer.mesh.data=0"),
        ([QWEN, "--config.scorer.path=preset:Qwen/Qwen3-8B", "--config.scorer.format=rlhflow"],
         "needs the verifier's own tokenizer"),
        ([QWEN, "--config.model.weights=int8"], "--config.model.weights=''"),
        ([QWEN, "--no_such=1"], "unknown flag --no_such"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_with_the_way_out(flags, says, capsys):
    assert says in refused(capsys, "smollm2.py", *flags)
