# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The optimiser: AdamW with clipping and a schedule, as the paper and common practice set them."""

import re
from dataclasses import dataclass

import optax


@dataclass(frozen=True)
class Optimiser:
    """AdamW (Loshchilov and Hutter 2019).

    The rate rises linearly for `warmup` steps to `rate` and then stays ("constant") or falls to
    `final` * rate along a cosine over `steps` in all ("cosine"). Gradients are clipped to the
    global norm `clip` (0: not at all). Weight decay leaves norms, biases and other vectors alone.
    The betas are the paper's (appendix D); it names neither schedule, decay nor clipping.

    Raises:
      ValueError: a number is out of range.
    """

    rate: float = 3e-5
    betas: tuple[float, float] = (0.9, 0.95)
    decay: float = 0.0
    clip: float = 1.0
    eps: float = 1e-8
    schedule: str = "constant"
    warmup: int = 0
    final: float = 0.1

    def __post_init__(self):
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(f"schedule {self.schedule!r}: use 'constant' or 'cosine'")
        if not self.rate > 0:
            raise ValueError(f"a learning rate of {self.rate}; it must be above 0")
        for name in ("decay", "clip", "warmup", "final"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas}: give two numbers in [0, 1)")

    def rates(self, steps: int) -> optax.Schedule:
        """The learning rate by step."""
        first = self.rate / (self.warmup + 1)
        if self.schedule == "constant":
            return optax.linear_schedule(first, self.rate, self.warmup)
        return optax.warmup_cosine_decay_schedule(
            first, self.rate, self.warmup, max(steps, self.warmup + 1), self.final * self.rate
        )

    def transform(self, steps: int) -> optax.GradientTransformation:
        """The transformation of gradients, given as a dict of arrays by path, into updates."""

        def decays(params) -> dict:
            return {
                path: weight.ndim > 1 and not re.search("(norm|bias)$", path)
                for path, weight in params.items()
            }

        clip = [optax.clip_by_global_norm(self.clip)] if self.clip else []
        adam = optax.adamw(
            self.rates(steps), *self.betas, eps=self.eps, weight_decay=self.decay, mask=decays
        )
        return optax.chain(*clip, adam)
