# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What safetensors files say they hold, read and checked without reading a weight."""

import json
from dataclasses import dataclass
from pathlib import Path

from ttc_jax.model.settings import read_json

_FLOATS = ("F64", "F32", "F16", "BF16")
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Entry:
    """One tensor of a checkpoint: the file it lies in, its name there, shape and dtype."""

    file: Path
    name: str
    dims: tuple[int, ...]
    dtype: str


def read_header(path: Path) -> dict[str, Entry]:
    """Name -> Entry of every tensor in one safetensors file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not safetensors, is cut short, or holds quantised weights.
    """
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} is missing")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 + length:
            raise ValueError(
                f"{path} is truncated or not safetensors: {size} bytes, its header alone should "
                f"take {8 + length}; fetch it again"
            )
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError(f"{path} is not a safetensors file: {error}") from error
    header.pop("__metadata__", None)
    end = 8 + length + max((item["data_offsets"][1] for item in header.values()), default=0)
    if size < end:
        raise ValueError(f"{path} is truncated: {size} bytes of {end}; fetch it again")
    for name, item in header.items():
        if item["dtype"] not in _FLOATS:
            raise ValueError(
                f"{path}: tensor {name} is {item['dtype']}, expected one of {', '.join(_FLOATS)}; "
                "quantised checkpoints are read from GGUF only"
            )
    return {
        name: Entry(path, name, tuple(item["shape"]), item["dtype"])
        for name, item in header.items()
    }


def read_headers(directory: Path) -> dict[str, Entry]:
    """Name -> Entry of every tensor of a checkpoint directory, one file or sharded.

    Raises:
        FileNotFoundError: no safetensors weights, or a shard named by the index is missing.
        ValueError: a file is damaged, or a shard lacks a tensor that the index promises.
    """
    index = read_json(directory / INDEX).get("weight_map")
    if index is None:
        if not (directory / SINGLE).is_file():
            others = sorted(p.name for p in directory.glob("*.bin")) or "none"
            raise FileNotFoundError(
                f"no weights in {directory}: expected {SINGLE} or {INDEX} (PyTorch files there: "
                f"{others}; only safetensors are read)"
            )
        return read_header(directory / SINGLE)
    headers = {name: read_header(directory / name) for name in sorted(set(index.values()))}
    for name, file in index.items():
        if name not in headers[file]:
            raise ValueError(f"{directory / file} lacks tensor {name}, which {INDEX} puts there")
    return {name: headers[file][name] for name, file in index.items()}
