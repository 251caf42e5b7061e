# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Who answers, in what batch, and whether that fits: rows, pages and questions before a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jax.sharding import Mesh

from ttc_jax.data.sources import Question
from ttc_jax.decode.batch import pages_for
from ttc_jax.decode.cache import bytes_per_token
from ttc_jax.decode.layout import Sizes
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.model.transformer import Transformer
from ttc_jax.search.strategy import Strategy
from ttc_jax.verify.scorer import Room, Scorer

# Device memory that pools may take of what is left beside the weights; programs need the rest.
_POOL_SHARE = 0.7
# Tokens of a segment when steps end all the time: lanes that are done are refilled sooner.
_STEPWISE = 32


@dataclass(frozen=True)
class Policy:
    """The model that answers, and how it is asked.

    `prompt(question, attempts)` gives the token ids of a question with earlier attempts at it
    (their texts, oldest first; none for strategies that do not revise). Solutions have at most
    `max_new` tokens and end at the model's end of turn or any of `ends`; steps end at `delimiter`,
    "\\n" or "\\n\\n", and are cut after `max_step` tokens without one. `attention` is a
    `Forest`'s.
    """

    model: Transformer
    tokenizer: Tokenizer
    mesh: Mesh
    prompt: Callable[[Question, Sequence[str]], Sequence[int]]
    sampler: Sampler = Sampler()
    delimiter: str = "\n\n"
    ends: tuple[str, ...] = ()
    max_new: int = 512
    max_step: int = 128
    attention: str = "xla"

    def __post_init__(self):
        for name in ("max_new", "max_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.delimiter not in ("\n", "\n\n"):
            raise ValueError(f"delimiter {self.delimiter!r}: steps end at a newline or at two")
        if self.delimiter in self.ends:
            raise ValueError(
                f"{self.delimiter!r} ends a step and a solution; take it out of `ends`, or change "
                f"the delimiter"
            )


@dataclass(frozen=True)
class Batch:
    """How much is done at once; nothing of it changes a sample, except the seed.

    `rows` solutions are decoded together, spread over the replicas; `questions` are in flight at
    once (0: as many as keep the rows busy and fit). `pages` of page_size tokens are what one
    replica's policy pool holds (0: what the questions in flight can come to need). Pools may take
    `memory` bytes of each device (0: a share of what the device reports free, no limit where it
    reports nothing). At most `segment` tokens are decoded before the host looks.
    """

    rows: int = 64
    questions: int = 0
    pages: int = 0
    page_size: int = 16
    memory: int = 0
    segment: int = 64
    seed: int = 0

    def __post_init__(self):
        for name, low in (("rows", 1), ("questions", 0), ("pages", 0), ("page_size", 1),
                          ("memory", 0), ("segment", 1)):  # fmt: skip
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}")

    @property
    def roomy(self) -> bool:
        """Whether more may be allocated than is needed, so that runs share programs."""
        return not (self.pages or self.memory)

    def tokens(self, strategy: Strategy) -> int:
        """Tokens that are decoded before the host looks."""
        return min(self.segment, _STEPWISE) if strategy.stepwise else self.segment


@dataclass(frozen=True)
class Plan:
    """What is allocated: per replica, `lanes` rows that decode, `rows` rows and `pages`.

    `questions` are in flight on each replica, `context` tokens fit a row, and the scorer is to hold
    `scored` rows of each question. `expected` sizes the engine's first programs.
    """

    lanes: int
    rows: int
    pages: int
    questions: int
    context: int
    scored: int
    expected: tuple[int, int, int]

    def sizes(self, batch: Batch) -> Sizes:
        """What the policy's forest is asked to hold on each replica."""
        lanes = self.lanes if batch.roomy else 0
        return Sizes(self.rows, self.context, self.pages, batch.page_size, lanes)


def plan(
    strategy: Strategy,
    questions: Sequence[Question],
    policy: Policy,
    scorer: Scorer | None,
    batch: Batch,
    free: int | None = None,
) -> Plan:
    """The largest batch that fits, up to the one asked for; the scorer is prepared for it.

    `free` are the bytes of each device that pools may take where the batch sets no limit; None: a
    share of what the device has free, which is asked for it.

    Raises ValueError, with the numbers, when not even one question fits; for a prompt that the
    model cannot read; and when the strategy cannot do without the scorer or with an outcome scorer.
    """
    _check_scorer(strategy, scorer)
    if not questions:
        raise ValueError("there are no questions to search")
    prompts = {}
    for question in questions:
        tokens = policy.prompt(question, ())
        check_prompt(question, tokens, policy)
        prompts[question.id] = len(tokens)
    texts = {q.id: q.text for q in questions}
    replicas = policy.mesh.shape["data"]
    if batch.rows % replicas:
        raise ValueError(
            f"{batch.rows} rows cannot be spread over {replicas} replicas evenly; take a multiple"
        )
    load, lanes = strategy.load, batch.rows // replicas
    context = _context(load.attempts, prompts, policy, _overhead(load.attempts, questions, policy))
    step = min(policy.max_step, policy.max_new)
    longest = max(prompts.values())
    if strategy.stepwise:
        # Rows whose step has ended wait for the rest of their round: measured, with steps of very
        # different lengths, four times the lanes are enough to keep lanes busy.
        held, wanted = load.rows, -(-4 * lanes // (load.busy or load.rows))
        paths, tail = load.paths, min(load.steps * step, policy.max_new)
        scored = held + paths  # what is continued stays until all that continues it is scored
    else:
        # Samples start as lanes become free; one more row holds the prompt for those that wait.
        held, wanted = min(load.rows, lanes) + 1, -(-lanes // load.rows) + 1
        paths, tail = min(load.paths, lanes), policy.max_new
        scored = held
    if load.attempts:  # all of them are held until the prompts made from them are
        held = load.rows
    steps = _tags(strategy, policy)
    room = Room(held, paths, policy.max_new, tail, steps, lanes if batch.roomy else 0)
    if scorer is not None:
        theirs = room
        if scorer.history and load.attempts:
            theirs = _room_for_attempts(strategy, policy, room.lanes)
            scored = theirs.rows
        scorer.prepare(texts, theirs)
    pages_each = pages_for(
        longest, rows=held, paths=paths, full=policy.max_new, tail=tail, page_size=batch.page_size
    )
    if load.attempts:  # every row has a prompt of its own, and the one it is made from is held too
        pages_each = 2 * held * pages_for(context, rows=1, paths=0, full=0, tail=0,
                                          page_size=batch.page_size)  # fmt: skip
    rows_each = held * (2 if load.attempts else 1)
    wanted = min(batch.questions and -(-batch.questions // replicas) or wanted,
                 -(-len(prompts) // replicas))  # fmt: skip
    fitting = _fitting(wanted, pages_each, longest, room, policy, scorer, batch, free)
    pages = batch.pages or pages_each * fitting
    expected = fitting, min(load.rows, lanes), longest // batch.page_size
    return Plan(lanes, rows_each * fitting, pages, fitting, context, scored, expected)


def check_prompt(question: Question, tokens: Sequence[int], policy: Policy) -> None:
    """Raise ValueError, with the question, unless tokens are some of the model's vocabulary."""
    vocab = policy.model.shape.vocab
    if not len(tokens):
        raise ValueError(f"question {question.id!r} has an empty prompt")
    if min(tokens) < 0 or max(tokens) >= vocab:
        bad = next(t for t in tokens if not 0 <= t < vocab)
        raise ValueError(
            f"question {question.id!r}: its prompt has token {bad}, outside the model's "
            f"vocabulary of {vocab}"
        )


def _check_scorer(strategy: Strategy, scorer: Scorer | None) -> None:
    if scorer is None and strategy.scored:
        raise ValueError(f"{strategy} compares scores: it needs a scorer")
    if scorer is not None and scorer.outcome and strategy.stepwise:
        raise ValueError(
            f"{strategy} needs a score after every step, but this scorer reads only whole "
            f"solutions; take a process verifier, or best_of_n"
        )


def _overhead(attempts: int, questions: Sequence[Question], policy: Policy) -> int:
    """Tokens that one earlier attempt adds to a prompt beside its own."""
    if not attempts:
        return 0
    question = questions[0]
    plain, full = (len(policy.prompt(question, ("x",) * n)) for n in (0, attempts))
    return -(-(full - plain) // attempts)


def _context(attempts: int, prompts: Mapping[str, int], policy: Policy, overhead: int) -> int:
    """Tokens of the longest row; ValueError when the model reads fewer."""
    name = max(prompts, key=prompts.__getitem__)
    need = prompts[name] + attempts * (policy.max_new + overhead) + policy.max_new
    limit = policy.model.shape.context
    if need > limit:
        earlier = f", {attempts} earlier attempts of as many" if attempts else ""
        raise ValueError(
            f"question {name!r}: its prompt of {prompts[name]} tokens and max_new = "
            f"{policy.max_new}{earlier} need {need} tokens, the model reads {limit}; lower max_new"
        )
    return need


def _tags(strategy: Strategy, policy: Policy) -> int:
    """Steps that a solution can have: each has a token and a delimiter, or is cut without one."""
    most = -(-policy.max_new // min(2, policy.max_step))
    if strategy.rounds is None:
        return most
    return min(most, 2 * strategy.rounds + strategy.load.steps)


def _room_for_attempts(strategy: Strategy, policy: Policy, lanes: int) -> Room:
    """What a scorer that reads history holds: each row's prompt, and it with its solution.

    A prompt's attempts are a beginning of a row that goes on, so it has no tokens of its own.
    """
    rows, solutions = strategy.load.rows, strategy.load.attempts + 1
    steps = solutions * _tags(strategy, policy) + strategy.load.attempts
    return Room(2 * rows, rows, solutions * policy.max_new, 0, steps, lanes)


def _fitting(wanted, pages_each, longest, room: Room, policy, scorer, batch: Batch, free) -> int:
    """Questions in flight on each replica that fit the pages and the memory, at most `wanted`."""
    if batch.pages:
        fitting = batch.pages // pages_each
        if not fitting:
            raise ValueError(
                f"a question with a prompt of {longest} tokens can come to hold {pages_each} pages "
                f"of {batch.page_size} tokens ({room.rows} rows, {room.paths} of them whole "
                f"solutions of {policy.max_new} tokens), the pool has {batch.pages}; raise pages, "
                f"or lower N or max_new"
            )
        wanted = min(wanted, fitting)
    memory = batch.memory or (_free_bytes(policy.mesh) if free is None else free)
    if memory is None:
        return wanted
    per_token = bytes_per_token(policy.model.shape, policy.model.embed.dtype, policy.mesh)
    mine = pages_each * batch.page_size * per_token
    theirs = 0
    if scorer is not None:  # it may have fewer replicas for as many questions
        theirs = -(-scorer.bytes_each * policy.mesh.shape["data"] // scorer.replicas)
    fitting = memory // (mine + theirs)
    if not fitting:
        raise ValueError(
            f"one question can come to need {mine / 2**20:.1f} MiB of keys and values for the "
            f"policy and {theirs / 2**20:.1f} MiB for the verifier on each device, and there are "
            f"{memory / 2**20:.1f} MiB; lower N or max_new (for whole samples the rows of a batch "
            f"will do too), or use more devices"
        )
    return int(min(wanted, fitting))


def pool_bytes(limit: int, in_use: int) -> int:
    """Bytes that pools may take of a device of which `in_use` of `limit` bytes are taken."""
    return int(_POOL_SHARE * (limit - in_use))


def _free_bytes(mesh: Mesh) -> int | None:
    stats = mesh.devices.flat[0].memory_stats()
    if not stats or "bytes_limit" not in stats:
        return None
    return pool_bytes(stats["bytes_limit"], stats["bytes_in_use"])
