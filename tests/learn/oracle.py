# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The forward pass and the losses of training in float64 numpy, and gradients by differences.

Written from the equations of Llama-like models, one row, one head and one query at a time, for tiny
shapes. Parameters are a dict of float64 arrays by path, as `core.mesh.path_name` spells it.
"""

import jax
import numpy as np

from ttc_jax.core.mesh import path_name


def parameters(model):
    """The parameters of one of our models, by path, in float64."""
    leaves = jax.tree_util.tree_flatten_with_path(model)[0]
    return {path_name(path): np.asarray(leaf, np.float64) for path, leaf in leaves}


def merged(params, scale):
    """`params` with every X/weight, X/lora_in [r, *in], X/lora_out [*out, r] made into one X."""
    found = {name: array for name, array in params.items() if "/lora_" not in name}
    for name in [name for name in found if name.endswith("/weight")]:
        stem = name.removesuffix("/weight")
        added = np.tensordot(params[f"{stem}/lora_out"], params[f"{stem}/lora_in"], axes=1)
        found[stem] = found.pop(name) + scale * added
    return found


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rotated(x, position, theta):
    """x [heads, H] at a position: pair (i, i + H/2) turned by position * theta ** (-2 i / H)."""
    half = x.shape[1] // 2
    angle = position * theta ** (-np.arange(half) / half)
    first, second = x[:, :half], x[:, half:]
    return np.concatenate(
        [
            first * np.cos(angle) - second * np.sin(angle),
            second * np.cos(angle) + first * np.sin(angle),
        ],
        axis=1,
    )


def softmax(x):
    weights = np.exp(x - x.max())
    return weights / weights.sum()


def attention(params, prefix, shape, x, positions, segments):
    """What the attention of a layer adds to one row x [T, D]."""

    def projected(name, rotate):
        y = np.einsum("td,nhd->tnh", x, params[prefix + name])
        y = y + params.get(f"{prefix}{name}_bias", 0.0)
        if rotate:
            y = np.stack(
                [rotated(row, p, shape.rope_theta) for row, p in zip(y, positions, strict=True)]
            )
        return y

    q, k, v = projected("q", True), projected("k", True), projected("v", False)
    out = np.zeros_like(q)
    for t in range(len(x)):
        seen = [s for s in range(t + 1) if segments[s] == segments[t]]
        for n in range(shape.heads):
            kv = n // (shape.heads // shape.kv_heads)
            weights = softmax(k[seen, kv] @ q[t, n] / np.sqrt(shape.head_dim))
            out[t, n] = weights @ v[seen, kv]
    return np.einsum("tnh,dnh->td", out, params[prefix + "o"])


def feed_forward(params, prefix, x):
    gate = x @ params[prefix + "gate"].T
    return (gate / (1 + np.exp(-gate)) * (x @ params[prefix + "up"].T)) @ params[prefix + "down"].T


def hidden(params, shape, tokens, positions, segments):
    """Final hidden states [B, T, D] of tokens, positions, segments [B, T]."""
    rows = []
    for ids, places, numbers in zip(tokens, positions, segments, strict=True):
        x = params["embed"][ids]
        for layer in range(shape.layers):
            prefix = f"blocks/{layer}/"
            y = rms_norm(x, params[prefix + "attn_norm"], shape.norm_eps)
            x = x + attention(params, prefix, shape, y, places, numbers)
            y = rms_norm(x, params[prefix + "ffn_norm"], shape.norm_eps)
            x = x + feed_forward(params, prefix, y)
        rows.append(rms_norm(x, params["norm"], shape.norm_eps))
    return np.stack(rows)


def logits(params, x):
    """Next-token logits of hidden states x [..., D]; the embeddings are the head of tied models."""
    return x @ params.get("head", params["embed"]).T


def values(params, x):
    """Value-head logits [..., classes] of hidden states x [..., D]."""
    return x @ params["value_head"].T + params["value_bias"]


def loss(params, shape, tokens, positions, segments, targets, weights, kind):
    """The weighted sum over all positions [B, T] of the loss at each, in nats.

    "language": cross-entropy of the logits there with the token `targets`; "value": binary
    cross-entropy of the one value logit there with `targets` in [0, 1].
    """
    x = hidden(params, shape, tokens, positions, segments)
    total = 0.0
    for place in np.ndindex(*np.shape(tokens)):
        if not weights[place]:
            continue
        if kind == "language":
            each = -np.log(softmax(logits(params, x[place]))[targets[place]])
        elif kind == "value":
            z, y = values(params, x[place])[0], float(targets[place])
            each = y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
        else:
            raise ValueError(kind)
        total += float(weights[place]) * each
    return total


def differences(f, params, name, entries, step=1e-5):
    """Derivatives of f(params) by the given entries (indices) of one parameter, in their order.

    Central differences: of order step ** 2 from the truth, and 1e-11 or so of rounding.
    """
    found = []
    for entry in entries:
        ends = []
        for sign in (1, -1):
            moved = params[name].copy()
            moved[entry] += sign * step
            ends.append(f(params | {name: moved}))
        found.append((ends[0] - ends[1]) / (2 * step))
    return np.array(found)
