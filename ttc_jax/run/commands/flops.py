# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc flops`: how long a small model may think for the price of a larger one (paper section 7)."""

from collections.abc import Sequence

from ttc_jax.run.commands.parser import Parser, numbers

USAGE = """\
ttc flops [--M=14 | --model=NAME [--large=NAME]] [--R=0.16,0.79,22] [--convention=NAME,...]
                 [--pretraining_tokens=N] [--context=1024]

  --M          how many times the parameters of the small model the large one has
  --model      a known model by its name, such as HuggingFaceTB/SmolLM2-135M-Instruct; with
               --large, another one, M is that of their parameters
  --R          ratios of inference to pretraining tokens
  --convention of FLOPs: arxiv, iclr and iclr_small; default: all of them
  --pretraining_tokens  of either model, to show R as inference tokens
  --context    tokens of the prompt for which the FLOPs of --model are shown"""


def main(argv: Sequence[str]) -> None:
    """Prints the exchange, and of named models what a token costs."""
    parser = Parser(USAGE)
    parser.add_argument("--M", type=float)
    parser.add_argument("--model")
    parser.add_argument("--large")
    parser.add_argument("--R", type=numbers(float), default=(0.16, 0.79, 22.0))
    parser.add_argument("--convention", type=numbers(str))
    parser.add_argument("--pretraining_tokens", type=float)
    parser.add_argument("--context", type=int, default=1024)
    args = parser.parse_args(argv)
    if args.large and not args.model:
        raise ValueError(f"--large={args.large} needs the small model: name it as --model")
    if args.large and args.M is not None:
        raise ValueError("--M and --large both say how large the large model is: leave one out")
    tokens = args.pretraining_tokens
    if tokens is not None and not 0 < tokens < float("inf"):
        raise ValueError(f"--pretraining_tokens is {tokens}: give a positive number of tokens")
    if args.context < 1:
        raise ValueError(f"--context is {args.context}: give at least one token")
    from rich.console import Console

    from ttc_jax.model.shape import PRESETS
    from ttc_jax.report.terminal.prices import exchange_table, token_table, words
    from ttc_jax.study.matched import PRICED, Pair

    conventions = args.convention or PRICED
    pair = Pair.scaled(14.0 if args.M is None else args.M)
    names = dict.fromkeys([args.model, args.large or args.model] if args.model else [])
    if names:
        named = Pair.presets(args.model, args.large or args.model)  # refuses unknown names
        pair = named if args.large else pair
    shown = [exchange_table(pair, args.R, conventions, tokens), *words(pair, conventions)]
    if names:
        shown += [
            token_table({name: PRESETS[name] for name in names}, args.context),
            f"FLOPs of a token: the mean over a prompt of {args.context:,}, without the language "
            f"head; the one sampled behind it, with the head; and that over 2 N",
        ]
    Console(highlight=False, markup=False).print(*shown, sep="\n", soft_wrap=True)
