# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles the decoding programs of a model for a TPU slice; prints JSON of their needs.

Run in a process of its own (test_tpu_aot.py does): libtpu reads its environment when it is loaded.
"""

import json
import re
import sys
import time
from collections import Counter

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import make_mesh, parameter_shardings
from ttc_jax.decode import cache as caching
from ttc_jax.decode import segment as programs
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.shape import PRESETS
from ttc_jax.model.transformer import abstract

DATA = 2
ROWS, CONTEXT, PAGE, NEW = 64, 2048, 16, 64
COLLECTIVES = "all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute"


def main(topology: str, preset: str) -> None:
    shape = PRESETS[preset]
    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    mesh = make_mesh(DATA, len(devices) // DATA, devices)

    def placed(tree, shardings):
        place = lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s)  # noqa: E731
        return jax.tree.map(place, tree, shardings)

    def per_row(*dims, dtype=jnp.int32):
        sharding = NamedSharding(mesh, P("data"))
        return jax.ShapeDtypeStruct((DATA, *dims), dtype, sharding=sharding)

    model = abstract(shape, jnp.bfloat16)
    model = placed(model, parameter_shardings(model, mesh))
    n_pages = ROWS * CONTEXT // PAGE
    sizes = {"rows": ROWS, "n_pages": n_pages, "page_size": PAGE, "row_pages": CONTEXT // PAGE}
    cache = caching.abstract(shape, mesh, jnp.bfloat16, **sizes)
    key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), (DATA, ROWS)))
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=NamedSharding(mesh, P("data")))
    rows = programs.Rows(*(per_row(ROWS) for _ in range(4)), key, per_row())
    groups = programs.Groups(
        per_row(4, 32), per_row(4), per_row(4, 16), per_row(ROWS), per_row(ROWS)
    )
    next_state = jax.ShapeDtypeStruct(
        (shape.vocab, 4), jnp.int16, sharding=NamedSharding(mesh, P())
    )
    lowered = {
        "decode_segment": lambda: programs.decode_segment.lower(
            model, cache, rows, groups, next_state, mesh=mesh, sampler=Sampler(), first_stop=2,
            n=NEW, own_pages=64,
        ),
        "extend": lambda: programs.extend.lower(
            model, cache, per_row(4), per_row(4, 512), per_row(4), mesh=mesh, context_pages=32
        ),
        "fork": lambda: programs.fork.lower(
            cache, per_row(ROWS), per_row(ROWS), mesh=mesh, copies=ROWS
        ),
    }  # fmt: skip
    report = {"pool_bytes_per_chip": n_pages * PAGE * caching.bytes_per_token(
        shape, jnp.bfloat16, mesh)}  # fmt: skip
    report["pages"] = n_pages
    report["block_params"] = shape.block_params
    for name, lower in lowered.items():
        start = time.perf_counter()
        report[name] = facts(lower().compile(), n_pages)
        report[name]["seconds"] = time.perf_counter() - start
    print(json.dumps(report))


def facts(compiled, n_pages: int) -> dict:
    """Memory of one chip in bytes, copies of whole pools, collectives with their largest result."""
    memory = compiled.memory_analysis()
    peak = memory.argument_size_in_bytes + memory.output_size_in_bytes
    peak += memory.temp_size_in_bytes - memory.alias_size_in_bytes
    counts, largest, seen = Counter(), Counter(), set()
    for line in compiled.as_text().splitlines():
        found = re.search(rf"= (.*?) ({COLLECTIVES})(-start)?\(", line)
        # One that is done in steps beside other work stands in the program once for each step.
        channel = re.search(r"channel_id=\d+|$", line)[0] or line
        if found and channel not in seen:
            seen.add(channel)
            sizes = [result_bytes(*m) for m in re.findall(r"(\w+?\d+)\[([\d,]*)\]", found[1])]
            counts[found[2]] += 1
            largest[found[2]] = max(largest[found[2]], *sizes)
    return {
        "bytes_per_chip": peak,
        "temp_bytes": memory.temp_size_in_bytes,
        "alias_bytes": memory.alias_size_in_bytes,
        "pools_copied": len(re.findall(rf"= bf16\[1,{n_pages},[^ ]* copy\(", compiled.as_text())),
        "collectives": dict(counts),
        "largest_bytes": dict(largest),
    }


def result_bytes(dtype: str, dims: str) -> int:
    size = int(re.search(r"\d+$", dtype)[0]) // 8
    for dim in filter(None, dims.split(",")):
        size *= int(dim)
    return size


if __name__ == "__main__":
    main(*sys.argv[1:])
