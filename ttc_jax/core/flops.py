# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Floating-point operations: analytic counts, a run's ledger, conventions, this machine's rate.

All counts are exact whole numbers of matrix products; a multiply-add is two operations.
"""

import functools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

# FLOPs of inference per parameter and token, of the small model and of the large one. "counted"
# takes from the ledger what ran, and this for a model that did not; in "arxiv" the verifier is
# free; in "iclr" it doubles the cost, even that of the large model, which has none; in "iclr_small"
# that of the small model alone. Source: Snell et al. 2024, section 7, in its two versions.
CONVENTIONS: Mapping[str, tuple[int, int]] = {
    "counted": (2, 2),
    "arxiv": (2, 2),
    "iclr": (4, 4),
    "iclr_small": (4, 2),
}


def forward(
    *,
    block_weights: int,
    head_weights: int,
    attention_width: int,
    layers: int,
    start: int,
    tokens: int,
    logits: int,
    windows: Sequence[int] = (),
    value_weights: int = 0,
    values: int = 0,
) -> int:
    """FLOPs of running `tokens` new tokens after `start` cached ones.

    `logits` of them go through the language head, `values` through the value head.
    `block_weights`, `head_weights` and `value_weights` are the matrix weights of all blocks and of
    the two heads; `attention_width` is N * H; `windows` the sliding window of each layer (0: none;
    empty: none anywhere). Attention is counted at its true context: the token at position p reads
    p + 1 keys and as many values, or as many as the window has. Norms, rotary embeddings, softmax
    and sampling are left out (below 1 % for every supported shape at these lengths).
    """
    sizes = Counter(windows) if windows else {0: layers}
    reads = sum(
        count * (_keys_read(start + tokens, window) - _keys_read(start, window))
        for window, count in sizes.items()
    )
    weights = block_weights * tokens + head_weights * logits + value_weights * values
    return 2 * weights + 4 * attention_width * reads


def _keys_read(tokens: int, window: int) -> int:
    """Keys that the first `tokens` tokens of a text read together in one layer."""
    growing = min(tokens, window) if window else tokens
    return growing * (growing + 1) // 2 + (tokens - growing) * window


# ------------------------------------------------------------------ the ledger


@dataclass(frozen=True)
class Ledger:
    """What a run costs by phase, as exact whole numbers that only grow.

    `useful` FLOPs are those of the tokens that were asked for, each at its own position; `executed`
    ones are those of the device programs, with padding, idle rows and masked keys; `bytes` are what
    these programs move.
    """

    useful: Counter = field(default_factory=Counter)
    executed: Counter = field(default_factory=Counter)
    bytes: Counter = field(default_factory=Counter)

    def charge(self, useful: Mapping[str, int], executed: int, moved: int) -> None:
        """Add one device call that executed so many FLOPs and moved so many bytes.

        `useful` FLOPs by phase are what its rows did, not all 0. What was executed beyond them, and
        the bytes, are split over the phases in proportion to their useful FLOPs.
        """
        self.useful.update(useful)
        self.executed.update(useful)
        self.executed.update(apportion(executed - sum(useful.values()), useful))
        self.bytes.update(apportion(moved, useful))

    def __add__(self, other: "Ledger") -> "Ledger":
        """What two runs, or the two models of one, cost together."""
        return Ledger(
            self.useful + other.useful, self.executed + other.executed, self.bytes + other.bytes
        )

    def by_phase(self) -> dict[str, dict[str, int]]:
        """{phase: {"useful": FLOPs, "executed": FLOPs, "bytes": bytes}}, as JSON values."""
        columns = {"useful": self.useful, "executed": self.executed, "bytes": self.bytes}
        return {
            phase: {name: column[phase] for name, column in columns.items()}
            for phase in sorted(self.useful)
        }


def apportion(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """`total` in whole shares in proportion to `weights`, by largest remainders; they sum to it.

    Of equal remainders the one named first is rounded up.
    """
    whole = sum(weights.values())
    shares = {name: total * weight // whole for name, weight in weights.items()}
    left = total - sum(shares.values())
    for name in sorted(weights, key=lambda name: -(total * weights[name] % whole))[:left]:
        shares[name] += 1
    return shares


# ------------------------------------------------------------------ conventions


def pretraining(params: float, tokens: float) -> float:
    """FLOPs of training a model on so many tokens: 6 N D (paper section 7)."""
    return 6 * params * tokens


def inference(params: float, tokens: float, convention: str, large: bool = False) -> float:
    """FLOPs of sampling so many tokens by one of `CONVENTIONS`; `large` for the larger model.

    Raises:
      ValueError: there is no such convention.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"no FLOPs convention {convention!r}; there are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[convention][large] * params * tokens


# ------------------------------------------------------------------ the machine


def floor_seconds(flops: float, moved: float, rate: float, bandwidth: float) -> float:
    """The least time for so many FLOPs and bytes, at `rate` FLOP/s and `bandwidth` bytes/s.

    The roofline: whichever of the two takes longer, as if the other came for free.
    """
    return max(flops / rate, moved / bandwidth)


def matmul_rate(dtype) -> float:
    """FLOP/s of one local device at a large square matrix product in `dtype`, measured now."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    x = jax.device_put(jnp.ones((size, size), dtype), jax.local_devices()[0])
    multiply = jax.jit(lambda x: x @ x)
    multiply(x).block_until_ready()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        multiply(x).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


peak_rate = functools.cache(matmul_rate)  # measured once in a process
