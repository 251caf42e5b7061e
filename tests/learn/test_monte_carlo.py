# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Labels from rollouts: equal to what can be counted out, and complete on any tree."""

import math
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cache
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from decode.dense import Dense
from decode.tiny_model import random_model
from search import dry_programs, tiny_policy
from search.tiny_policy import EOS, VOCAB, questions

from ttc_jax.core.mesh import make_mesh
from ttc_jax.core.samples import SampleStore
from ttc_jax.data.sources import Question
from ttc_jax.decode.sample import Sampler
from ttc_jax.learn.labels import labelled
from ttc_jax.learn.monte_carlo import MonteCarlo, states_answer
from ttc_jax.model.shape import ModelShape
from ttc_jax.search.cost import node_flops
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.recorder import Recorder
from ttc_jax.search.schedule import Scheduler
from ttc_jax.search.strategy import Grow, Load
from ttc_jax.search.tree import Node
from ttc_jax.verify.grade import Graded, Grader, Verdict


def stored(directory, scheduler, asked, grader) -> dict[str, list]:
    """The rows of a whole run by question, after which nothing is held."""
    store, shape = SampleStore(directory), scheduler.policy.model.shape
    cost = lambda tree, node: node_flops(tree, node, shape)  # noqa: E731
    with Recorder(store, grader, asked, cost) as recorder:
        for tree in scheduler.run():
            recorder.add(tree)
    scheduler.forest.settle()
    assert scheduler.forest.check_pages() == 0
    assert all(scheduler.forest.free(r) == scheduler.forest.rows
               for r in range(scheduler.forest.replicas))  # fmt: skip
    rows = defaultdict(list)
    for sample in store.read():
        rows[sample.question].append(sample)
    return rows


# ------------------------------------------------------------------ what can be counted out

PIECES = ("1\n", "2\n", "3\n", "so\n", "2", "")  # the last one ends a solution
SHAPE = ModelShape("llama", len(PIECES), 32, 2, 4, 2, 8, 48, 64)
PROMPT, LONGEST, GOLD = [3, 1, 0], 5, "2"
SAMPLES = ROLLOUTS = 48
ALIKE = [Question(f"q{i}", "How many?", GOLD) for i in range(6)]


class Pieces:
    """Whole lines are tokens, and a digit that another one follows."""

    eos = (len(PIECES) - 1,)

    def token_bytes(self) -> list[bytes]:
        return [piece.encode() for piece in PIECES]


@cache
def _policy() -> Policy:
    mesh = make_mesh()
    return Policy(
        random_model(SHAPE, mesh, seed=4), Pieces(), mesh, lambda question, attempts: PROMPT,
        Sampler(1.0), delimiter="\n", max_new=LONGEST, max_step=LONGEST,
    )  # fmt: skip


@cache
def _exact() -> dict[tuple[int, ...], float]:
    """The probability of a right answer after all beginnings of a solution, by their tokens."""
    begun = [()]
    for beginning in begun:
        if len(beginning) < LONGEST - 1:
            begun += [(*beginning, token) for token in range(len(PIECES) - 1)]
    dense = Dense(_policy().model, 0, len(PROMPT) + LONGEST)
    logits = dense.logits([[*PROMPT, *beginning] for beginning in begun])
    chances = {}
    for beginning, row in zip(begun, logits, strict=True):
        odds = np.exp(row[len(PROMPT) + len(beginning) - 1].astype(float))
        chances[beginning] = odds / odds.sum()
    with Grader(last_number=True) as grader:

        def value(tokens: tuple[int, ...]) -> float:
            if tokens[-1:] == Pieces.eos or len(tokens) == LONGEST:
                text = "".join(PIECES[token] for token in tokens)
                return float(grader.grade([(GOLD, text)])[0].verdict == Verdict.CORRECT)
            chance = chances[tokens]
            return sum(chance[token] * value((*tokens, token)) for token in range(len(PIECES)))

        return {beginning: value(beginning) for beginning in begun}


def _tokens(text: str) -> tuple[int, ...]:
    return tuple(PIECES.index(piece) for piece in re.findall(r"so\n|\d\n|2", text))


@cache
def _rows(asked=tuple(ALIKE), **sizes) -> dict[str, list]:
    batch = Batch(**{"rows": 64, "page_size": 4} | sizes)
    scheduler = Scheduler(MonteCarlo(SAMPLES, ROLLOUTS), asked, _policy(), None, batch)
    with Grader(last_number=True) as grader, TemporaryDirectory() as directory:
        return stored(directory, scheduler, asked, grader)


def test_labels_are_the_values_that_can_be_counted_out():
    right, graded, samples = Counter(), Counter(), Counter()
    for question, of_one in _rows().items():
        solutions, dropped = labelled(of_one)
        assert sum(s.count for s in solutions) + sum(dropped.values()) == SAMPLES
        seen = {}
        for solution in solutions:
            assert solution.text.startswith("\n".join(solution.steps))
            samples[solution.correct] += solution.count
            for i in range(len(solution.steps) - 1):
                beginning = _tokens("".join(step + "\n" for step in solution.steps[: i + 1]))
                seen[beginning] = solution.values[i], solution.rollouts[i]
        assert len({n for _, n in seen.values()}) == 1, question
        for beginning, (share, n) in seen.items():
            right[beginning] += round(share * n)
            graded[beginning] += n
        samples[False] += sum(dropped.values())
    # What all samples share: they are as good as the policy, though equal beginnings are merged.
    share, whole = _exact()[()], samples.total()
    assert abs(samples[True] - share * whole) < 3 * math.sqrt(whole * share * (1 - share))
    scores = []
    for beginning, n in graded.items():
        share = _exact()[beginning]
        sigma = math.sqrt(n * share * (1 - share))
        scores.append((right[beginning] - share * n) / sigma)
        assert abs(scores[-1]) < 3, (beginning, share, right[beginning], n)
    assert len(scores) > 25 and max(graded.values()) == ROLLOUTS * len(ALIKE)
    assert np.std([_exact()[beginning] for beginning in graded]) > 0.1, "too alike to tell apart"
    assert 0.7 < np.std(scores) < 1.3


def test_sizes_of_the_batch_do_not_matter():
    alone = _rows(tuple(ALIKE[2:3]), rows=6, page_size=1, segment=4)["q2"]
    for row, other in zip(alone[1:], _rows()["q2"][1:], strict=True):
        assert replace(row, logprob=0.0) == replace(other, logprob=0.0)
        assert math.isclose(row.logprob, other.logprob, abs_tol=1e-3)


# ------------------------------------------------------------------ any tree, without a device


class ByLength:
    """Verdicts of all four kinds, by the length of the text."""

    def grade(self, items):
        kinds = list(Verdict)
        return [
            Graded(None, kinds[(len(text) * 7 // 3) % 4] if text.strip() else Verdict.UNPARSED)
            for _, text in items
        ]


@dataclass(frozen=True)
class Tight(MonteCarlo):
    """As few rows as can do."""

    @property
    def load(self) -> Load:
        return Load(rows=4 * self.samples, paths=4 * self.samples, steps=1)


def _odds(draw: random.Random) -> np.ndarray:
    """Few different tokens, so that many steps are alike."""
    odds = np.zeros(VOCAB)
    odds[0] = draw.choice((0.3, 1.0, 3.0))
    odds[EOS] = draw.choice((0.0, 0.2, 1.0))
    odds[2 : draw.choice((3, 4, 12))] = 1.0
    return odds


@pytest.mark.parametrize("kind", [MonteCarlo, Tight])
@pytest.mark.parametrize("seed", range(20))
def test_every_prefix_is_rolled_out_once(kind, seed, monkeypatch, tmp_path):
    draw = random.Random(f"trees of {seed}")
    dry_programs.install(monkeypatch, seed, _odds(draw))
    strategy = kind(draw.choice((1, 2, 5, 16)), draw.choice((1, 2, 7)), draw.choice((1, 2, 4, 40)))
    policy = replace(
        _letters(draw.choice((1, 2))), max_new=draw.choice((1, 9, 25)), max_step=draw.choice((1, 4))
    )
    batch = Batch(
        rows=draw.choice((2, 4, 64)), questions=draw.choice((0, 2, 4)),
        page_size=draw.choice((1, 4)), segment=draw.choice((3, 16)),
    )  # fmt: skip
    asked = questions(draw.choice((1, 4)))
    scheduler = Scheduler(strategy, asked, policy, None, batch)
    rows = stored(tmp_path, scheduler, asked, ByLength())
    assert len(rows) == len(asked)
    for of_one in rows.values():
        _check_tree(strategy, of_one)
        _check_labels(strategy, of_one)


@cache
def _letters(replicas: int) -> Policy:
    return tiny_policy.policy(make_mesh(replicas))


def _texts(rows) -> dict[int, str]:
    """Whole texts by number; the prompt's is empty."""
    texts = {-1: ""}
    for row in rows[1:]:
        texts[row.branch] = texts[row.parent] + row.text
    return texts


def _check_tree(strategy, rows) -> None:
    """Round by round, by texts alone: what stood, what was continued, what was rolled out."""
    texts, standing = _texts(rows), Counter({"": strategy.samples})
    assert [row.branch for row in rows] == list(range(-1, len(rows) - 1))
    waiting, turns = set(), 0  # prefixes without their rollouts; rounds of steps
    for turn in range(max(row.round for row in rows) + 1):
        new = [row for row in rows[1:] if row.round == turn]
        steps = [row for row in new if "rollout" not in row.usage]
        rollouts = [row for row in new if "rollout" in row.usage]
        assert new == steps + rollouts
        parents = {row.parent for row in steps}
        assert len({texts[parent] for parent in parents}) == len(parents), "a duplicate grew"
        rolled = Counter(row.parent for row in rollouts)
        assert rolled == (dict.fromkeys(waiting, strategy.rollouts) if rolled else {})
        if steps:
            assert Counter(texts[row.parent] for row in steps) == standing
            assert bool(rolled) == (len(waiting) >= strategy.samples)
            standing = Counter(texts[row.branch] for row in steps if row.finish == "step")
            turns += 1
        else:
            assert rolled and turn == turns, "rollouts by themselves are the last"
        waiting = (set() if rolled else waiting) | (parents if turn else set())
        assert not any(row.finish == "step" for row in rollouts)
        for row in new:
            phase = "rollout" if row in rollouts else "decode"
            assert row.usage == {phase: len(row.tokens)} and row.flops.keys() == {phase}
            assert (row.role == "candidate") == (row in rollouts or row.finish != "step")
    assert not waiting
    assert not standing or turns == strategy.rounds
    ended = [row for row in rows if row.role == "candidate"]
    assert {row.place for row in ended} == set(range(len(ended)))


def _check_labels(strategy, rows) -> None:
    texts = _texts(rows)
    solutions, dropped = labelled(rows)
    assert sum(s.count for s in solutions) + sum(dropped.values()) == strategy.samples
    verdicts = defaultdict(list)
    for row in rows[1:]:
        if "rollout" in row.usage:
            verdicts[texts[row.parent]].append(row.verdict)
    ended = [row for row in rows[1:] if "rollout" not in row.usage and row.finish != "step"]
    kept = [row for row in ended if row.verdict in ("correct", "wrong")]
    assert Counter(texts[row.branch] for row in kept) == {s.text: s.count for s in solutions}
    assert dropped["timeout"] == sum(row.verdict == "timeout" for row in ended)
    unparsed = [row.finish for row in ended if row.verdict == "unparsed"]
    assert (dropped["unparsed"], dropped["length"]) == (
        unparsed.count("stop"), unparsed.count("length"),
    )  # fmt: skip
    assert dropped["rounds"] == strategy.samples - len(ended)
    for solution in solutions:
        end = next(row for row in kept if texts[row.branch] == solution.text)
        path, number = [], end.branch
        while number >= 0:
            path.append(rows[number + 1])
            number = path[-1].parent
        expected = []
        for row in reversed(path):
            expected += [(step, None, 0) for step in row.steps]
            graded = [v for v in verdicts[texts[row.branch]] if v != "timeout"]
            if row.steps and graded:
                share = graded.count("correct") / len(graded)
                expected[-1] = row.steps[-1], share, len(graded)
        expected[-1] = expected[-1][0], float(end.verdict == "correct"), 0
        found = zip(solution.steps, solution.values, solution.rollouts, strict=True)
        assert list(found) == expected
        assert solution.correct == (end.verdict == "correct")


@pytest.mark.parametrize(
    "name, value",
    [(name, value) for name in ("samples", "rollouts", "rounds") for value in (-1, 2.0, True)]
    + [("samples", 0), ("rounds", 0)],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"monte_carlo with {name}={value}: give a whole number"):
        MonteCarlo(**{name: value})


def test_what_it_may_come_to():
    strategy = MonteCarlo(samples=4, rollouts=3, rounds=5)
    assert str(strategy) == "monte_carlo(samples=4,rollouts=3,rounds=5)"
    assert str(MonteCarlo()) == "monte_carlo()"
    assert strategy.generations == 4 * (1 + 3 * 4)
    assert (strategy.scored, strategy.stepwise) == (False, True)
    plain = MonteCarlo(samples=4, rollouts=0)
    assert (plain.generations, plain.stepwise, plain.load) == (4, False, Load(rows=4, paths=4))


def test_without_rollouts_only_whole_solutions_are_asked_for():
    search = MonteCarlo(samples=3, rollouts=0).search(root := Node(-1))
    assert next(search) == Grow((root,) * 3, whole=True)
    with pytest.raises(StopIteration) as end:
        search.send(ended := [Node(number, root) for number in range(3)])
    assert end.value.value == ended


def test_what_has_stated_its_answer_is_not_rolled_out():
    strategy, root = MonteCarlo(samples=2, rollouts=3), Node(-1)
    search = strategy.search(root)
    assert next(search).parents == (root, root)

    def step(number, parent, text, met="\n"):
        return Node(number, parent, text=text, stopped_by=met, finish="step" if met else "length")

    thought = step(0, root, "6 + 3 = 9.\n")
    hasty = step(1, root, "The answer is 8.\n")
    grow = search.send([thought, hasty])
    assert grow.parents == (thought, hasty) and grow.keep == (thought,) and not grow.rollouts
    stated = step(2, thought, "The answer is 9.\n")
    blank = Node(3, hasty, text="\n", finish="stop", stopped_by="\n\n")
    grow = search.send([stated, blank])
    assert grow.parents == (stated,) and grow.keep == (thought,)
    end = Node(4, stated, text="\n", finish="stop", stopped_by="\n\n")
    grow = search.send([end])
    assert (grow.parents, grow.rollouts, grow.keep) == ((), (thought,) * 3, ())
    # A step that was cut may go on with more digits of its answer.
    assert not states_answer(step(5, root, "The answer is 1", met=None))
