# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Between a Hugging Face config.json and a ModelShape.

Both spellings are read: the older one (rope_theta, rope_scaling, sliding_window_pattern) and the
newer one (rope_parameters, layer_types). The older one is written, as every version reads it.
"""

import re
from collections.abc import Mapping

from ttc_jax.model.shape import ModelShape, RopeScaling

_TRANSFORMER = {
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
}
_GEMMA = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "tie_word_embeddings": True,
    "hidden_act": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
}
# What a config means by a key it leaves out, per model_type.
_DEFAULTS: dict[str, dict] = {
    "llama": {"max_position_embeddings": 2048},
    "mistral": {"max_position_embeddings": 131_072, "sliding_window": 4096},
    "qwen2": {"max_position_embeddings": 32_768, "sliding_window": 4096, "max_window_layers": 28},
    "qwen3": {
        "max_position_embeddings": 32_768,
        "sliding_window": 4096,
        "max_window_layers": 28,
        "head_dim": 128,
    },
    "gemma2": _GEMMA
    | {
        "vocab_size": 256_000,
        "max_position_embeddings": 8192,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window_pattern": 2,
    },
    "gemma3_text": _GEMMA
    | {
        "vocab_size": 262_208,
        "max_position_embeddings": 131_072,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "sliding_window_pattern": 6,
    },
}
KNOWN = (*_DEFAULTS, "gemma3")
_ACTIVATIONS = {"silu": "silu", "gelu_pytorch_tanh": "gelu_tanh"}
_LANGUAGE_TASKS = ("ForCausalLM", "ForConditionalGeneration", "Model")
_VALUE_TASKS = ("ForTokenClassification", "ForSequenceClassification")
# Reward models that come with their own code. Qwen's process reward model has two classes and a
# hidden layer as wide as the model; the names below it stand for heads of several kinds.
_PROCESS_TASK = "ForProcessRewardModel"
_OPEN_TASKS = ("ForRewardModel", "ForPrmModel")
_ARCHITECTURES = {
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "gemma2": "Gemma2",
    "gemma3_text": "Gemma3",
}


class _Config:
    """A config.json with the defaults of its family; a missing size is an error that names it."""

    def __init__(self, config: Mapping, defaults: Mapping):
        self._values = {**_TRANSFORMER, **defaults, **config}

    def __call__(self, key: str, *fallback):
        if key in self._values:
            return self._values[key]
        if fallback:
            return fallback[0]
        raise ValueError(f"config.json has no {key!r}")


def shape_from_hf(config: Mapping, head: tuple[int, int] | None = None) -> ModelShape:
    """The ModelShape that a parsed config.json describes.

    `head` is the value head that the weights hold, (classes, hidden width), (0, 0) for none; it
    counts where the architecture leaves the head open: language models, which may have got one in
    training, and ForRewardModel or ForPrmModel, taken for one class while `head` is None.

    Raises:
        ValueError: an architecture, activation, rope scaling or bias that is not supported, or a
            missing size; the message names it. Or a reward model without a value head.
    """
    family = config.get("model_type")
    if family == "gemma3":
        text = {"model_type": "gemma3_text", "architectures": config.get("architectures", [])}
        return shape_from_hf(text | dict(config.get("text_config") or {}), head)
    value_classes, value_hidden = _value_head(family, config, head)
    get = _Config(config, _DEFAULTS[family])
    _check(family, get)
    heads, width = get("num_attention_heads"), get("hidden_size")
    layers = get("num_hidden_layers")
    gemma = family.startswith("gemma")
    theta, local_theta, scaling = _rope(family, get)
    activation = get("hidden_activation", None) or get("hidden_act")
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"config.json: activation {activation!r} is not supported; "
            f"known: {', '.join(_ACTIVATIONS)}"
        )
    return ModelShape(
        family=family,
        vocab=get("vocab_size"),
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=get("num_key_value_heads", None) or heads,
        head_dim=get("head_dim", None) or width // heads,
        ffn=get("intermediate_size"),
        context=get("max_position_embeddings"),
        norm_eps=get("rms_norm_eps"),
        rope_theta=theta,
        rope_scaling=scaling,
        local_rope_theta=local_theta,
        windows=_windows(family, get, layers),
        activation=_ACTIVATIONS[activation],
        tied=get("tie_word_embeddings"),
        query_scale=get("query_pre_attn_scalar") ** -0.5 if gemma else None,
        attn_softcap=get("attn_logit_softcapping", None),
        final_softcap=get("final_logit_softcapping", None),
        value_classes=value_classes,
        value_hidden=value_hidden,
        **family_switches(family, width),
    )


def family_switches(family: str, width: int) -> dict:
    """The fields of ModelShape that every model of a family shares."""
    gemma = family.startswith("gemma")
    return {
        "qkv_bias": family == "qwen2",
        "qk_norm": family in ("qwen3", "gemma3_text"),
        "post_norms": gemma,
        "norm_offset": 1.0 if gemma else 0.0,
        "embed_scale": width**0.5 if gemma else 1.0,
    }


def _value_head(family, config: Mapping, head) -> tuple[int, int]:
    names = config.get("architectures") or []
    found = {_task(name) for name in names}
    known = (*_LANGUAGE_TASKS, *_VALUE_TASKS, _PROCESS_TASK, *_OPEN_TASKS)
    if family not in _DEFAULTS or found - set(known):
        raise ValueError(
            f"unknown architecture: model_type {family!r}, architectures {list(names)}; known "
            f"model types: {', '.join(KNOWN)}, with {', '.join(known)}"
        )
    labels = len(config.get("id2label") or ()) or config.get("num_labels", 2)
    if _PROCESS_TASK in found:
        return labels, config.get("value_hidden", config.get("hidden_size", 0))
    if found & set(_VALUE_TASKS):
        return labels, 0
    if found & set(_OPEN_TASKS):
        if head == (0, 0):
            raise ValueError(
                f"config.json: architectures {list(names)} ask for a value head, the weights hold "
                "none (score.weight, score.0.weight with score.2.weight, or v_head.summary.weight)"
            )
        return head or (1, 0)
    return head or (0, 0)


def _task(architecture: str) -> str:
    match = re.fullmatch(r"\w*?(For\w+|Model)", architecture)
    return match[1] if match else architecture


def _check(family: str, get: _Config) -> None:
    for key in ("attention_bias", "mlp_bias", "use_bidirectional_attention"):
        if get(key, False):
            raise ValueError(f"config.json: {key} = true is not supported for {family!r}")
    if get("quantization_config", None):
        raise ValueError(
            "config.json: quantised safetensors (quantization_config) are not supported; use the "
            "float checkpoint or a GGUF file"
        )


def _windows(family: str, get: _Config, layers: int) -> tuple[int, ...]:
    window = get("sliding_window", None)
    if family == "llama" or window is None:
        return ()
    if family == "mistral":
        return (window,) * layers
    types = get("layer_types", None)
    if family.startswith("qwen") and not get("use_sliding_window", False):
        return ()
    if types is not None:
        slides = [kind == "sliding_attention" for kind in types]
    elif family.startswith("qwen"):
        slides = [layer >= get("max_window_layers") for layer in range(layers)]
    else:
        slides = [(layer + 1) % get("sliding_window_pattern") > 0 for layer in range(layers)]
    return tuple(window if slide else 0 for slide in slides)


def _rope(family: str, get: _Config) -> tuple[float, float | None, RopeScaling | None]:
    """Base frequency, that of windowed layers where it differs, and the scaling."""
    new = get("rope_parameters", None) or {}
    local = new.get("sliding_attention")
    full = new.get("full_attention", new)
    theta = full.get("rope_theta", get("rope_theta"))
    scaling = _scaling(full if new else get("rope_scaling", None), get)
    if family != "gemma3_text":
        return float(theta), None, scaling
    if local and _scaling(local, get) is not None:
        raise ValueError("config.json: rope scaling of sliding layers is not supported")
    local_theta = (local or {}).get("rope_theta", get("rope_local_base_freq"))
    return float(theta), float(local_theta), scaling


def _scaling(rope: Mapping | None, get: _Config) -> RopeScaling | None:
    partial = (rope or {}).get("partial_rotary_factor") or get("partial_rotary_factor", None) or 1.0
    if partial != 1.0:
        raise ValueError(f"config.json: partial_rotary_factor {partial} is not supported")
    kind = (rope or {}).get("rope_type", (rope or {}).get("type", "default"))
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling("linear", float(rope["factor"]))
    if kind != "llama3":
        raise ValueError(
            f"config.json: rope scaling {kind!r} is not supported; known: default, linear, llama3"
        )
    return RopeScaling(
        "llama3",
        float(rope["factor"]),
        float(rope["low_freq_factor"]),
        float(rope["high_freq_factor"]),
        int(rope["original_max_position_embeddings"]),
    )


def shape_to_hf(shape: ModelShape) -> dict:
    """A config.json, as a dict, that `transformers` and `shape_from_hf` read back as `shape`.

    A value head with a hidden layer is written as Qwen's process reward models are; transformers
    has no class of its own for it.

    Raises:
        ValueError: no Hugging Face family has this combination of switches.
    """
    if shape.family not in _ARCHITECTURES:
        raise ValueError(
            f"family {shape.family!r} has no Hugging Face config; known: {', '.join(_DEFAULTS)}"
        )
    name = _ARCHITECTURES[shape.family]
    activation = next(hf for hf, ours in _ACTIVATIONS.items() if ours == shape.activation)
    config = {
        "model_type": shape.family,
        "architectures": [name + _task_of(shape)],
        "vocab_size": shape.vocab,
        "hidden_size": shape.width,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": shape.tied,
        "hidden_act": activation,
        **_window_keys(shape),
    }
    if shape.rope_scaling is not None:
        config["rope_scaling"] = _scaling_keys(shape.rope_scaling)
    if shape.value_classes:
        config["id2label"] = {str(i): f"LABEL_{i}" for i in range(shape.value_classes)}
        config["label2id"] = {f"LABEL_{i}": i for i in range(shape.value_classes)}
    if shape.value_hidden:
        config["value_hidden"] = shape.value_hidden
    if shape.family.startswith("gemma"):
        config["hidden_activation"] = activation
        config["query_pre_attn_scalar"] = _integer(shape.scale**-2)
        config["attn_logit_softcapping"] = shape.attn_softcap
        config["final_logit_softcapping"] = shape.final_softcap
    if shape.local_rope_theta is not None:
        config["rope_local_base_freq"] = shape.local_rope_theta
    if shape_from_hf(config) != shape:
        raise ValueError(
            f"no {shape.family} config describes this ModelShape: {shape}; "
            f"the nearest is {shape_from_hf(config)}"
        )
    return config


def _task_of(shape: ModelShape) -> str:
    if shape.value_hidden:
        return _PROCESS_TASK
    return _VALUE_TASKS[0] if shape.value_classes else _LANGUAGE_TASKS[0]


def _integer(value: float) -> float | int:
    return round(value) if abs(value - round(value)) < 1e-6 * value else value


def _scaling_keys(scaling: RopeScaling) -> dict:
    keys = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "llama3":
        keys["low_freq_factor"] = scaling.low_freq_factor
        keys["high_freq_factor"] = scaling.high_freq_factor
        keys["original_max_position_embeddings"] = scaling.original_context
    return keys


def _window_keys(shape: ModelShape) -> dict:
    window = max(shape.windows, default=0)
    if shape.family == "llama":
        return {}
    if shape.family == "mistral":
        return {"sliding_window": window or None}
    types = ["sliding_attention" if w else "full_attention" for w in shape.windows]
    keys = {"sliding_window": window or None, "layer_types": types or None}
    if shape.family.startswith("qwen"):
        full = next((i for i, w in enumerate(shape.windows) if w), shape.layers)
        keys |= {"use_sliding_window": window > 0, "max_window_layers": full}
    if shape.family == "gemma3_text" and 0 in shape.windows:
        keys["sliding_window_pattern"] = shape.windows.index(0) + 1
    return keys
