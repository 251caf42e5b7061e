# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Names and layouts of parameters in Hugging Face checkpoints.

Our weights have the same orientation; only heads are split out, so a tensor is reshaped and never
transposed.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jax.sharding import PartitionSpec as P

from ttc_jax.model.shape import ModelShape

_ATTENTION = r"model.layers.\1.self_attn."
_LAYER = r"model.layers.\1."

# (our path, Hugging Face name, how our axes join into theirs); first match wins.
_RULES: tuple[tuple[str, str, tuple[tuple[int, ...], ...] | None], ...] = (
    (r"embed", "model.embed_tokens.weight", None),
    (r"norm", "model.norm.weight", None),
    (r"head", "lm_head.weight", None),
    (r"value_up", "score.0.weight", None),
    (r"value_up_bias", "score.0.bias", None),
    (r"blocks/(\d+)/([qkv])", _ATTENTION + r"\2_proj.weight", ((0, 1), (2,))),
    (r"blocks/(\d+)/([qkv])_bias", _ATTENTION + r"\2_proj.bias", ((0, 1),)),
    (r"blocks/(\d+)/o", _ATTENTION + "o_proj.weight", ((0,), (1, 2))),
    (r"blocks/(\d+)/([qk])_norm", _ATTENTION + r"\2_norm.weight", None),
    (r"blocks/(\d+)/(gate|up|down)", _LAYER + r"mlp.\2_proj.weight", None),
    (r"blocks/(\d+)/attn_norm", _LAYER + "input_layernorm.weight", None),
    (r"blocks/(\d+)/attn_post_norm", _LAYER + "post_attention_layernorm.weight", None),
    (r"blocks/(\d+)/ffn_post_norm", _LAYER + "post_feedforward_layernorm.weight", None),
)
# The norm before the feed-forward is called after what precedes it where nothing follows it.
_FFN_NORM = {
    False: _LAYER + "post_attention_layernorm.weight",
    True: _LAYER + "pre_feedforward_layernorm.weight",
}
# A value head with a hidden layer is a sequence of modules, of which the ReLU is number 1.
_VALUE = {False: "score.", True: "score.2."}

# Tensors that a text model leaves alone: the vision half of Gemma 3, frequencies of old exports.
_IGNORED = re.compile(r"^(model\.)?(vision_tower|multi_modal_projector)\.|\.rotary_emb\.inv_freq$")


@dataclass(frozen=True)
class Place:
    """Where one of our parameters lies in a checkpoint: its name, shape and joined axes there."""

    name: str
    dims: tuple[int, ...]
    joined: tuple[tuple[int, ...], ...]

    def spec(self, ours: P) -> P:
        """The partition of the checkpoint's tensor that becomes `ours` by reshaping alone."""
        parts = [*ours, *[None] * (sum(map(len, self.joined)) - len(ours))]
        return P(*(parts[axes[0]] for axes in self.joined))


def place(path: str, dims: tuple[int, ...], shape: ModelShape) -> Place:
    """Where the parameter at `path` ("blocks/3/q") with our dims lies in a checkpoint."""
    for pattern, name, joined in _rules(shape):
        match = re.fullmatch(pattern, path)
        if match:
            joined = joined or tuple((axis,) for axis in range(len(dims)))
            sizes = tuple(math.prod(dims[axis] for axis in axes) for axes in joined)
            return Place(match.expand(name), sizes, joined)
    raise KeyError(f"no Hugging Face name for parameter {path}")


def _rules(shape: ModelShape):
    value = _VALUE[shape.value_hidden > 0]
    return (
        *_RULES,
        (r"blocks/(\d+)/ffn_norm", _FFN_NORM[shape.post_norms], None),
        (r"value_head", value + "weight", None),
        (r"value_bias", value + "bias", None),
    )


def canonical(name: str) -> str | None:
    """`name` as a text-only causal model spells it; None for a tensor that is not of its kind."""
    if _IGNORED.search(name):
        return None
    name = re.sub(r"^v_head\.summary\.", "score.", name)  # trl's value head of one class
    name = re.sub(r"^language_model\.", "", name)
    name = re.sub(r"^model\.language_model\.", "model.", name)
    return re.sub(r"^(embed_tokens|layers|norm)\.", r"model.\1.", name)


def value_head(dims: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    """(classes, hidden width) of the value head among tensors by canonical name; 0 for what is not.

    `dims` gives each tensor's shape in the checkpoint.
    """
    if "score.2.weight" in dims and "score.0.weight" in dims:
        return dims["score.2.weight"][0], dims["score.0.weight"][0]
    return (dims["score.weight"][0], 0) if "score.weight" in dims else (0, 0)
