# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""One training loop, for policies, verifiers and revision models alike.

It evaluates, saves and stops by the held-out questions, and survives being killed: the same call
continues from the last checkpoint, in the middle of an epoch, to the very same weights.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import jax

from ttc_jax.core import flops
from ttc_jax.core.checkpoint import Checkpoints
from ttc_jax.core.mesh import data_share
from ttc_jax.core.progress import TrainingDisplay
from ttc_jax.data.batches import Batches, Example, Shape
from ttc_jax.learn.learner import Arrays, Learner, State

KEEPS = ("best", "past_best")
# evaluate(trained parameters) -> names and values, "loss" not among them
Evaluate = Callable[[Arrays], Iterator[tuple[str, float]]]
Report = Callable[[Mapping], None]


class Diverged(ValueError):
    """The loss or the gradient is not finite; says at which step, and on which examples."""


@dataclass(frozen=True)
class Plan:
    """How long to train, on how much at once, and what to keep.

    At most `steps` steps of `batch` examples, packed into rows of `length` tokens (0: the longest
    example). After every `evaluate_every` steps (and before the first, and after the last) the
    held-out loss is taken and a checkpoint is stored; training ends when the loss has not fallen
    for `patience` evaluations (0: never). `save_every` stores more checkpoints in between (0:
    none). `keep` says which checkpoints stay: the one of lowest held-out loss and the latest
    ("best"), or all evaluated ones from the lowest on too ("past_best").

    Raises:
      ValueError: a number is out of range.
    """

    steps: int
    batch: int = 128
    length: int = 0
    evaluate_every: int = 50
    patience: int = 5
    save_every: int = 0
    keep: str = "best"
    seed: int = 0

    def __post_init__(self):
        for name, low in (("steps", 1), ("batch", 1), ("length", 0), ("evaluate_every", 1),
                          ("patience", 0), ("save_every", 0)):  # fmt: skip
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}")
        if self.keep not in KEEPS:
            raise ValueError(f"keep is {self.keep!r}; use {' or '.join(map(repr, KEEPS))}")


@dataclass
class History:
    """What was seen so far: evaluations as {"step", "loss", ...}, in order of their steps."""

    evaluations: list[dict] = field(default_factory=list)

    @property
    def best(self) -> dict:
        """The evaluation of lowest held-out loss, the earliest of equals."""
        return min(self.evaluations, key=lambda found: (found["loss"], found["step"]))

    def stale(self) -> int:
        """Evaluations since the best one."""
        return len(self.evaluations) - 1 - self.evaluations.index(self.best)

    def kept(self, keep: str) -> list[int]:
        """The steps whose checkpoints stay, beside the latest."""
        best = self.best["step"]
        if keep == "best":
            return [best]
        return [found["step"] for found in self.evaluations if found["step"] >= best]


@dataclass(frozen=True)
class Trained:
    """How training ended: after `step` steps, `stopped` early or not; all evaluations.

    `flops` are those of all steps since the very start, "useful" and "executed" (see
    `learn.step_cost`), without evaluations and without steps that a kill undid.
    """

    step: int
    stopped: bool
    history: History
    flops: Mapping[str, int]


def train(
    learner: Learner,
    examples: Sequence[Example],
    held_out: Sequence[Example],
    plan: Plan,
    checkpoints: Checkpoints,
    *,
    evaluate: Evaluate | None = None,
    report: Report = lambda line: None,
) -> Trained:
    """Train until the plan's end or an early stop; the checkpoints hold what came of it.

    `report` takes a line for metrics after every step and every evaluation.

    Raises:
      Diverged: a loss or gradient is not finite; the last good checkpoint stays.
      ValueError: no examples or none held out, or what is stored belongs to another model.
      WorkdirError: a checkpoint cannot be written; the earlier ones stay.
    """
    if not held_out:
        raise ValueError("no held-out examples: raise the held-out share, or give more questions")
    shards = learner.mesh.shape["data"]
    share, shares = data_share(learner.mesh)
    batches = Batches(
        examples, plan.batch, steps=plan.steps, seed=plan.seed, length=plan.length,
        multiple=learner.numerics.accumulate * (shards // shares), process=share, processes=shares,
    )  # fmt: skip
    shape = held_out_shape(held_out, batches.shape, shards)
    executed = learner.executed(replace(batches.shape, rows=batches.shape.rows * shares))
    run = _Run(learner, plan, checkpoints, evaluate, report, held_out, shape, executed)
    state, done = run.resume(batches)
    if not done:
        done = run.go(state, batches)
    return done


def held_out_shape(held_out: Iterable[Example], like: Shape, shards: int) -> Shape:
    """The shape of batches for reading examples: as in training, but long enough for them all."""
    longest = max(len(example.tokens) for example in held_out)
    rows = max(1, like.rows // shards) * shards
    return Shape(min(rows, 4 * shards), max(like.length, -(-longest // 64) * 64))


class _Run:
    """The state of one call of `train` on the host."""

    def __init__(self, learner, plan, checkpoints, evaluate, report, held_out, shape, executed):
        self.learner, self.plan, self.checkpoints = learner, plan, checkpoints
        self.executed = executed  # FLOPs of each step
        self.evaluate, self.report = evaluate, report
        self.held_out, self.shape = held_out, shape
        self.history = History()
        self.tokens = 0  # trained on, since the very start
        self.flops = {"useful": 0, "executed": 0}  # likewise

    def resume(self, batches: Batches) -> tuple[State, Trained | None]:
        """The state to go on from; the end of training, where that is stored already."""
        steps = self.checkpoints.steps
        if not steps:
            return self.learner.start(), None
        note = self.checkpoints.note(steps[-1])
        self.history = History(note["evaluations"])
        self.tokens, self.flops = note["tokens"], note["flops"]
        self.learner.place()
        state = self.checkpoints.restore(steps[-1], self.learner.abstract)
        batches.state = note["batches"]
        return state, self._ended(steps[-1])

    def _ended(self, step: int) -> Trained | None:
        """How training ended, if it does at this step."""
        plan, found = self.plan, self.history.evaluations
        if not found or found[-1]["step"] != step:
            return None
        stopped = bool(plan.patience) and self.history.stale() >= plan.patience
        if step >= plan.steps or stopped:
            return Trained(step, stopped and step < plan.steps, self.history, self.flops)
        return None

    def go(self, state: State, batches: Batches) -> Trained:
        """Steps, evaluations and checkpoints until the end."""
        plan, first = self.plan, int(state.step)
        peak = flops.peak_rate(self.learner.numerics.dtype) * self.learner.mesh.size
        with TrainingDisplay(plan.steps, first) as display:
            if not self.history.evaluations:
                self._evaluate(state, 0)
                self._save(state, 0, batches)
            waiting, since, seen = None, time.perf_counter(), 0
            for step in range(first + 1, plan.steps + 1):
                batch, ids, lengths = next(batches)
                state, read = self.learner.step(state, batch)
                # The device works on this step while the host looks at the one before.
                waiting, ready = (step, read, ids, lengths), waiting
                evaluated = step % plan.evaluate_every == 0 or step == plan.steps
                saved = evaluated or bool(plan.save_every) and step % plan.save_every == 0
                pending = [ready] + ([waiting] if saved else [])
                for item in filter(None, pending):
                    line = self._read(*item)
                    now = time.perf_counter()
                    spent, since = now - since, now
                    seen += line["tokens"]
                    line["mfu"] = line["flops"] / spent / peak
                    line["seconds"] = spent
                    self.report(line)
                    held_out = self.history.evaluations[-1]["loss"]
                    display.update(
                        line["step"] - first, line["loss"], seen, held_out, line["mfu"]
                    )
                if not saved:
                    continue
                waiting = None
                if evaluated:
                    self._evaluate(state, step)
                self._save(state, step, batches)
                since = time.perf_counter()
                if ended := self._ended(step):
                    return ended
        raise AssertionError("the last step ends training")

    def _read(self, step: int, read: Mapping, ids: Sequence[str], lengths: Sequence[int]) -> dict:
        """What is reported of a step, which must have gone well."""
        line = {name: float(value) for name, value in jax.device_get(read).items()}
        if not all(map(math.isfinite, line.values())):
            shown = ", ".join(map(repr, ids[:8])) + (", ..." if len(ids) > 8 else "")
            self.report({"step": step, "diverged": list(ids)})
            raise Diverged(
                f"step {step}: the loss is {line['loss']}, the norm of the gradient "
                f"{line['grad_norm']}; its {len(ids)} examples: {shown} (all of them are in the "
                f"metrics). Lower the learning rate, or leave out what is damaged; the checkpoint "
                f"of step {self.history.best['step']} is good"
            )
        tokens, useful = sum(lengths), self.learner.flops(lengths)
        self.tokens += tokens
        self.flops = {
            "useful": self.flops["useful"] + useful,
            "executed": self.flops["executed"] + self.executed,
        }
        counts = {"tokens": tokens, "tokens_in_all": self.tokens}
        return {"step": step, **line, **counts, "flops": useful, "executed_flops": self.executed}

    def _evaluate(self, state: State, step: int) -> None:
        loss = self.learner.held_out_loss(state.params, self.held_out, self.shape)
        if not math.isfinite(loss):
            raise Diverged(f"after step {step} the held-out loss is {loss}: weights are damaged")
        more = self.evaluate(state.params) if self.evaluate else ()
        found = {"step": step, "loss": loss, **dict(more)}
        self.history.evaluations.append(found)
        named = {f"held_out/{name}": v for name, v in found.items() if name != "step"}
        self.report({"step": step, **named})

    def _save(self, state: State, step: int, batches: Batches) -> None:
        note = {
            "evaluations": self.history.evaluations,
            "batches": batches.state,
            "tokens": self.tokens,
            "flops": self.flops,
            "plan": asdict(self.plan),
        }
        self.checkpoints.save(step, state, note, self.history.kept(self.plan.keep))
