# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Small random Hugging Face models, one per family, with every parameter away from its default."""

import torch
import transformers

# The vocabulary is odd on purpose; windows are shorter than the prompts of the tests.
_SIZES = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
_GEMMA3_ROPE = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1_000_000.0},
}

FAMILIES = {
    "llama2": ("Llama", {"num_key_value_heads": 4, "rms_norm_eps": 1e-5}),
    "llama3": ("Llama", {"rope_parameters": _LLAMA3_ROPE}),
    "linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
    "smollm2": (
        "Llama",
        {
            "tie_word_embeddings": True,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
        },
    ),
    "mistral": ("Mistral", {"sliding_window": 7}),
    "mistral_full": ("Mistral", {"sliding_window": None, "head_dim": 16}),
    "qwen2": ("Qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen2.5": (
        "Qwen2",
        {
            "tie_word_embeddings": True,
            "use_sliding_window": True,
            "sliding_window": 6,
            "max_window_layers": 1,
        },
    ),
    "qwen3": ("Qwen3", {"head_dim": 24}),
    "qwen3_tied": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "gemma2": ("Gemma2", {"head_dim": 16, "sliding_window": 6, "query_pre_attn_scalar": 24}),
    "gemma2_untied": (
        "Gemma2",
        {"head_dim": 16, "sliding_window": 6, "tie_word_embeddings": False},
    ),
    "gemma3": (
        "Gemma3",
        {
            "head_dim": 16,
            "sliding_window": 5,
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": _GEMMA3_ROPE,
        },
    ),
}


def hf_config(family: str, **changes):
    """The transformers config of a small model of `family`."""
    name, keys = FAMILIES[family]
    name = "Gemma3Text" if name == "Gemma3" else name
    return getattr(transformers, f"{name}Config")(**(_SIZES | keys | changes))


def randomise(model, seed: int = 0):
    """`model` with every parameter random, norms and biases included, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.2 if "norm" in name or "bias" in name else parameter.shape[-1] ** -0.5
            noise = torch.randn(parameter.shape, generator=generator) * spread
            centre = 1.0 if "norm" in name and "gemma" not in model.config.model_type else 0.0
            parameter.copy_(noise + centre)
    return model.eval()


def hf_model(family: str, task: str = "ForCausalLM", **changes):
    """A small random transformers model of `family`, in float32 with plain attention."""
    config = hf_config(family, **changes)
    model_class = getattr(transformers, FAMILIES[family][0] + task)
    return randomise(model_class._from_config(config, attn_implementation="eager"))


def hf_logits(model, tokens):
    """float32 numpy logits [B, T, V] that a transformers model gives to token ids [B, T]."""
    with torch.no_grad():
        return model(torch.tensor(tokens, dtype=torch.long)).logits.float().numpy()
