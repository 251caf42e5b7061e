# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a small model may spend for the price of a larger one, as it is shown on a terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.table import Column, Table

from ttc_jax.model.shape import ModelShape
from ttc_jax.study.matched import Pair, multipliers


def exchange_table(
    pair: Pair, ratios: Sequence[float], conventions: Sequence[str], tokens: float | None = None
) -> Table:
    """The matched budget k for each R, one column a convention.

    With `tokens` of pretraining R is also shown as inference tokens in all.
    """
    headers = [Column(name, justify="right") for name in ("R", "inference tokens", *conventions)]
    if tokens is None:
        del headers[1]
    table = Table(*headers, box=box.SIMPLE_HEAD)
    for row in multipliers(pair, ratios, conventions):
        spent = [] if tokens is None else [f"{row.R * tokens:.4g}"]
        cells = (f"{row.budgets[name]:.4g}" for name in conventions)
        table.add_row(f"{row.R:g}", *spent, *cells)
    return table


def token_table(shapes: Mapping[str, ModelShape], context: int) -> Table:
    """FLOPs of a token of each model, counted exactly at a context.

    Of a prompt of `context` tokens the mean, without the language head; of the token sampled
    behind it, with the head.
    """
    headers = ("parameters", "prompt token", "sampled token", "over 2 N")
    right = (Column(header, justify="right", no_wrap=True) for header in headers)
    table = Table(Column("model", overflow="fold"), *right, box=box.SIMPLE_HEAD)
    for name, shape in shapes.items():
        prompt = shape.forward_flops(0, context, logits=0) / context
        sampled = shape.forward_flops(context, 1, logits=1)
        over = sampled / (2 * shape.params)
        table.add_row(name, f"{shape.params:,}", f"{prompt:.4g}", f"{sampled:.4g}", f"{over:.3f}")
    return table


def words(pair: Pair, conventions: Sequence[str]) -> Iterator[str]:
    """What the numbers of `exchange_table` are."""
    says = {
        "arxiv": "2 N a token, the verifier for free",
        "iclr": "4 N a token of either model, the verifier included",
        "iclr_small": "4 N a token of the small model, 2 N of the large one, which has no verifier",
    }
    yield (
        f"M = {pair.large_params / pair.small_params:.4g}: k generations of the small model cost "
        f"as much as a greedy answer of the large one, pretraining included"
    )
    yield from (f"{name}: {says[name]}" for name in conventions if name in says)
