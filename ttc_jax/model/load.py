# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Loading and saving checkpoints in Hugging Face's layout.

Everything that can be wrong with a checkpoint is found from its headers, before weights are read.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, Sharding, SingleDeviceSharding
from orbax.checkpoint import v1 as ocp

from ttc_jax.core.mesh import parameter_shardings, path_name
from ttc_jax.core.places import in_bucket, path_of
from ttc_jax.model import int8
from ttc_jax.model.downloads import directory_for, downloaded
from ttc_jax.model.gguf import converted
from ttc_jax.model.gguf_file import packaged_gguf
from ttc_jax.model.headers import Entry, read_headers
from ttc_jax.model.hf_config import shape_from_hf, shape_to_hf
from ttc_jax.model.names import Place, canonical, place, value_head
from ttc_jax.model.random_models import random_checkpoint
from ttc_jax.model.settings import read_json
from ttc_jax.model.shape import ModelShape, preset
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.model.transformer import Transformer, abstract
from ttc_jax.model.weights import tensors_of, write_tensors

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "chat_template.jinja",
)
# Beginnings of names of checkpoints, which are no paths.
NAMED = ("package:", "builtin:", "random:", "preset:")
_BUILTIN = Path(__file__).parent / "builtin"
# What a value head saved for another task may lack; it is then zero.
_OPTIONAL = ("score.bias",)


def load_checkpoint(
    path, *, mesh: Mesh | None = None, dtype=jnp.float32, weights: str = "", cache_dir=None
) -> tuple[Transformer, Tokenizer]:
    """The model and tokenizer of a checkpoint.

    `path` is a Hugging Face directory, a .gguf file, "package:NAME" for the GGUF file inside an
    installed package, "builtin:NAME" for what comes with this one, or "random:NAME" for a small
    random model of the family of a preset. What lies in a bucket is fetched into
    cache_dir/downloads; the first GGUF file and the random model are written once, into
    cache_dir/checkpoints. Weights become `dtype` and are read straight into their shards on `mesh`
    (default: one device). With `weights` "int8" the matrices of the layers are made int8 as each
    file of the checkpoint has been read.

    Raises:
        FileNotFoundError: the checkpoint, one of its files, or the package is missing.
        ValueError: something in it is damaged or not supported, or its tokenizer has ids beyond
            the model's vocabulary; or there are no such `weights`.
    """
    int8.check_kind(weights, "weights")
    directory = checkpoint_directory(path, cache_dir)
    vocab = shape_from_hf(_read_config(directory)).vocab
    tokenizer = load_tokenizer(directory)
    if tokenizer.vocab_size > vocab:
        raise ValueError(
            f"{directory}: the tokenizer has ids up to {tokenizer.vocab_size - 1}, the model's "
            f"vocabulary ends at {vocab - 1}; they belong to different checkpoints"
        )
    return load_model(directory, mesh=mesh, dtype=dtype, weights=weights), tokenizer


def checkpoint_directory(path, cache_dir=None) -> Path:
    """The Hugging Face directory that `path` names, converted from GGUF or drawn where it must be.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: `path` is neither a directory nor a GGUF file, or a shape without weights, or
            cache_dir is not given.
    """
    kind, _, name = str(path).partition(":")
    if kind == "random":
        return random_checkpoint(name, _cache(path, cache_dir))
    path = _found(str(path))
    if in_bucket(path):
        path = downloaded(path, _cache(path, cache_dir) / "downloads")
    if path.is_dir():
        return path
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}: there is no such file or directory")
    if path.suffix != ".gguf":
        raise ValueError(f"{path} is neither a checkpoint directory nor a .gguf file")
    return converted(path, _cache(path, cache_dir))


def _cache(path, cache_dir) -> Path:
    if cache_dir is None:
        raise ValueError(f"{path} must be fetched or converted first; name a cache_dir for that")
    return Path(cache_dir)


def check_checkpoint(path: str, *, tokenizer_only: bool = False) -> None:
    """Raises as `load_checkpoint` for what can be told without reading weights.

    With `tokenizer_only` a directory need not hold a model. Nothing is converted, fetched or
    written; of what lies in a bucket only that it is there is told.
    """
    kind, _, name = path.partition(":")
    if kind == "random":
        preset(name)
        return
    found = _found(path)
    if not found.exists():
        raise FileNotFoundError("there is no such file or directory")
    if found.is_dir() and not in_bucket(found):
        load_tokenizer(found)
        if not tokenizer_only:
            read_shape(found)


def _found(path: str) -> Path:
    """Where a checkpoint lies that is not drawn at random."""
    kind, _, name = path.partition(":")
    if kind == "package":
        return packaged_gguf(name)
    if kind == "builtin":
        return _builtin(path)
    if kind == "preset":
        preset(name)
        raise ValueError(f"{path} is a shape without weights: `ttc plan` takes it, but no job runs")
    return path_of(path)


def _builtin(path: str) -> Path:
    """The directory of "builtin:NAME": a model, or a tokenizer for one trained from scratch."""
    found = sorted(entry.name for entry in _BUILTIN.iterdir() if entry.is_dir())
    name = path.removeprefix("builtin:")
    if name not in found:
        raise FileNotFoundError(f"no {path}; there are builtin:{', builtin:'.join(found)}")
    return _BUILTIN / name


def read_shape(directory: Path) -> ModelShape:
    """The ModelShape of a checkpoint directory; raises as load_checkpoint.

    It is told by config.json and, where that is silent about heads, by the names of the weights. A
    classification checkpoint without a language head gets its embeddings as one (tied).
    """
    directory = Path(directory)
    config = _read_config(directory)
    return _shape(config, _canonical_entries(read_headers(directory), directory))


def _read_config(directory: Path) -> dict:
    if not (directory / "config.json").is_file():
        raise FileNotFoundError(
            f"no config.json in {directory}; is it a checkpoint directory? (A tokenizer alone "
            "serves to train from scratch.)"
        )
    return read_json(directory / "config.json")


def _shape(config: dict, entries: dict[str, Entry]) -> ModelShape:
    shape = shape_from_hf(config, value_head({name: entry.dims for name, entry in entries.items()}))
    if shape.value_classes and "lm_head.weight" not in entries:
        shape = replace(shape, tied=True)
    return shape


def load_model(
    directory, *, mesh: Mesh | None = None, dtype=jnp.float32, weights: str = ""
) -> Transformer:
    """The model in a Hugging Face directory, without its tokenizer; as `load_checkpoint` else.

    Its shape is that of `read_shape`.
    """
    int8.check_kind(weights, "weights")
    directory = Path(directory).resolve()
    entries = _canonical_entries(read_headers(directory), directory)
    shape = _shape(_read_config(directory), entries)
    skeleton = abstract(shape, dtype)
    wanted = _by_path(skeleton)
    places = {path: place(path, leaf.shape, shape) for path, leaf in wanted.items()}
    _check_entries(directory, entries, list(places.values()), shape)
    kept = jax.eval_shape(int8.with_int8, skeleton) if weights else skeleton
    shardings, kept_shardings = (_shardings(model, mesh) for model in (skeleton, kept))
    arrays: dict[str, jax.Array] = {}
    for path, array in _read(entries, places, shardings, dtype):
        array = _fill(array, wanted[path], shardings[path])
        arrays |= int8.parts(path, array, kept_shardings) if weights else {path: array}
    structure = jax.tree_util.tree_structure(kept)
    return jax.tree_util.tree_unflatten(structure, [arrays[path] for path in _by_path(kept)])


def _by_path(model: Transformer) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(model)
    return {path_name(path): leaf for path, leaf in leaves}


def _shardings(model: Transformer, mesh: Mesh | None) -> dict[str, Sharding]:
    if mesh is None:
        return dict.fromkeys(_by_path(model), SingleDeviceSharding(jax.local_devices()[0]))
    return _by_path(parameter_shardings(model, mesh))


def _canonical_entries(entries: dict[str, Entry], directory: Path) -> dict[str, Entry]:
    named: dict[str, Entry] = {}
    for name, entry in entries.items():
        plain = canonical(name)
        if plain in named:
            raise ValueError(f"{directory} holds {plain} twice: as {named[plain].name} and {name}")
        if plain is not None:
            named[plain] = entry
    return named


def _check_entries(directory, entries, places: list[Place], shape: ModelShape) -> None:
    wanted = {where.name: where.dims for where in places}
    missing = [name for name in wanted if name not in entries and name not in _OPTIONAL]
    if missing:
        raise ValueError(f"{directory} lacks {_list(missing)} that its config.json asks for")
    spare = {"lm_head.weight"} if shape.tied else set()
    extra = sorted(set(entries) - set(wanted) - spare)
    if extra:
        raise ValueError(
            f"{directory} holds {_list(extra)} that a {shape.family} model of its config.json "
            "does not have"
        )
    for name, dims in wanted.items():
        if name in entries and entries[name].dims != dims:
            raise ValueError(
                f"{entries[name].file}: tensor {name} has shape {entries[name].dims}, "
                f"config.json says {dims}"
            )


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} tensor{'s' * (len(names) > 1)} ({shown})"


def _read(
    entries, places: dict[str, Place], shardings, dtype
) -> Iterator[tuple[str, jax.Array | None]]:
    """Each path with its array in the checkpoint's own layout, already on its shards.

    Of arrays that are there, one file of the checkpoint after the other; None for the others.
    """
    wanted: dict[Path, dict[str, jax.ShapeDtypeStruct]] = defaultdict(dict)
    origin: dict[str, str] = {}
    for path, where in places.items():
        if where.name not in entries:
            yield path, None
            continue
        entry, sharding = entries[where.name], shardings[path]
        if isinstance(sharding, NamedSharding):
            sharding = NamedSharding(sharding.mesh, where.spec(sharding.spec))
        wanted[entry.file][entry.name] = jax.ShapeDtypeStruct(where.dims, dtype, sharding=sharding)
        origin[entry.name] = path
    context = ocp.Context()
    context.checkpoint_layout = ocp.options.CheckpointLayout.SAFETENSORS
    if all(sharding.is_fully_addressable for sharding in shardings.values()):
        # Onto this process's own devices: the others may be doing something else.
        own = context.multiprocessing
        own.primary_host = jax.process_index()
        own.active_processes = {jax.process_index()}
        own.barrier_sync_key_prefix = f"process_{jax.process_index()}"
    for file, tensors in wanted.items():
        with context:
            loaded = ocp.load(file, tensors)
        for name in tensors:
            yield origin[name], loaded.pop(name)


def _fill(array, leaf, sharding) -> jax.Array:
    if array is None:
        return jax.device_put(jnp.zeros(leaf.shape, leaf.dtype), sharding)
    return jax.device_put(jnp.reshape(array, leaf.shape), sharding)


def save_checkpoint(
    path,
    model: Transformer,
    tokenizer_dir=None,
    *,
    dtype=None,
    extra: Mapping[str, str] | None = None,
    replace: bool = False,
) -> None:
    """Write `model` as a Hugging Face directory at `path`, with the tokenizer of another directory.

    Weights keep their dtype unless another one is given. `extra` are further text files, by name.
    The directory appears whole or not at all; in a bucket its config.json is written last. With
    `replace` a checkpoint at `path` gives way to it, once it is written. On several hosts every
    process must call this; the first one writes.

    Raises:
        FileExistsError: there is something at `path` already (with `replace`: no checkpoint).
        FileNotFoundError: `tokenizer_dir` holds no tokenizer.
        ValueError: no Hugging Face family has the model's shape, or its weights are int8.
    """
    if int8.is_int8(model):
        raise ValueError("a model in int8 cannot be saved; save the one that it was made from")
    path = path_of(path)
    path = path if in_bucket(path) else path.resolve()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        if not replace:
            raise FileExistsError(f"{path} exists already; name a new directory")
        if not (path / "config.json").is_file():
            raise FileExistsError(f"{path} is no checkpoint that could be replaced; name another")
    config = shape_to_hf(model.shape) | {"dtype": str(jnp.dtype(dtype or model.embed.dtype))}
    config |= _special_ids(tokenizer_dir)
    tensors = tensors_of(model, dtype)
    if jax.process_index():
        for tensor in tensors:
            tensor.read()
        return
    with directory_for(path, replace) as directory:
        (directory / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        if tokenizer_dir is not None:
            for name in TOKENIZER_FILES:
                if (Path(tokenizer_dir) / name).is_file():
                    shutil.copyfile(Path(tokenizer_dir) / name, directory / name)
        for name, text in (extra or {}).items():
            (directory / name).write_text(text, encoding="utf-8")
        write_tensors(directory, tensors)


def _special_ids(tokenizer_dir) -> dict:
    if tokenizer_dir is None:
        return {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    tokenizer = load_tokenizer(tokenizer_dir)
    eos = list(tokenizer.eos) or None
    return {"bos_token_id": tokenizer.bos, "eos_token_id": eos, "pad_token_id": tokenizer.pad}
