# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc run`: an experiment from a config file, begun or continued in a work directory."""

import gc
from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from ttc_jax.core import processes
from ttc_jax.run.commands.config import parsed
from ttc_jax.run.commands.local import run_here

USAGE = """\
ttc run --config=FILE[:VARIANT,...] --workdir=DIR [--config.NAME=VALUE ...] [--traceback]
               [--local_processes=N]
               [--coordinator=HOST:PORT --processes=N --process=I] [--coordinator_timeout_s=S]

  --config     an experiment, e.g. configs/smollm2.py; variants after a colon (...py:tiny)
  --config.*   changes one setting, e.g. --config.sample.n=32
  --workdir    where samples and results go; the same command continues what is there
  --traceback  shows where an error came from
  --local_processes=N  as N processes on this machine, one for each core or accelerator

Where JAX detects a cluster (Cloud TPU, SLURM, Kubernetes, Open MPI), its processes run together:

  --coordinator  where process 0 listens; names the processes instead of the cluster
  --processes    how many there are; 1 alone: this one, whatever the cluster
  --process      the number of this one, from 0
  --coordinator_timeout_s  seconds in which all have to come; default: 300"""


def main(argv: Sequence[str]) -> None:
    """Does the experiment, or what is left of it, and prints what it came to."""
    values = arguments(argv)
    if values.local_processes is not None:
        rest = [arg for arg in argv if not arg.lstrip("-").startswith("local_processes")]
        run_here(rest, values.local_processes, values.workdir)
        return
    processes.start(
        values.coordinator, values.processes, values.process, values.coordinator_timeout_s
    )
    from ttc_jax.run.job import run  # after parsing: importing jax takes seconds

    # A search makes many small objects that stay: looking for garbage among them so often as by
    # default takes a tenth of its time where models are small.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    overrides = config_flags.get_override_values(values["config"])
    run(values.config, values.workdir, overrides=overrides, command=["ttc", "run", *argv])


def arguments(argv: Sequence[str]) -> flags.FlagValues:
    """What the flags say; raises as `config.parsed`."""
    return parsed(
        argv, USAGE, needed=["workdir"], others=["coordinator"],
        integers=["local_processes", "processes", "process"],
        floats={"coordinator_timeout_s": 300.0},
    )  # fmt: skip
