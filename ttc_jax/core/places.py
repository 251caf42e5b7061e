# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Where things lie: a path on this machine, or the URL of one in a bucket, from its text.

Both have the interface of pathlib. A bucket holds whole objects: what is written to one is there as
soon as it is complete, under its own name; nothing can be renamed, appended to or locked, and there
are no directories apart from the names of what is in them.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

SCHEMES = ("gs", "s3", "az")  # those that etils.epath has of fsspec's and that can be written
# One client for buckets, whatever else is installed: epath would take TensorFlow's where it is.
os.environ.setdefault("EPATH_USE_TF", "false")


class WorkdirError(OSError):
    """A work directory that cannot be written, is full, or is in use; says where and what to do."""


def path_of(text: str | os.PathLike) -> Path:
    """The path that a text names: absolute and without "~", or of a URL an etils.epath.Path.

    Raises:
      WorkdirError: a URL of no bucket, or of one for which a package is missing.
    """
    named = os.fspath(text)
    scheme, sign, rest = named.partition("://")
    if not sign:
        return Path(named).expanduser().absolute()
    if scheme not in SCHEMES or not urlsplit(named).netloc:
        raise WorkdirError(
            f"{named} is neither a directory nor one of a bucket; write "
            f"{', '.join(f'{known}://BUCKET/PATH' for known in SCHEMES)}, or a path on this machine"
        )
    import fsspec

    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise WorkdirError(
            f"{named} cannot be opened: {error}; install what buckets need with "
            f"pip install 'ttc_jax[bucket]', or name a directory on this machine"
        ) from error
    # Other processes write to the bucket too: what it lists must not be remembered.
    names = (kind.protocol,) if isinstance(kind.protocol, str) else kind.protocol
    for name in names:
        fsspec.config.conf.setdefault(name, {}).setdefault("use_listings_cache", False)
    from etils import epath

    return epath.Path(f"{scheme}://{rest.rstrip('/')}")


def in_bucket(path: Path) -> bool:
    """Whether a path of `path_of` is one in a bucket."""
    return not isinstance(path, Path)


def make_directory(path: Path) -> None:
    """Makes a directory and those above it; in a bucket there is nothing to be made."""
    if not in_bucket(path):  # of some buckets a client would make the bucket itself
        path.mkdir(parents=True, exist_ok=True)
