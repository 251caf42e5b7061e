# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of commands that take a config file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags


def parsed(
    argv: Sequence[str],
    usage: str,
    *,
    needed: Sequence[str],
    others: Sequence[str] = (),
    switches: Sequence[str] = (),
    integers: Sequence[str] = (),
    floats: Mapping[str, float] = {},
) -> flags.FlagValues:
    """The flags in `argv`, with the config file loaded and changed.

    Beside --config the flags `needed` must and `others` may be given, with a text each; `switches`
    have none, `integers` and `floats` (which have defaults) a number. --traceback is known to every
    command.

    Raises:
      ValueError, OSError or flags.Error: a flag is unknown, missing or malformed, or the config
        file does not exist or has no such variant.
    """
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", flag_values=values, sys_argv=argv)
    for name in (*needed, *others):
        flags.DEFINE_string(name, None, "", flag_values=values)
    for name in integers:
        flags.DEFINE_integer(name, None, "", flag_values=values)
    for name, default in floats.items():
        flags.DEFINE_float(name, default, "", flag_values=values)
    for name in ("traceback", *switches):
        flags.DEFINE_bool(name, False, "", flag_values=values)
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
    for flag in ("config", *needed):
        if values[flag].value is None:
            raise ValueError(f"--{flag} is missing\n\nusage: {usage}")
    return values
