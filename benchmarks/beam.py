# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Beam search over many questions beside the usual open loop, beside best-of-N, and the floor.

beam(N=16,M=4) with SmolLM2-135M-Instruct as policy and as verifier (an untrained value head), steps
of a fixed number of tokens at temperature 0.8, few-shot prompts. Three things are timed in one
process, turn by turn: our beam search over all questions; our best_of_n(N=16) with the same
verifier, the same questions and the same number of sampled tokens; and the rival of open_loop.py,
one question after the other, over the first few of the same questions, which are the longest.
Times of the rival are per question. Programs are compiled before, by runs over a few questions.

Timers around the device programs, which wait for their results, tell where the time of our beam
search goes; what is left is host work.

The floor is 2 x parameters FLOPs per token at the rate of a large matrix product here: all weights
for a sampled token, all but the language head for one that is only read.

    python benchmarks/beam.py [--questions 32] [--rival-questions 2] [--rounds 5] [--repeats 1]
"""

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import workload
from machine import Clock, compilations, print_headline, print_table
from open_loop import OpenLoop

from ttc_jax.core.flops import matmul_rate
from ttc_jax.data.sources import Question
from ttc_jax.search.beam import Beam
from ttc_jax.search.plan import Batch
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.schedule import Progress, Scheduler
from ttc_jax.verify.scorer import Claim, Room

N, M = 16, 4
WARM_UP = 16  # questions, as many as are in flight at once


def main() -> None:
    args = arguments()
    models = workload.load(args)
    questions = workload.questions(models, args.questions)
    strategies = Beam(N, M, rounds=args.rounds), BestOfN(N)
    beam, bon = (Ours(models, strategy, args) for strategy in strategies)
    rival = Rival(models, args) if args.rival_questions else None
    with compilations() as compiled:
        beam(questions[:WARM_UP])
        bon(questions[:WARM_UP])
        if rival is not None:
            rival.check(questions[0])
            rival(questions[0], rounds=1)
    report_compiled("warmed up", compiled)

    beams, bons, theirs = [], [], []
    with compilations() as compiled:
        for _ in range(args.repeats):
            beams.append(beam(questions))
            bons.append(bon(questions))
            if rival is not None:
                theirs += [rival(question) for question in questions[: args.rival_questions]]
    report_compiled("while timing", compiled)

    rate = matmul_rate(models.policy.embed.dtype)
    rows = [summary(beams, models, rate), summary(bons, models, rate)]
    a_question, low = rows[0][3], rows[0][6]
    headline = {
        "beam_over_bon": a_question / rows[1][3] * rows[1][1] / rows[0][1],
        "s_per_question": a_question,
        "of_floor": low / a_question,
    }
    if rival is not None:
        other = statistics.median(theirs)
        rows.append(
            ["open loop", N * args.rounds * args.step, rival.loop.read // rival.searches, other,
             min(theirs), max(theirs), low, low / other, ""]
        )  # fmt: skip
        headline |= {"speedup_vs_open_loop": other / a_question, "s_open_loop": other}
    print(
        f"{args.questions} questions (open loop: {args.rival_questions}), {args.rounds} steps of "
        f"{args.step} tokens, prompts of up to {len(beam.policy.prompt(questions[0], ()))}; "
        f"matmul {rate / 1e9:.0f} GFLOP/s"
    )
    print_table(
        ["per question", "sampled", "verified", "s", "best", "worst", "floor", "of floor",
         "utilisation"], rows,
    )  # fmt: skip
    shares = breakdown(beams[-1])
    headline |= {f"share_{name.replace(' ', '_')}": share for name, share in shares.items()}
    print_headline("beam", headline)


def report_compiled(when: str, compiled) -> None:
    """Prints how many programs were compiled, and how long that took."""
    print(f"{when}: {compiled['programs']} programs, {compiled['seconds']:.0f} s to compile")


def arguments():
    parser = workload.arguments(__doc__)
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--rival-questions", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="steps of a solution")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rows", type=int, default=64, help="rows decoded together")
    args = parser.parse_args()
    if args.tiny:
        args.questions, args.rival_questions, args.rounds, args.step = 4, 1, 2, 8
    return args


@dataclass(frozen=True)
class Run:
    """Wall time of a whole run, allocation and prompts included, and its last counts."""

    name: str
    seconds: float
    progress: Progress
    clock: Clock


class Ours:
    """A strategy over questions, all of them in one batch."""

    def __init__(self, models: workload.Models, strategy, args):
        self.models, self.strategy = models, strategy
        self.policy = workload.policy(models, args.step, args.rounds)
        self.length = args.step * args.rounds
        # Steps are shorter than the segments that suit whole solutions.
        segment = args.step if strategy.stepwise else 64
        self.batch = Batch(rows=args.rows, segment=segment, seed=args.seed)

    def __call__(self, questions: Sequence[Question]) -> Run:
        clock = Clock()
        start = time.perf_counter()
        with ExitStack() as timers:
            timers.enter_context(clock.on("host"))
            scorer = workload.verifier(self.models)
            scheduler = Scheduler(self.strategy, questions, self.policy, scorer, self.batch)
            workload.watch(clock, scheduler, timers)
            trees = list(scheduler.run())
        seconds = time.perf_counter() - start
        for tree in trees:
            assert all(sum(len(n.tokens) for n in c.path) == self.length for c in tree.candidates)
        return Run(str(self.strategy), seconds, scheduler.progress, clock)


def breakdown(run: Run) -> dict[str, float]:
    """Prints where the time of a run went; the share of each part."""
    clock = run.clock
    shares = {name: spent / run.seconds for name, spent in clock.seconds.most_common()}
    rows = [
        [name, clock.seconds[name], share, clock.calls[name],
         1e3 * clock.seconds[name] / clock.calls[name]]
        for name, share in shares.items()
    ]  # fmt: skip
    print_table(["", "s", "share", "calls", "ms each"], rows)
    return shares


def summary(runs: Sequence[Run], models: workload.Models, rate: float) -> list:
    """A line of the table: what a question cost."""
    p = runs[-1].progress
    times = [run.seconds / p.questions for run in runs]
    middle, low = statistics.median(times), floor(models.policy.shape, p, rate) / p.questions
    return [
        runs[-1].name, p.new_tokens / p.questions, p.verify_tokens / p.questions, middle,
        min(times), max(times), low, low / middle, p.new_tokens / p.lane_steps,
    ]  # fmt: skip


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
        self.searches = 0

    def __call__(self, question: Question, rounds: int = 0) -> float:
        """Seconds of a search, of fewer rounds than usual when the number is given."""
        start = time.perf_counter()
        args = self.args
        pool = self.loop.search(
            question.text, self.policy.prompt(question, ()), N=N, M=M,
            rounds=rounds or args.rounds, step=args.step, temperature=workload.TEMPERATURE,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        assert len(pool) == N
        assert all(len(c.tokens) == (rounds or args.rounds) * args.step for c in pool)
        if rounds:
            self.loop.read = 0
        else:
            self.searches += 1
        return seconds

    def check(self, question: Question) -> None:
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
