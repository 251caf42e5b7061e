# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Many searches in one batch: each question advances on its own, all of them share the device.

A question in flight is a strategy waiting for nodes. Children that it asked for wait for a lane;
when all of them have been sampled they are scored, together with those of other questions; then the
strategy is asked for the next ones. Lanes that become free are refilled from any question, between
two segments.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import numpy as np

from ttc_jax.core.flops import Ledger
from ttc_jax.core.team import Supply
from ttc_jax.data.sources import Question
from ttc_jax.decode.batch import Job, Place, question_key
from ttc_jax.decode.engine import Engine
from ttc_jax.decode.forest import Forest
from ttc_jax.search.cost import prompt_phase
from ttc_jax.search.flight import Flight, Held, Run
from ttc_jax.search.history import open_prompts
from ttc_jax.search.plan import Batch, Policy, check_prompt, plan
from ttc_jax.search.progress import Progress
from ttc_jax.search.steps import StepReader
from ttc_jax.search.strategy import Ask, Grow, Strategy
from ttc_jax.search.tree import Node, Tree
from ttc_jax.verify.scorer import UNREAD, Claim, Judgement, Scorer


class Scheduler:
    """One run of a strategy over questions; iterate over it once."""

    def __init__(
        self,
        strategy: Strategy,
        questions: Sequence[Question],
        policy: Policy,
        scorer: Scorer | None = None,
        batch: Batch | None = None,
        supply: Supply[Question] | None = None,
    ):
        """Plans for all `questions` and allocates; they are taken from `supply`, if there is one.

        Raises ValueError, with the numbers, for what cannot be run.
        """
        names = [question.id for question in questions]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"question {twice[0]!r} is given {names.count(twice[0])} times")
        batch = batch or Batch()
        self.strategy, self.policy, self.scorer = strategy, policy, scorer
        self._questions = Supply(questions, names) if supply is None else supply
        self._plan = plan(strategy, questions, policy, scorer, batch)
        self._reader = StepReader(policy, strategy.stepwise)
        self.forest = Forest(
            policy.model, mesh=policy.mesh, attention=policy.attention,
            **asdict(self._plan.sizes(batch)),
        )  # fmt: skip
        if scorer is not None:
            scorer.allocate(self._plan.questions * self.forest.replicas, self._plan.scored)
        self.engine = Engine(
            self.forest, stop=self._reader.stop, sampler=policy.sampler, lanes=self._plan.lanes,
            segment=batch.tokens(strategy), seed=batch.seed, expected=self._plan.expected,
            rollouts=strategy.load.steps > 1,
        )  # fmt: skip
        self._flights: list[Flight] = []
        self._running: list[list[Run]] = [[] for _ in range(self.forest.replicas)]
        self._planting: list[tuple[Flight, Node, Sequence[int]]] = []
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
            ledger=self.ledger.by_phase(),
        )

    @property
    def ledger(self) -> Ledger:
        """What the policy and the scorer have cost so far."""
        mine = self.forest.meter.ledger
        return mine if self.scorer is None else mine + self.scorer.ledger

    # ------------------------------------------------------------------ questions

    def _admit(self) -> None:
        """Take questions in flight, each on the replica with the fewest."""
        fresh, held = [], Counter(flight.replica for flight in self._flights)
        while self._questions:
            replica = min(range(self.forest.replicas), key=lambda r: held[r])
            if held[replica] == self._plan.questions:
                break
            question, root = self._questions.take(), Node(-1)
            if question is None:
                break
            held[replica] += 1
            flight = Flight(
                question, self.strategy.search(root), replica, question_key(question.id), [root]
            )
            self._flights.append(flight)
            self._planting.append((flight, root, self.policy.prompt(question, ())))
            fresh.append(flight)
        if fresh and self.scorer is not None:
            opened = self.scorer.open([flight.question.id for flight in fresh])
            for flight, (state, encoded) in zip(fresh, opened, strict=True):
                flight.state = flight.states[flight.nodes[0]] = state
                state.uses += 1  # the root's and the flight's own
                flight.nodes[0].verify_at = state.length - encoded
                flight.usage["verifier_prefill"] += encoded
                self._counts["prefill"] += encoded

    def _plant(self) -> None:
        """Encode the prompts that were asked for, those of all questions together."""
        planting, self._planting = self._planting, []
        for flight, _, tokens in planting:
            self._check_prompt(flight.question, tokens)
        phases = [prompt_phase(node) for _, node, _ in planting]
        prompts = [(flight.replica, tokens[:-1]) for flight, _, tokens in planting]
        planted = self.forest.plant(prompts, phases)
        for (flight, node, tokens), (place, encoded) in zip(planting, planted, strict=True):
            flight.rows[node] = Held(place, len(tokens) - 1, int(tokens[-1]))
            node.tokens = np.asarray(tokens, np.int32)
            node.usage[prompt_phase(node)] = encoded
            self._counts["prefill"] += encoded
            if isinstance(flight.command, Ask):
                flight.left -= 1
        again = dict.fromkeys(f for f, _, _ in planting if isinstance(f.command, Ask))
        if again and self.scorer is not None:
            self._counts["verify"] += open_prompts(self.scorer, list(again))

    def _check_prompt(self, question: Question, tokens: Sequence[int]) -> None:
        check_prompt(question, tokens, self.policy)
        if len(tokens) + self.policy.max_new > self._plan.context:
            raise ValueError(
                f"question {question.id!r}: a prompt of {len(tokens)} tokens was not planned for "
                f"(rows hold {self._plan.context}, solutions {self.policy.max_new})"
            )

    def _resume(self) -> Iterator[Tree]:
        """Send nodes to the strategies that wait for no more, until all of them wait again."""
        planting = {flight for flight, _, _ in self._planting}
        for flight in list(self._flights):
            while not flight.left and flight not in planting:
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
                if isinstance(command, Grow):
                    self._give_up(flight, {*command.parents, *command.rollouts, *command.keep})
                    flight.children(command)
                else:  # what the prompts begin like is held until they have been made
                    flight.prompts(command)
                    for node, attempts in zip(flight.asked, command.attempts, strict=True):
                        texts = [attempt.solution for attempt in attempts]
                        tokens = self.policy.prompt(flight.question, texts)
                        self._planting.append((flight, node, tokens))
                        planting.add(flight)

    def _give_up(self, flight: Flight, parents: set[Node]) -> None:
        for node in [node for node in flight.rows if node not in parents]:
            self.forest.release(flight.rows.pop(node).place)
        for node in [node for node in flight.states if node not in parents]:
            self.scorer.close(flight.states.pop(node))

    def _finish(self, flight: Flight, candidates: list[Node]) -> Tree:
        self._give_up(flight, set())
        if flight.state is not None:
            self.scorer.close(flight.state)
        self._flights.remove(flight)
        self._counts["done"] += 1
        return flight.tree(candidates)

    # ------------------------------------------------------------------ lanes

    def _fill(self) -> None:
        """Start waiting children on free lanes, those of the question admitted first first."""
        for flight in self._flights:
            running = self._running[flight.replica]
            while flight.waiting and len(running) < self.engine.lanes:
                parent = flight.waiting[0].parent
                last_child = flight.unstarted[parent] == 1 and parent not in flight.command.keep
                if not last_child and not self.forest.free(flight.replica):
                    break
                node = flight.waiting.popleft()
                held = flight.rows[parent]
                if last_child:
                    place = held.place
                    del flight.rows[parent]
                else:
                    place = self.forest.copy(held.place, held.cached)
                flight.unstarted[parent] -= 1
                limit, state = self.policy.max_new - held.length, held.state
                phase = "rollout" if node in flight.rollouts else "decode"
                if self._whole(flight, node):
                    state = self._reader.resume(held.tail, whole=True)
                else:
                    limit = min(limit, self.policy.max_step)
                job = Job(place[1], flight.key, node.number, held.last, limit, state, phase=phase)
                running.append(Run(flight, node, job, held))

    def _whole(self, flight: Flight, node: Node) -> bool:
        """Whether a node goes on to the end of its solution."""
        return flight.command.whole or node in flight.rollouts

    def _land(self) -> list[Run]:
        """The runs whose node is complete, off their lanes; others go on."""
        landed = []
        for r, replica in enumerate(self._running):
            stay = []
            for run in replica:
                more = self._look_on(run, r) if run.ahead else self._step(run, r)
                (stay if more else landed).append(run)
            self._running[r] = stay
        return landed

    def _step(self, run: Run, r: int) -> bool:
        """Whether the run goes on after a segment: until its step has ended, and its rollout."""
        job, policy, flight, node = run.job, self.policy, run.flight, run.node
        found = self._reader.read(job, run.before.tail)
        if found is None:
            return True
        whole = self._whole(flight, node)
        if found.met == policy.delimiter and not found.text.strip() and job.limit:
            job.state = self._reader.resume(found.tail)  # a blank line is no step
            return True
        length = run.before.length + len(found.tokens)
        if found.met not in (None, policy.delimiter):
            node.finish = "stop"
        elif length == policy.max_new or whole:
            node.finish = "length"
        node.tokens, node.logprobs, node.text = found.tokens, found.logprobs, found.text
        node.stopped_by, node.steps = found.met, self._reader.split(found.text)
        node.usage[job.phase] = len(found.tokens)
        held = Held(
            place=(r, job.row),
            cached=run.before.cached + len(found.tokens),
            last=job.last,
            length=length,
            tail=found.tail,
            state=self._reader.resume(found.tail),
        )
        # The next prompt of a revision may begin like this one; none begins like a rollout.
        if not node.finished or self.strategy.load.attempts and not node.rollout:
            flight.rows[node] = held
        else:
            self.forest.release(held.place)
        if node.finished or not flight.command.lookahead:
            return False
        run.before, run.ahead = held, flight.command.lookahead
        limit = min(run.ahead * policy.max_step, policy.max_new - length)
        run.job = Job(
            job.row, job.question, job.branch, job.last, limit, held.state, True, "lookahead"
        )
        return True

    def _look_on(self, run: Run, r: int) -> bool:
        """Whether a rollout goes on; at its end the row is cut back to the node."""
        job, node = run.job, run.node
        found = self._reader.read(job, run.before.tail)
        if found is None:
            return True
        steps = len(self._reader.split(found.text))
        if found.met == self.policy.delimiter and job.limit and steps < run.ahead:
            job.state = self._reader.resume(found.tail)
            return True
        node.ahead = found.text
        if self.scorer is not None and self.scorer.reads_logprobs:
            node.ahead_logprobs = self._reader.by_step(*job.sampled(), found.text)
        node.usage[job.phase] = len(found.tokens)
        self._counts["lookahead"] += len(found.tokens)
        self.forest.cut((r, job.row), run.before.cached)
        return False

    # ------------------------------------------------------------------ scores

    def _score(self, landed: list[Run]) -> None:
        """Score the nodes of questions of which all that was asked for has landed.

        Together, in the order in which they were asked for: the more claims there are, the less
        the scorer pads them. Rollouts are not scored.
        """
        for run in landed:
            run.flight.left -= 1
        whole = {run.flight: None for run in landed if not run.flight.left}
        pairs = [(f, node) for f in whole for node in f.asked if node not in f.rollouts]
        if self.scorer is None or not pairs:
            return
        # A prompt without a state has attempts that the scorer cannot read.
        read = [(f, node) for f, node in pairs if node.parent in f.states]
        judged = dict(zip(read, self.scorer.score([self._claim(*p) for p in read]), strict=True))
        judgements = [judged.get(pair, UNREAD) for pair in pairs]
        held = {flight: list(flight.states.values()) for flight in self._flights}
        for (flight, _), judgement in zip(pairs, judgements, strict=True):
            held[flight] += [] if judgement.state is None else [judgement.state]
        self._note("verifier_pages", self.scorer.pages_of(list(held.values())))
        for pair, judgement in zip(pairs, judgements, strict=True):
            self._judged(*pair, judgement)

    def _claim(self, flight: Flight, node: Node) -> Claim:
        state = flight.states[node.parent]
        if self.scorer.outcome:  # a later prompt may have this solution in view
            followed = self.scorer.history and self.strategy.load.attempts
            return Claim(state, (node.solution,), final=not followed)
        logprobs: tuple[np.ndarray, ...] = ()
        if self.scorer.reads_logprobs:
            own = self._reader.by_step(node.tokens, node.logprobs, node.text)
            logprobs = own + node.ahead_logprobs
        ahead = self._reader.split(node.ahead)
        return Claim(state, node.steps, ahead, node.finished, logprobs=logprobs)

    def _judged(self, flight: Flight, node: Node, judgement: Judgement) -> None:
        node.scores, node.ahead_scores = judgement.scores, judgement.ahead_scores
        node.value = self.scorer.aggregate([*node.all_scores, *node.ahead_scores])
        if judgement.unread:  # nothing can follow what the verifier cannot read
            node.finish, node.value = "unread", 0.0
            if node in flight.rows:
                self.forest.release(flight.rows.pop(node).place)
        node.usage["verify"], node.verify_at = judgement.tokens, judgement.at
        if node.ahead:
            node.usage["verify_lookahead"] = judgement.ahead_tokens
        self._counts["verify"] += judgement.tokens + judgement.ahead_tokens
        if judgement.state is not None:
            flight.states[node] = judgement.state
        flight.unscored[node.parent] -= 1
        done = not flight.unscored[node.parent] and node.parent not in flight.command.keep
        if done and node.parent in flight.states:
            self.scorer.close(flight.states.pop(node.parent))

    def _measure(self) -> None:
        """Note the pages that each question's rows hold."""
        places: dict[Flight, list[Place]] = {
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
