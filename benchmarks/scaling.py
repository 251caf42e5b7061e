# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How a decoding step scales from 4 to 512 TPU chips, as planned: its time, and what chips send.

Best-of-16 with one of the known shapes, as many rows for each chip on every slice, solutions of 512
tokens behind prompts of 256. Every slice has the mesh that `ttc plan` would choose. Times are the
roofline's, and with --compiled (which needs libtpu) those of XLA's own analysis too, with the
collectives that XLA put into the program.

    python benchmarks/scaling.py [--preset meta-llama/Llama-3.1-8B-Instruct] [--chip v5p]
        [--rows 32] [--compiled] [--svg scaling.svg]
"""

import argparse
import math
import os
import sys

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # nothing is computed

import jax.numpy as jnp
from machine import print_headline, print_table

from ttc_jax.data.sources import Question
from ttc_jax.model.shape import preset
from ttc_jax.model.transformer import abstract
from ttc_jax.plan import meshes, topologies
from ttc_jax.plan.collectives import sent
from ttc_jax.plan.estimate import Estimate
from ttc_jax.plan.outlook import Outlook, Part, outlook
from ttc_jax.plan.work import Sampling
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.sampling import BestOfN

PROMPT, NEW, N = 256, 512, 16
FEWEST, MOST = 4, 512


def main() -> None:
    args = arguments()
    found = [planned(name, args) for name in slices(args.chip)]
    rows, figures = [], []
    for one in found:
        part = segment(one)
        steps, chips = part.use.program.trips, one.topology.devices
        step, talk = part.seconds / steps, sent(part.collectives) / steps
        rate = chips * args.rows / step
        figures.append((chips, step, talk, rate))
        xla = "-" if part.xla_seconds is None else 1e3 * part.xla_seconds / steps
        rows.append(
            [one.topology.name, chips, f"{one.data} x {one.model}",
             1e3 * part.floor.seconds / steps, part.floor.binds, xla, talk / 1e6, rate,
             100 * part.needs.total / one.topology.chip.memory]
        )  # fmt: skip
    what = "XLA's analysis of compiled programs" if segment(found[0]).compiled else "the roofline"
    print(f"{args.preset}, {args.rows} rows a chip, by {what}")
    print_table(
        ["slice", "chips", "data x model", "floor ms", "binds", "XLA ms", "MB sent", "tokens/s",
         "% of HBM"], rows,
    )  # fmt: skip
    if args.svg:
        draw(figures, args)
    (least, first, _, slow), (most, last, talk, fast) = figures[0], figures[-1]
    headline = {
        "chips": most,
        "step_ms_fewest": 1e3 * first,
        "step_ms_most": 1e3 * last,
        "sent_mb_a_step_most": talk / 1e6,
        "tokens_per_second_most": fast,
        "efficiency": fast / most / (slow / least),
    }
    how = "compiled" if segment(found[0]).compiled else "analytic"
    print_headline("scaling", headline, f"{args.chip}, predicted ({how})")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="meta-llama/Llama-3.1-8B-Instruct")
    parser.add_argument("--chip", default="v5p", choices=sorted(topologies.SLICES))
    parser.add_argument("--rows", type=int, default=32, help="rows for each chip")
    parser.add_argument("--compiled", action="store_true", help="compile each program")
    parser.add_argument("--svg", default="", help="a file for the figure")
    return parser.parse_args()


def slices(kind: str) -> list[str]:
    """The slices of a chip from 4 to 512 chips."""
    sizes = ((name, math.prod(map(int, name.split("x")))) for name in topologies.SLICES[kind])
    return [f"{kind}:{name}" for name, size in sizes if FEWEST <= size <= MOST]


def planned(name: str, args: argparse.Namespace) -> Outlook:
    """The decoding of the whole slice, full of rows."""
    machine, shape = topologies.topology(name), preset(args.preset)
    lanes = args.rows * machine.devices
    policy = Policy(
        abstract(shape, jnp.bfloat16), Estimate(shape.vocab), meshes.mesh(1, 1),
        lambda question, attempts: [0] * PROMPT, max_new=NEW,
    )  # fmt: skip
    questions = [Question(f"q{i}", "", "") for i in range(2 * -(-lanes // N))]
    work = Sampling(
        "decoding", "search", BestOfN(N), questions, policy, None, Batch(rows=lanes), NEW, NEW
    )
    compiled = 1 if args.compiled and topologies.compiles(machine) else 0
    say = lambda text: print(text, file=sys.stderr)  # noqa: E731
    return outlook([work], machine, compiled=compiled, say=say)


def segment(found: Outlook) -> Part:
    """The program that decodes."""
    (part,) = (p for p in found.stages[0].parts if p.use.program.name == "decode_segment")
    return part


def draw(figures: list[tuple], args: argparse.Namespace) -> None:
    """Step time and bytes sent against chips, as an SVG file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scaling"
    import matplotlib.pyplot as plt

    chips, steps, talk, _ = zip(*figures, strict=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    left.plot(chips, [1e3 * step for step in steps], "o-")
    left.set_ylabel("milliseconds of a step")
    right.plot(chips, [sent / 1e6 for sent in talk], "o-")
    right.set_ylabel("MB that a chip sends in a step")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(chips, [str(count) for count in chips])
        axes.set_xlabel(f"{args.chip} chips, {args.rows} rows each")
        axes.set_ylim(bottom=0)
    figure.suptitle(args.preset)
    figure.savefig(args.svg, metadata={"Date": None})  # the same figure is the same file


if __name__ == "__main__":
    main()
