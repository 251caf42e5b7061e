# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of commands that take no config file."""

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that raises ValueError, with its command's usage, instead of ending the process.

    Flags are spelled in full; --traceback is known to every command.
    """

    def __init__(self, usage: str):
        super().__init__(allow_abbrev=False, add_help=False)
        self._text = usage
        self.add_argument("--traceback", action="store_true")

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        raise ValueError(f"{message}\n\nusage: {self._text}")


def numbers(of: Callable[[str], Any]) -> Callable[[str], tuple]:
    """The type of an argument that lists numbers, with commas between them."""

    def listed(text: str) -> tuple:
        return tuple(of(part) for part in text.split(","))

    listed.__name__ = f"list of {of.__name__}"  # what argparse calls it in its messages
    return listed


def print_anything() -> None:
    """Lets standard output take any character, escaped where its encoding has none for it."""
    if hasattr(sys.stdout, "reconfigure"):  # a replaced stream may take all there are
        sys.stdout.reconfigure(errors="backslashreplace")
