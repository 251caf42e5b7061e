# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints between a bucket and this machine: weights are read from, and written to, files."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec

from ttc_jax.core.files import unwritable, upload
from ttc_jax.core.places import WorkdirError, in_bucket
from ttc_jax.model.weights import new_directory

LAST = "config.json"  # a checkpoint in a bucket is there when this is: written last, removed first


def downloaded(path: Path, folder: Path) -> Path:
    """The copy in `folder` of a checkpoint directory, or a .gguf file, in a bucket.

    Its name is a key of names, sizes and versions of the objects: what is there already is taken,
    and what was written anew in the bucket is fetched anew.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        OSError: the place for the copy cannot be written.
    """
    bucket, top = fsspec.core.url_to_fs(str(path))
    if path.suffix == ".gguf":
        objects = {path.name: bucket.info(top)}
    else:
        found = bucket.find(top, detail=True)
        objects = {name[len(top) + 1 :]: info for name, info in sorted(found.items())}
    if not objects or (path.suffix != ".gguf" and LAST not in objects):
        raise FileNotFoundError(f"no checkpoint at {path}: there is no {LAST}")
    text = json.dumps({"path": str(path), "objects": objects}, sort_keys=True, default=str)
    copy = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    if not copy.is_dir():
        with new_directory(copy) as directory:
            for name, info in objects.items():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                bucket.get_file(info["name"], str(directory / name))
    return copy / path.name if path.suffix == ".gguf" else copy


@contextmanager
def directory_for(path: Path, replace: bool = False) -> Iterator[Path]:
    """A fresh directory that becomes `path` when the block ends, and vanishes when it fails.

    See `new_directory`; for a path in a bucket it is one of this machine's, uploaded at the end.
    """
    if not in_bucket(path):
        with new_directory(path, replace) as directory:
            yield directory
        return
    with TemporaryDirectory(prefix="ttc-") as temporary:
        yield Path(temporary)
        _upload(Path(temporary), path)


def _upload(directory: Path, path: Path) -> None:
    """Puts files at `path`, in place of what was there; WorkdirError where they are not taken."""
    bucket, top = fsspec.core.url_to_fs(str(path))
    names = [file.relative_to(directory).as_posix() for file in directory.rglob("*")
             if file.is_file()]  # fmt: skip
    try:
        (path / LAST).unlink(missing_ok=True)
        for name in sorted(names, key=lambda name: (name == LAST, name)):
            upload(directory / name, path / name)
        for name in bucket.find(top):
            if name[len(top) + 1 :] not in names:
                bucket.rm_file(name)
    except WorkdirError:
        raise
    except Exception as error:  # clients of buckets have errors of their own
        raise unwritable(path, error) from error
