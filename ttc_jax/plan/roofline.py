# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The least time that work can take on a chip: the longest of computing, reading and talking."""

from dataclasses import dataclass

from ttc_jax.plan.chips import Chip


@dataclass(frozen=True)
class Cost:
    """What one chip does: FLOPs, bytes to and from its memory, bytes that it sends to others."""

    flops: float
    bytes: float
    sent: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.flops + other.flops, self.bytes + other.bytes, self.sent + other.sent)

    def __mul__(self, times: float) -> "Cost":
        return Cost(self.flops * times, self.bytes * times, self.sent * times)


@dataclass(frozen=True)
class Floor:
    """Seconds that no program can beat, and what takes them: compute, memory or links."""

    seconds: float
    binds: str


def floor(cost: Cost, chip: Chip, dtype) -> Floor:
    """The roofline of a chip, as if whatever is faster came for free.

    Collectives run along one axis of the torus, and the latency of each is left out.
    """
    sides = {
        "compute": cost.flops / chip.rate(dtype),
        "memory": cost.bytes / chip.bandwidth,
        "links": cost.sent / chip.link,
    }
    binds = max(sides, key=sides.__getitem__)
    return Floor(sides[binds], binds)
