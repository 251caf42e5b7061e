# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""gs:// as a directory: whole objects only, without rename, append and directories.

`install` puts it in place of the client of gs://, in this process. As with the real one an object
appears when its file is closed, and not at all if the process is killed before; a bucket that is
not there, or is read-only, refuses what is written.

    python tests/directory_bucket.py ROOT run --config=... --workdir=gs://BUCKET/...

is `ttc` with it.
"""

import io
import os
import sys
import uuid
from pathlib import Path
from urllib.parse import quote, unquote

import fsspec
from fsspec.spec import AbstractFileSystem


class _Object(io.BytesIO):
    """What is written, stored when it is closed."""

    def __init__(self, store):
        super().__init__()
        self._store = store

    def close(self):
        if not self.closed:
            self._store(self.getvalue())
        super().close()


class DirectoryBucket(AbstractFileSystem):
    """Objects gs://BUCKET/a/b as files ROOT/BUCKET/a%2Fb."""

    protocol = ("gs", "gcs")
    root: Path
    cachable = False

    def _file(self, path) -> Path:
        bucket, _, name = self._strip_protocol(path).partition("/")
        return self.root / bucket / quote(name, safe="")

    def _names(self, path) -> dict[str, Path]:
        bucket = self._strip_protocol(path).partition("/")[0]
        files = (self.root / bucket).iterdir() if (self.root / bucket).is_dir() else ()
        return {f"{bucket}/{unquote(f.name)}": f for f in files if not f.name.startswith("%tmp")}

    def _info(self, name: str, file: Path) -> dict:
        stat = file.stat()
        version = f"{stat.st_mtime_ns}"
        return {"name": name, "type": "file", "size": stat.st_size, "generation": version}

    def ls(self, path, detail=True, **kwargs):
        top = self._strip_protocol(path).rstrip("/")
        found = {}
        for name, file in self._names(top).items():
            if name == top:
                found[name] = self._info(name, file)
            elif name.startswith(f"{top}/"):
                first, below, _ = name[len(top) + 1 :].partition("/")
                whole = f"{top}/{first}"
                found[whole] = (
                    {"name": whole, "type": "directory", "size": 0}
                    if below else self._info(whole, file)
                )  # fmt: skip
        if not found:
            raise FileNotFoundError(path)
        return list(found.values()) if detail else sorted(found)

    def _open(self, path, mode="rb", **kwargs):
        file = self._file(path)
        if mode == "rb":
            return io.BytesIO(file.read_bytes())
        if mode != "wb":
            raise NotImplementedError(f"objects cannot be opened with mode {mode!r}")
        if not file.parent.is_dir():
            raise FileNotFoundError(f"The specified bucket does not exist: {path}")

        def store(data: bytes) -> None:
            if (self.root / f"{file.parent.name}.read-only").exists():
                raise PermissionError(f"403: no storage.objects.create access to {path}")
            temporary = file.with_name(f"%tmp{uuid.uuid4().hex}")
            temporary.write_bytes(data)
            os.replace(temporary, file)

        return _Object(store)

    def rm_file(self, path):
        self._file(path).unlink()

    def mkdir(self, path, create_parents=True, **kwargs):
        raise AssertionError(f"{path}: there are no directories in a bucket")

    makedirs = rmdir = cp_file = mkdir


def install(root: Path) -> None:
    """Makes gs://NAME the directory `root`/NAME, which has to be there."""
    DirectoryBucket.root = Path(root)
    for name in DirectoryBucket.protocol:
        fsspec.register_implementation(name, DirectoryBucket, clobber=True)


if __name__ == "__main__":
    from ttc_jax.__main__ import main

    install(Path(sys.argv.pop(1)))
    sys.exit(main(["ttc", *sys.argv[1:]]))
