# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: finds the command, and turns errors into messages and exit codes."""

import sys
import traceback
from collections.abc import Sequence

from absl import flags

from ttc_jax import __version__
from ttc_jax.core import processes
from ttc_jax.run.commands import flops, plan, report, run, show, solve

COMMANDS = {
    "run": run, "plan": plan, "show": show, "report": report, "solve": solve, "flops": flops,
}  # fmt: skip
USAGE = "usage: {}\n\nttc --version prints the version.".format(
    "\n\n       ".join(command.USAGE for command in COMMANDS.values())
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 done, 2 wrong input, 130 interrupted."""
    _, *argv = list(sys.argv if argv is None else argv)
    name = argv[0] if argv else "help"
    if name == "--version":
        print(f"ttc_jax {__version__}")
        return 0
    if name == "help" or {"-h", "--help"} & set(argv):
        print(f"usage: {COMMANDS[name].USAGE}" if name in COMMANDS else USAGE)
        return 0
    if name not in COMMANDS:
        print(f"error: unknown command {name!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    try:
        COMMANDS[name].main(argv[1:])
    except KeyboardInterrupt:
        again = "; the same command continues" if name == "run" else ""
        print(f"\ninterrupted{again}", file=sys.stderr)
        processes.leave(130)
        return 130
    except (ValueError, OSError, flags.Error) as error:
        if "--traceback" in argv:
            traceback.print_exc()
        print(f"error: {_short(error)}", file=sys.stderr)
        if "--traceback" not in argv:
            print("(--traceback shows where it came from)", file=sys.stderr)
        processes.leave(2)
        return 2
    except BaseException:
        processes.leave(1)
        raise
    return 0


def _short(error: Exception) -> str:
    """The message; of one that ml_collections filled with a traceback, the last line."""
    text = str(error).strip()
    return text.splitlines()[-1] if "Traceback (most recent call last)" in text else text


if __name__ == "__main__":
    sys.exit(main())
