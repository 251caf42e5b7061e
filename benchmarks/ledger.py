# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the FLOPs and the bytes of a beam search go by phase, and how near it comes to its floor.

beam(N=16,M=4) with SmolLM2-135M-Instruct as policy and as verifier (an untrained value head), steps
of a fixed number of tokens, few-shot prompts. FLOPs and bytes are from the ledger of the run, which
is timed after another one has compiled its programs. `useful` FLOPs are those of the tokens that
were asked for, `executed` ones those of the padded programs. The floor of a phase is the roofline
of what it executed, at the rate of a large product of matrices and at that of reading one here;
that of the run is their sum.

    python benchmarks/ledger.py [--questions 2] [--rounds 3]
"""

import time

import workload
from machine import compilations, print_headline, print_table, read_bytes

from ttc_jax.core.flops import floor_seconds, matmul_rate
from ttc_jax.search.beam import Beam
from ttc_jax.search.plan import Batch
from ttc_jax.search.schedule import Scheduler

N, M = 16, 4
READ = 1 << 28  # bytes, more than caches hold


def main() -> None:
    args = arguments()
    models = workload.load(args)
    with compilations() as compiled:
        run(models, args)
    print(f"warmed up: {compiled['programs']} programs, {compiled['seconds']:.0f} s to compile")
    seconds, ledger = run(models, args)

    rate, bandwidth = matmul_rate(models.policy.embed.dtype), read_bytes(READ)
    useful, executed = (sum(s[name] for s in ledger.values()) for name in ("useful", "executed"))
    floors = {
        phase: floor_seconds(spent["executed"], spent["bytes"], rate, bandwidth)
        for phase, spent in ledger.items()
    }
    rows = [
        [phase, spent["useful"] / 1e9, spent["executed"] / 1e9, spent["useful"] / spent["executed"],
         spent["executed"] / executed, spent["bytes"] / 1e9, floors[phase]]
        for phase, spent in ledger.items()
    ]  # fmt: skip
    moved, floor = sum(s["bytes"] for s in ledger.values()), sum(floors.values())
    rows.append(["all", useful / 1e9, executed / 1e9, useful / executed, 1.0, moved / 1e9, floor])
    print(
        f"{args.questions} x beam(N={N},M={M}), {args.rounds} steps of {args.step} tokens: "
        f"{seconds:.1f} s; matmul {rate / 1e9:.0f} GFLOP/s, reading {bandwidth / 1e9:.1f} GB/s"
    )
    print_table(["", "useful GFLOP", "executed", "useful share", "of all", "GB", "floor s"], rows)
    headline = {
        "seconds": seconds,
        "useful_over_executed": useful / executed,
        "floor_over_seconds": floor / seconds,
        "useful_of_peak": useful / rate / seconds,
    }
    headline |= {f"executed_{phase}": s["executed"] / executed for phase, s in ledger.items()}
    print_headline("ledger", headline)


def arguments():
    parser = workload.arguments(__doc__)
    parser.add_argument("--questions", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="steps of a solution")
    parser.add_argument("--rows", type=int, default=32, help="rows decoded together")
    args = parser.parse_args()
    if args.tiny:
        args.questions, args.rounds, args.step = 2, 2, 8
    return args


def run(models: workload.Models, args) -> tuple[float, dict[str, dict[str, int]]]:
    """Seconds of a whole search, and its ledger by phase."""
    start = time.perf_counter()
    scheduler = Scheduler(
        Beam(N, M, rounds=args.rounds), workload.questions(models, args.questions),
        workload.policy(models, args.step, args.rounds), workload.verifier(models),
        Batch(rows=args.rows, segment=args.step, seed=args.seed),
    )  # fmt: skip
    for _ in scheduler.run():
        pass
    return time.perf_counter() - start, scheduler.progress.ledger


if __name__ == "__main__":
    main()
