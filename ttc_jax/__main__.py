# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: `ttc run` does an experiment, `ttc show` prints what is stored of one."""

import argparse
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from absl import flags
from ml_collections import config_flags

from ttc_jax import __version__

USAGE = """\
usage: ttc run --config=FILE[:VARIANT,...] --workdir=DIR [--config.NAME=VALUE ...] [--traceback]

  --config     an experiment, e.g. configs/smollm2.py; variants after a colon (...py:tiny)
  --config.*   changes one setting, e.g. --config.sample.n=32
  --workdir    where samples and results go; the same command continues what is there
  --traceback  shows where an error came from

       ttc show WORKDIR [--question=ID] [--depth=N] [--no-pruned]

  --question   prints the search tree of this question; without it all questions are listed
  --depth      leaves out what is more than N steps below the prompt
  --no-pruned  leaves out branches that lead to no candidate

ttc --version prints the version."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 done, 2 wrong input, 130 interrupted."""
    argv = list(sys.argv if argv is None else argv)
    command = argv[1] if len(argv) > 1 else "help"
    if command == "help" or {"-h", "--help"} & set(argv):
        print(USAGE)
        return 0
    if command == "--version":
        print(f"ttc_jax {__version__}")
        return 0
    if command not in ("run", "show"):
        print(f"error: unknown command {command!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    try:
        _run(argv) if command == "run" else _show(argv)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command continues", file=sys.stderr)
        return 130
    except (ValueError, OSError, flags.Error) as error:
        if "--traceback" in argv:
            traceback.print_exc()
        print(f"error: {_short(error)}", file=sys.stderr)
        if "--traceback" not in argv:
            print("(--traceback shows where it came from)", file=sys.stderr)
        return 2
    return 0


def _run(argv: list[str]) -> None:
    values = _parse(argv)
    from ttc_jax.run.job import run  # after parsing: importing jax takes seconds

    overrides = config_flags.get_override_values(values["config"])
    run(values.config, values.workdir, overrides=overrides, command=argv)


class _ShowParser(argparse.ArgumentParser):
    """A parser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}\n\n{USAGE}")


def _show(argv: list[str]) -> None:
    """Prints at most as wide as the terminal, in colour only on one."""
    parser = _ShowParser(allow_abbrev=False)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--question")
    parser.add_argument("--depth", type=int)
    parser.add_argument("--pruned", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--traceback", action="store_true")
    args = parser.parse_args(argv[2:])
    from rich.console import Console

    from ttc_jax.study.show import show

    found = show(args.workdir, args.question, depth=args.depth, pruned=args.pruned)
    sys.stdout.reconfigure(errors="backslashreplace")  # samples may hold any character
    Console(highlight=False).print(*found, sep="\n")


def _short(error: Exception) -> str:
    """The message; of one that ml_collections filled with a traceback, the last line."""
    text = str(error).strip()
    return text.splitlines()[-1] if "Traceback (most recent call last)" in text else text


def _parse(argv: list[str]) -> flags.FlagValues:
    """The flags in `argv`, with the config file loaded and changed.

    Raises:
      ValueError, OSError or flags.Error: a flag is unknown, missing or malformed, or the config
        file does not exist or has no such variant.
    """
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", flag_values=values, sys_argv=argv)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    flags.DEFINE_bool("traceback", False, "", flag_values=values)
    for value in (arg[9:] for arg in argv if arg.startswith("--config=")):
        if not Path(value.split(":")[0]).is_file():
            raise FileNotFoundError(f"no config file {value.split(':')[0]}")
    try:
        extra = values([argv[0], *argv[2:]])
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
            raise ValueError(f"--{flag} is missing\n\n{USAGE}")
    return values


if __name__ == "__main__":
    sys.exit(main())
