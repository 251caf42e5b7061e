# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of plans in launch/README.md: complete, and written whole each time."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def table():
    where = ROOT / "benchmarks" / "plan_table.py"
    spec = importlib.util.spec_from_file_location("plan_table", where)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plan(**changes) -> dict:
    """Facts as `ttc plan --json` prints them, of which the table takes these."""
    heavy = {"name": "decode_segment", "calls": 10, "seconds": 2.0, "binds": "memory",
             "total_bytes": 5e9, "hbm_share": 0.3125}  # fmt: skip
    light = heavy | {"calls": 1, "binds": "links", "total_bytes": 4e9, "hbm_share": 0.25}
    step = light | {"name": "train_step", "total_bytes": 12.34e9, "hbm_share": 0.77125}
    stages = [{"programs": [light]}, {"programs": [heavy, step]}]
    return {"stages": stages, "fits": True, "mesh": {"data": 64, "model": 4}, "hours": 1.234,
            "tokens_per_second": 12345.6, "model": "analytic: no program"} | changes  # fmt: skip


def test_every_config_has_a_row_of_every_slice_in_order(table):
    text = (ROOT / "launch" / "README.md").read_text(encoding="utf-8")
    inside = text.partition(table.BEGIN)[2].partition(table.END)[0].strip().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in inside]
    assert tuple(cells[0]) == table.HEAD and all(len(row) == len(table.HEAD) for row in cells)
    wanted = [(config, name) for config in table.CONFIGS for name in table.TOPOLOGIES]
    assert [tuple(row[:2]) for row in cells[2:]] == wanted
    full_scale = {path.stem for path in (ROOT / "configs").glob("math_*.py")}
    assert full_scale <= set(table.CONFIGS)


def test_a_row_has_the_fullest_program_and_the_segment_that_takes_longest(table):
    assert table.row("c", "v5e:16x16", 1024, plan()) == [
        "c", "v5e:16x16", "64 x 4", "1,024", "12.3 (train_step)", "77 %", "memory", "12,346",
        "1.23", "analytic",
    ]  # fmt: skip
    assert table.row("c", "t", 64, plan(fits=False))[5] == "77 %, does not fit"


def test_a_config_without_a_mesh_has_the_reason_of_the_last_one(table):
    why = "ttc: no mesh of v5e:16x16 will do: data=256,model=1: a; data=64,model=4: x/y: b; lower N"
    cells = table.row("c", "v5e:16x16", 64, why)
    assert "does not fit" in cells and cells[-1] == "data=64,model=4: x/y: b; lower N"


def test_writing_twice_is_writing_once_and_leaves_the_rest(table):
    text = f"before\n\n{table.BEGIN}\n{table.END}\n\nafter\n"
    second = table.row("math_qwen_prm", "v5e:16x16", 64, plan())
    once = table.written(text, [second])
    assert table.written(once, [second]) == once
    assert once.startswith("before\n") and once.endswith("\n\nafter\n") and "| 64 x 4 |" in once
    first = table.row("math_gemma2", "v6e:16x16", 64, plan())
    both = table.written(once, [first])
    assert both == table.written(table.written(text, [first]), [second])
    # A row that is made anew takes the place of the old one.
    slower = table.row("math_qwen_prm", "v5e:16x16", 64, plan(hours=2.0))
    assert "| 1.23 |" not in table.written(once, [slower]).partition(table.BEGIN)[2]
    for broken in ("", table.BEGIN, f"{table.END}\n{table.BEGIN}", text + table.BEGIN):
        with pytest.raises(ValueError, match="once each"):
            table.written(broken, [first])
