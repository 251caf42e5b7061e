# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A step means the same however it is computed; what is not trained stays as it is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learn import oracle
from learn.tiny_learners import (
    LOSSES,
    ROWS,
    SHAPE,
    batch_of,
    learner,
    random_model,
    steps_of,
    texts,
)

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.batches import Shape
from ttc_jax.learn import learner as learner_module
from ttc_jax.learn.learner import Learner, Numerics
from ttc_jax.learn.lora import TRAINED, merged, with_adapters
from ttc_jax.learn.optim import Optimiser
from ttc_jax.model.transformer import forward, values

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def batches():
    """Three batches of 16 examples in eight rows, by kind."""
    return {
        kind: [batch_of(texts(16, kind, seed)) for seed in range(3)]
        for kind in LOSSES
    }


@pytest.fixture(scope="module")
def plain(batches):
    """The state and the readings of three steps on one device with nothing switched on."""
    return steps_of(learner(), batches["value"])


@pytest.fixture(scope="module")
def dropped(batches):
    """The same with dropout."""
    return steps_of(learner(dropout=0.3), batches["value"])


def differ_by(ours, theirs) -> float:
    """The largest difference between two dicts of arrays."""
    assert ours.keys() == theirs.keys()
    return max(float(np.abs(np.asarray(ours[p]) - np.asarray(theirs[p])).max()) for p in ours)


def test_a_step_reads_what_the_float64_oracle_does_and_takes_the_state(batches, plain):
    made, params = batches["value"][0], oracle.parameters(random_model())
    parts = made.tokens, made.positions, made.segments, made.targets, made.weights

    def theirs(params):
        return oracle.loss(params, SHAPE, *parts, "value") / made.weights.sum(dtype=np.float64)

    own = learner()
    before, read = own.start(), plain[1][0]
    state, again = own.step(before, made)
    assert read == {name: float(value) for name, value in again.items()}
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves((before.params, before.optimiser)))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((state, random_model())))
    assert int(state.step) == 1
    assert read["loss"] == pytest.approx(theirs(params), rel=1e-5)
    assert read["rate"] == pytest.approx(1e-3)
    # The first moment is along the gradient, and the slope along the gradient is its norm.
    way = oracle.parameters(optax.tree.get(state.optimiser, "mu"))
    size = np.sqrt(sum((array**2).sum() for array in way.values()))
    ends = [theirs({p: params[p] + s * 1e-4 * way[p] / size for p in params}) for s in (1, -1)]
    assert read["grad_norm"] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-4)


def test_microbatches_add_up_to_the_batch(batches, plain):
    state, read = steps_of(learner(accumulate=4), batches["value"])
    assert differ_by(state.params, plain[0].params) < 1e-5
    for ours, theirs in zip(read, plain[1], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    ("mesh", "how"),
    [
        ((8, 1), {"fsdp": True}),
        ((4, 2), {"remat": True, "accumulate": 2}),
        ((2, 4), {"fsdp": True, "remat": True, "dropout": 0.3}),
        ((2, 4), {"dropout": 0.3}),
    ],
)
def test_devices_do_not_matter(mesh, how, batches, plain, dropped):
    state, read = steps_of(learner(mesh=mesh, **how), batches["value"])
    expected = dropped if how.get("dropout") else plain
    for ours, theirs in zip(read, expected[1], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert differ_by(state.params, expected[0].params) < 1e-4
    placed = [x for x in jax.tree.leaves(state) if x.shape == (32, 16)]
    shares = [x.size / x.addressable_shards[0].data.size for x in placed]
    assert set(shares) == {8 if how.get("fsdp") else mesh[1]}


def test_devices_do_not_matter_to_a_language_model(batches):
    (state, read), (other, spread) = (
        steps_of(learner("language", mesh, **how), batches["language"])
        for mesh, how in (((1, 1), {}), ((4, 2), {"accumulate": 2, "fsdp": True}))
    )
    for ours, theirs in zip(spread, read, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert differ_by(other.params, state.params) < 1e-4


def test_dropout_changes_the_loss(plain, dropped):
    for one, other in zip(plain[1], dropped[1], strict=True):
        assert abs(one["loss"] - other["loss"]) > 1e-4


def test_dropout_keeps_the_mean_and_differs_by_site_part_and_step(batches, monkeypatch):
    masks = []

    def packed(model, tokens, positions, segments, *, around, drop):
        sites = [jnp.ones((*tokens.shape, 16)) if drop is None else drop(
            jnp.ones((*tokens.shape, 16)), site) for site in range(4)]  # fmt: skip
        jax.debug.callback(lambda x: masks.append(np.asarray(x)), jnp.stack(sites), ordered=True)
        return sites[0] * model.norm[...]

    monkeypatch.setattr(learner_module, "packed", packed)
    for seed in (0, 1):
        own = learner(dropout=0.25, accumulate=2, seed=seed)
        state, _ = steps_of(own, batches["value"][:2])
    jax.effects_barrier()
    assert len(masks) == 8  # two parts of each of two steps by each of two seeds
    drawn = np.stack(masks).reshape(32, -1)
    assert set(np.unique(drawn).tolist()) == {0.0, float(np.float32(4 / 3))}
    few = drawn.shape[1] ** -0.5
    assert np.abs(drawn.mean(1) - 1).max() < 4.5 * few * (1 / 3) ** 0.5
    assert np.abs(np.corrcoef(drawn) - np.eye(32)).max() < 5 * few
    masks.clear()
    own.held_out_loss(state.params, texts(3, "value"), ROWS)
    own.scores(state.params, texts(3, "value"), ROWS)
    jax.effects_barrier()
    assert len(masks) == 2 and np.unique(np.stack(masks)).tolist() == [1.0]


def test_bfloat16_keeps_masters_in_float32(batches, plain):
    rate = 1e-5  # too little to move a weight in bfloat16
    how = {"dtype": "bfloat16", "accumulate": 2, "optimiser": Optimiser(rate=rate)}
    own = learner(trained="^(?!embed)", **how)
    state, read = steps_of(own, batches["value"])
    floats = [x for x in jax.tree.leaves(state) if x.dtype != jnp.int32]
    assert {x.dtype for x in floats} == {jnp.dtype("float32")}
    assert {x.dtype for x in own.frozen.values()} == {jnp.dtype("bfloat16")}
    moved = np.abs(np.asarray(state.params["blocks/0/q"]) - random_model().blocks[0].q[...])
    assert moved.max() < 4 * rate and np.mean(moved > rate / 10) > 0.9
    assert read[0]["loss"] == pytest.approx(plain[1][0]["loss"], rel=1e-2)
    assert {leaf.dtype for leaf in jax.tree.leaves(own.model(state.params, jnp.float32))} == {
        jnp.dtype("float32")
    }


def test_what_is_not_chosen_is_frozen_exactly(batches):
    model = random_model()
    before = {path: array.astype(np.float32) for path, array in oracle.parameters(model).items()}
    own = learner(model=model, trained=r"^value_|blocks/0/(q|down)$", mesh=(2, 2))
    state, _ = steps_of(own, batches["value"])
    chosen = {"value_head", "value_bias", "blocks/0/q", "blocks/0/down"}
    assert state.params.keys() == chosen and own.frozen.keys() == before.keys() - chosen
    assert len(jax.tree.leaves(state.optimiser)) <= 2 * len(chosen) + 2
    after = oracle.parameters(own.model(state.params))
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert same == before.keys() - chosen
    for path, array in oracle.parameters(model).items():  # nor is the caller's model touched
        np.testing.assert_array_equal(array, before[path])


def test_adapters_begin_as_the_base_and_are_all_that_changes(batches):
    base = random_model()
    adapted = with_adapters(base, 2, jax.random.key(1), alpha=3.0, weights=("q", "o", "down"))
    tokens = batches["value"][0].tokens
    read = jax.jit(lambda model: forward(model, tokens))
    np.testing.assert_array_equal(read(adapted), read(base))
    own = learner(model=adapted, trained=TRAINED, mesh=(2, 2), fsdp=True)
    state, _ = steps_of(own, batches["value"])
    names = {f"blocks/0/{w}/lora_{s}" for w in ("q", "o", "down") for s in ("in", "out")}
    assert state.params.keys() == names | {"value_head", "value_bias"}
    before = oracle.parameters(adapted)
    after = oracle.parameters(trained := own.model(state.params))
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    assert changed == state.params.keys()

    trained = jax.device_get(trained)
    whole = merged(trained)
    assert oracle.parameters(whole).keys() == oracle.parameters(base).keys()
    np.testing.assert_allclose(read(whole), read(trained), atol=1e-5)
    expected = oracle.merged(after, 1.5)
    for path, array in oracle.parameters(whole).items():
        np.testing.assert_allclose(array, expected[path], atol=1e-6)
    assert np.abs(np.asarray(read(whole)) - np.asarray(read(base))).max() > 1e-4


def test_adapters_of_a_half_precision_base_are_float32():
    adapted = with_adapters(
        jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), random_model()), 2, jax.random.key(1)
    )
    assert adapted.blocks[0].gate.lora_in[...].dtype == jnp.float32
    assert adapted.blocks[0].gate.scale == 2.0
    assert merged(adapted).blocks[0].gate[...].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rank": 0}, "rank 0"),
        ({"rank": 2, "weights": ("q", "norm")}, "norm"),
        ({"rank": 2, "weights": ()}, "no weight"),
    ],
)
def test_adapters_that_cannot_be(how, message):
    with pytest.raises(ValueError, match=message):
        with_adapters(random_model(), key=jax.random.key(0), **how)


def test_scores_are_the_value_head_where_there_is_weight():
    examples = texts(40, "value", 3)
    own = learner(mesh=(2, 2))
    params = own.start().params
    found = own.scores(params, examples, Shape(4, 24))
    assert len(found) == len(examples)
    model = random_model()
    tokens = np.zeros((40, 12), np.int32)
    for row, example in enumerate(examples):
        tokens[row, : len(example.tokens)] = example.tokens
    whole = jax.jit(lambda m: jax.nn.sigmoid(values(m, forward(m, tokens))[..., 0]))(model)
    for row, example in enumerate(examples):
        at = np.flatnonzero(example.weights > 0)
        assert found[row].shape == at.shape
        np.testing.assert_allclose(found[row], np.asarray(whole)[row, at], atol=1e-5)


def test_the_held_out_loss_does_not_depend_on_how_it_is_batched():
    examples, own = texts(30, "value", 4), learner()
    params = own.start().params
    whole = own.held_out_loss(params, examples, ROWS)
    assert whole == pytest.approx(own.held_out_loss(params, examples, Shape(4, 24)), rel=1e-5)
    empty = [replace(e, weights=np.zeros_like(e.weights)) for e in examples[:3]]
    assert own.held_out_loss(params, empty, ROWS) == 0
    assert own.held_out_loss(params, examples + empty, ROWS) == pytest.approx(whole, rel=1e-5)


def test_flops_count_the_tokens_and_what_is_trained():
    own = learner("language")
    one = own.flops([10])
    matrices = SHAPE.matmul_params
    attention = 4 * 16 * 55
    assert one == 3 * (2 * matrices * 10 + attention)
    assert own.flops([10, 10]) == 2 * one
    assert learner("language", trained="^value_").flops([10]) == one * 2 / 3
    assert learner("value").flops([10]) == one - 3 * 2 * (24 - 1) * 16 * 10


def test_nothing_to_train():
    with pytest.raises(ValueError, match="no parameter's path matches 'nope'"):
        learner(trained="nope")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"accumulate": 0}, "accumulate is 0"),
        ({"dropout": 1.0}, "dropout rate of 1.0"),
        ({"dropout": -0.1}, "dropout rate of -0.1"),
        ({"dtype": "float16"}, "use 'float32' or 'bfloat16'"),
    ],
)
def test_numerics_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        Numerics(**wrong)


def test_a_program_is_lowered_without_arrays():
    own = Learner(
        random_model(), LOSSES["value"], Optimiser(), Numerics(fsdp=True), mesh=make_mesh(4, 2),
        steps=3,
    )  # fmt: skip
    assert "stablehlo" in own.lower(ROWS).as_text() and not own.frozen
