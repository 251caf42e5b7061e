# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What it costs to score a search: tokens, time, pages, forks, and rows that idle.

Tokens and time: recorded searches beam(N=16,M=4) with steps of random words are scored round by
round, by our verifier, which appends each step to the keys and values of what it continues, and by
the same model reading every candidate from its question on, in jitted batches of similar length.
Only scoring is timed, turn by turn, and both must read the same scores. `of unique` compares with
the different beginnings of all texts, tags included; tokens are counted where they enter the
device, `computed` ones with their padding.

Pages: the most that a search over one question holds at N = 64, beside what it would be if only
the prompt was shared, and if every row had a copy of its own. Utilisation: rows that sampled a
token over rows that were computed; steps end at random, after `step` tokens on the average. Neither
depends on what a model says, so a random one of two narrow layers samples there. Forks: the time
of one beside that of a segment, in a beam search with SmolLM2-135M.

    python benchmarks/verify.py [--questions 2] [--rounds 10] [--repeats 3]
"""

import random
import statistics
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from unittest import mock

import jax.numpy as jnp
import numpy as np
import workload
from machine import Clock, compilations, print_headline, print_table
from recorded import Appended, Reread, counted_extends, record, unique_tokens

from ttc_jax.decode.forest import Forest
from ttc_jax.search.beam import Beam
from ttc_jax.search.dvts import DVTS
from ttc_jax.search.plan import Batch
from ttc_jax.search.schedule import Scheduler

PARTS = ("scoring", "forks", "pages", "utilisation")
N, M = 16, 4
ENDS = 10  # a solution has so many steps on the average where lengths are random
LONGEST = 4  # steps are cut at so many times their average length there


def main() -> None:
    args = arguments()
    models = workload.load(args)
    small = workload.small(models)
    parts = {
        "scoring": lambda: scoring(models, args),
        "forks": lambda: forks(models, args),
        "pages": lambda: pages(small, args),
        "utilisation": lambda: utilisation(small, args),
    }
    headline = {}
    for name in args.parts:
        headline |= parts[name]()
    print_headline("verify", headline)


def arguments():
    parser = workload.arguments(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--questions", type=int, default=2, help="scored together")
    parser.add_argument("--rounds", type=int, default=10, help="steps of a solution")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beams", type=int, default=64, help="N where pages are counted")
    parser.add_argument("--many", type=int, default=32, help="questions that share a batch")
    args = parser.parse_args()
    if args.tiny:
        args.rounds, args.repeats, args.step, args.many, args.beams = 3, 1, 8, 6, 16
    return args


# ------------------------------------------------------------------ tokens and time


def scoring(models: workload.Models, args) -> dict[str, float]:
    """Tokens and times of both ways to score the same searches."""
    questions = workload.questions(models, args.questions)
    trees = record(models, questions, N, M, args.rounds, args.step, args.seed)
    ours = Appended(models, trees, args.step)
    theirs = Reread(models, workload.verifier(models).format, trees)
    with compilations() as compiled, counted_extends() as counts:
        ours()
        theirs.compile()
    print(f"warmed up: {compiled['programs']} programs, {compiled['seconds']:.0f} s to compile")
    sides, times = {"appended": ours, "reread": theirs}, {"appended": [], "reread": []}
    for _ in range(args.repeats):
        scores = {}
        for name, side in sides.items():
            seconds, scores[name] = side()
            times[name].append(seconds)
        atol = 1e-3 if models.policy.embed.dtype == jnp.float32 else 5e-2
        np.testing.assert_allclose(scores["appended"], scores["reread"], atol=atol)
    tokens = {
        "appended": (counts["encoded"], counts["computed"]),
        "reread": (theirs.encoded, theirs.computed),
    }
    # Questions that begin alike are still two questions.
    unique = sum(
        unique_tokens([ids for texts in theirs.rounds for ids in texts[i * N : (i + 1) * N]])
        for i in range(len(trees))
    )
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    print(
        f"{len(trees)} x beam(N={N},M={M}), {args.rounds} rounds of steps of about {args.step} "
        f"tokens: {unique} unique tokens"
    )
    rows = [
        [name, encoded, computed, encoded / unique, middle[name], min(times[name]),
         max(times[name]), encoded / middle[name]]
        for name, (encoded, computed) in tokens.items()
    ]  # fmt: skip
    print_table(["", "encoded", "computed", "of unique", "s", "best", "worst", "tok/s"], rows)
    return {
        "encoded_over_unique": tokens["appended"][0] / unique,
        "reencoded_over_unique": tokens["reread"][0] / unique,
        "speedup_vs_reencode": middle["reread"] / middle["appended"],
    }


def forks(models: workload.Models, args) -> dict[str, float]:
    """Time of a fork beside that of a segment, means over a run that follows one like it."""
    rounds = 3
    questions = workload.questions(models, 4)
    batch = Batch(rows=64, segment=args.step, seed=args.seed)
    for timed in (False, True):
        clock = Clock()
        scheduler = Scheduler(
            Beam(N, M, rounds=rounds), questions, workload.policy(models, args.step, rounds),
            workload.verifier(models), batch,
        )  # fmt: skip
        with ExitStack() as timers:
            if timed:
                workload.watch(clock, scheduler, timers)
            for _ in scheduler.run():
                pass
    names = ("policy decode", "policy forks", "verifier", "verifier forks")
    each = {name: clock.seconds[name] / clock.calls[name] for name in names}
    print(f"{len(questions)} x beam(N={N},M={M}), {rounds} rounds, {batch.rows} rows")
    print_table(["", "calls", "ms each"], [[n, clock.calls[n], 1e3 * each[n]] for n in names])
    return {"fork_over_segment": each["policy forks"] / each["policy decode"]}


# ------------------------------------------------------------------ pages


def pages(models: workload.Models, args) -> dict[str, float]:
    """Most pages of searches over one question, shared and not."""
    [question] = workload.questions(models, 1)
    policy = workload.policy(models, args.step, args.rounds)
    n = args.beams
    searches = {
        "beam": Beam(n, rounds=args.rounds),
        "dvts": DVTS(n, rounds=args.rounds),
        "lookahead": Beam(n, k=1, rounds=args.rounds),
    }
    rows, headline = [], {}
    for name, strategy in searches.items():
        scorer = workload.verifier(models)
        batch = Batch(rows=n, segment=args.step, seed=args.seed)
        scheduler = Scheduler(strategy, [question], policy, scorer, batch)
        prompts = len(policy.prompt(question, ())) - 1, len(scorer.format.begin(question.text))
        mine, theirs = Peak(scheduler.forest, prompts[0]), Peak(scorer.forest, prompts[1])
        run = mine.after(scheduler.engine, "run")
        extend = theirs.after(scorer.forest, "extend")
        with run, extend:
            for _ in scheduler.run():
                pass
        for whose, peak in (("policy", mine), ("verifier", theirs)):
            rows.append(
                [strategy, whose, peak.shared, peak.prompt_shared, peak.unshared,
                 peak.unshared / peak.shared]
            )  # fmt: skip
        held = mine.shared + theirs.shared
        headline[f"pages_saved_{name}"] = (mine.unshared + theirs.unshared) / held
    print(
        f"pages of {scheduler.forest.page_size} tokens; prompts of {prompts[0]} and {prompts[1]} "
        f"tokens, up to {args.rounds} steps of {args.step}"
    )
    print_table(["", "", "live", "prompt shared", "unshared", "saved"], rows)
    return headline


class Peak:
    """The most pages that the rows of a forest have held, as they are and with less sharing."""

    def __init__(self, forest: Forest, prompt: int):
        self.forest, self.prompt = forest, prompt
        self.shared = self.prompt_shared = self.unshared = 0

    def after(self, owner, method: str):
        """A context in which pages are counted after every call of owner.method."""
        fn = getattr(owner, method)

        def counting(*args, **kwargs):
            out = fn(*args, **kwargs)
            self._count()
            return out

        return mock.patch.object(owner, method, counting)

    def _count(self) -> None:
        size = self.forest.page_size
        held = self.forest.lens[self.forest.lens > 0]
        first = self.prompt // size
        own = -(-held // size)
        self.shared = max(self.shared, self.forest.check_pages())
        self.prompt_shared = max(self.prompt_shared, first + int(np.maximum(own - first, 0).sum()))
        self.unshared = max(self.unshared, int(own.sum()))


# ------------------------------------------------------------------ utilisation


def utilisation(models: workload.Models, args) -> dict[str, float]:
    """Useful rows of all rows computed, for steps and solutions of random length."""
    vocab = models.tokenizer.vocab_size
    draw = random.Random(args.seed)
    ends = draw.sample(range(vocab), vocab // args.step)
    over = ends[: len(ends) // ENDS]
    tokenizer = workload.Endless(models.tokenizer, steps=ends[len(over) :], solutions=over)
    longest = LONGEST * args.step
    policy = replace(
        workload.policy(models, longest, args.rounds), tokenizer=tokenizer,
        max_new=longest * args.rounds,
    )  # fmt: skip
    rows, headline = [], {}
    for count in (1, args.many):
        scheduler = Scheduler(
            Beam(N, M, rounds=args.rounds), workload.questions(models, count), policy,
            workload.verifier(models), Batch(rows=64, seed=args.seed),
        )  # fmt: skip
        lengths = Counter()
        for tree in scheduler.run():
            lengths.update(len(node.tokens) for node in tree.nodes if node.number >= 0)
        p = scheduler.progress
        mean = sum(n * times for n, times in lengths.items()) / lengths.total()
        rows.append([count, p.segments, p.new_tokens, mean, p.lane_steps,
                     p.new_tokens / p.lane_steps])  # fmt: skip
        headline[f"utilisation_{1 if count == 1 else 32}"] = p.new_tokens / p.lane_steps
    print(f"beam(N={N},M={M}) over 64 rows, steps of random length up to {longest}")
    print_table(
        ["questions", "segments", "sampled", "mean step", "rows computed", "utilisation"], rows
    )
    return headline


if __name__ == "__main__":
    main()
