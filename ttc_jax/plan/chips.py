# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Accelerators by name: memory, peak rates and links, as their makers state them."""

import os
import time
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from ttc_jax.core.flops import matmul_rate


@dataclass(frozen=True)
class Chip:
    """One device: bytes of memory, bytes/s to it, dense FLOP/s in bfloat16, operations/s in int8.

    `link` are the bytes/s that a device can send along one axis of the torus, both ways round
    together, or to all others over a switch. `flops32` are FLOP/s in float32, where matrix units
    have another rate for it (0: that of bfloat16, as TPUs round the factors of a product). `clock`
    are the cycles/s of its matrix units, where a compiler counts in them.
    """

    name: str
    memory: float
    bandwidth: float
    flops: float
    int8: float
    link: float
    source: str
    platform: str = "gpu"
    flops32: float = 0.0
    clock: float = 0.0

    def rate(self, dtype) -> float:
        """FLOP/s of matrix products of a dtype."""
        return self.flops32 if self.flops32 and jnp.dtype(dtype).itemsize == 4 else self.flops


_GOOGLE = "https://cloud.google.com/tpu/docs/"
_NVIDIA = "https://www.nvidia.com/en-us/data-center/"

# TPU documents state what all links of a chip carry: v5e 400 GB/s and v6e 800 GB/s both ways over 4
# ports, v5p 4,800 Gbit/s over 6. An axis of the torus is two ports, each of which sends half of
# what it carries both ways. Clocks follow from their FLOP/s and matrix units: four of 128 x 128 on
# a v5e, twice four on a v5p, four of 256 x 256 on a v6e. NVIDIA states NVLink both ways; half of it
# is sent. TF32 is the float32 rate of NVIDIA's matrix units.
CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip("v5e", 16e9, 819e9, 197e12, 393e12, 100e9, _GOOGLE + "v5e", "tpu", clock=1.5e9),
        Chip("v5p", 95e9, 2765e9, 459e12, 918e12, 200e9, _GOOGLE + "v5p", "tpu", clock=1.75e9),
        Chip("v6e", 32e9, 1638e9, 918e12, 1836e12, 200e9, _GOOGLE + "v6e", "tpu", clock=1.75e9),
        Chip("a100", 80e9, 2039e9, 312e12, 624e12, 300e9, _NVIDIA + "a100", flops32=156e12),
        Chip("h100", 80e9, 3350e9, 989e12, 1979e12, 450e9, _NVIDIA + "h100", flops32=495e12),
        Chip("h200", 141e9, 4800e9, 989e12, 1979e12, 450e9, _NVIDIA + "h200", flops32=495e12),
    )
}


def measured_cpu() -> Chip:
    """This machine's processor, as one device: its memory, and two rates measured now, in float32.

    The rates are those of a large matrix product and of copying an array that no cache holds.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    array = np.ones(1 << 26, np.float32)
    other = np.empty_like(array)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        np.copyto(other, array)
        best = min(best, time.perf_counter() - start)
    bandwidth, rate = 2 * array.nbytes / best, matmul_rate(jnp.float32)
    return Chip("cpu", memory, bandwidth, rate, rate, bandwidth, "measured now", "cpu")
