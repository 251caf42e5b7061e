# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which programs a job calls on a machine, how often, and what is in memory meanwhile."""

from dataclasses import dataclass, replace

from jax.sharding import Mesh

from ttc_jax.data.sources import Question
from ttc_jax.decode.forest import common
from ttc_jax.decode.layout import layout
from ttc_jax.plan import memory
from ttc_jax.plan.chips import Chip
from ttc_jax.plan.memory import Needs
from ttc_jax.plan.programs import Calls, Program
from ttc_jax.plan.reading import reading_program
from ttc_jax.plan.training import step_program
from ttc_jax.plan.work import Judge, Reading, Sampling, Training, Work
from ttc_jax.search.plan import plan, pool_bytes


@dataclass(frozen=True)
class Use:
    """A program, how often a job calls it, and the bytes on each chip while it runs."""

    program: Program
    calls: float
    needs: Needs


@dataclass(frozen=True)
class Stage:
    """One job on a machine.

    `tokens` are sampled (or trained on, or read) in all; `rows` are in the batch, and `wanted` and
    `questions` the questions that would keep it busy and those that fit, on each replica.
    """

    work: Work
    uses: tuple[Use, ...]
    tokens: float
    rows: int
    wanted: int = 0
    questions: int = 0


def stage(work: Work, mesh: Mesh, chip: Chip) -> Stage:
    """What a job comes to on a mesh of such chips; the mesh needs no devices.

    Raises:
      ValueError: it does not fit, or the batch cannot be spread over the mesh; with the numbers.
    """
    if isinstance(work, Training):
        return _training(work, mesh)
    if isinstance(work, Reading):
        return _reading(work, mesh)
    return _sampling(work, mesh, chip)


def _training(work: Training, mesh: Mesh) -> Stage:
    learner, shape = work.learner(mesh), work.shape(mesh)
    program = step_program(work, learner, shape, mesh)
    state = memory.on_chip(learner.abstract) + memory.on_chip(learner.abstract_frozen)
    # Evaluations are forward passes: a third of a step, or half of one for adapters, for as much.
    evaluations = work.steps // work.every + 1
    read = evaluations * work.tried / work.batch / learner.passes
    tokens = work.steps * work.batch * work.example
    use = Use(program, work.steps + read, Needs(state, 0, program.temporary))
    return Stage(work, (use,), tokens, shape.rows)


def _reading(work: Reading, mesh: Mesh) -> Stage:
    lengths = [len(work.policy.prompt(question, ())) for question in work.questions]
    program, rows = reading_program(work.policy.model, max(lengths), mesh)
    shape, dtype = work.policy.model.shape, work.policy.model.embed.dtype
    needs = Needs(memory.weights(shape, dtype, mesh), 0, program.temporary)
    return Stage(work, (Use(program, -(-len(lengths) // rows), needs),), sum(lengths), rows)


def _sampling(work: Sampling, mesh: Mesh, chip: Chip) -> Stage:
    on_cpu, replicas = chip.platform == "cpu", mesh.shape["data"]
    policy = replace(work.policy, mesh=mesh)
    dtype = policy.model.embed.dtype
    judged = isinstance(work.judge, Judge)
    scorer = work.judge.on(mesh, work.batch.page_size) if judged else work.judge
    held = sum(memory.weights(shape, dtype, mesh) for shape in work.loaded)
    if held >= chip.memory:
        raise ValueError(
            f"the weights alone take {held / 1e9:.2f} GB of each chip, a {chip.name} has "
            f"{chip.memory / 1e9:.0f} GB: raise mesh.model"
        )
    how = (work.strategy, work.questions, policy, scorer, work.batch)
    wanted = plan(*how, free=1 << 62).questions
    made = plan(*how, free=pool_bytes(int(chip.memory), held))
    shape = policy.model.shape
    mine = Calls(shape, dtype, mesh, layout(shape, dtype, made.sizes(work.batch), on_cpu=on_cpu))
    theirs = None
    if judged:
        sizes = scorer.sizes(made.questions * replicas, made.scored)
        other = scorer.model.shape
        theirs = Calls(other, dtype, mesh, layout(other, dtype, sizes, on_cpu=on_cpu))
    pool = mine.pool + (theirs.pool if theirs else 0)
    calls = [*_policy_calls(work, mine, made, replicas)]
    if theirs:
        calls += _verifier_calls(work, theirs, replicas)
    uses = tuple(Use(p, n, Needs(held, pool, p.temporary)) for p, n in calls)
    tokens = work.sampled * len(work.questions)
    return Stage(work, uses, tokens, made.lanes * replicas, wanted, made.questions)


def _policy_calls(work: Sampling, calls: Calls, made, replicas: int):
    """(program, calls) of the policy: prompts, segments, and a fork before each of them."""
    load, count, chains = work.strategy.load, len(work.questions), work.strategy.chains
    shared, lengths = _prompts(work)
    fresh, longest = sum(lengths), max(lengths)
    chain = len(chains[0]) if chains else 1
    if load.attempts:
        # The prompt of an attempt goes on where the one before ended, until its window slides:
        # then all behind the question's own beginning is read anew.
        grown, slid = min(chain - 1, load.attempts), max(0, chain - 1 - load.attempts)
        each = grown * work.mean + slid * load.attempts * work.mean
        fresh += len(chains) * (count * each + slid * fresh)
        longest += load.attempts * work.mean if slid else work.mean
    prefill = calls.extend("prefill", longest, shared, None)
    yield prefill, _calls_for(calls, longest, fresh, replicas)
    tokens = work.batch.tokens(work.strategy)
    segment = calls.segment(
        made.lanes, tokens, made.expected, work.mean, work.policy.sampler, load.steps > 1
    )
    busy = min(made.lanes * replicas, count * load.rows)
    rounds = max(work.sampled * count / (busy * segment.trips), chain * work.mean / segment.trips)
    yield segment, rounds
    yield calls.fork("fork", min(made.lanes, load.rows * made.questions)), rounds


def _prompts(work: Sampling) -> tuple[int, list[int]]:
    """Tokens that all prompts begin with, in whole pages, and those of each prompt behind them."""
    bare = work.policy.prompt(Question("", "", ""), ())
    prompts = [work.policy.prompt(question, ()) for question in work.questions]
    page = work.batch.page_size
    shared = min(min(common(bare, prompt), len(prompt) - 1) for prompt in prompts) // page * page
    return shared, [len(prompt) - shared for prompt in prompts]


def _verifier_calls(work: Sampling, calls: Calls, replicas: int):
    """(program, calls) of the verifier: questions, steps or solutions, and a fork before each."""
    format, count = work.judge.format, len(work.questions)
    prompts = [len(format.begin(question.text)) for question in work.questions]
    opened = calls.extend("verifier prefill", max(prompts), 0, None)
    yield opened, _calls_for(calls, max(prompts), sum(prompts), replicas)
    piece = (work.mean if format.outcome else work.step) + format.overhead
    held = max(prompts) + (0 if format.outcome else work.mean)
    scored = calls.extend("verifier extend", piece, held, format.reader)
    n = _calls_for(calls, piece, work.claims * count * piece, replicas)
    yield scored, n
    yield calls.fork("verifier fork", calls.layout.most(calls.layout.length(piece))), n


def _calls_for(calls: Calls, longest: int, tokens: float, replicas: int) -> float:
    """Calls of `extend` for so many tokens in pieces of `longest`, each padded to whole calls."""
    length = calls.layout.length(longest)
    padded = -(-longest // length) * length / longest
    return max(1.0, tokens * padded / (calls.layout.most(length) * length * replicas))
