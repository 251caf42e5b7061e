# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One small training that the tests of the loop start, kill and compare; imported by children too.

43 examples in batches of 8: no checkpoint but the first lies at the end of an epoch.
"""

import sys
from dataclasses import replace
from pathlib import Path

import jax
from learn.tiny_learners import learner, random_model, texts

from ttc_jax.core import flops
from ttc_jax.core.checkpoint import Checkpoints
from ttc_jax.learn.learner import Learner, State
from ttc_jax.learn.loop import Plan, Trained, train
from ttc_jax.learn.optim import Optimiser

TESTS = Path(__file__).resolve().parent.parent
PLAN = Plan(steps=200, batch=8, evaluate_every=50, patience=0, seed=3)
# What a child process does before anything else; it is as pytest is.
CHILD = f"""
import os, resource, signal, sys
import jax
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_disable_most_optimizations", True)
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]
from learn.training import *
flops.peak_rate = lambda dtype: 1e9
directory = Path(sys.argv[1])
"""

examples = texts(43, "value", 1)
held_out = texts(9, "value", 2)
_learners: dict = {}


class Stop(Exception):
    """Ends a training from its reports."""


def own_learner(mesh=(1, 1), **numerics) -> Learner:
    """A learner at its beginning, with the programs of the one that was here before."""
    numerics = {"dropout": 0.1} | numerics
    key = mesh, *numerics.items()
    if key not in _learners:
        optimiser = Optimiser(rate=1e-2, decay=0.01, warmup=5)
        _learners[key] = learner("value", mesh, optimiser=optimiser, **numerics)
    again = _learners[key]
    again._source = dict(zip(again._paths, jax.tree.leaves(random_model()), strict=True))
    return again


def go(directory: Path, *, until: int | None = None, plan: Plan = PLAN, lines=None, on=None,
       train_on=examples, held=held_out, report=None, **change) -> Trained:  # fmt: skip
    """Train in a directory; from the report of step `until` on, as if killed."""

    def heard(line):
        if lines is not None:
            lines.append(line)
        if report is not None:
            report(line)
        if until is not None and line["step"] >= until:
            raise Stop

    with Checkpoints(directory) as checkpoints:
        return train(
            on or own_learner(), train_on, held, replace(plan, **change), checkpoints, report=heard
        )


def stored(directory: Path, step: int) -> tuple[State, dict]:
    """The state of a step and the note that is with it."""
    with Checkpoints(directory) as checkpoints:
        return checkpoints.restore(step, own_learner().abstract), checkpoints.note(step)


def steps_in(directory: Path) -> list[int]:
    with Checkpoints(directory) as checkpoints:
        return checkpoints.steps


__all__ = ["PLAN", "Path", "Stop", "flops", "go", "own_learner", "stored", "steps_in", "sys"]
