# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc run`: an experiment from a config file, begun or continued in a work directory."""

import gc
import re
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from ttc_jax.core import processes
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
    values = _parse(argv)
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


def _parse(argv: Sequence[str]) -> flags.FlagValues:
    """The flags in `argv`, with the config file loaded and changed.

    Raises:
      ValueError, OSError or flags.Error: a flag is unknown, missing or malformed, or the config
        file does not exist or has no such variant.
    """
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", flag_values=values, sys_argv=argv)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    flags.DEFINE_integer("local_processes", None, "", flag_values=values)
    flags.DEFINE_string("coordinator", None, "", flag_values=values)
    flags.DEFINE_integer("processes", None, "", flag_values=values)
    flags.DEFINE_integer("process", None, "", flag_values=values)
    flags.DEFINE_float("coordinator_timeout_s", 300.0, "", flag_values=values)
    flags.DEFINE_bool("traceback", False, "", flag_values=values)
    for value in (arg[9:] for arg in argv if arg.startswith("--config=")):
        if not Path(value.split(":")[0]).is_file():
            raise FileNotFoundError(f"no config file {value.split(':')[0]}")
    try:
        extra = values(["ttc", *argv])
    except flags.UnrecognizedFlagError as error:
        raise ValueError(f"unknown flag --{error.flagname}") from error
    except (AttributeError, KeyError) as error:  # how a locked ConfigDict refuses a key
        key = re.search(r"\w+", str(error))[0]
        blamed = [arg for arg in argv if f".{key}" in arg]
        raise ValueError(f"{' '.join(blamed)}: the config has no key {key!r}") from error
    if extra[1:]:
        raise ValueError(f"unexpected argument {extra[1]!r}; flags look like --name=value")
    for flag in ("config", "workdir"):
        if values[flag].value is None:
            raise ValueError(f"--{flag} is missing\n\nusage: {USAGE}")
    return values
