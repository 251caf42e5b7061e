# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: kills, other meshes, full disks, damaged examples, and when it ends."""

import math
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from learn.tiny_learners import SHAPE, learner, random_model, texts
from learn.training import (
    CHILD,
    Stop,
    examples,
    go,
    own_learner,
    steps_in,
    stored,
)

from ttc_jax.core import flops
from ttc_jax.learn.loop import Diverged, History, Plan
from ttc_jax.learn.lora import TRAINED, with_adapters
from ttc_jax.learn.optim import Optimiser

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module", autouse=True)
def no_measured_peak():
    """The rate of this machine is not measured: that takes longer than all of the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flops, "peak_rate", lambda dtype: 1e9)
        yield


@pytest.fixture(scope="module")
def straight(quick_compilation, no_measured_peak, tmp_path_factory):
    """A training that nothing disturbed: its directory, its end, and its lines by step."""
    directory, lines = tmp_path_factory.mktemp("straight"), []
    done = go(directory, lines=lines)
    steps = {line["step"]: line for line in lines if "loss" in line}
    return SimpleNamespace(directory=directory, done=done, steps=steps, lines=lines)


def child(code: str, directory) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", CHILD + code, str(directory)], capture_output=True, text=True
    )


def assert_same_end(directory, straight) -> None:
    """Parameters, optimiser, evaluations and place in the data, bit for bit."""
    (ours, note), (theirs, other) = stored(directory, 200), stored(straight.directory, 200)
    assert note == other
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.array_equal(one, two)


def test_every_step_and_evaluation_is_reported(straight):
    assert list(straight.steps) == list(range(1, 201))
    of_step = {"step", "loss", "grad_norm", "rate", "tokens", "tokens_in_all", "mfu", "seconds",
               "flops", "executed_flops"}  # fmt: skip
    assert all(line.keys() == of_step for line in straight.steps.values())
    assert all(line["mfu"] > 0 and line["seconds"] > 0 for line in straight.steps.values())
    rates = [line["rate"] for line in straight.steps.values()]
    assert rates[:5] == pytest.approx([1e-2 * n / 6 for n in range(1, 6)])
    assert rates[5:] == pytest.approx([1e-2] * 195)
    tokens = [line["tokens"] for line in straight.steps.values()]
    assert straight.steps[200]["tokens_in_all"] == sum(tokens)
    whole = sum(len(example.tokens) for example in examples)
    assert sum(tokens) == pytest.approx(200 * 8 / 43 * whole, rel=0.02)
    for name, column in (("useful", "flops"), ("executed", "executed_flops")):
        assert straight.done.flops[name] == sum(line[column] for line in straight.steps.values())
    assert all(line["executed_flops"] >= line["flops"] > 0 for line in straight.steps.values())
    evaluated = [line for line in straight.lines if "held_out/loss" in line]
    assert [line["step"] for line in evaluated] == [0, 50, 100, 150, 200]
    found = straight.done.history.evaluations
    assert [line["held_out/loss"] for line in evaluated] == [one["loss"] for one in found]
    assert (straight.done.step, straight.done.stopped) == (200, False)
    best = min(found, key=lambda one: one["loss"])["step"]
    assert steps_in(straight.directory) == sorted({best, 200})


def test_a_kill_changes_nothing(straight, tmp_path):
    died = child(
        """
def killing(line):
    if line["step"] == 117:
        os.kill(os.getpid(), signal.SIGKILL)
go(directory, report=killing)
""",
        tmp_path,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert max(steps_in(tmp_path)) == 100
    lines = []
    done = go(tmp_path, lines=lines)
    assert [line["step"] for line in lines if "loss" in line] == list(range(101, 201))
    for line in lines:
        if "loss" in line:
            assert line["loss"] == straight.steps[line["step"]]["loss"]
            assert line["tokens_in_all"] == straight.steps[line["step"]]["tokens_in_all"]
    assert done == straight.done
    assert_same_end(tmp_path, straight)


def test_a_finished_training_is_not_repeated(straight):
    lines = []
    assert go(straight.directory, lines=lines) == straight.done and not lines


def test_a_full_disk_leaves_the_last_checkpoint_and_training_goes_on(straight, tmp_path):
    done = child(
        """
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
def filling(line):
    if line["step"] == 120:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
from ttc_jax.core.places import WorkdirError
try:
    go(directory, report=filling)
except WorkdirError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    print(error)
state, note = stored(directory, 100)
assert int(state.step) == 100 and note["evaluations"][-1]["step"] == 100
print(max(steps_in(directory)), [path.name for path in directory.iterdir() if "tmp" in path.name])
go(directory)
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    message, left = done.stdout.strip().splitlines()
    assert f"cannot write checkpoint 150 in {tmp_path}" in message
    # What the system said of it depends on which of the files was refused first.
    assert "continues from step 100" in message
    assert left == "100 []"
    assert_same_end(tmp_path, straight)


def test_a_training_moves_from_four_devices_to_two_to_one(straight, tmp_path):
    lines = []
    for mesh, until, how in (((4, 1), 12, {"fsdp": True}), ((2, 1), 23, {}), ((1, 1), 34, {})):
        with pytest.raises(Stop):
            go(tmp_path, on=own_learner(mesh, **how), until=until, evaluate_every=10, lines=lines)
    read = [line for line in lines if "loss" in line]
    # Reports are a step behind, so that the step after `until` may have been taken as well.
    assert [line["step"] for line in read] == [*range(1, 13), *range(11, 24), *range(21, 35)]
    for line in read:
        expected = straight.steps[line["step"]]
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert line["tokens_in_all"] == expected["tokens_in_all"]


def test_checkpoints_between_evaluations(tmp_path):
    with pytest.raises(Stop):
        go(tmp_path, until=17, evaluate_every=10, save_every=5)
    assert max(steps_in(tmp_path)) == 15
    state, note = stored(tmp_path, 15)
    assert int(state.step) == 15 and note["evaluations"][-1]["step"] == 10


@pytest.fixture(scope="module")
def contradicted():
    """The training examples with their targets turned around: what is learned makes it worse."""
    return [replace(example, targets=1 - example.targets) for example in examples]


@pytest.mark.parametrize("keep", ["best", "past_best"])
def test_an_early_stop_keeps_the_best(keep, contradicted, tmp_path):
    plan = {"evaluate_every": 5, "patience": 3, "keep": keep}
    done = go(tmp_path, held=contradicted, **plan)
    losses = {found["step"]: found["loss"] for found in done.history.evaluations}
    best = min(losses, key=losses.get)
    assert done.stopped and done.step == best + 15 == max(losses)
    assert done.history.best["step"] == best
    after = [best + 5, best + 10] if keep == "past_best" else []
    assert steps_in(tmp_path) == [best, *after, best + 15]
    assert go(tmp_path, held=contradicted, **plan) == done  # it stays stopped


def test_a_damaged_example_ends_training_with_its_name(tmp_path):
    bad = replace(examples[7], weights=np.full_like(examples[7].weights, np.nan))
    damaged = [bad if example is examples[7] else example for example in examples]
    lines = []
    with pytest.raises(Diverged) as raised:
        go(tmp_path, train_on=damaged, lines=lines, evaluate_every=5)
    step = lines[-1]["step"]
    assert "e7" in lines[-1]["diverged"] and len(lines[-1]["diverged"]) == 8
    assert f"step {step}: the loss is nan" in str(raised.value) and "'e" in str(raised.value)
    good = max(steps_in(tmp_path))
    assert 0 < good == step - 1 and f"the checkpoint of step {good} is good" in str(raised.value)
    state, _ = stored(tmp_path, good)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_a_rate_beyond_reason_ends_training(tmp_path):
    on = learner("value", optimiser=Optimiser(rate=1e30))
    with pytest.raises(Diverged, match="step 2: the loss is nan.*checkpoint of step 0 is good"):
        go(tmp_path, on=on, save_every=1)
    assert 0 in steps_in(tmp_path)


def test_a_checkpoint_of_another_model(straight):
    wider = learner(model=random_model(replace(SHAPE, ffn=40)))
    message = r"params/blocks/0/down of shape \[16, 32\], the model to be trained \[16, 40\]"
    with pytest.raises(ValueError, match=message):
        go(straight.directory, on=wider, steps=300)
    adapted = with_adapters(random_model(), 2, jax.random.key(0))
    with pytest.raises(ValueError, match="differ in shape, adapters or optimiser"):
        go(straight.directory, on=learner(model=adapted, trained=TRAINED), steps=300)


def test_nothing_to_learn_from_or_to_validate_on(tmp_path):
    with pytest.raises(ValueError, match="no held-out examples"):
        go(tmp_path, held=[])
    with pytest.raises(ValueError, match="no examples to learn from"):
        go(tmp_path, train_on=[])
    assert steps_in(tmp_path) == []


def test_a_verifier_learns_the_soft_labels_of_32_solutions(tmp_path):
    """To the entropy of the labels, below which no cross-entropy can be."""
    random = np.random.default_rng(0)
    solutions, entropy = [], []
    for example in texts(32, "value", 9):
        label = float(random.integers(0, 5)) / 4
        weights = np.zeros_like(example.weights)
        weights[-1] = 1
        solutions.append(
            replace(example, targets=np.full_like(example.targets, label), weights=weights)
        )
        entropy.append(-sum(p * math.log(p) for p in (label, 1 - label) if p))
    on = learner("value", optimiser=Optimiser(rate=1e-2, schedule="cosine"), steps=300)
    plan = Plan(steps=300, batch=32, evaluate_every=300, patience=0)
    done = go(tmp_path, on=on, train_on=solutions, held=solutions, plan=plan)
    first, last = (found["loss"] - np.mean(entropy) for found in done.history.evaluations)
    assert first > 0.2 and 0 <= last < 0.02


def test_a_history_finds_its_best():
    losses = [0.7, 0.5, 0.6, 0.5, 0.9]
    history = History([{"step": 10 * n, "loss": loss} for n, loss in enumerate(losses)])
    assert history.best["step"] == 10 and history.stale() == 3
    assert history.kept("best") == [10] and history.kept("past_best") == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"length": -1}, "length is -1"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
        ({"patience": -1}, "patience is -1"),
        ({"save_every": -1}, "save_every is -1"),
        ({"keep": "all"}, "keep is 'all'"),
    ],
)
def test_plans_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        Plan(**({"steps": 1} | wrong))
