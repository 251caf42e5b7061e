# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The device programs that a forest calls, as shapes: what they cost, need, and compile from.

They are the very programs of `decode.segment`, with arguments of the shapes that `Forest` and
`Engine` pass. Costs are the exact counts of `decode.meter`, on each chip.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import parameter_shardings
from ttc_jax.decode import cache as caching
from ttc_jax.decode import segment
from ttc_jax.decode.batch import Grouping, no_groups
from ttc_jax.decode.engine import cheap, own_pages_of, steps_of
from ttc_jax.decode.layout import Layout
from ttc_jax.decode.meter import Meter
from ttc_jax.decode.reader import Reader
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.shape import ModelShape
from ttc_jax.plan import memory
from ttc_jax.plan.collectives import Collective, of_layers, sent
from ttc_jax.plan.roofline import Cost

# States of a stop automaton; those of a real one depend on the tokenizer, and cost next to nothing.
_STATES = 4


@dataclass(frozen=True)
class Program:
    """One call of a device program.

    `cost` is that of a chip, with all `trips` rounds of its loop. `temporary` are estimated bytes.
    `lower` gives the program for a mesh of devices, which may be those of a machine that is not
    there.
    """

    name: str
    size: str
    dtype: jnp.dtype
    cost: Cost
    trips: int
    temporary: float
    collectives: tuple[Collective, ...]
    lower: Callable[[Mesh], jax.stages.Lowered]


@dataclass(frozen=True)
class Calls:
    """The calls on the cache of one model, laid out on a mesh (which needs no devices)."""

    shape: ModelShape
    dtype: jnp.dtype
    mesh: Mesh
    layout: Layout

    @property
    def _shards(self) -> int:
        return self.mesh.shape["model"]

    @property
    def _token(self) -> int:
        """Bytes of a token's keys and values on a chip."""
        return caching.bytes_per_token(self.shape, self.dtype, self.mesh)

    @property
    def weights(self) -> int:
        """Bytes of the parameters on each chip."""
        return memory.weights(self.shape, self.dtype, self.mesh)

    @property
    def pool(self) -> int:
        """Bytes of the pools on each chip."""
        return self.layout.pages * self.layout.sizes.page_size * self._token

    # ------------------------------------------------------------------ programs

    def extend(self, name: str, longest: int, held: int, reader: Reader | None) -> Program:
        """Appends pieces of up to `longest` tokens to rows that hold up to `held`."""
        length, pages = self.layout.length(longest), self.layout.context_pages(held)
        rows = self.layout.most(length)
        sizes = {"rows": rows, "tokens": length, "context_pages": pages}
        talk = of_layers(
            self.shape.layers, rows * length, self.shape.width, self.dtype.itemsize, self._shards
        )
        cost = self._counted(lambda meter: meter.extend([("", 0, 1)], reader=reader, **sizes), talk)
        keys = pages * self.layout.sizes.page_size
        # The contexts of one layer at a time are copied out of the pages.
        temporary = rows * keys * self._token / self.shape.layers + memory.activations(
            self.shape, rows * length, keys + length, self._shards, self.dtype.itemsize
        )

        def lower(mesh: Mesh):
            ints = self._ints(mesh)
            return segment.extend.lower(
                *self._arrays(mesh), ints(rows), ints(rows, length), ints(rows), mesh=mesh,
                context_pages=pages, reader=reader,
            )  # fmt: skip

        size = f"{rows} rows x {length} tokens, {keys} before"
        return Program(name, size, self.dtype, cost, 1, temporary, tuple(talk), lower)

    def segment(
        self, lanes: int, tokens: int, expected: tuple[int, int, int], longest: int,
        sampler: Sampler, rollouts: bool,
    ) -> Program:  # fmt: skip
        """Samples up to `tokens` tokens for each lane, of solutions of `longest` tokens.

        `expected` is what the engine is told of groups. Rows hold a whole solution each.
        """
        layout, replicas = self.layout, self.mesh.shape["data"]
        n = steps_of(tokens, longest)
        if cheap(self.shape, layout, lanes, tokens):
            groups, own_pages = no_groups(replicas, lanes), layout.row_pages
        else:
            groups = Grouping(layout.sizes.page_size, expected).first(replicas, lanes)
            own_pages = own_pages_of(-(-longest // layout.sizes.page_size) + 1, layout)
        talk = of_layers(
            self.shape.layers, lanes, self.shape.width, self.dtype.itemsize, self._shards
        )
        steps = [Collective(c.kind, c.bytes, c.group, c.times * n) for c in talk]
        sizes = {"rows": lanes, "n": n, "own_pages": own_pages, "groups": groups}
        cost = self._counted(lambda meter: meter.segment([("", 0, 1)], steps=n, **sizes), steps)
        shared = groups.pages.shape[1] * groups.pages.shape[2]
        keys = (lanes * own_pages + shared) * layout.sizes.page_size
        # Contexts of all layers are copied once, with a tail for what is sampled; logits stand
        # there in their own dtype and in float32.
        logits = lanes * self.shape.vocab / self._shards * (self.dtype.itemsize + 4)
        temporary = (
            (keys + lanes * n) * self._token
            + logits
            + memory.activations(
                self.shape, lanes, n + keys // max(lanes, 1), self._shards, self.dtype.itemsize
            )
        )

        def lower(mesh: Mesh):
            ints = self._ints(mesh)
            split = lambda: jax.random.split(jax.random.key(0), (replicas, lanes))  # noqa: E731
            over = NamedSharding(mesh, P("data"))
            keys = jax.eval_shape(split)
            key = jax.ShapeDtypeStruct(keys.shape, keys.dtype, sharding=over)
            greedy = ints(lanes, dtype=jnp.bool_) if rollouts else None
            rows = segment.Rows(*(ints(lanes) for _ in range(4)), key, ints(), greedy)
            grouped = jax.tree.map(lambda x: ints(*x.shape[1:]), groups)
            table = jax.ShapeDtypeStruct(
                (self.shape.vocab, _STATES), jnp.int16, sharding=NamedSharding(mesh, P())
            )
            return segment.decode_segment.lower(
                *self._arrays(mesh), rows, grouped, table, mesh=mesh, sampler=sampler,
                first_stop=_STATES - 1, n=n, own_pages=own_pages,
            )  # fmt: skip

        size = f"{lanes} rows x {n} tokens, {own_pages * layout.sizes.page_size} before"
        if shared:
            size += f" and {groups.pages.shape[2] * layout.sizes.page_size} shared"
        return Program("decode_segment", size, self.dtype, cost, n, temporary, tuple(steps), lower)

    def fork(self, name: str, fresh: int) -> Program:
        """Copies rows, up to `fresh` of which need a page of their own."""
        copies = self.layout.copies(fresh)
        moved = copies * self.layout.sizes.page_size * self._token
        cost = Cost(0.0, 2.0 * moved)

        def lower(mesh: Mesh):
            ints, (_, cache) = self._ints(mesh), self._arrays(mesh)
            rows = ints(self.layout.size)
            return segment.fork.lower(cache, rows, rows, mesh=mesh, copies=copies)

        size = f"{self.layout.size} rows, {copies} pages copied"
        return Program(name, size, self.dtype, cost, 1, float(moved), (), lower)

    # ------------------------------------------------------------------ parts

    def _counted(self, charge: Callable[[Meter], None], talk: list[Collective]) -> Cost:
        """A chip's share of what a call is charged, and what it sends."""
        meter = Meter(
            self.shape, self.dtype, replicas=self.mesh.shape["data"],
            page_size=self.layout.sizes.page_size,
        )  # fmt: skip
        charge(meter)
        ledger, chips = meter.ledger, self.mesh.size
        return Cost(ledger.executed.total() / chips, ledger.bytes.total() / chips, sent(talk))

    def _arrays(self, mesh: Mesh) -> tuple:
        """The model and the cache as shapes on a mesh."""
        tree = memory.model(self.shape, self.dtype)
        cache = caching.abstract(self.shape, mesh, self.dtype, **self.layout.arrays)
        return memory.placed(tree, parameter_shardings(tree, mesh)), cache

    def _ints(self, mesh: Mesh) -> Callable[..., jax.ShapeDtypeStruct]:
        """Makes the shapes of arguments that every replica has its own of."""
        over, replicas = NamedSharding(mesh, P("data")), mesh.shape["data"]

        def ints(*dims: int, dtype=np.int32) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((replicas, *dims), dtype, sharding=over)

        return ints
