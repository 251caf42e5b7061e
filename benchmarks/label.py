# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What it costs to label steps by Monte-Carlo rollouts, beside doing it without sharing.

SmolLM2 answers word problems with the settings of configs/smollm2.py, step by step, and every
prefix of its solutions is rolled out. Tokens are those that the run counted. Without sharing,
every rollout would begin by reading its prompt and its prefix, as where a script hands each of
them to an engine as a text of its own; and without merging, samples that begin alike would each be
rolled out from there. Both are computed from the same trees: a rollout of a prefix that m samples
share counts m times.

Solutions, rollouts included, and tokens per second are those of sampling and grading, compilation
included.

    python benchmarks/label.py [--questions 32] [--samples 16] [--rollouts 16] [--max_new 128]
"""

import argparse
import os
import runpy
import time
from collections import Counter
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from machine import compilations, print_headline, print_table
from workload import CONFIG

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.prompts import FewShot
from ttc_jax.data.sources import Question, load_questions
from ttc_jax.decode.sample import Sampler
from ttc_jax.learn.monte_carlo import MonteCarlo, same_text
from ttc_jax.model.load import load_checkpoint
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.schedule import Scheduler
from ttc_jax.search.tree import Tree
from ttc_jax.verify.grade import Grader


def main() -> None:
    args = arguments()
    if args.xla_cache:
        jax.config.update("jax_compilation_cache_dir", args.xla_cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config = runpy.run_path(str(CONFIG))["get_config"]()
    questions = load_questions("word_problems")
    n = args.questions
    questions = [questions[i * len(questions) // n] for i in range(n)]
    strategy = MonteCarlo(args.samples, args.rollouts)
    scheduler = Scheduler(
        strategy, questions, policy(config, args), None, Batch(args.rows, seed=args.seed)
    )
    answers = {question.id: question.answer for question in questions}
    trees, verdicts = [], Counter()
    start = time.perf_counter()
    with compilations() as compiled, Grader() as grader:
        for tree in scheduler.run():
            trees.append(tree)
            items = [(answers[tree.question], node.solution) for node in tree.candidates]
            verdicts.update(graded.verdict.value for graded in grader.grade(items))
    seconds = time.perf_counter() - start
    report(strategy, scheduler, trees, verdicts, seconds, compiled)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=int, default=32, help="evenly spaced over the set")
    parser.add_argument("--samples", type=int, default=16, help="solutions of a question")
    parser.add_argument("--rollouts", type=int, default=16, help="from every prefix")
    parser.add_argument("--max_new", type=int, default=128, help="tokens of a solution")
    parser.add_argument("--rows", type=int, default=64, help="decoded together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache-dir", default=os.path.expanduser("~/.cache/ttc_jax/models"))
    parser.add_argument("--xla-cache", default="", help="where compiled programs are kept")
    return parser.parse_args()


def policy(config, args) -> Policy:
    """SmolLM2 as the main job asks it, in float32 on CPUs and in bfloat16 elsewhere."""
    mesh = make_mesh()
    dtype = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    model, tokenizer = load_checkpoint(
        config.model.path, mesh=mesh, dtype=dtype, cache_dir=args.cache_dir
    )
    few_shot = FewShot(tuple(map(tuple, config.prompt.examples)))

    def prompt(question: Question, attempts) -> list[int]:
        return tokenizer.encode(few_shot.render(question))

    return Policy(
        model, tokenizer, mesh, prompt, Sampler(config.sample.temperature),
        delimiter=config.search.delimiter, ends=tuple(config.sample.stop), max_new=args.max_new,
        max_step=min(config.search.max_step, args.max_new),
    )  # fmt: skip


def report(strategy, scheduler, trees: Iterable[Tree], verdicts, seconds: float, compiled) -> None:
    usage, unshared = Counter(), Counter()
    for tree in trees:
        for node in tree.nodes:
            usage.update(node.usage)
        unshared.update(without(tree))
    whole = verdicts.total()
    decoded = usage["decode"] + usage["rollout"]
    progress = scheduler.progress
    print(
        f"{strategy}, {progress.questions} questions, {scheduler.engine.lanes} rows: "
        f"{unshared['samples']} samples, {unshared['prefixes']} prefixes of them "
        f"({unshared['unmerged_prefixes']} with those that are alike), {whole} solutions graded: "
        f"{dict(sorted(verdicts.items()))}"
    )
    print(
        f"{seconds:.0f} s, {compiled['seconds']:.0f} of them to compile {compiled['programs']} "
        f"programs; of the rows computed {progress.new_tokens / progress.lane_steps:.0%} sampled"
    )
    rows = [
        ["shared and merged", usage["prefill"], usage["decode"], usage["rollout"]],
        ["every rollout reads its prefix", unshared["encoded"], usage["decode"], usage["rollout"]],
        ["and alike ones are not merged", unshared["unmerged_encoded"], usage["decode"],
         unshared["unmerged_rollout"]],
    ]  # fmt: skip
    print_table(["tokens", "encoded", "of steps", "of rollouts"], rows)
    print_headline(
        "label",
        {
            "encoded_over_unshared": usage["prefill"] / unshared["encoded"],
            "decoded_over_undeduplicated": decoded
            / (usage["decode"] + unshared["unmerged_rollout"]),
            "samples_per_second": whole / seconds,
            "tokens_per_second": decoded / seconds,
        },
    )


def without(tree: Tree) -> Counter:
    """Tokens that the solutions and rollouts of a tree would take without sharing or merging."""
    counts = Counter()
    prompt = len(tree.nodes[0].tokens) - 1
    steps = [node for node in tree.nodes if node.number >= 0 and not node.rollout]
    alike = {}
    for nodes in same_text(node for node in steps if not node.finished):
        alike |= dict.fromkeys(nodes, len(nodes))
    rolled = {node.parent for node in tree.nodes if node.rollout}
    counts["samples"] = sum(node.round == 0 for node in steps)
    counts["prefixes"] = len(rolled)
    counts["unmerged_prefixes"] = sum(alike[node] for node in rolled)
    counts["encoded"] = counts["unmerged_encoded"] = counts["samples"] * prompt
    for node in tree.nodes:
        if node.rollout:
            read = prompt + sum(len(n.tokens) for n in node.path[:-1])
            counts["encoded"] += read
            counts["unmerged_encoded"] += alike[node.parent] * read
            counts["unmerged_rollout"] += alike[node.parent] * node.usage["rollout"]
    return counts


if __name__ == "__main__":
    main()
