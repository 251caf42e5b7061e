# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc show`: what is stored of a run, its questions or the search tree of one of them."""

import argparse
from collections.abc import Sequence

from ttc_jax.core.places import path_of
from ttc_jax.run.commands.parser import Parser, print_anything

USAGE = """\
ttc show WORKDIR [--question=ID] [--depth=N] [--no-pruned]

  --question   prints the search tree of this question; without it all questions are listed
  --depth      leaves out what is more than N steps below the prompt
  --no-pruned  leaves out branches that lead to no candidate"""


def main(argv: Sequence[str]) -> None:
    """Prints at most as wide as the terminal, in colour only on one."""
    parser = Parser(USAGE)
    parser.add_argument("workdir", type=path_of)
    parser.add_argument("--question")
    parser.add_argument("--depth", type=int)
    parser.add_argument("--pruned", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args(argv)
    from rich.console import Console

    from ttc_jax.report.terminal.show import show

    found = show(args.workdir, args.question, depth=args.depth, pruned=args.pruned)
    print_anything()  # samples may hold any character
    Console(highlight=False).print(*found, sep="\n")
