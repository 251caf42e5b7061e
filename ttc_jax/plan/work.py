# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a job asks of a machine, as numbers: models as shapes, questions, lengths, a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jax.sharding import Mesh

from ttc_jax.data.batches import Shape
from ttc_jax.data.sources import Question
from ttc_jax.learn.learner import Learner, Numerics
from ttc_jax.learn.losses import Loss
from ttc_jax.learn.monte_carlo import MonteCarlo
from ttc_jax.learn.optim import Optimiser
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.strategy import Strategy
from ttc_jax.verify.formats import Format
from ttc_jax.verify.likelihood import Likelihood
from ttc_jax.verify.verifier import Verifier


@dataclass(frozen=True)
class Judge:
    """A verifier's model as shapes, and how it reads.

    `shared` says that its weights are the policy's own, loaded once for both.
    """

    model: Transformer
    format: Format
    pages: int | None = None
    shared: bool = False

    def on(self, mesh: Mesh, page_size: int) -> Verifier:
        """The verifier on a mesh, with nothing allocated."""
        return Verifier(self.model, self.format, mesh=mesh, pages=self.pages, page_size=page_size)


@dataclass(frozen=True)
class Sampling:
    """A search, or labels: a policy of shapes that answers questions with a strategy.

    Solutions are taken to have `mean` tokens and their steps `step` tokens.
    """

    name: str
    job: str
    strategy: Strategy
    questions: Sequence[Question]
    policy: Policy
    judge: Judge | Likelihood | None
    batch: Batch
    mean: int
    step: int

    @property
    def shapes(self) -> list[ModelShape]:
        """Those of the models."""
        judged = isinstance(self.judge, Judge)
        models = [self.policy.model] + ([self.judge.model] if judged else [])
        return [model.shape for model in models]

    def with_rows(self, rows: int) -> "Sampling":
        """The same with another batch."""
        return replace(self, batch=replace(self.batch, rows=rows))

    @property
    def loaded(self) -> list[ModelShape]:
        """Those of the models that have weights of their own."""
        shared = isinstance(self.judge, Judge) and self.judge.shared
        return self.shapes[:1] if shared else self.shapes

    @property
    def sampled(self) -> int:
        """Tokens sampled for one question.

        A strategy's budget in whole solutions. Of labels, the samples, and the rest of a solution
        for each rollout from each prefix but the prompt.
        """
        if not isinstance(self.strategy, MonteCarlo):
            return self.strategy.generations * self.mean
        made = self.strategy
        steps = min(made.rounds, -(-self.mean // self.step))
        each = made.rollouts * (steps - 1) * self.mean // 2
        return made.samples * (self.mean + each)

    @property
    def claims(self) -> int:
        """Pieces of one question's solutions that a verifier reads."""
        if not isinstance(self.judge, Judge):
            return 0
        if self.judge.format.outcome:
            return self.strategy.generations
        return -(-self.sampled // self.step)


@dataclass(frozen=True)
class Reading:
    """A probe: each question is read once."""

    name: str
    job: str
    questions: Sequence[Question]
    policy: Policy

    @property
    def shapes(self) -> list[ModelShape]:
        """That of the model."""
        return [self.policy.model.shape]


@dataclass(frozen=True)
class Training:
    """Steps over batches of `batch` examples that have `example` tokens each.

    Rows have `length` tokens. After every `every` steps `tried` examples are read.
    """

    name: str
    job: str
    model: Transformer
    loss: Loss
    optimiser: Optimiser
    numerics: Numerics
    trained: str
    steps: int
    batch: int
    example: int
    length: int
    every: int
    tried: int

    @property
    def shapes(self) -> list[ModelShape]:
        """That of the model."""
        return [self.model.shape]

    def with_rows(self, rows: int) -> "Training":
        """The same with as many examples in a batch as make so many rows."""
        return replace(self, batch=rows * max(1, self.length // self.example))

    def shape(self, mesh: Mesh) -> Shape:
        """Packed rows of a batch: as many examples in each as fit, a multiple for the mesh."""
        rows = -(-self.batch // max(1, self.length // self.example))
        multiple = self.numerics.accumulate * mesh.shape["data"]
        return Shape(-(-rows // multiple) * multiple, self.length)

    def learner(self, mesh: Mesh) -> Learner:
        """The learner on a mesh, of shapes: for its programs, not to be started."""
        return Learner(
            self.model, self.loss, self.optimiser, self.numerics, mesh=mesh, steps=self.steps,
            trained=self.trained,
        )  # fmt: skip


Work = Sampling | Reading | Training
