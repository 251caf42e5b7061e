# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What devices say to each other while a segment decodes: replicas only when to stop."""

import jax.numpy as jnp
import pytest

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.layout import Sizes, layout
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.shape import ModelShape
from ttc_jax.plan.collectives import in_text
from ttc_jax.plan.programs import Calls

SHAPE = ModelShape("llama", 64, 32, 2, 4, 2, 8, 48, 64)
LANES, STEPS = 4, 16


def compiled(data: int, model: int):
    mesh = make_mesh(data, model)
    sizes = layout(SHAPE, jnp.float32, Sizes(8, 64, 32, 4), on_cpu=True)
    calls = Calls(SHAPE, jnp.dtype("float32"), mesh, sizes)
    return calls.segment(LANES, STEPS, (2, 2, 4), 32, Sampler(), False).lower(mesh).compile()


def talk(data: int, model: int) -> list:
    text = compiled(data, model).as_text()
    return in_text(text, devices=data * model, trips=STEPS)


@pytest.mark.parametrize("data", [1, 2, 4, 8])
def test_replicas_agree_on_the_number_of_steps_and_on_nothing_else(data):
    found = talk(data, 1)
    if data == 1:
        assert not found
        return
    (agreed,) = found
    # One number that says whether any replica has a row left, before every step and the first.
    assert (agreed.kind, agreed.bytes, agreed.group) == ("all-reduce", 4, data)
    assert agreed.times >= STEPS


def test_within_a_replica_only_hidden_states_and_what_is_drawn_are_exchanged():
    (found, alone) = talk(2, 2), talk(1, 2)
    hidden = LANES * SHAPE.width * 4
    sums = [one for one in alone if one.kind == "all-reduce" and one.bytes == hidden]
    # Two in each layer, one for the embedding, in every step.
    assert sum(one.times for one in sums) == STEPS * (2 * SHAPE.layers + 1)
    assert max(one.bytes for one in alone) == hidden
    # Another replica adds the agreement alone: all other groups are the shards of one replica.
    assert {one.group for one in found} == {2}
    assert sum(one.times for one in found) - sum(one.times for one in alone) in (STEPS, STEPS + 1)
