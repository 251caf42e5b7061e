# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The ('data', 'model') mesh and the rules that lay parameters out on it.

'data' shards hold whole replicas of the model and work on different questions; 'model' shards hold
slices of every weight and of every key-value head.
"""

import re
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

# First match wins, on paths such as "blocks/3/q" ("blocks/3/q/weight" beside an adapter, or beside
# the scales of its outputs). Weights are [out, in] with heads split out.
PARAMETER_RULES: tuple[tuple[str, P], ...] = (
    (r"/(q|k|v)(/weight)?$", P("model", None, None)),
    (r"/(q|k|v)(_bias|/scale)$", P("model", None)),
    (r"/o(/weight)?$", P(None, "model", None)),
    (r"/(gate|up)(/weight)?$", P("model", None)),
    (r"/(gate|up)/scale$", P("model")),
    (r"/down(/weight)?$", P(None, "model")),
    (r"^(embed|head)$", P("model", None)),
    (r"", P()),
)
# For training: what 'data' shards would hold copies of is spread over them too, and gathered layer
# by layer when it is needed.
FSDP_RULES: tuple[tuple[str, P], ...] = (
    (r"/(q|k|v)(/weight)?$", P("model", None, "data")),
    (r"/(q|k|v)_bias$", P("model", None)),
    (r"/o(/weight)?$", P("data", "model", None)),
    (r"/(gate|up)(/weight)?$", P("model", "data")),
    (r"/down(/weight)?$", P("data", "model")),
    (r"^(embed|head)$", P("model", "data")),
    (r"", P()),
)


def make_mesh(data: int = 1, model: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A ('data', 'model') mesh over the first data * model of `devices` (default: all there are).

    Raises ValueError when there are fewer devices than that.
    """
    devices = jax.devices() if devices is None else list(devices)
    if data < 1 or model < 1:
        raise ValueError(f"mesh axes must be at least 1, got data={data}, model={model}")
    if data * model > len(devices):
        raise ValueError(
            f"a mesh of data={data} x model={model} needs {data * model} devices, "
            f"there are {len(devices)}; lower mesh.data or mesh.model"
        )
    grid = np.asarray(devices[: data * model]).reshape(data, model)
    return Mesh(grid, ("data", "model"), axis_types=(AxisType.Auto, AxisType.Auto))


def own_mesh(data: int = 1, model: int = 1) -> Mesh:
    """A mesh over this process's own devices, on which it works apart from other processes."""
    return make_mesh(data, model, jax.local_devices())


def joint_mesh(data: int = 1, model: int = 1) -> Mesh:
    """A mesh of data * model devices of every process, process by process along 'data'.

    Raises ValueError when a process has fewer devices than that.
    """
    taken: list[jax.Device] = []
    for process in range(jax.process_count()):
        own = [device for device in jax.devices() if device.process_index == process]
        taken += make_mesh(data, model, own).devices.flatten().tolist()
    return make_mesh(data * jax.process_count(), model, taken)


def on_mesh(array, sharding: NamedSharding) -> jax.Array:
    """An array that all processes hold whole, or that is on the mesh already, with `sharding`.

    Unlike jax.device_put, it places jax arrays of one process on a mesh of several.
    """
    if sharding.is_fully_addressable or not getattr(array, "is_fully_addressable", True):
        return jax.device_put(array, sharding)
    whole = np.asarray(array)
    return jax.make_array_from_callback(whole.shape, sharding, whole.__getitem__)


def gathered(tree, mesh: Mesh):
    """`tree` of arrays on a mesh, each whole in this process, as numpy; all processes call it."""
    whole = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))(tree)
    return jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), whole)


def data_share(mesh: Mesh) -> tuple[int, int]:
    """Which share of the rows of a batch this process has to bring, and of how many shares.

    Processes that hold slices of the same 'data' shards bring the same share.

    Raises:
      ValueError: processes hold unequal numbers of 'data' shards, or such as do not lie together.
    """
    own = [
        row
        for row, devices in enumerate(mesh.devices)
        if any(device.process_index == jax.process_index() for device in devices)
    ]
    shards, first, held = len(mesh.devices), own[0] if own else 0, len(own)
    if not held or own != list(range(first, first + held)) or first % held or shards % held:
        raise ValueError(
            f"of {shards} 'data' shards process {jax.process_index()} holds {own}; every process "
            f"needs as many, side by side: choose mesh.data and mesh.model to fit the devices"
        )
    return first // held, shards // held


def path_name(path) -> str:
    """A pytree path as 'blocks/3/q': attribute names and indices, container internals left out."""
    names = []
    for entry in path:
        name = getattr(entry, "name", getattr(entry, "key", getattr(entry, "idx", None)))
        if name is not None and name != "value":
            names.append(str(name))
    return "/".join(names)


def fit_spec(spec: P, dims: Sequence[int], mesh: Mesh) -> P:
    """`spec` without the axes that do not divide their dimension: such a dimension is replicated.

    Two kv heads on four 'model' shards are held by every shard, as grouped-query models need.
    """
    parts = [
        axis if axis is None or dim % mesh.shape[axis] == 0 else None
        for axis, dim in zip(spec, dims, strict=False)
    ]
    return P(*parts)


def parameter_shardings(tree, mesh: Mesh, rules=PARAMETER_RULES):
    """NamedShardings in the structure of `tree` (arrays or ShapeDtypeStructs), by `rules`."""

    def sharding(path, leaf):
        name = path_name(path)
        spec = next(spec for pattern, spec in rules if re.search(pattern, name))
        return NamedSharding(mesh, fit_spec(spec, leaf.shape, mesh))

    return jax.tree_util.tree_map_with_path(sharding, tree)
