# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which attention the device programs use, and what each kind asks of devices and models.

"xla" is plain XLA and runs everywhere. "cudnn" is cuDNN's flash attention on GPUs where tokens are
given (`extend`: prompts, verifiers); where they are sampled it is that of "xla".
"""

import jax
from jax.sharding import Mesh

from ttc_jax.model.shape import ModelShape

NAMES = ("xla", "cudnn")


def check_platform(attention: str, platform: str, dtype: str) -> None:
    """ValueError for an attention that there is not, or not on a platform or in a dtype."""
    if attention not in NAMES:
        raise ValueError(f"engine.attention is {attention!r}; there are {', '.join(NAMES)}")
    if attention == "xla":
        return
    if platform not in ("gpu", "cuda"):
        raise ValueError(
            f"engine.attention is 'cudnn', which needs an NVIDIA GPU, and this runs on {platform}; "
            f"pass --config.engine.attention=xla"
        )
    if dtype != "bfloat16":
        raise ValueError(
            f"engine.attention is 'cudnn', which computes in bfloat16, and the model's dtype is "
            f"{dtype}; pass --config.model.dtype=bfloat16 or --config.engine.attention=xla"
        )


def check_model(attention: str, shape: ModelShape, mesh: Mesh) -> None:
    """ValueError for an attention that cannot be that of a model of `shape` on `mesh`."""
    if attention == "xla":
        return
    parts = mesh.shape["model"]
    largest = _largest_head(mesh.devices.flat[0])
    if shape.kv_heads % parts:
        _refuse(f"{shape.kv_heads} kv heads do not divide by mesh.model = {parts}")
    if shape.head_dim % 8 or shape.head_dim > largest:
        _refuse(f"heads of {shape.head_dim} are not a multiple of 8 up to {largest}")
    if shape.attn_softcap is not None:
        _refuse(f"logits are capped at {shape.attn_softcap}, as cuDNN's cannot be")


def _refuse(why: str) -> None:
    raise ValueError(
        f"engine.attention is 'cudnn', but this model's {why}; pass --config.engine.attention=xla"
    )


def _largest_head(device: jax.Device) -> int:
    """The largest head that cuDNN's flash attention takes: 256 from Hopper on, 128 before."""
    capability = getattr(device, "compute_capability", "0")
    return 256 if float(capability) >= 9 else 128
