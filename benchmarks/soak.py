# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A beam search that is killed again and again at random moments, beside an undisturbed one.

A kill is SIGKILL to one of the processes of a run, or to all of them at once; then the same command
goes on, with as many processes as before or with another number. A run that comes to its end before
its kill is held against the undisturbed one, and the next begins from nothing, until there were
enough kills. Counted are questions lost (without samples at the end) and doubled (stored twice).

    python benchmarks/soak.py [--kills 30] [--processes 1 2 3] [--questions 600] [--seed 0]
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from machine import print_headline
from rich.console import Console
from rich.table import Table

from ttc_jax.core.samples import Sample, read_samples

ROOT = Path(__file__).resolve().parent.parent
STAGE = "samples"
FOUND = ("questions", "lost", "doubled", "identical")


def main() -> None:
    args = arguments()
    console, chance = Console(), random.Random(args.seed)
    table = Table(
        "run", "kills", "starts", "processes", "questions", "lost", "doubled", "identical"
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        start = time.perf_counter()
        expected = Path(home) / "undisturbed"
        _run(args, Path(home), expected.name, 1)
        undisturbed = time.perf_counter() - start
        totals, runs = Counter(kills=0, lost=0, doubled=0), []
        while totals["kills"] < args.kills:
            name, kills, crews = f"run{len(runs)}", 0, []
            while True:
                crews.append(chance.choice(args.processes))
                # Beyond the end of a run: some must be left to come to it.
                after = chance.uniform(0, 1.2 * undisturbed)
                whole = totals["kills"] + kills >= args.kills
                if _run(args, Path(home), name, crews[-1], chance, None if whole else after):
                    break
                kills += 1
                print(f"{name}: kill {kills} after {after:.1f} s", file=sys.stderr, flush=True)
            found = compared(Path(home) / name, expected)
            runs.append(found["identical"])
            cells = [
                name,
                kills,
                len(crews),
                " ".join(map(str, crews)),
                *(found[key] for key in FOUND),
            ]
            table.add_row(*map(str, cells))
            totals.update(kills=kills, lost=found["lost"], doubled=found["doubled"])
            shutil.rmtree(Path(home) / name)
    console.print(table)
    console.print(f"undisturbed, in one process: {undisturbed:.0f} s")
    print_headline("soak", dict(totals) | {"runs": len(runs), "identical": sum(runs)})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when")
    return parser.parse_args()


def _run(args, home: Path, name: str, processes: int, chance=None, after=None) -> bool:
    """Begins or continues a run, and kills it after so many seconds; whether it came to its end."""
    command = [
        sys.executable, "-m", "ttc_jax", "run", f"--config={ROOT}/configs/quickstart.py:tiny",
        f"--workdir={home / name}", f"--config.order={STAGE}", f"--config.cache_dir={home}/cache",
        f"--config.stages.{STAGE}.data.count={args.questions}",
        f"--config.stages.{STAGE}.search.strategy=beam(N=4,M=2)",
        f"--config.stages.{STAGE}.scorer.path=builtin:subset_sums_prm",
    ]  # fmt: skip
    if processes > 1:
        command.append(f"--local_processes={processes}")
    log = home / f"{name}.log"
    with open(log, "w") as file:
        running = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        code = running.wait(after)
    except subprocess.TimeoutExpired:
        everyone = [running.pid, *_children(running.pid)]
        if chance.random() < 0.5 and len(everyone) > 1:
            os.kill(chance.choice(everyone[1:]), signal.SIGKILL)
        else:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        return running.returncode == 0
    if code:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()}")
    return True


def _children(process: int) -> list[int]:
    try:
        listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in listed.split()]


def compared(ours: Path, expected: Path) -> dict:
    """Questions, those lost and doubled, and whether samples and figures are the same."""
    one, other = (read_samples(path / STAGE / "samples") for path in (ours, expected))
    stored, asked = ({row.question for row in rows} for rows in (one, other))
    nodes = Counter((row.question, row.branch) for row in one)
    doubled = {question for (question, _), count in nodes.items() if count > 1}
    figures = [_figures(path / STAGE / "results.json") for path in (ours, expected)]
    return {
        "questions": len(stored),
        "lost": len(asked - stored),
        "doubled": len(doubled),
        "identical": list(map(_told, one)) == list(map(_told, other)) and figures[0] == figures[1],
    }


def _told(row: Sample) -> tuple:
    """A sample, its scores to the digits that batches of other sizes leave alone."""
    scores = tuple(round(float(score), 4) for score in row.scores)
    return row.question, row.branch, row.parent, row.role, row.text, row.verdict, scores


def _figures(file: Path) -> dict:
    results = json.loads(file.read_text())
    return {key: results[key] for key in ("strategy", "figures")}


if __name__ == "__main__":
    main()
