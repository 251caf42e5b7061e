# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Searches done the slow way: one question at a time, no cache, every text read from its start.

The strategies are those under test; everything around them is written again. Steps and ends are
found by looking for the strings in the text, tokens come from a decoder without a cache, and the
verifier reads question and solution afresh for every score.
"""

import math
import re
import statistics
from functools import cache

import jax
import numpy as np
from decode.dense import Dense

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.sources import Question
from ttc_jax.decode.batch import question_key
from ttc_jax.decode.sample import Sampler, row_keys
from ttc_jax.decode.stop import build
from ttc_jax.model.transformer import Transformer, forward, values
from ttc_jax.search.plan import Policy
from ttc_jax.search.strategy import Ask, Grow, Strategy
from ttc_jax.search.tree import Node, Tree

ROWS, CONTEXT = 8, 48
AGGREGATES = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": math.prod,
    "mean": statistics.fmean,
}


@jax.jit
def _read(model, tokens, lens):
    return jax.nn.sigmoid(values(model, forward(model, tokens, lens))[..., 0])


_keys = jax.jit(row_keys)


class Text:
    """Tokens of one model behind a prompt, and their text."""

    def __init__(self, policy: Policy, before: list[int], tokens: list[int]):
        self._policy = policy
        self.before, self.tokens = before, list(tokens)

    def text(self, tokens: list[int]) -> str:
        return self._policy.tokenizer.decode(tokens)

    def completes(self, string: str) -> bool:
        """Whether the last token brought the string to its end."""
        whole, last = self.text([*self.before, *self.tokens]), self.text(self.tokens[-1:])
        return string in whole[max(0, len(whole) - len(last) - len(string) + 1) :]

    def end(self) -> int | str | None:
        """What ends the solution here."""
        if self.tokens[-1] in self._policy.tokenizer.eos:
            return self.tokens[-1]
        return next((end for end in self._policy.ends if self.completes(end)), None)

    def steps(self) -> tuple[str, ...]:
        parts = self.text(self.tokens).split(self._policy.delimiter)
        return tuple(part.strip() for part in parts if part.strip())


class SlowSearch:
    """Trees of one policy and, for scores, a verifier that reads lines ended by newlines.

    `scorer` is (model, tokenizer, aggregate).
    """

    def __init__(self, policy: Policy, scorer: tuple | None, seed: int):
        self.policy, self.scorer, self.seed = policy, scorer, seed
        model = single(policy.model)
        self.dense = Dense(model, ROWS, CONTEXT)
        self.never = build(policy.tokenizer.token_bytes(), (), ["no such text"])
        self._scores = cache(self._read_again)  # equal texts have equal scores, to the last bit

    def tree(self, strategy: Strategy, question: Question) -> Tree:
        root = Node(-1)
        search, answer, prompts, grown, turn = strategy.search(root), None, [root], [], 0
        root.tokens = np.array(self.policy.prompt(question, ()))
        while True:
            try:
                command = search.send(answer)
            except StopIteration as end:
                return Tree(question.id, [*prompts, *grown], end.value)
            if isinstance(command, Ask):
                answer = []
                for attempts in command.attempts:
                    answer.append(Node(-1 - len(prompts), round=turn))
                    tokens = self.policy.prompt(question, [a.solution for a in attempts])
                    answer[-1].tokens = np.array(tokens)
                    prompts.append(answer[-1])
            else:
                parents = (*command.parents, *command.rollouts)
                answer = [Node(len(grown) + i, p, turn) for i, p in enumerate(parents)]
                rollouts = set(answer[len(command.parents) :])
                self._sample(question, command, answer, rollouts)
                for node in answer[: len(command.parents)]:
                    self._score(question, node)
                grown += answer
            turn += 1

    # ------------------------------------------------------------------ tokens

    def _sample(
        self, question: Question, command: Grow, nodes: list[Node], rollouts: set[Node]
    ) -> None:
        before = [[t for node in n.parent.path for t in node.tokens.tolist()] for n in nodes]
        texts = [Text(self.policy, b, []) for b in before]
        open_ = dict(enumerate(texts))
        logprobs: list[list[float]] = [[] for _ in nodes]
        while open_:
            for i, logprob in self._next(question, nodes, open_, self.policy.sampler).items():
                logprobs[i].append(logprob)
                if self._ended(nodes[i], open_[i], command.whole or nodes[i] in rollouts):
                    del open_[i]
        for node, text, probs in zip(nodes, texts, logprobs, strict=True):
            node.tokens, node.logprobs = np.array(text.tokens), np.array(probs)
            node.text, node.steps = text.text(text.tokens), text.steps()
            node.usage["rollout" if node in rollouts else "decode"] = len(text.tokens)
        if command.lookahead:
            self._look_ahead(question, command.lookahead, nodes)

    def _ended(self, node: Node, text: Text, whole: bool) -> bool:
        """Whether the node is complete; then its finish is set."""
        policy = self.policy
        node.stopped_by = text.end()
        if node.stopped_by is not None:
            node.finish = "stop"
            return True
        left = policy.max_new - len(text.before) - len(text.tokens)
        full = not left or not whole and len(text.tokens) == policy.max_step
        at_delimiter = not whole and text.completes(policy.delimiter)
        if at_delimiter and (text.steps() or full):
            node.stopped_by = policy.delimiter
        elif not full:
            return False
        node.finish = "step" if left and not whole else "length"
        return True

    def _look_ahead(self, question: Question, k: int, nodes: list[Node]) -> None:
        policy = self.policy
        texts = {
            i: Text(policy, [t for n in node.path for t in n.tokens.tolist()], [])
            for i, node in enumerate(nodes)
            if node.finish == "step"
        }
        rolling = dict(texts)
        while rolling:
            for i in self._next(question, nodes, rolling, Sampler(0.0)):
                text = rolling[i]
                left = policy.max_new - len(text.before) - len(text.tokens)
                done = text.completes(policy.delimiter) and len(text.steps()) >= k
                if text.end() is not None or done or not left:
                    del rolling[i]
                elif len(text.tokens) == k * policy.max_step:
                    del rolling[i]
        for i, text in texts.items():
            nodes[i].ahead = text.text(text.tokens)
            nodes[i].usage["lookahead"] = len(text.tokens)

    def _next(self, question, nodes, texts: dict[int, Text], sampler: Sampler) -> dict:
        """One more token for each text; its log-probability, by index."""
        logprobs = {}
        indices = list(texts)
        for start in range(0, len(indices), ROWS):
            some = indices[start : start + ROWS]
            last, branch = [0] * ROWS, np.zeros(ROWS, np.uint32)
            for row in range(ROWS):
                self.dense.rows[row] = []
            for row, i in enumerate(some):
                prompt = _prompt(nodes[i]).tokens.tolist()
                *self.dense.rows[row], last[row] = [*prompt, *texts[i].before, *texts[i].tokens]
                branch[row] = nodes[i].number
            key = np.full(ROWS, question_key(question.id), np.uint32)
            keys = _keys(np.uint32(self.seed), key, branch)
            limit = [int(row < len(some)) for row in range(ROWS)]
            tokens, probs, _ = self.dense.decode(last, limit, self.never, sampler, keys)
            for row, i in enumerate(some):
                texts[i].tokens.append(tokens[row][0])
                logprobs[i] = probs[row][0]
        return logprobs

    # ------------------------------------------------------------------ scores

    def _score(self, question: Question, node: Node) -> None:
        if self.scorer is None:
            return
        parts = node.ahead.split(self.policy.delimiter)
        ahead = tuple(part.strip() for part in parts if part.strip())
        earlier = [step for n in node.parent.path for step in n.steps]
        scores = self._scores(question.text, (*earlier, *node.steps, *ahead))
        first, last = len(earlier), len(earlier) + len(node.steps)
        node.scores, node.ahead_scores = scores[first:last], scores[last:]
        node.value = AGGREGATES[self.scorer[2]](scores) if scores else 0.0

    def _read_again(self, question: str, steps: tuple[str, ...]) -> tuple[float, ...]:
        """The score at the end of every step: each line of the text but the first."""
        model, tokenizer, _ = self.scorer
        lines = [question.strip(), *(re.sub(r"\s*\n\s*", " ", step) for step in steps)]
        ids = tokenizer.encode("".join(line + "\n" for line in lines))
        tokens = np.zeros((1, CONTEXT), np.int32)
        tokens[0, : len(ids)] = ids
        scores = np.asarray(_read(single(model), tokens, np.array([len(ids)])))[0]
        newline = tokenizer.encode("\n")[0]
        at = [i for i, id in enumerate(ids) if id == newline]
        assert len(at) == len(lines)
        return tuple(float(scores[i]) for i in at[1:])


@cache
def single(model: Transformer) -> Transformer:
    """The model on one device."""
    device = make_mesh().devices.flat[0]
    return jax.tree.map(lambda x: jax.device_put(np.asarray(x), device), model)


def _prompt(node: Node) -> Node:
    while node.number >= 0:
        node = node.parent
    return node
