# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which attention the device programs use, and what each kind asks of devices and models.

"xla" is plain XLA and runs everywhere. The others are for tokens that are given (`extend`: prompts,
verifiers), where tokens are sampled they are "xla" too: "cudnn" is cuDNN's flash attention on GPUs,
"pallas" JAX's ragged paged attention on TPUs.
"""

import jax
from jax.sharding import Mesh

from ttc_jax.model.shape import ModelShape

NAMES = ("xla", "cudnn", "pallas")
# Their platforms by the names that JAX has for them, and in words.
_PLATFORMS = {"cudnn": (("gpu", "cuda"), "an NVIDIA GPU"), "pallas": (("tpu",), "a TPU")}


def check_platform(attention: str, platform: str, dtype: str) -> None:
    """ValueError for an attention that there is not, or not on a platform or in a dtype."""
    if attention not in NAMES:
        raise ValueError(f"engine.attention is {attention!r}; there are {', '.join(NAMES)}")
    if attention == "xla":
        return
    platforms, needed = _PLATFORMS[attention]
    if platform not in platforms:
        raise ValueError(
            f"engine.attention is {attention!r}, which needs {needed}, and this runs on "
            f"{platform}; pass --config.engine.attention=xla"
        )
    if dtype != "bfloat16":
        raise ValueError(
            f"engine.attention is {attention!r}, which computes in bfloat16, and the model's dtype "
            f"is {dtype}; pass --config.model.dtype=bfloat16 or --config.engine.attention=xla"
        )


def check_model(attention: str, shape: ModelShape, mesh: Mesh) -> None:
    """ValueError for an attention that cannot be that of a model of `shape` on `mesh`."""
    if attention == "xla":
        return
    parts = mesh.shape["model"]
    if shape.kv_heads % parts:
        _refuse(attention, f"{shape.kv_heads} kv heads do not divide by mesh.model = {parts}")
    if attention == "pallas":
        own = shape.kv_heads // parts
        if shape.head_dim % 128:
            _refuse(attention, f"heads of {shape.head_dim} are not a multiple of 128")
        if own not in (1, 2, 4) and own % 8:
            _refuse(attention, f"{own} kv heads on a device are not 1, 2, 4 or a multiple of 8")
        return
    largest = _largest_head(mesh.devices.flat[0])
    if shape.head_dim % 8 or shape.head_dim > largest:
        _refuse(attention, f"heads of {shape.head_dim} are not a multiple of 8 up to {largest}")
    if shape.attn_softcap is not None:
        _refuse(attention, f"logits are capped at {shape.attn_softcap}, as cuDNN's cannot be")


def _refuse(attention: str, why: str) -> None:
    raise ValueError(
        f"engine.attention is {attention!r}, but this model's {why}; pass "
        f"--config.engine.attention=xla"
    )


def _largest_head(device: jax.Device) -> int:
    """The largest head that cuDNN's flash attention takes: 256 from Hopper on, 128 before."""
    capability = getattr(device, "compute_capability", "0")
    return 256 if float(capability) >= 9 else 128
