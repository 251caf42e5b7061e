# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers that make one decoder-only transformer differ from another.

A `ModelShape` is everything that the forward pass needs to know beside the weights: no model class
per family, no branches on names. Llama, SmolLM2, Mistral, Qwen and Gemma are values of it.
"""

import difflib
import functools
from dataclasses import dataclass, replace

import numpy as np

from ttc_jax.core import flops


@dataclass(frozen=True)
class RopeScaling:
    """Stretching of rotary frequencies beyond the context of pretraining.

    `kind` is "linear" (every frequency divided by `factor`) or "llama3" (only the slow ones are,
    with a smooth ramp between the two wavelengths that the other three numbers define).
    """

    kind: str
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    def __post_init__(self):
        if self.kind not in ("linear", "llama3"):
            raise ValueError(
                f"rope scaling kind {self.kind!r} is not supported; use 'linear' or 'llama3'"
            )


@dataclass(frozen=True)
class ModelShape:
    """Sizes and switches of a decoder-only transformer.

    `windows` gives each layer's sliding window in tokens (the query's own position included), 0 for
    full attention; empty means full attention everywhere. Layers with a window rotate with
    `local_rope_theta`, unscaled, when that is set (Gemma 3). `query_scale` multiplies q.k and
    defaults to head_dim ** -0.5. `value_classes` > 0 adds a value head of that many logits beside
    the language head, and `value_hidden` > 0 a layer of that many ReLU units in front of it. Raises
    ValueError when the sizes do not fit each other.
    """

    family: str
    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    context: int
    norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    local_rope_theta: float | None = None
    windows: tuple[int, ...] = ()
    activation: str = "silu"
    tied: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    post_norms: bool = False
    norm_offset: float = 0.0
    embed_scale: float = 1.0
    query_scale: float | None = None
    attn_softcap: float | None = None
    final_softcap: float | None = None
    value_classes: int = 0
    value_hidden: int = 0

    def __post_init__(self):
        if self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} query heads cannot share {self.kv_heads} kv heads evenly"
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd; rotary embeddings need pairs")
        if self.windows and len(self.windows) != self.layers:
            raise ValueError(f"{len(self.windows)} windows given for {self.layers} layers")
        if self.activation not in ("silu", "gelu_tanh"):
            raise ValueError(f"activation {self.activation!r}: use 'silu' or 'gelu_tanh'")
        if self.value_hidden and not self.value_classes:
            raise ValueError(
                f"value_hidden {self.value_hidden} needs a value head; set value_classes too"
            )

    @property
    def scale(self) -> float:
        """The factor on q.k."""
        return self.head_dim**-0.5 if self.query_scale is None else self.query_scale

    def window(self, layer: int) -> int:
        """Sliding window of `layer` in tokens, 0 for full attention."""
        return self.windows[layer] if self.windows else 0

    @property
    def block_weights(self) -> int:
        """Number of matrix weights in all blocks."""
        attention = self.width * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.width * self.ffn)

    @property
    def block_params(self) -> int:
        """Number of weights in all blocks, norms and biases included."""
        biases = self.head_dim * (self.heads + 2 * self.kv_heads) if self.qkv_bias else 0
        norms = self.width * (4 if self.post_norms else 2) + 2 * self.head_dim * self.qk_norm
        return self.block_weights + self.layers * (biases + norms)

    def block_bytes(self, itemsize: int, int8: bool = False) -> int:
        """Bytes of all blocks with weights of `itemsize` bytes, their matrices in int8 if so."""
        if not int8:
            return self.block_params * itemsize
        outputs = self.head_dim * (self.heads + 2 * self.kv_heads) + 2 * (self.width + self.ffn)
        rest = self.block_params - self.block_weights
        return self.block_weights + 4 * self.layers * outputs + rest * itemsize

    @property
    def params(self) -> int:
        """Number of weights of the language model (value head apart), tied embeddings once."""
        return self.block_params + self.vocab * self.width * (2 - self.tied) + self.width

    @property
    def value_weights(self) -> int:
        """Matrix weights of the value head, 0 without one."""
        fan_in = self.value_hidden or self.width
        return self.width * self.value_hidden + self.value_classes * fan_in

    @property
    def matmul_params(self) -> int:
        """Weights that one decoded token is multiplied with: the blocks and the language head."""
        return self.block_weights + self.vocab * self.width

    @functools.cached_property
    def _counted(self) -> dict[str, int | tuple[int, ...]]:
        """What FLOPs depend on; counted for every row of every device call, so it is kept."""
        return {
            "block_weights": self.block_weights,
            "head_weights": self.vocab * self.width,
            "value_weights": self.value_weights,
            "attention_width": self.heads * self.head_dim,
            "layers": self.layers,
            "windows": self.windows,
        }

    def forward_flops(self, start: int, tokens: int, logits: int, values: int = 0) -> int:
        """FLOPs of `tokens` new tokens after `start` cached ones.

        `logits` of them go through the language head, `values` through the value head. See
        `core.flops.forward`.
        """
        return flops.forward(
            **self._counted, start=start, tokens=tokens, logits=logits, values=values
        )

    def kv_bytes_per_token(self, dtype="bfloat16") -> int:
        """Bytes of keys and values that one token adds to a cache of `dtype`."""
        itemsize = 2 if str(dtype) == "bfloat16" else np.dtype(dtype).itemsize
        return 2 * self.layers * self.kv_heads * self.head_dim * itemsize


_LLAMA3_ROPE = RopeScaling("llama3", 8.0, 1.0, 4.0, 8192)
_LLAMA32_ROPE = RopeScaling("llama3", 32.0, 1.0, 4.0, 8192)


def _llama(vocab, width, layers, heads, kv_heads, ffn, context, **other) -> ModelShape:
    other = {"family": "llama", "norm_eps": 1e-5, "head_dim": width // heads} | other
    return ModelShape(
        vocab=vocab, width=width, layers=layers, heads=heads, kv_heads=kv_heads, ffn=ffn,
        context=context, **other,
    )  # fmt: skip


def _qwen2(vocab, width, layers, heads, kv_heads, ffn, context, theta, tied) -> ModelShape:
    return _llama(
        vocab, width, layers, heads, kv_heads, ffn, context, family="qwen2", norm_eps=1e-6,
        rope_theta=theta, qkv_bias=True, tied=tied,
    )  # fmt: skip


def _qwen3(width, layers, heads, ffn, tied) -> ModelShape:
    return _llama(
        151_936, width, layers, heads, 8, ffn, 40_960, family="qwen3", norm_eps=1e-6,
        rope_theta=1e6, qk_norm=True, head_dim=128, tied=tied,
    )  # fmt: skip


def _gemma2(width, layers, heads, kv_heads, ffn, query_scale=256**-0.5, head_dim=256):
    return ModelShape(
        "gemma2", 256_000, width, layers, heads, kv_heads, head_dim, ffn, 8192,
        windows=tuple(4096 if i % 2 == 0 else 0 for i in range(layers)), activation="gelu_tanh",
        tied=True, post_norms=True, norm_offset=1.0, embed_scale=width**0.5,
        query_scale=query_scale, attn_softcap=50.0, final_softcap=30.0,
    )  # fmt: skip


def _gemma3(width, layers, heads, kv_heads, ffn, window, context=32_768):
    return ModelShape(
        "gemma3_text", 262_144, width, layers, heads, kv_heads, 256, ffn, context,
        rope_theta=1e6, local_rope_theta=1e4,
        windows=tuple(0 if i % 6 == 5 else window for i in range(layers)),
        activation="gelu_tanh", tied=True, qk_norm=True, post_norms=True, norm_offset=1.0,
        embed_scale=width**0.5, query_scale=256**-0.5,
    )  # fmt: skip


_SMOLLM2 = _llama(49_152, 576, 30, 9, 3, 1536, 8192, rope_theta=1e5, tied=True)

PRESET = "preset:"  # how a path says that a shape is meant, and no checkpoint
PRESETS: dict[str, ModelShape] = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": _SMOLLM2,
    "HuggingFaceTB/SmolLM2-360M-Instruct": replace(
        _SMOLLM2, width=960, layers=32, heads=15, kv_heads=5, ffn=2560
    ),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": replace(
        _SMOLLM2, width=2048, layers=24, heads=32, kv_heads=32, ffn=8192, rope_theta=130_000.0
    ),
    "meta-llama/Llama-2-7b-hf": _llama(32_000, 4096, 32, 32, 32, 11_008, 4096),
    "meta-llama/Llama-3.1-8B-Instruct": _llama(
        128_256, 4096, 32, 32, 8, 14_336, 131_072, rope_theta=5e5, rope_scaling=_LLAMA3_ROPE
    ),
    "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data": _llama(
        128_256, 4096, 32, 32, 8, 14_336, 131_072, rope_theta=5e5, rope_scaling=_LLAMA3_ROPE
    ),
    "meta-llama/Llama-3.1-70B-Instruct": _llama(
        128_256, 8192, 80, 64, 8, 28_672, 131_072, rope_theta=5e5, rope_scaling=_LLAMA3_ROPE
    ),
    "meta-llama/Llama-3.2-1B-Instruct": _llama(
        128_256, 2048, 16, 32, 8, 8192, 131_072, rope_theta=5e5, rope_scaling=_LLAMA32_ROPE,
        tied=True,
    ),
    "meta-llama/Llama-3.2-3B-Instruct": _llama(
        128_256, 3072, 28, 24, 8, 8192, 131_072, rope_theta=5e5, rope_scaling=_LLAMA32_ROPE,
        tied=True,
    ),
    "mistralai/Mistral-7B-v0.1": _llama(
        32_000, 4096, 32, 32, 8, 14_336, 32_768, family="mistral", windows=(4096,) * 32
    ),
    "Qwen/Qwen2.5-0.5B-Instruct": _qwen2(151_936, 896, 24, 14, 2, 4864, 32_768, 1e6, True),
    "Qwen/Qwen2.5-1.5B-Instruct": _qwen2(151_936, 1536, 28, 12, 2, 8960, 32_768, 1e6, True),
    "Qwen/Qwen2.5-7B-Instruct": _qwen2(152_064, 3584, 28, 28, 4, 18_944, 32_768, 1e6, False),
    "Qwen/Qwen2.5-Math-1.5B-Instruct": _qwen2(151_936, 1536, 28, 12, 2, 8960, 4096, 1e4, True),
    "Qwen/Qwen2.5-Math-7B-Instruct": _qwen2(152_064, 3584, 28, 28, 4, 18_944, 4096, 1e4, False),
    "Qwen/Qwen2.5-Math-PRM-7B": replace(
        _qwen2(152_064, 3584, 28, 28, 4, 18_944, 4096, 1e4, False),
        value_classes=2,
        value_hidden=3584,
    ),
    "Qwen/Qwen3-0.6B": _qwen3(1024, 28, 16, 3072, True),
    "Qwen/Qwen3-1.7B": _qwen3(2048, 28, 16, 6144, True),
    "Qwen/Qwen3-8B": _qwen3(4096, 36, 32, 12_288, False),
    "google/gemma-2-2b-it": _gemma2(2304, 26, 8, 4, 9216),
    "google/gemma-2-9b-it": _gemma2(3584, 42, 16, 8, 14_336),
    "google/gemma-2-27b-it": _gemma2(4608, 46, 32, 16, 36_864, 144**-0.5, head_dim=128),
    "google/gemma-3-270m": _gemma3(640, 18, 4, 1, 2048, 512),
    "google/gemma-3-1b-it": _gemma3(1152, 26, 4, 1, 6912, 512),
}


def preset(name: str) -> ModelShape:
    """The shape in `PRESETS` called `name`; ValueError names the nearest ones, or all of them."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.3) or sorted(PRESETS)
        raise ValueError(f"there is no preset {name!r}; there is {', '.join(near)}")
    return PRESETS[name]
