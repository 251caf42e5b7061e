# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc plan`: what an experiment needs and how long it takes on a machine that is not there."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ttc_jax.run.commands.config import parsed
from ttc_jax.run.commands.parser import print_anything

USAGE = """\
ttc plan --config=FILE[:VARIANT,...] --topology=NAME [--mesh=data=D,model=M]
                [--mean_tokens=N] [--step_tokens=N] [--questions=N --question_tokens=N]
                [--compile=N] [--json] [--workdir=DIR] [--config.NAME=VALUE ...]

  --config      an experiment, as for `ttc run`; a model may also be preset:NAME, a known shape
                without weights (ttc_jax.model.shape)
  --topology    the machine: a TPU slice such as v5e:16x16, GPUs such as 8xh100, or cpu
  --mesh        how its devices are used; default: the best of the sensible meshes
  --mean_tokens tokens of a solution; default: the most that it may have, sample.max_new
  --step_tokens tokens of a step; default: the most, search.max_step
  --questions   plans for so many questions of --question_tokens (default 128) tokens each, where
                the data is not at hand
  --compile     compiles so many programs, those that take longest, for a TPU slice, which needs
                libtpu (pip install 'ttc_jax[plan]'); default 6; 0: analysis alone
  --json        prints one JSON object, all on the last line
  --workdir     where the experiment would be run, for what lies there already"""

_PROGRAMS = 6
_WIDTH = 110  # columns that the tables need


def main(argv: Sequence[str]) -> None:
    """Prints programs, their memory and times, and what the whole experiment comes to."""
    numbers = ("mean_tokens", "step_tokens", "questions", "question_tokens", "compile")
    values = parsed(
        argv, USAGE, needed=["topology"], others=("mesh", "workdir", *numbers), switches=["json"]
    )
    given = {name: _number(name, values[name].value) for name in numbers}
    print_anything()
    # Nothing is computed: a device that there may be is not to be taken.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from ttc_jax.plan import meshes, topologies  # after parsing: importing jax takes seconds
    from ttc_jax.plan.facts import facts
    from ttc_jax.plan.outlook import outlook
    from ttc_jax.report.terminal.plans import shown
    from ttc_jax.run.planned import Assumed, works

    mesh = meshes.parse(values.mesh) if values.mesh else None
    machine = topologies.topology(values.topology)
    assumed = Assumed(
        given["mean_tokens"] or 0, given["step_tokens"] or 0, given["questions"] or 0,
        given["question_tokens"] or 0,
    )  # fmt: skip
    workdir = Path(values.workdir or "workdir").expanduser().absolute()
    found = works(values.config, workdir, machine, assumed)
    most = _PROGRAMS if given["compile"] is None else given["compile"]
    if not topologies.compiles(machine):
        most = 0
    say = lambda text: print(text, file=sys.stderr)  # noqa: E731
    seen = facts(outlook(found, machine, mesh, compiled=most, say=say))
    if values.json:
        print(json.dumps(seen))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, _WIDTH)
    console.print(*shown(seen), sep="\n", soft_wrap=True)


def _number(name: str, text: str | None) -> int | None:
    """A whole number, None where the flag is not given."""
    if text is None:
        return None
    if not text.isdecimal() or (name != "compile" and not int(text)):
        low = "0" if name == "compile" else "1"
        raise ValueError(f"--{name}={text}: give a whole number of at least {low}")
    return int(text)
