# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Beam search over many questions beside the usual open loop, beside best-of-N, and the floor.

beam(N=16,M=4) with SmolLM2-135M-Instruct as policy and as verifier (an untrained value head), steps
of a fixed number of tokens at temperature 0.8, few-shot prompts. Three things are timed in one
process, turn by turn: our beam search over all questions; our best_of_n(N=16) with the same
verifier, the same questions and the same number of sampled tokens; and the rival of open_loop.py,
one question after the other, over the first few of the same questions, which are the longest.
Times of the rival are per question. Programs are compiled before, by runs over a few questions.

Where the time goes is measured in one more run of ours, with timers around the device programs
that wait for their results; what is left is host work.

The floor is 2 x parameters FLOPs per token at the rate of a large matrix product here: all weights
for a sampled token, all but the language head for one that is only read.

    python benchmarks/beam.py [--questions 32] [--rival-questions 2] [--rounds 6] [--repeats 1]
"""

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import workload
from machine import Clock, compilations, matmul_flops, print_headline, print_table
from open_loop import OpenLoop

from ttc_jax.search.beam import Beam
from ttc_jax.search.plan import Batch
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.schedule import Progress, Scheduler
from ttc_jax.verify.scorer import Claim, Room

N, M = 16, 4
WARM_UP = 8  # questions, as many as are in flight at once


def main() -> None:
    args = arguments()
    models = workload.load(args)
    questions = workload.questions(models, args.questions)
    ours = {str(s): Ours(models, s, args) for s in (Beam(N, M, rounds=args.rounds), BestOfN(N))}
    rival = Rival(models, args)
    rival.check(questions[0])
    with compilations() as compiled:
        for side in ours.values():
            side(questions[:WARM_UP])
        rival(questions[:1], rounds=1)
    print(f"warmed up: {compiled['programs']} programs, {compiled['seconds']:.0f} s to compile")

    runs = {name: [] for name in ours}
    theirs = []
    with compilations() as compiled:
        for _ in range(args.repeats):
            for name, side in ours.items():
                runs[name].append(side(questions))
            theirs += [rival([question]) for question in questions[: args.rival_questions]]
    print(f"compiled while timing: {compiled['programs']} programs, {compiled['seconds']:.0f} s")

    rate = matmul_flops(models.policy.embed.dtype, 2048 if jax.default_backend() == "cpu" else 8192)
    beam, bon = ([run.seconds for run in each] for each in runs.values())
    progress = [each[-1].progress for each in runs.values()]
    floors = [floor(models.policy.shape, p, rate) / args.questions for p in progress]
    rows = [
        [name, p.done_questions, p.new_tokens, p.verify_tokens, *per_question(times, p), low,
         low * args.questions / statistics.median(times), p.new_tokens / p.lane_steps]
        for name, times, p, low in zip(ours, (beam, bon), progress, floors, strict=True)
    ]  # fmt: skip
    tokens = N * args.rounds * args.step
    rows.append(
        ["open loop", len(theirs), tokens * len(theirs), rival.read, statistics.median(theirs),
         min(theirs), max(theirs), floors[0], floors[0] / statistics.median(theirs), ""]
    )  # fmt: skip
    print(f"matmul {rate / 1e9:.0f} GFLOP/s; steps of {args.step} tokens, {args.rounds} rounds")
    print_table(
        ["", "questions", "sampled", "verified", "s/question", "best", "worst", "floor",
         "of floor", "utilisation"], rows,
    )  # fmt: skip
    spent = profile(ours[str(Beam(N, M, rounds=args.rounds))], questions)
    a_question = [statistics.median(times) / args.questions for times in (beam, bon)]
    a_token = [
        statistics.median(times) / p.new_tokens
        for times, p in zip((beam, bon), progress, strict=True)
    ]
    print_headline(
        "beam",
        {
            "speedup_vs_open_loop": statistics.median(theirs) / a_question[0],
            "beam_over_bon": a_token[0] / a_token[1],
            "s_per_question": a_question[0],
            "s_per_question_open_loop": statistics.median(theirs),
            "of_floor": floors[0] / a_question[0],
        }
        | {f"share_{name.replace(' ', '_')}": share for name, share in spent.items()},
    )


def arguments():
    parser = workload.arguments(__doc__)
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--rival-questions", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6, help="steps of a solution")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rows", type=int, default=64, help="rows decoded together")
    args = parser.parse_args()
    if args.tiny:
        args.questions, args.rival_questions, args.rounds, args.step = 4, 1, 2, 8
    return args


@dataclass(frozen=True)
class Run:
    """Wall time of a whole run, allocation and prompts included, and its last counts."""

    seconds: float
    progress: Progress


class Ours:
    """A strategy over questions, all of them in one batch."""

    def __init__(self, models: workload.Models, strategy, args):
        self.models, self.strategy = models, strategy
        self.policy = workload.policy(models, args.step, args.rounds)
        self.length = args.step * args.rounds
        # Steps are shorter than the segments that suit whole solutions.
        segment = args.step if strategy.stepwise else 64
        self.batch = Batch(rows=args.rows, segment=segment, seed=args.seed)

    def __call__(self, questions, clock: Clock | None = None) -> Run:
        start = time.perf_counter()
        scorer = workload.verifier(self.models)
        scheduler = Scheduler(self.strategy, questions, self.policy, scorer, self.batch)
        with ExitStack() as timers:
            if clock is not None:
                workload.watch(clock, scheduler, timers)
                timers.enter_context(clock.on("host"))
            trees = list(scheduler.run())
        seconds = time.perf_counter() - start
        for tree in trees:
            assert all(sum(len(n.tokens) for n in c.path) == self.length for c in tree.candidates)
        return Run(seconds, scheduler.progress)


def profile(beam: Ours, questions) -> dict[str, float]:
    """Prints where the time of a run goes; the share of each part."""
    clock = Clock()
    beam(questions, clock)
    total = sum(clock.seconds.values())
    shares = {name: seconds / total for name, seconds in clock.seconds.most_common()}
    rows = [
        [name, clock.seconds[name], share, clock.calls[name],
         1e3 * clock.seconds[name] / clock.calls[name]]
        for name, share in shares.items()
    ]  # fmt: skip
    print_table(["", "s", "share", "calls", "ms each"], rows)
    return shares


def per_question(times, progress: Progress) -> list[float]:
    """Median, best and worst seconds for a question."""
    middle = statistics.median(times)
    return [seconds / progress.questions for seconds in (middle, min(times), max(times))]


def floor(shape, progress: Progress, rate: float) -> float:
    """The least seconds that the tokens of a run could take, as the module's docstring says."""
    head = shape.vocab * shape.width
    read = progress.prefill_tokens + progress.verify_tokens
    work = progress.new_tokens * shape.matmul_params + read * (shape.matmul_params - head)
    return 2 * work / rate


class Rival:
    """The open loop over questions, with the same prompts and the same weights."""

    def __init__(self, models: workload.Models, args):
        self.models, self.args = models, args
        self.policy = workload.policy(models, args.step, args.rounds)
        self.scorer = workload.verifier(models)
        self.loop = OpenLoop(
            models.directory, models.policy.shape.layers,
            np.asarray(models.verifier.value_head[...], np.float32), self.scorer.format,
            self.policy.tokenizer.token_bytes(),
        )  # fmt: skip
        self.read = 0

    def __call__(self, questions, rounds: int = 0) -> float:
        start = time.perf_counter()
        args = self.args
        for question in questions:
            pool = self.loop.search(
                question.text, self.policy.prompt(question, ()), N=N, M=M,
                rounds=rounds or args.rounds, step=args.step, temperature=workload.TEMPERATURE,
            )  # fmt: skip
        seconds = time.perf_counter() - start
        assert len(pool) == N
        assert all(len(c.tokens) == (rounds or args.rounds) * args.step for c in pool)
        return seconds

    def check(self, question) -> None:
        """Raises AssertionError unless the rival reads the same scores as our verifier."""
        steps = ("16 - 3 - 4 = 9.", "9 * 2 = 18.", "The answer is 18.")
        self.scorer.prepare({question.id: question.text}, Room(2, 2, 128, 128, 8))
        self.scorer.allocate(1, 2)
        [(state, _)] = self.scorer.open([question.id])
        [judgement] = self.scorer.score([Claim(state, steps, final=True)])
        [score] = self.loop.score(question.text, [steps])
        tolerance = 1e-4 if self.models.policy.embed.dtype == jnp.float32 else 2e-2
        assert abs(score - judgement.scores[-1]) < tolerance, (score, judgement.scores)


if __name__ == "__main__":
    main()
