# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Collectives are read off HLO with the loops they stand in, and what they send is counted."""

import re

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ttc_jax.core.mesh import make_mesh
from ttc_jax.plan.collectives import Collective, in_text, of_layers, sent
from ttc_jax.plan.hlo import cycles

TEXT = """HloModule jit_f, entry_computation_layout={(f32[4]{0})->f32[4]{0}}

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%body (p: (s32[], bf16[8,16])) -> (s32[], bf16[8,16]) {
  %ar = bf16[8,16]{1,0:T(8,128)(2,1)} all-reduce(%x), channel_id=1, replica_groups=[2,4]<=[8]
  %ag = (bf16[8,4]{1,0}, bf16[8,16]) all-gather-start(%y), channel_id=2, replica_groups=[2,4]<=[8]
  %agd = bf16[8,16]{1,0} all-gather-done(%ag)
  %step1 = bf16[8,16]{1,0} all-reduce(%z), channel_id=1, replica_groups=[2,4]<=[8]
}

%cond (p: (s32[], bf16[8,16])) -> pred[] {
  %any = s32[] all-reduce(%live), channel_id=3, replica_groups={{0,4},{1,5},{2,6},{3,7}}
}

%inner (p: s32[]) -> s32[] {
  %cp = f32[10]{0} collective-permute(%q), channel_id=4, source_target_pairs={{0,1},{1,0}}
}

%less (p: s32[]) -> pred[] {
  ROOT %lt = pred[] compare(%a, %b), direction=LT
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %w = (s32[], bf16[8,16]) while(%t), condition=%cond, body=%body
  %v = s32[] while(%u),condition=%less, body=%inner, backend_config={"known_trip_count":{"n":"3"}}
  %rs = f32[5]{0} reduce-scatter(%g), channel_id=5, replica_groups=[1,8]<=[8], dimensions={0}
}
"""


def test_each_kind_is_found_as_often_as_its_loop_runs():
    found = {(c.kind, c.bytes, c.group): c.times for c in in_text(TEXT, devices=8, trips=7)}
    assert found == {
        ("all-reduce", 8 * 16 * 2, 4): 7,  # the second mention is a part of the first
        ("all-gather", 8 * 16 * 2, 4): 7,
        ("all-reduce", 4, 2): 7,
        ("collective-permute", 40, 8): 3,
        ("reduce-scatter", 5 * 4 * 8, 8): 1,
    }


def test_cycles_count_as_often_as_their_loop_runs():
    mark = r'\1, backend_config={"estimated_cycles":"10"}'
    marked = re.sub(r"(%(?:ar|cp|rs|lt) = .*)", mark, TEXT)
    assert marked.count("estimated_cycles") == 4
    assert cycles(marked, trips=7) == 10 * (7 + 3 + 3 + 1)
    unknown = marked.replace(':"10"', f':"{2**63 - 1}"', 1)
    assert cycles(unknown, trips=7) == 10 * (3 + 3 + 1)
    assert cycles(TEXT, trips=7) == 0


def test_what_a_device_sends_in_a_ring():
    assert Collective("all-reduce", 800, 4).sent == 2 * 3 / 4 * 800
    assert Collective("all-gather", 800, 4, 5).sent == 5 * 600
    assert Collective("reduce-scatter", 800, 8).sent == 700
    assert Collective("collective-permute", 800, 8, 2).sent == 1600
    assert sent(of_layers(3, 10, 16, 2, 4)) == 7 * 2 * 3 / 4 * 320
    assert of_layers(3, 10, 16, 2, 1) == []


@pytest.mark.parametrize("count", [2, 4, 8])
def test_a_program_on_fake_devices_says_what_was_put_into_it(count):
    mesh = make_mesh(count)

    def local(x):
        step = lambda _, x: jax.lax.psum(x, "data") * 0.5  # noqa: E731
        return jax.lax.fori_loop(0, 5, step, x)

    spec = P("data")
    mapped = jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    x = jax.ShapeDtypeStruct((count, 6), jnp.float32, sharding=NamedSharding(mesh, spec))
    text = jax.jit(mapped).lower(x).compile().as_text()
    assert in_text(text, devices=count, trips=99) == [Collective("all-reduce", 24, count, 5)]
