# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ttc plan` says of the full-scale configs on three TPU slices, as a table in a document.

Each row is the last line of a `ttc plan --json`, of the config's own batch (`engine.rows` of a
process) or, where that does not fit, of half as many rows, until they do. The table stands between
two markers; rows of it are written as they come, and others stay. A plan takes minutes, --jobs of
them run at once.

    python benchmarks/plan_table.py --math=MATH [--gsm8k=GSM8K] [--only=CONFIG,...] [--compile=N]
        [--jobs=2] [--into=launch/README.md]

MATH and GSM8K are directories with train.jsonl and test.jsonl of these data sets.
"""

import argparse
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOPOLOGIES = ("v5e:16x16", "v5p:8x8x8", "v6e:16x16")
# A format made for one verifier needs that verifier's tokenizer: its steps are planned as plain
# ones, which have about as many tokens. Where a config names no model, one is chosen here.
_STEPS = ("--config.scorer.format=steps",)
CONFIGS: dict[str, tuple[str, ...]] = {
    "math_gemma2": (),
    "math_qwen_prm": _STEPS,
    "math_llama_rlhflow": _STEPS,
    "math_scratch_labels": ("--config.model.path=preset:Qwen/Qwen2.5-1.5B-Instruct",),
    "gsm8k_smollm2": ("--config.model.path=preset:HuggingFaceTB/SmolLM2-135M-Instruct",),
}
BEGIN, END = "<!-- plan_table: begin -->", "<!-- plan_table: end -->"
FEWEST = 16  # rows of a process
HEAD = (
    "config", "slice", "data x model", "rows", "GB of the fullest program", "HBM",
    "decoding binds", "tokens/s", "hours", "by",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--math", required=True, help="a directory with MATH")
    parser.add_argument("--gsm8k", default="", help="a directory with GSM8K; else it is left out")
    parser.add_argument("--only", default="", help="configs whose plans are made; else all")
    parser.add_argument("--compile", type=int, default=0, help="programs compiled for each plan")
    parser.add_argument("--jobs", type=int, default=1, help="plans made at once")
    parser.add_argument("--into", default=str(ROOT / "launch" / "README.md"))
    args = parser.parse_args()
    data = {"math": args.math, "gsm8k": args.gsm8k}
    names = args.only.split(",") if args.only else list(CONFIGS)
    if unknown := sorted(set(names) - set(CONFIGS)):
        parser.error(f"--only names {', '.join(unknown)}; there is {', '.join(CONFIGS)}")
    wanted = [(c, t) for c in names for t in TOPOLOGIES if data[c.partition("_")[0]]]
    into = Path(args.into)

    def one(case: tuple[str, str]) -> list[str]:
        config, topology = case
        rows = own_rows(config)
        while True:
            plan = planned(config, topology, rows, data, args.compile)
            fits = not isinstance(plan, str) and plan["fits"]
            if fits or rows // 2 < FEWEST:
                return row(config, topology, rows, plan)
            rows //= 2

    with ThreadPoolExecutor(args.jobs) as pool:
        for made in as_completed([pool.submit(one, case) for case in wanted]):
            text = into.read_text(encoding="utf-8")
            into.write_text(written(text, [made.result()]), encoding="utf-8")


def own_rows(config: str) -> int:
    """The batch of a process that a config sets."""
    path = ROOT / "configs" / f"{config}.py"
    return runpy.run_path(str(path))["get_config"]().engine.rows


def planned(
    config: str, topology: str, rows: int, data: Mapping[str, str], compiled: int
) -> dict | str:
    """The facts of a plan, or why there is none."""
    command = [
        sys.executable, "-m", "ttc_jax", "plan", f"--config={ROOT / 'configs' / config}.py",
        f"--topology={topology}", f"--compile={compiled}", "--json",
        f"--config.data.dir={data[config.partition('_')[0]]}", f"--config.engine.rows={rows}",
        *CONFIGS[config],
    ]  # fmt: skip
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    print(f"{config} on {topology}, {rows} rows: code {done.returncode}", file=sys.stderr)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    said = done.stderr.strip().splitlines()
    if done.returncode == 2 and "no mesh of" in done.stderr:
        return next(line for line in said if "no mesh of" in line)
    raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n" + "\n".join(said))


def row(config: str, topology: str, rows: int, plan: dict | str) -> list[str]:
    """The cells of one plan; one that cannot be has the reason of its last mesh."""
    if isinstance(plan, str):
        why = plan.rpartition("; data=")[2] if "; data=" in plan else plan
        return [config, topology, "-", "-", "does not fit", "-", "-", "-", "-", f"data={why}"]
    programs = [part for stage in plan["stages"] for part in stage["programs"]]
    fullest = max(programs, key=lambda part: part["total_bytes"])
    decoding = max(
        (part for part in programs if part["name"] == "decode_segment"),
        key=lambda part: part["calls"] * part["seconds"],
    )
    share = f"{100 * fullest['hbm_share']:.0f} %" + ("" if plan["fits"] else ", does not fit")
    mesh = plan["mesh"]
    return [
        config, topology, f"{mesh['data']} x {mesh['model']}", f"{rows:,}",
        f"{fullest['total_bytes'] / 1e9:.1f} ({fullest['name']})", share, decoding["binds"],
        f"{plan['tokens_per_second']:,.0f}", f"{plan['hours']:.2f}",
        plan["model"].partition(":")[0],
    ]  # fmt: skip


def written(text: str, rows: Sequence[Sequence[str]]) -> str:
    """`text` with `rows` in the table between its two markers; other rows there stay.

    Raises:
      ValueError: it has not each marker once, the beginning first.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the document needs the lines {BEGIN} and {END}, once each, in order")
    before, _, rest = text.partition(BEGIN)
    inside, _, after = rest.partition(END)
    old = [line.strip("| ").split(" | ") for line in inside.strip().splitlines()[2:]]
    found = {tuple(cells[:2]): cells for cells in (*old, *rows)}
    order = [found[config, name] for config in CONFIGS for name in TOPOLOGIES
             if (config, name) in found]  # fmt: skip
    lines = [HEAD, ["---"] * len(HEAD), *order]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    main()
