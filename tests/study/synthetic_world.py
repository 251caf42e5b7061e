# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A made-up policy and verifier that the real strategies search with: whole trees in milliseconds.

A solution has three steps. It is on the right track at first and may lose it at every step, to end
at one of a few wrong answers. The verifier sees the track noisily, and for each question it likes
some answers more than they deserve, which search exploits. A question of bin b is answered rightly
with chance `accuracy[b]`, give or take a little of its own.
"""

import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ttc_jax.core.samples import Sample
from ttc_jax.search.strategy import Ask, Strategy
from ttc_jax.search.tree import Node, Tree

STEPS = 3
RIGHT, WRONG = 0, 12  # the way to the right answer; the number of all ways, the last to no answer
STEP_TOKENS, PROMPT_TOKENS = 5, 12
ACCURACY = (0.85, 0.55, 0.3, 0.12, 0.03)


@dataclass(frozen=True)
class Question:
    """What is asked: its bin from 0, the easiest, is its level less one."""

    id: str
    text: str
    answer: str
    level: int


def questions_of(n: int) -> list[Question]:
    """n questions, of each level as many."""
    return [
        Question(f"q{i:03d}", f"What is {i} + {100 + i}?", str(100 + 2 * i), 1 + i % 5)
        for i in range(n)
    ]


@dataclass(frozen=True)
class World:
    """How often the policy is right, and how well the verifier knows.

    `sharpness` is how far the logits of right and wrong solutions lie apart, None: no verifier;
    `judge` is its name, "likelihood" that of the policy's own, which is a little less of wrong
    steps. An `outcome` verifier gives one score, and one with `history` reads
    earlier attempts again. Every revision takes the share `decline` off the chance to be right. A
    `greedy` policy always gives its likelier answer. FLOPs are two for each parameter and token.
    """

    accuracy: tuple[float, ...] = ACCURACY
    sharpness: float | None = 2.0
    outcome: bool = False
    history: bool = False
    decline: float = 0.0
    greedy: bool = False
    policy_params: int = 100_000_000
    verifier_params: int = 100_000_000
    judge: str = "prm"
    seed: int = 0

    def tree(self, strategy: Strategy, question: Question) -> list[Sample]:
        """The rows of a search over one question."""
        return _Search(self, strategy, question).rows()


class _Search:
    def __init__(self, world: World, strategy: Strategy, question: Question):
        self._world, self._strategy, self._question = world, strategy, question
        self._chance = _generator(world.seed, question.id)
        self._noise = _generator(world.seed, question.id, world.judge)
        own = _generator(question.id).normal(0.0, 0.3)
        p = world.accuracy[question.level - 1]
        self._p = 1 / (1 + (1 - p) / p * np.exp(-own))
        self._appeal = _generator(question.id, world.judge).normal(size=WRONG)
        self._ways: dict[Node, int] = {}  # what answer a solution leads to
        self._answers: dict[Node, str | None] = {}
        self._attempts: dict[Node, tuple[Node, ...]] = {}
        self._flops: dict[Node, dict[str, float]] = {}
        self._luck = _generator(world.seed, question.id, "log-probabilities")
        self._logprobs: dict[Node, list[float]] = {}  # of the steps up to and with the node's

    def rows(self) -> list[Sample]:
        root = Node(-1, tokens=np.arange(PROMPT_TOKENS))
        self._ways[root] = RIGHT
        root.usage = Counter(prefill=PROMPT_TOKENS)
        self._logprobs[root] = []
        verified = self._world.sharpness is not None and self._world.judge != "likelihood"
        root.usage += Counter(verifier_prefill=PROMPT_TOKENS * verified)
        prompts, grown, search, sent, turn = [root], [], self._strategy.search(root), None, 0
        while True:
            try:
                request = search.send(sent)
            except StopIteration as end:
                tree = Tree(self._question.id, [*prompts, *grown], end.value)
                places = {node: i for i, node in enumerate(tree.candidates)}
                return [self._row(tree, node, places.get(node)) for node in tree.nodes]
            if isinstance(request, Ask):
                sent = [self._prompt(-1 - len(prompts) - i, attempts, turn)
                        for i, attempts in enumerate(request.attempts)]  # fmt: skip
                prompts += sent
            else:
                first = len(grown)
                sent = [self._child(first + i, parent, request, turn)
                        for i, parent in enumerate(request.parents)]  # fmt: skip
                grown += sent
            turn += 1

    def _prompt(self, number: int, attempts: tuple[Node, ...], turn: int) -> Node:
        node = Node(number, round=turn, tokens=np.arange(PROMPT_TOKENS))
        self._attempts[node], self._ways[node], self._logprobs[node] = attempts, RIGHT, []
        seen = STEPS * STEP_TOKENS * len(attempts)
        node.usage["revision_context"] = seen
        if self._world.history:
            node.usage["verify_context"] = seen
        return node

    def _child(self, number: int, parent: Node, request, turn: int) -> Node:
        node = Node(number, parent, turn)
        done = len(parent.path)
        new = STEPS - done if request.whole else 1
        node.finish = "stop" if done + new == STEPS else "step"
        node.tokens = np.arange(STEP_TOKENS * new)
        node.usage["decode"] = STEP_TOKENS * new
        ways = self._walk(node, new)
        self._ways[node] = ways[-1]
        self._logprobs[node] = self._logprobs[parent] + self._likely(ways)
        if node.finish == "stop":
            self._answers[node] = self._answer(ways[-1])
        node.steps = tuple(f"Step {done + i + 1} of {number}." for i in range(new))
        if node.finish == "stop":
            node.steps = (*node.steps[:-1], f"The answer is {self._answers[node]}.")
        node.text = "".join(f"{step}\n" for step in node.steps)
        ahead = min(request.lookahead, STEPS - done - new)
        if ahead:
            node.ahead = "".join(f"Step {done + new + i + 1} ahead.\n" for i in range(ahead))
            node.usage["lookahead"] = STEP_TOKENS * ahead
        if self._world.sharpness is not None:
            self._judge(node, ways, done, ahead)
        return node

    def _walk(self, node: Node, new: int) -> list[int]:
        """What answer the solution leads to after each of its new steps."""
        keep, ways = self._chance_to_keep(node), [self._ways[node.parent]]
        for draw in self._chance.random(new):
            lost = ways[-1] == RIGHT and draw >= keep
            ways.append(self._wrong_way() if lost else ways[-1])
        return ways[1:]

    def _wrong_way(self) -> int:
        """Some wrong answers are more common than others."""
        return min(1 + int(self._chance.exponential(2.5)), WRONG - 1)

    def _chance_to_keep(self, node: Node) -> float:
        """Of a revision: a little better than before, but right answers are lost again."""
        p = self._p
        if attempts := self._attempts.get(node.parent):
            p = 0.35 + 0.5 * p if self._ways[attempts[-1]] == RIGHT else min(0.95, 1.15 * p + 0.03)
            p *= (1 - self._world.decline) ** (node.round // 2)
        if self._world.greedy:
            return float(p >= 0.5)
        return p ** (1 / STEPS)

    def _answer(self, way: int) -> str | None:
        return None if way == WRONG - 1 else str(int(self._question.answer) + way)

    def _likely(self, ways: list[int]) -> list[float]:
        """Log-probabilities of steps: a policy is less sure of wrong ones, but not always."""
        means = np.where(np.array(ways) == RIGHT, -0.4, -0.55) + 0.2 * self._luck.normal(
            size=len(ways))  # fmt: skip
        return (STEP_TOKENS * np.minimum(means, -0.01)).tolist()

    def _judge(self, node: Node, ways: list[int], done: int, ahead: int) -> None:
        """Scores of the steps, the later the surer; the value is the last of them."""
        seen = np.array([*ways, *ways[-1:] * ahead])
        merit = np.where(seen == RIGHT, 0.5, -0.5) * self._world.sharpness + self._appeal[seen]
        sure = np.arange(done + 1, done + 1 + len(seen)) / STEPS
        logits = merit * sure + 0.7 * self._noise.normal(size=len(seen))
        scores = [float(np.float32(1 / (1 + np.exp(-x)))) for x in logits]
        if self._world.judge == "likelihood":
            logs = np.cumsum([*self._logprobs[node], *self._likely(ways[-1:] * ahead)])
            scores = np.exp(logs / (STEP_TOKENS * np.arange(1, len(logs) + 1)))[done:].tolist()
        node.value = scores[-1]
        if self._world.judge != "likelihood":
            node.usage["verify"] = len(node.tokens)
            if ahead:
                node.usage["verify_lookahead"] = STEP_TOKENS * ahead
        own = len(scores) - ahead
        node.scores = tuple(scores[own - 1 : own] if self._world.outcome else scores[:own])
        node.ahead_scores = tuple(scores[own:])

    def _row(self, tree: Tree, node: Node, place: int | None) -> Sample:
        fields = {"text": node.text, "verdict": ""}
        if node.number == -1:
            fields |= {"text": self._question.text, "answer": self._question.answer}
        elif place is not None:
            answer = self._answers[node]
            verdict = "correct" if answer == self._question.answer else "wrong"
            fields |= {"answer": answer, "verdict": verdict if answer else "unparsed"}
            fields["place"] = place
        starts = np.cumsum([0, *(len(step) + 1 for step in node.steps)])
        return Sample(
            question=tree.question, branch=node.number, steps=node.steps,
            parent=None if node.parent is None else node.parent.number,
            offsets=starts[:-1].tolist(), tokens=node.tokens.tolist(), scores=node.scores,
            logprob=sum(self._own_logprobs(node)), finish=node.finish, flops=self._cost(node),
            round=node.round, role=tree.role(node), value=node.value, ahead=node.ahead,
            ahead_scores=node.ahead_scores, usage=dict(node.usage), **fields,
        )  # fmt: skip

    def _own_logprobs(self, node: Node) -> list[float]:
        before = 0 if node.parent is None else len(self._logprobs[node.parent])
        return self._logprobs[node][before:]

    def _cost(self, node: Node) -> dict[str, float]:
        verifier, policy = 2.0 * self._world.verifier_params, 2.0 * self._world.policy_params
        return {
            phase: tokens * (verifier if phase.startswith("verif") else policy)
            for phase, tokens in node.usage.items()
        }


def _generator(*key: object) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in key])
