# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of a search tree cost, in FLOPs by phase."""

from ttc_jax.model.shape import ModelShape
from ttc_jax.search.tree import Node, Tree


def node_flops(
    tree: Tree, node: Node, policy: ModelShape, verifier: ModelShape | None = None
) -> dict[str, float]:
    """FLOPs of the tokens that were sampled or encoded for a node, by phase as in its usage.

    What was shared costs nothing again: only encoded tokens count, at the position that they stand
    at. A verifier's tokens are taken to stand where the policy's do, which matters to attention
    alone. The plain prompt carries what the tree spent on opening the question in the verifier.
    """
    prompt = node
    while prompt.parent is not None:
        prompt = prompt.parent
    before = len(prompt.tokens) - 1
    usage = node.usage
    if node.number < 0:
        encoded = usage["prefill"]
        cost = {"prefill": _forward(policy, before - encoded, encoded)}
        if node.number == -1 and verifier is not None:
            cost["verifier_prefill"] = _forward(verifier, 0, tree.usage["verifier_prefill"])
        if usage["verify"]:  # earlier attempts, read again
            again = min(usage["verify"], before)
            cost["verify"] = _forward(verifier, before - again, usage["verify"])
        return cost
    start = before + sum(len(n.tokens) for n in node.path[:-1])
    if node.rollout:
        return {"rollout": _forward(policy, start, usage["rollout"], decode=True)}
    end = start + usage["decode"]
    cost = {"decode": _forward(policy, start, usage["decode"], decode=True)}
    if usage["lookahead"]:
        cost["lookahead"] = _forward(policy, end, usage["lookahead"], decode=True)
    if verifier is not None:
        cost["verify"] = _forward(verifier, start, usage["verify"])
        if usage["verify_lookahead"]:
            cost["verify_lookahead"] = _forward(verifier, end, usage["verify_lookahead"])
    return cost


def _forward(shape: ModelShape, start: int, tokens: int, decode: bool = False) -> float:
    return shape.forward_flops(start, tokens, logits=tokens if decode else 0)
