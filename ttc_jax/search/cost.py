# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of a search tree cost, in FLOPs by phase."""

from ttc_jax.model.shape import ModelShape
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.scorer import Scorer


def node_flops(
    tree: Tree, node: Node, policy: ModelShape, scorer: Scorer | None = None
) -> dict[str, int]:
    """FLOPs of the tokens that were sampled or encoded for a node, by phase as in its usage.

    Exact: over the trees of an undisturbed run they sum to what the ledger has as useful. What was
    shared costs nothing again: only encoded tokens count, at the position that they stand at. The
    plain prompt carries what the tree spent on opening the question in the verifier. The tree is
    one that a search has left: a stored one does not say where the verifier read on.
    """
    prompt, usage, at = node, node.usage, node.verify_at
    while prompt.parent is not None:
        prompt = prompt.parent
    before = len(prompt.tokens) - 1
    if node.number < 0:
        phase = prompt_phase(node)
        cost = {phase: policy.forward_flops(before - usage[phase], usage[phase], logits=0)}
        if scorer is not None and node.number == -1:
            encoded = tree.usage["verifier_prefill"]
            cost["verifier_prefill"] = scorer.flops(at, encoded, scored=False)
        elif scorer is not None and usage["verify_context"]:
            cost["verify_context"] = scorer.flops(at, usage["verify_context"])
        return cost
    start, cost = before + sum(len(n.tokens) for n in node.path[:-1]), {}
    for phase in ("rollout",) if node.rollout else ("decode", "lookahead"):
        if usage[phase]:
            cost[phase] = policy.forward_flops(start, usage[phase], logits=usage[phase])
        start += usage[phase]
    for phase in () if scorer is None else ("verify", "verify_lookahead"):
        if usage[phase]:
            cost[phase] = scorer.flops(at, usage[phase])
        at += usage[phase]
    return cost


def prompt_phase(prompt: Node) -> str:
    """What encoding a prompt is charged to: "prefill", or "revision_context" for later ones."""
    return "prefill" if prompt.number == -1 else "revision_context"
