# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Writing a Hugging Face checkpoint directory, whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from safetensors.numpy import save_file

from ttc_jax.core.mesh import path_name
from ttc_jax.model.headers import INDEX, SINGLE
from ttc_jax.model.names import place
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer

SHARD_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Tensor:
    """A tensor to be written: its name, size in bytes, and how to get it when its turn comes."""

    name: str
    nbytes: int
    read: Callable[[], np.ndarray]


def tensors_of(model: Transformer, dtype=None) -> list[Tensor]:
    """All weights of a model under their names in checkpoints, in `dtype` (default: their own)."""
    leaves = jax.tree_util.tree_flatten_with_path(model)[0]
    return [_tensor(path_name(where), leaf, model.shape, dtype) for where, leaf in leaves]


def _tensor(path: str, leaf: jax.Array, shape: ModelShape, dtype) -> Tensor:
    where = place(path, leaf.shape, shape)
    dtype = jnp.dtype(dtype or leaf.dtype)

    def read() -> np.ndarray:
        whole = leaf
        if not leaf.is_fully_addressable:
            whole = multihost_utils.process_allgather(leaf, tiled=True)
        return np.asarray(whole).astype(dtype).reshape(where.dims)

    return Tensor(where.name, leaf.size * dtype.itemsize, read)


@contextmanager
def new_directory(final: Path, replace: bool = False) -> Iterator[Path]:
    """A fresh directory that becomes `final` when the block ends, and vanishes when it fails.

    Two processes may do this at once: the first one wins, the other's work is dropped. With
    `replace` it is what was there before that is dropped; a process killed between the two renames
    that this takes leaves both directories whole, under hidden names. Raises OSError when the place
    cannot be written.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        try:
            os.replace(temporary, final)
        except OSError:
            if not final.is_dir():
                raise
            if replace:
                _exchange(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, final: Path) -> None:
    old = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        os.replace(final, old)
    except OSError:
        old.rmdir()
        raise
    try:
        os.replace(new, final)
    except OSError:
        os.replace(old, final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_tensors(
    directory: Path, tensors: Sequence[Tensor], shard_bytes: int = SHARD_BYTES
) -> None:
    """Write model.safetensors, or numbered shards of at most `shard_bytes` with their index."""
    shards = _split(tensors, shard_bytes)
    names = [SINGLE]
    if len(shards) > 1:
        count = len(shards)
        names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    for name, shard in zip(names, shards, strict=True):
        arrays = {tensor.name: np.ascontiguousarray(tensor.read()) for tensor in shard}
        save_file(arrays, directory / name, metadata={"format": "pt"})
        (directory / name).chmod(0o644)
    if len(shards) > 1:
        weight_map = {
            tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard
        }
        total = sum(tensor.nbytes for tensor in tensors)
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (directory / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")


def _split(tensors: Sequence[Tensor], shard_bytes: int) -> list[list[Tensor]]:
    shards: list[list[Tensor]] = [[]]
    filled = 0
    for tensor in tensors:
        if shards[-1] and filled + tensor.nbytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(tensor)
        filled += tensor.nbytes
    return shards
