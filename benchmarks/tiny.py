# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Sampled tokens per second of a whole search with models of 40,000 weights, where overhead shows.

Random models of width 32 as policy and as verifier, prompts of 36 tokens, solutions of 20, steps of
4. A run searches, grades and stores all questions, compilation included; `second` is the same run
again in the same process. The rival is a plain sampler: a jitted scan over a dense cache, whole
solutions of fixed length for 1024 rows at once, neither graded nor stored. Seconds are those of the
wall and, as other work may run beside it, of the processor, over all threads of the process.

    python benchmarks/tiny.py [--questions 200] [--rows 1024] [--cases "best_of_n(N=64)" ...]
"""

import argparse
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from machine import compilations, print_headline, print_table

from ttc_jax.core.mesh import make_mesh, parameter_shardings
from ttc_jax.core.samples import SampleStore
from ttc_jax.data.sources import Question
from ttc_jax.decode.sample import Sampler, row_keys, uniforms
from ttc_jax.model.attend import attend, by_kv_head, by_token, keys_first, merge, values_first
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, hidden, logits
from ttc_jax.search.cost import node_flops
from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.recorder import Recorder
from ttc_jax.search.schedule import Scheduler
from ttc_jax.verify.grade import Grader
from ttc_jax.verify.plain_formats import Steps
from ttc_jax.verify.verifier import Verifier

VOCAB = 130  # numbers, letters, punctuation; the last one ends a solution, and never comes
SHAPE = ModelShape("llama", VOCAB, 32, 3, 4, 4, 8, 96, 256, tied=True)
PROMPT, NEW, STEP = 36, 20, 4
# Strategies, and whether a verifier scores their steps.
CASES = {
    "best_of_n(N=64)": False,
    "best_of_n(N=64) scored": True,
    "beam(N=16,M=4)": True,
    "beam(N=64,M=4)": True,
    "revise(s=8,p=4)": False,
}


class Words:
    """A tokenizer of numbers with a blank before them, letters and a few signs."""

    vocab_size, bos, pad, eos = VOCAB, None, None, (VOCAB - 1,)

    def __init__(self):
        signs = ["\n", ":", " ", *map(chr, range(ord("A"), ord("Z") + 1))]
        self._words = [*signs, *(f" {n}" for n in range(VOCAB - 1 - len(signs)))]
        self._ids = {word: id for id, word in enumerate(self._words)}

    def encode(self, text: str, *, bos: bool | None = None) -> list[int]:
        return [self._ids.get(word, 0) for word in re.findall(r" \d+|.|\n", text)]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return "".join(self._words[id] for id in ids if id < len(self._words))

    def token_bytes(self) -> list[bytes]:
        """Samples have neither ends of lines, so that all steps are of one length."""
        return [b" 1" if word == "\n" else word.encode() for word in self._words] + [b" 2"]


@dataclass(frozen=True)
class Models:
    """Two random models, on a mesh."""

    mesh: Mesh
    policy: Transformer
    verifier: Transformer
    tokenizer: Words


def main() -> None:
    args = arguments()
    models = load()
    asked = questions(args.questions)
    plain = Plain(models, asked, args.plain_rows)
    rows, headline = [], {}
    rates = [plain() for _ in range(2)][1:]
    for case in args.cases:
        with compilations() as compiled:
            first = run(case, asked, models, args.rows)
        second = run(case, asked, models, args.rows)
        rates.append(plain())
        rate = second["tokens"] / second["cpu"]
        rows.append([
            case, second["tokens"], second["tokens"] / second["wall"], rate,
            rate / rates[-1], first["wall"], first["cpu"], second["wall"], second["cpu"],
            compiled["programs"], compiled["seconds"],
        ])  # fmt: skip
        name = re.sub(r"\W+", "_", case).strip("_")
        headline |= {f"ratio_{name}": rate / rates[-1], f"compile_s_{name}": compiled["seconds"]}
    print(f"plain sampler: {', '.join(f'{r:.0f}' for r in rates)} tokens per CPU second")
    print_table(
        ["", "tokens", "tok/s", "tok/CPU s", "of plain", "first s", "CPU s", "second s", "CPU s",
         "programs", "compile s"], rows,
    )  # fmt: skip
    print_headline("tiny", headline)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1024, help="rows decoded together")
    parser.add_argument("--plain-rows", type=int, default=1024)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    return parser.parse_args()


def load() -> Models:
    """The models, in float32."""
    mesh = make_mesh()
    policy, verifier = (
        Transformer(replace(SHAPE, value_classes=classes), jax.random.key(classes))
        for classes in (0, 1)
    )
    placed = (jax.device_put(m, parameter_shardings(m, mesh)) for m in (policy, verifier))
    return Models(mesh, *placed, Words())


def questions(count: int) -> list[Question]:
    """Lines of numbers, of PROMPT tokens together with the line's end behind them."""
    rng = np.random.default_rng(0)
    lines = lambda: "\n".join(  # noqa: E731
        f"{'ABCDE'[i]}:" + "".join(f" {n}" for n in rng.integers(99, size=5 - (i > 1)))
        for i in range(5)
    )
    return [Question(f"q{i}", lines(), "1") for i in range(count)]


def run(case: str, asked: Sequence[Question], models: Models, rows: int) -> dict[str, float]:
    """Tokens and seconds of one search over the questions, from nothing to the last shard."""
    tokenizer = models.tokenizer

    def prompt(question: Question, attempts: Sequence[str]) -> list[int]:
        return tokenizer.encode("\n".join([question.text, *attempts]) + "\n")

    wall, cpu = time.perf_counter(), time.process_time()
    policy = Policy(
        models.policy, tokenizer, models.mesh, prompt, Sampler(1.0), delimiter="\n", max_new=NEW,
        max_step=STEP,
    )  # fmt: skip
    scorer = Verifier(models.verifier, Steps(tokenizer), mesh=models.mesh) if CASES[case] else None
    scheduler = Scheduler(parse(case.split()[0]), asked, policy, scorer, Batch(rows=rows))
    shapes = policy.model.shape, scorer
    with tempfile.TemporaryDirectory() as directory, Grader() as grader:
        store = SampleStore(Path(directory))
        with Recorder(store, grader, asked, lambda t, n: node_flops(t, n, *shapes)) as recorder:
            for tree in scheduler.run(lambda progress: recorder.tick()):
                recorder.add(tree)
    return {
        "tokens": scheduler.progress.new_tokens,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


class Plain:
    """Whole solutions by one scan, prompts encoded once and their keys repeated."""

    def __init__(self, models: Models, asked: Sequence[Question], rows: int):
        self._models, self._each = models, 64
        prompts = [models.tokenizer.encode(q.text + "\n") for q in asked[: rows // self._each]]
        self._prompts = jnp.array(prompts)
        self._sample = jax.jit(partial(_sample, n=self._each))

    def __call__(self) -> float:
        """Tokens for a second of the processor."""
        sample = lambda seed: jax.block_until_ready(  # noqa: E731
            self._sample(self._models.policy, self._prompts, jnp.uint32(seed))
        )
        sample(0)
        start, tokens = time.process_time(), 0
        for seed in range(8):
            tokens += sample(seed).size
        return tokens / (time.process_time() - start)


def _sample(model: Transformer, prompts, seed, *, n: int):
    """Tokens i32[B * n, NEW] that follow prompts i32[B, PROMPT]."""
    shape, (asked, length) = model.shape, prompts.shape
    total, rows = length + NEW, asked * n
    cache = []

    def read(layer, q, k, v):
        cache.append((keys_first(k), values_first(v)))
        mask = jnp.tril(jnp.ones((length, length), bool))[None, None]
        part = attend(by_kv_head(q, shape.kv_heads), *cache[-1], mask, shape)
        return by_token(merge([part], q.dtype), length)

    places = jnp.broadcast_to(jnp.arange(length), (asked, length))
    hidden(model, prompts, places, read)
    pad = lambda x, axis: jnp.pad(  # noqa: E731
        jnp.repeat(x, n, axis=0), [(0, (a == axis) * NEW) for a in range(4)]
    )
    cache = [(pad(k, 3), pad(v, 2)) for k, v in cache]
    keys = row_keys(seed, *jnp.divmod(jnp.arange(rows, dtype=jnp.uint32), jnp.uint32(n)))
    draw = Sampler(1.0).draw

    def step(carry, i):
        last, cache = carry
        cache = list(cache)

        def attention(layer, q, k, v):
            old_k, old_v = cache[layer]
            new_k = jax.lax.dynamic_update_slice_in_dim(old_k, keys_first(k), length - 1 + i, 3)
            new_v = jax.lax.dynamic_update_slice_in_dim(old_v, values_first(v), length - 1 + i, 2)
            cache[layer] = new_k, new_v
            mask = (jnp.arange(total) < length + i)[None, None, None]
            part = attend(by_kv_head(q, shape.kv_heads), new_k, new_v, mask, shape)
            return by_token(merge([part], q.dtype), 1)

        places = jnp.full((rows, 1), length - 1) + i
        x = hidden(model, last[:, None], places, attention)
        token, _ = draw(logits(model, x[:, 0]), uniforms(keys, places[:, 0] + 1))
        return (token, tuple(cache)), token

    start = jnp.repeat(prompts[:, -1], n), tuple(cache)
    return jax.lax.scan(step, start, jnp.arange(NEW))[1].T


if __name__ == "__main__":
    main()
