# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Many searches in one batch: each question advances on its own, all of them share the device.

A question in flight is a strategy waiting for nodes. Children that it asked for wait for a lane;
what has been sampled in a segment is scored together, whichever questions it belongs to; a question
whose children are all there is asked for its next ones. Lanes that become free are thus refilled
from any question, between two segments.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ttc_jax.data.prompts import split_steps
from ttc_jax.data.sources import Question
from ttc_jax.decode.batch import Job, question_key
from ttc_jax.decode.engine import Engine
from ttc_jax.decode.forest import Forest, Place
from ttc_jax.decode.stop import StopAutomaton, build
from ttc_jax.search.plan import Batch, Policy, check_prompt, plan
from ttc_jax.search.strategy import Ask, Grow, Search, Strategy
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.scorer import Claim, Judgement, Scorer, State

_TAIL = 256  # bytes of a solution that stop strings across steps are looked for in


@dataclass(frozen=True)
class Progress:
    """Where a run stands: counts since it began, over all replicas.

    `rows` can decode at once and `live_rows` of them do; `rounds` are requests of strategies that
    were fulfilled; `new_tokens` were sampled, `lookahead_tokens` of them in rollouts;
    `prefill_tokens` of prompts and `verify_tokens` of solutions were encoded; `lane_steps` rows
    were computed for the tokens sampled, so that new_tokens / lane_steps is the utilisation.
    """

    questions: int
    done_questions: int
    rounds: int
    rows: int
    live_rows: int
    pages: int
    pages_used: int
    new_tokens: int
    lookahead_tokens: int
    prefill_tokens: int
    verify_tokens: int
    segments: int
    steps: int
    lane_steps: int
    forks: int
    seconds: float


@dataclass(frozen=True)
class _Held:
    """A row that a node can be continued from.

    The row at `place` holds `cached` tokens up to but without the node's last one; `length` is that
    of the solution in tokens, `tail` its last bytes, `state` the stop automaton's after them.
    """

    place: Place
    cached: int
    last: int
    length: int = 0
    tail: bytes = b""
    state: int = 0


@dataclass(eq=False)
class _Flight:
    """A question in flight: its strategy, and what it holds on the devices."""

    question: Question
    search: Search
    replica: int
    root: Node
    key: int
    state: State | None = None  # of the question in the scorer, kept to the end
    nodes: list[Node] = field(default_factory=list)
    rows: dict[Node, _Held] = field(default_factory=dict)
    states: dict[Node, State] = field(default_factory=dict)
    command: Grow | Ask | None = None
    asked: list[Node] = field(default_factory=list)
    waiting: deque[Node] = field(default_factory=deque)
    unstarted: Counter = field(default_factory=Counter)  # children not started, by parent
    unscored: Counter = field(default_factory=Counter)
    left: int = 0
    rounds: int = 0
    usage: Counter = field(default_factory=Counter)


@dataclass(eq=False)
class _Run:
    """A node being sampled, or rolled out from."""

    flight: _Flight
    node: Node
    job: Job
    before: _Held
    steps_ahead: int = 0  # of the rollout that are still to come


class Scheduler:
    """One run of a strategy over questions; iterate over it once."""

    def __init__(
        self,
        strategy: Strategy,
        questions: Sequence[Question],
        policy: Policy,
        scorer: Scorer | None = None,
        batch: Batch | None = None,
    ):
        """Plans and allocates; raises ValueError, with the numbers, for what cannot be run."""
        names = Counter(question.id for question in questions)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"question {twice[0]!r} is given {names[twice[0]]} times")
        batch = batch or Batch()
        self.strategy, self.policy, self.scorer = strategy, policy, scorer
        self._questions = deque(questions)
        self._plan = plan(strategy, questions, policy, scorer, batch)
        stop = _stops(strategy, policy)
        known = policy.tokenizer.token_bytes()
        self._bytes = [*known, *[b""] * (policy.model.shape.vocab - len(known))]
        self.forest = Forest(
            policy.model, mesh=policy.mesh, rows=self._plan.rows, context=self._plan.context,
            pages=self._plan.pages, page_size=batch.page_size,
        )  # fmt: skip
        if scorer is not None:
            scorer.allocate(self._plan.questions * self.forest.replicas, self._plan.scored)
        self.engine = Engine(
            self.forest, stop=stop, sampler=policy.sampler, lanes=self._plan.lanes,
            segment=batch.segment, seed=batch.seed, expected=self._plan.expected,
            rollouts=strategy.load.steps > 1,
        )  # fmt: skip
        self._flights: list[_Flight] = []
        self._running: list[list[_Run]] = [[] for _ in range(self.forest.replicas)]
        self._planting: list[tuple[_Flight, Node, Sequence[int]]] = []
        self._total = len(questions)
        self._counts: Counter = Counter()
        self._start = time.perf_counter()

    def run(self, on_segment: Callable[[Progress], None] | None = None) -> Iterator[Tree]:
        """The tree of each question, as soon as its search has ended.

        on_segment is called after every segment. Raises OutOfPages, and ValueError for what could
        not be seen beforehand: a score that is not finite, a prompt or a solution that outgrew what
        was planned.
        """
        while self._questions or self._flights:
            yield from self._resume()
            self._admit()
            while self._planting:
                self._plant()
                yield from self._resume()
            self._fill()
            if not any(self._running):
                if self._flights:
                    raise RuntimeError("no question can go on: rows are held that nobody frees")
                continue
            jobs = [[run.job for run in replica] for replica in self._running]
            self.engine.run(jobs, refill=self._refillable())
            self._measure()
            self._score(self._land())
            if on_segment is not None:
                on_segment(self.progress)

    def _refillable(self) -> bool:
        """Whether there may be something to put on lanes that become free before the others."""
        waiting = self._questions or any(flight.waiting for flight in self._flights)
        in_rounds = self.strategy.stepwise or self.strategy.load.attempts
        return bool(waiting or in_rounds and len(self._flights) > 1)

    @property
    def progress(self) -> Progress:
        """The state of the run."""
        engine, counts = self.engine, self._counts
        return Progress(
            questions=self._total,
            done_questions=counts["done"],
            rounds=counts["rounds"],
            rows=engine.lanes * self.forest.replicas,
            live_rows=sum(map(len, self._running)),
            pages=self.forest.pages * self.forest.replicas,
            pages_used=engine.pages_used,
            new_tokens=engine.sampled,
            lookahead_tokens=counts["lookahead"],
            prefill_tokens=counts["prefill"],
            verify_tokens=counts["verify"],
            segments=engine.segments,
            steps=engine.steps,
            lane_steps=engine.lane_steps,
            forks=self.forest.forks,
            seconds=time.perf_counter() - self._start,
        )

    # ------------------------------------------------------------------ questions

    def _admit(self) -> None:
        """Take questions in flight, each on the replica with the fewest."""
        fresh = []
        while self._questions:
            held = Counter(flight.replica for flight in self._flights)
            replica = min(range(self.forest.replicas), key=lambda r: held[r])
            if held[replica] == self._plan.questions:
                break
            question, root = self._questions.popleft(), Node(-1)
            flight = _Flight(
                question, self.strategy.search(root), replica, root, question_key(question.id)
            )
            flight.nodes.append(root)
            self._flights.append(flight)
            self._planting.append((flight, root, self.policy.prompt(question, ())))
            fresh.append(flight)
        if fresh and self.scorer is not None:
            opened = self.scorer.open([flight.question.id for flight in fresh])
            for flight, (state, encoded) in zip(fresh, opened, strict=True):
                flight.state = flight.states[flight.root] = state
                state.uses += 1  # the root's and the flight's own
                flight.usage["verifier_prefill"] += encoded
                self._counts["prefill"] += encoded

    def _plant(self) -> None:
        """Encode the prompts that were asked for, those of all questions together."""
        planting, self._planting = self._planting, []
        if not planting:
            return
        for flight, _, tokens in planting:
            self._check_prompt(flight.question, tokens)
        planted = self.forest.plant([(f.replica, tokens[:-1]) for f, _, tokens in planting])
        for (flight, node, tokens), (place, encoded) in zip(planting, planted, strict=True):
            flight.rows[node] = _Held(place, len(tokens) - 1, int(tokens[-1]))
            node.tokens = np.asarray(tokens, np.int32)
            node.usage["prefill"] = encoded
            self._counts["prefill"] += encoded
            if isinstance(flight.command, Ask):
                flight.left -= 1

    def _check_prompt(self, question: Question, tokens: Sequence[int]) -> None:
        check_prompt(question, tokens, self.policy)
        if len(tokens) + self.policy.max_new > self._plan.context:
            raise ValueError(
                f"question {question.id!r}: a prompt of {len(tokens)} tokens was not planned for "
                f"(rows hold {self._plan.context}, solutions {self.policy.max_new})"
            )

    def _resume(self) -> Iterator[Tree]:
        """Send nodes to the strategies that wait for no more, until all of them wait again."""
        for flight in list(self._flights):
            while not flight.left and not any(flight is f for f, _, _ in self._planting):
                try:
                    if flight.command is None:
                        command = next(flight.search)
                    else:
                        flight.rounds += 1
                        self._counts["rounds"] += 1
                        command = flight.search.send(flight.asked)
                except StopIteration as end:
                    yield self._finish(flight, end.value)
                    break
                if isinstance(command, Ask):
                    self._ask(flight, command)
                else:
                    self._grow(flight, command)

    def _grow(self, flight: _Flight, command: Grow) -> None:
        """Queue the children asked for; give up all nodes that have none."""
        self._give_up(flight, set(command.parents))
        flight.command, first = command, sum(node.number >= 0 for node in flight.nodes)
        flight.asked = [
            Node(first + i, parent, flight.rounds) for i, parent in enumerate(command.parents)
        ]
        flight.left = len(flight.asked)
        flight.unstarted.update(command.parents)
        flight.unscored.update(command.parents)
        flight.waiting.extend(flight.asked)
        flight.nodes += flight.asked

    def _ask(self, flight: _Flight, command: Ask) -> None:
        """Queue the prompts asked for. What they begin like is still held while they are made."""
        flight.command = command
        flight.asked = []
        for attempts in command.attempts:
            node = Node(-1 - sum(n.number < 0 for n in flight.nodes), round=flight.rounds)
            flight.asked.append(node)
            flight.nodes.append(node)
            tokens = self.policy.prompt(flight.question, [a.solution for a in attempts])
            self._planting.append((flight, node, tokens))
            if flight.state is not None:
                flight.states[node] = flight.state
                flight.state.uses += 1
        flight.left = len(flight.asked)

    def _give_up(self, flight: _Flight, parents: set[Node]) -> None:
        for node in [node for node in flight.rows if node not in parents]:
            self.forest.release(flight.rows.pop(node).place)
        for node in [node for node in flight.states if node not in parents]:
            self.scorer.close(flight.states.pop(node))

    def _finish(self, flight: _Flight, candidates: list[Node]) -> Tree:
        self._give_up(flight, set())
        if flight.state is not None:
            self.scorer.close(flight.state)
        self._flights.remove(flight)
        self._counts["done"] += 1
        nodes = sorted(flight.nodes, key=lambda n: (n.number >= 0, abs(n.number)))
        return Tree(flight.question.id, nodes, list(candidates), flight.usage)

    # ------------------------------------------------------------------ lanes

    def _fill(self) -> None:
        """Start waiting children on free lanes, those of the question admitted first first."""
        for flight in self._flights:
            running = self._running[flight.replica]
            while flight.waiting and len(running) < self.engine.lanes:
                parent = flight.waiting[0].parent
                last_child = flight.unstarted[parent] == 1
                if not last_child and not self.forest.free(flight.replica):
                    break
                node = flight.waiting.popleft()
                held = flight.rows[parent]
                if last_child:
                    place = held.place
                    self.forest.cut(place, held.cached)
                    del flight.rows[parent]
                else:
                    place = self.forest.copy(held.place, held.cached)
                flight.unstarted[parent] -= 1
                limit = self.policy.max_new - held.length
                if not flight.command.whole:
                    limit = min(limit, self.policy.max_step)
                job = Job(place[1], flight.key, node.number, held.last, limit, held.state)
                running.append(_Run(flight, node, job, held))

    def _land(self) -> list[_Run]:
        """The runs whose node is complete, off their lanes; others go on."""
        landed = []
        for r, replica in enumerate(self._running):
            stay = []
            for run in replica:
                more = self._look_on(run, r) if run.steps_ahead else self._step(run, r)
                (stay if more else landed).append(run)
            self._running[r] = stay
        return landed

    def _step(self, run: _Run, r: int) -> bool:
        """Whether the run goes on after a segment: until its step has ended, and its rollout."""
        job, stop = run.job, self.engine.stop
        met = stop.met(job.state)
        if met is None and job.limit:
            return True
        tokens, logprobs = job.sampled()
        data = b"".join(self._bytes[t] for t in tokens)
        tail = (run.before.tail + data)[-_TAIL:]
        length = run.before.length + len(tokens)
        met = self._end_in(tail, tokens) if met == self.policy.delimiter else met
        text = data.decode(errors="replace")
        if met == self.policy.delimiter and not text.strip() and job.limit:
            job.state = stop.resume(tail)  # a blank line is no step
            return True
        node, flight = run.node, run.flight
        if met is not None and met != self.policy.delimiter:
            finish = "stop"
        else:
            room = length < self.policy.max_new and not flight.command.whole
            finish = "step" if room else "length"
        node.tokens, node.logprobs, node.text = tokens, logprobs, text
        node.finish, node.stopped_by = finish, met
        node.usage["decode"] = len(tokens)
        node.steps = self._split(text)
        place = (r, job.row)
        if node.finished:
            if self.strategy.load.attempts:  # the next prompt may begin like this one
                flight.rows[node] = _Held(place, run.before.cached + len(tokens), job.last)
            else:
                self.forest.release(place)
            return False
        held = _Held(
            place, run.before.cached + len(tokens), job.last, length, tail, stop.resume(tail)
        )
        flight.rows[node] = held
        if not flight.command.lookahead:
            return False
        run.before, run.steps_ahead = held, flight.command.lookahead
        limit = min(run.steps_ahead * self.policy.max_step, self.policy.max_new - length)
        run.job = Job(job.row, job.question, job.branch, job.last, limit, held.state, greedy=True)
        return True

    def _look_on(self, run: _Run, r: int) -> bool:
        """Whether a rollout goes on; at its end the row is cut back to the node."""
        job, stop, node = run.job, self.engine.stop, run.node
        met = stop.met(job.state)
        if met is None and job.limit:
            return True
        tokens, _ = job.sampled()
        data = b"".join(self._bytes[t] for t in tokens)
        tail = (run.before.tail + data)[-_TAIL:]
        met = self._end_in(tail, tokens) if met == self.policy.delimiter else met
        text = data.decode(errors="replace")
        steps = self._split(text)
        wanted = run.flight.command.lookahead
        if met == self.policy.delimiter and job.limit and len(steps) < wanted:
            job.state = stop.resume(tail)
            return True
        node.ahead = text
        node.usage["lookahead"] = len(tokens)
        self._counts["lookahead"] += len(tokens)
        self.forest.cut((r, job.row), run.before.cached)
        return False

    def _end_in(self, tail: bytes, tokens: np.ndarray) -> str:
        """The end string that the last token completed beside the delimiter, else the delimiter."""
        last = len(self._bytes[tokens[-1]])
        for end in self.policy.ends:
            data = end.encode()
            if data in tail[-(len(data) - 1 + last) :]:
                return end
        return self.policy.delimiter

    def _split(self, text: str) -> tuple[str, ...]:
        return tuple(step.text for step in split_steps(text, self.policy.delimiter))

    # ------------------------------------------------------------------ scores

    def _score(self, landed: list[_Run]) -> None:
        """Score what has landed, and hand it to its questions."""
        if self.scorer is not None and landed:
            judgements = self.scorer.score([self._claim(run.flight, run.node) for run in landed])
            held = {flight: list(flight.states.values()) for flight in self._flights}
            for run, judgement in zip(landed, judgements, strict=True):
                held[run.flight] += [] if judgement.state is None else [judgement.state]
            self._note("verifier_pages", self.scorer.pages_of(list(held.values())))
            for run, judgement in zip(landed, judgements, strict=True):
                self._judged(run.flight, run.node, judgement)
        for run in landed:
            run.flight.left -= 1

    def _claim(self, flight: _Flight, node: Node) -> Claim:
        state = flight.states[node.parent]
        if self.scorer.outcome:
            return Claim(state, (node.solution,), final=True)
        return Claim(state, node.steps, self._split(node.ahead), node.finished)

    def _judged(self, flight: _Flight, node: Node, judgement: Judgement) -> None:
        node.scores, node.ahead_scores = judgement.scores, judgement.ahead_scores
        node.value = self.scorer.aggregate([*node.all_scores, *node.ahead_scores])
        if judgement.unread:  # nothing can follow what the verifier cannot read
            node.finish, node.value = "unread", 0.0
            if node in flight.rows:
                self.forest.release(flight.rows.pop(node).place)
        node.usage["verify"] = judgement.tokens
        if node.ahead:
            node.usage["verify_lookahead"] = judgement.ahead_tokens
        self._counts["verify"] += judgement.tokens + judgement.ahead_tokens
        if judgement.state is not None:
            flight.states[node] = judgement.state
        flight.unscored[node.parent] -= 1
        if not flight.unscored[node.parent]:
            self.scorer.close(flight.states.pop(node.parent))

    def _measure(self) -> None:
        """Note the pages that each question's rows hold."""
        places: dict[_Flight, list[Place]] = {
            flight: [held.place for held in flight.rows.values()] for flight in self._flights
        }
        for r, replica in enumerate(self._running):
            for run in replica:
                places[run.flight].append((r, run.job.row))
        self._note("pages", self.forest.pages_of(list(places.values())))

    def _note(self, kind: str, pages: Sequence[int]) -> None:
        """Keep the most pages of a kind that each question has held."""
        for flight, now in zip(self._flights, pages, strict=True):
            flight.usage[kind] = max(flight.usage[kind], now)


def _stops(strategy: Strategy, policy: Policy) -> StopAutomaton:
    strings = policy.ends + ((policy.delimiter,) if strategy.stepwise else ())
    return build(policy.tokenizer.token_bytes(), policy.tokenizer.eos, strings)


def search(
    strategy: Strategy,
    questions: Sequence[Question],
    policy: Policy,
    scorer: Scorer | None = None,
    *,
    batch: Batch | None = None,
    on_segment: Callable[[Progress], None] | None = None,
) -> Iterator[Tree]:
    """The tree that `strategy` grows over each question, in the order in which they finish.

    Raises ValueError before anything is sampled when the run cannot be done (see `plan`).
    """
    if questions:
        yield from Scheduler(strategy, questions, policy, scorer, batch).run(on_segment)
