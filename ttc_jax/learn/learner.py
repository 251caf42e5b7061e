# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The device side of training: parameters and optimiser on a mesh, one step, and readings.

Parameters are dicts of arrays by path, those that are trained (float32) apart from those that are
not (in the dtype of the computation). Nothing of a step depends on how many devices there are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import (
    FSDP_RULES,
    PARAMETER_RULES,
    on_mesh,
    parameter_shardings,
    path_name,
)
from ttc_jax.data.batches import Example, Packed, Shape, in_order
from ttc_jax.learn import step_cost
from ttc_jax.learn.losses import Loss, language_loss
from ttc_jax.learn.optim import Optimiser
from ttc_jax.model.transformer import Transformer, packed, values

Arrays = dict[str, jax.Array]


@dataclass(frozen=True)
class Numerics:
    """How a step is computed: what it costs, not what it means (but for the dropout).

    A batch is done in `accumulate` microbatches, one after the other. `dropout` is the rate at
    which what a sublayer adds to the residual stream is left out. `remat` computes the insides of
    layers twice instead of keeping them; `fsdp` spreads parameters and optimiser over 'data' too.
    `dtype` is that of the computation, "float32" or "bfloat16"; losses, sums over microbatches,
    master weights and the optimiser are float32 always. In bfloat16 the gradient of a microbatch is
    rounded before devices add up theirs, which halves what they send.

    Raises:
      ValueError: a value is out of range.
    """

    accumulate: int = 1
    dropout: float = 0.0
    remat: bool = False
    fsdp: bool = False
    dtype: str = "float32"

    def __post_init__(self):
        if self.accumulate < 1:
            raise ValueError(f"accumulate is {self.accumulate}; it must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"a dropout rate of {self.dropout}; it must be at least 0, below 1")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype {self.dtype!r}: use 'float32' or 'bfloat16'")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """What a step changes: step i32[], the trained parameters f32 by path, the optimiser's state.

    The keys of dropout are folded from the seed and the step, so that they need not be stored.
    """

    step: jax.Array
    params: Arrays
    optimiser: Any


class Learner:
    """A model in training on a mesh.

    `loss` tells what is minimised; `trained` is a regular expression for the paths of the
    parameters that are trained (default: all). `steps` is the length of the schedule. A model of
    ShapeDtypeStructs, on a mesh without devices, does for all that starts nothing.

    `passes` are those of the size of a forward one that a step takes; `reads_language` says whether
    the loss reads the language head.

    Raises:
      ValueError: no parameter is trained, or a batch dimension does not fit the mesh.
    """

    def __init__(
        self,
        model: Transformer,
        loss: Loss,
        optimiser: Optimiser,
        numerics: Numerics,
        *,
        mesh: Mesh,
        steps: int,
        seed: int = 0,
        trained: str = "",
    ):
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(model)
        self._paths = [path_name(path) for path, _ in leaves]
        arrays = dict(zip(self._paths, (leaf for _, leaf in leaves), strict=True))
        chosen = {path for path in self._paths if re.search(trained, path)}
        if not chosen:
            raise ValueError(f"no parameter's path matches {trained!r}; nothing would be trained")
        self.shape, self.loss, self.numerics, self.mesh = model.shape, loss, numerics, mesh
        self.reads_language = loss is language_loss
        self.passes = 3 if len(chosen) > len(self._paths) / 2 else 2
        self._counted = {"language": self.reads_language, "passes": self.passes}
        rules = FSDP_RULES if numerics.fsdp else PARAMETER_RULES
        params = {path: _like(arrays[path], jnp.float32) for path in arrays if path in chosen}
        frozen = {p: _like(arrays[p], numerics.dtype) for p in arrays if p not in chosen}
        shardings = parameter_shardings(params | frozen, mesh, rules)
        self._transform = optimiser.transform(steps)
        self._rates = optimiser.rates(steps)
        state = State(
            jax.ShapeDtypeStruct((), jnp.int32),
            params,
            jax.eval_shape(self._transform.init, params),
        )
        self._shardings = jax.tree_util.tree_map_with_path(
            lambda path, _: _by_last_key(path, shardings, NamedSharding(mesh, P())), state
        )
        self._abstract = state
        self._frozen_like, self._frozen_shardings = frozen, {p: shardings[p] for p in frozen}
        self._source = arrays
        self._seed = seed
        self.frozen: Arrays = {}
        self.batch_sharding = NamedSharding(mesh, P("data"))
        self._step = jax.jit(
            self._update,
            donate_argnums=(0,),
            out_shardings=(self._shardings, NamedSharding(mesh, P())),
        )
        self._sums = jax.jit(self._sum)
        self._values = jax.jit(self._scores)

    # ------------------------------------------------------------------ state

    @property
    def abstract(self) -> State:
        """The state as ShapeDtypeStructs with shardings, as a checkpoint is restored into."""
        return jax.tree.map(
            lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
            self._abstract,
            self._shardings,
        )

    @property
    def abstract_frozen(self) -> Arrays:
        """The parameters that are not trained as ShapeDtypeStructs with shardings."""
        return {
            path: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._frozen_shardings[path])
            for path, x in self._frozen_like.items()
        }

    def start(self) -> State:
        """The state before the first step, its parameters a copy of the model's."""
        params = {
            path: _placed(self._source[path], jnp.float32, self._shardings.params[path])
            for path in self._abstract.params
        }
        self.place()
        init = jax.jit(self._transform.init, out_shardings=self._shardings.optimiser)
        step = on_mesh(np.int32(0), self._shardings.step)
        return State(step, params, init(params))

    def place(self) -> None:
        """Put the parameters that are not trained on the mesh; the model itself is let go of.

        Part of `start`; to be called once by itself where the state is restored instead.
        """
        self.frozen = {
            path: _placed(self._source[path], like.dtype, self._frozen_shardings[path])
            for path, like in self._frozen_like.items()
        }
        self._source = {}

    def model(self, params: Arrays, dtype=None) -> Transformer:
        """The model with the given trained parameters, all of it in `dtype` (None: as they are)."""
        arrays = params | self.frozen
        leaves = [arrays[path] for path in self._paths]
        if dtype is not None:
            leaves = [leaf.astype(dtype) for leaf in leaves]
        return jax.tree_util.tree_unflatten(self._structure, leaves)

    # ------------------------------------------------------------------ programs

    def _forward(self, params: Arrays, frozen: Arrays, batch: Packed, key) -> tuple:
        """The model in the dtype of the computation, and its hidden states [R, T, D]."""
        dtype = jnp.dtype(self.numerics.dtype)
        arrays = {path: array.astype(dtype) for path, array in (params | frozen).items()}
        leaves = [arrays[path] for path in self._paths]
        model = jax.tree_util.tree_unflatten(self._structure, leaves)
        rate = self.numerics.dropout

        def around(layer: int, fn):
            def placed(block, x, rope):
                return jax.lax.with_sharding_constraint(fn(block, x, rope), self.batch_sharding)

            return jax.checkpoint(placed) if self.numerics.remat else placed

        def drop(x, site: int):
            kept = jax.random.bernoulli(jax.random.fold_in(key, site), 1 - rate, x.shape)
            return jnp.where(kept, x / (1 - rate), 0)

        hidden = packed(
            model, batch.tokens, batch.positions, batch.segments,
            around=around, drop=drop if rate and key is not None else None,
        )  # fmt: skip
        return model, hidden

    def _sum(self, params: Arrays, frozen: Arrays, batch: Packed, key=None) -> tuple:
        model, hidden = self._forward(params, frozen, batch, key)
        return self.loss(model, hidden, batch, self.mesh.size)

    def _update(self, state: State, frozen: Arrays, batch: Packed):
        """One step; also its loss, the gradient's norm, and the learning rate, f32[] each."""
        n = self.numerics.accumulate
        key = jax.random.fold_in(jax.random.key(self._seed), state.step)
        grad = jax.value_and_grad(self._sum, has_aux=True)

        def micro(sums, part):
            i, batch = part
            (loss, weight), grads = grad(
                state.params, frozen, batch, jax.random.fold_in(key, i)
            )
            return jax.tree.map(jnp.add, sums, (loss, weight, grads)), None

        if n == 1:
            (loss, weight), grads = grad(state.params, frozen, batch, key)
        else:
            # Row r goes to microbatch r % n, so that rows stay on the device that holds them.
            parts = jax.tree.map(
                lambda x: jnp.swapaxes(x.reshape(x.shape[0] // n, n, *x.shape[1:]), 0, 1), batch
            )
            zeros = jax.tree.map(jnp.zeros_like, state.params)
            (loss, weight, grads), _ = jax.lax.scan(
                micro, (jnp.float32(0), jnp.float32(0), zeros), (jnp.arange(n), parts)
            )
        weight = jnp.maximum(weight, 1e-9)
        grads = jax.tree.map(lambda g: g / weight, grads)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads.values()))
        updates, optimiser = self._transform.update(grads, state.optimiser, state.params)
        params = {path: state.params[path] + updates[path] for path in state.params}
        rate = jnp.asarray(self._rates(state.step), jnp.float32)
        return State(state.step + 1, params, optimiser), {
            "loss": loss / weight,
            "grad_norm": norm,
            "rate": rate,
        }

    def _scores(self, params: Arrays, frozen: Arrays, batch: Packed):
        model, hidden = self._forward(params, frozen, batch, None)
        return jax.nn.sigmoid(values(model, hidden)[..., 0])

    # ------------------------------------------------------------------ calls

    def step(self, state: State, batch: Packed) -> tuple[State, dict[str, jax.Array]]:
        """The state after one step over a batch of this process's rows; the old one is gone.

        Also the batch's loss, the norm of its gradient before clipping, and the rate.
        """
        place = partial(jax.make_array_from_process_local_data, self.batch_sharding)
        return self._step(state, self.frozen, jax.tree.map(place, batch))

    def lower(self, shape: Shape):
        """The step's program for batches of `shape`, lowered; needs neither arrays nor devices."""
        kind = jnp.int32 if self.loss is language_loss else jnp.float32
        rows = lambda dtype: jax.ShapeDtypeStruct(  # noqa: E731
            (shape.rows, shape.length), dtype, sharding=self.batch_sharding
        )
        ints = (rows(jnp.int32) for _ in range(3))
        batch = Packed(*ints, rows(kind), rows(jnp.float32))
        return self._step.lower(self.abstract, self.abstract_frozen, batch)

    def held_out_loss(self, params: Arrays, examples: Sequence[Example], shape: Shape) -> float:
        """The mean loss over the examples, in nats for each unit of weight, without dropout."""
        total = weight = 0.0
        for _, batch in in_order(examples, shape):
            sums = self._sums(params, self.frozen, self._whole(batch))
            total, weight = total + float(sums[0]), weight + float(sums[1])
        return total / max(weight, 1e-9)

    def scores(
        self, params: Arrays, examples: Sequence[Example], shape: Shape
    ) -> list[np.ndarray]:
        """What the value head gives each example where it has weight, f32[n] in [0, 1]."""
        found = []
        for some, batch in in_order(examples, shape):
            read = self._values(params, self.frozen, self._whole(batch))
            if not read.is_fully_addressable:
                read = multihost_utils.process_allgather(read, tiled=True)
            read = np.asarray(read)
            for at in some:
                own = read[at.row, at.start : at.start + len(at.example.tokens)]
                found.append(own[at.example.weights > 0])
        return found

    def _whole(self, batch: Packed) -> Packed:
        """A batch that every process holds whole, on the mesh."""
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, self.batch_sharding, x.__getitem__),
            batch,
        )

    def flops(self, lengths: Sequence[int]) -> int:
        """Model FLOPs of a step over texts of these lengths (see `step_cost.useful`)."""
        return step_cost.useful(self.shape, lengths, **self._counted)

    def executed(self, shape: Shape) -> int:
        """FLOPs of a step over `shape`, which has the rows of all processes (see `step_cost`)."""
        remat = self.numerics.remat
        return step_cost.executed(self.shape, shape, **self._counted, remat=remat)


def _like(array, dtype) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, jnp.dtype(dtype))


def _placed(array, dtype, sharding) -> jax.Array:
    """A copy, never the array itself: the state is donated, and the model is the caller's."""
    return on_mesh(jnp.array(array, dtype, copy=True), sharding)


def _by_last_key(path, shardings: dict, otherwise):
    """The sharding of the parameter that a leaf of the state belongs to."""
    keys = [entry.key for entry in path if hasattr(entry, "key")]
    return next((shardings[key] for key in reversed(keys) if key in shardings), otherwise)

