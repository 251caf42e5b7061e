# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Verifiers score steps from their cache as one pass over the whole text does."""

import random
from dataclasses import dataclass, replace
from functools import cache, partial

import jax
import numpy as np
import pytest
from decode.tiny_model import random_model
from search.tiny_policy import ALPHABET, VERIFIER, VOCAB, Letters

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode.cache import gather
from ttc_jax.model.transformer import forward
from ttc_jax.verify.formats import Format, Piece
from ttc_jax.verify.plain_formats import Outcome, Steps
from ttc_jax.verify.readers import ClassProb, TokenPair
from ttc_jax.verify.scorer import Claim, Room
from ttc_jax.verify.verifier import Verifier

TAG = "?"
QUESTIONS = {"q0": "abcdefg", "q1": "hij"}
ROOM = Room(rows=12, paths=12, context=60, tail=60, steps=20)
CONTEXT = 128
PAIR = TokenPair(good=5, bad=9)


class Tagged(Format):
    """Steps without tags, each followed by a tag and a newline; read `shift` from the tag.

    The first step has a tag of its own.
    """

    def __init__(self, reader, shift: int):
        super().__init__(Letters())
        self._reader, self._shift = reader, shift

    @property
    def reader(self):
        return self._reader

    def begin(self, question: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(f"{question}\n"))

    def _step(self, text: str, index: int) -> Piece:
        ids = tuple(self.tokenizer.encode(f"{text}{'.' if index else TAG}\n"))
        return Piece(ids, len(ids) - 2 + self._shift)

    def _clean(self, text: str) -> str:
        return text.replace(TAG, "").strip()


def _model(mesh, classes: int = 1):
    return random_model(replace(VERIFIER, value_classes=classes), mesh, seed=1)


def _verifier(kind: str = "value", mesh=(1, 1), room: Room = ROOM, open_: bool = True, **settings):
    """A verifier of one kind, with room for both questions."""
    mesh = make_mesh(*mesh)
    form = {
        "value": Steps(Letters()),
        "class": Tagged(ClassProb(1), 0),
        "pair": Tagged(PAIR, 0),
        "pair before": Tagged(PAIR, -1),
        "outcome": Outcome(Letters()),
    }[kind]
    model = _model(mesh, 2 if kind == "class" else 1)
    verifier = Verifier(model, form, mesh=mesh, **{"page_size": 4} | settings)
    if open_:
        verifier.prepare(QUESTIONS, room)
        verifier.allocate(len(QUESTIONS), room.rows + room.paths)
    return verifier


def _opened(verifier) -> dict:
    states = verifier.open(list(QUESTIONS))
    return {id: state for id, (state, _) in zip(QUESTIONS, states, strict=True)}


@partial(jax.jit, static_argnums=0)
def _read(reader, model, tokens, lens):
    return reader.read(model, forward(model, tokens, lens))


_plain = cache(partial(_verifier, open_=False))


@cache
def _whole(kind: str, question: str, steps: tuple[str, ...]) -> tuple[float, ...]:
    """The score of every step, from one pass over the whole text."""
    model, form = _plain(kind).model, _plain(kind).format
    ids, at = list(form.begin(question)), []
    for text in steps:
        piece = form.step(text, sum(a is not None for a in at))
        at.append(None if piece.at is None else len(ids) + piece.at)
        ids += piece.ids
    tokens = np.zeros((1, CONTEXT), np.int32)
    tokens[0, : len(ids)] = ids
    read = np.asarray(_read(form.reader, model, tokens, np.array([len(ids)])))[0]
    scores, last = [], 0.0
    for place in at:
        last = last if place is None else float(read[place])
        scores.append(last)
    return tuple(scores)


def _assert_free(verifier) -> None:
    verifier.forest.settle()
    assert verifier.forest.check_pages() == 0
    for replica in range(verifier.forest.replicas):
        assert verifier.forest.free(replica) == verifier.forest.rows


@dataclass
class Branch:
    """A state and the texts that lead to it."""

    state: object
    question: str
    steps: tuple[str, ...]


class RandomTrees:
    """Trees of claims over both questions, grown at random; `unique` counts their tokens."""

    def __init__(self, kind: str, verifier: Verifier, seed: int):
        self.kind, self.verifier = kind, verifier
        self.random = random.Random(seed)
        self.tags = 1 if kind == "value" else 2
        self.unique = self.encoded = 0
        self.roots = [Branch(s, QUESTIONS[id], ()) for id, s in _opened(verifier).items()]
        for root in self.roots:
            root.state.uses += 1  # one more, as the trees give up their own
        self.open = list(self.roots)

    def text(self) -> str:
        if self.random.random() < 0.15:
            return self.random.choice((" ", "\n", f" {TAG}" if self.kind != "value" else ""))
        length = self.random.randrange(1, 6)
        return "".join(self.random.choices(ALPHABET[2:8], k=length))

    def cost(self, texts) -> int:
        texts = [text.replace(TAG, "") if self.kind != "value" else text for text in texts]
        return sum(len(text.strip()) + self.tags for text in texts if text.strip())

    def round(self) -> None:
        """Some steps after some of the open states, some of them several times; then their fate."""
        parents = self.random.sample(self.open, min(3, len(self.open)))
        claims, known = [], {}
        for parent in parents:
            for _ in range(self.random.randrange(1, 4)):
                steps = tuple(self.text() for _ in range(self.random.randrange(3)))
                ahead = tuple(self.text() for _ in range(self.random.choice((0, 0, 1, 2))))
                final = self.random.random() < 0.3
                for _ in range(self.random.choice((1, 1, 2))):
                    claims.append((parent, Claim(parent.state, steps, ahead, final)))
                    known[id(parent), steps, ahead] = self.cost((*steps, *ahead))
                    final = final != (self.random.random() < 0.3)
        self.random.shuffle(claims)
        self.unique += sum(known.values())
        for (parent, claim), judged in zip(
            claims, self.verifier.score([claim for _, claim in claims]), strict=True
        ):
            self.encoded += judged.tokens + judged.ahead_tokens
            expected = _whole(self.kind, parent.question, parent.steps + claim.steps + claim.ahead)
            expected = expected[len(parent.steps) :]
            got = (*judged.scores, *judged.ahead_scores)
            np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)
            assert len(judged.scores) == len(claim.steps)
            assert (judged.state is None) == claim.final
            if judged.state is not None:
                child = Branch(judged.state, parent.question, parent.steps + claim.steps)
                self.open.append(child)
        for branch in parents:
            self.close(branch)
        while len(self.open) > 6:
            self.close(self.random.choice(self.open))

    def close(self, branch: Branch) -> None:
        self.open.remove(branch)
        self.verifier.close(branch.state)


@pytest.mark.parametrize(
    ("kind", "mesh"),
    [("value", (1, 1)), ("value", (2, 2)), ("class", (1, 1)), ("pair", (1, 1)),
     ("pair before", (1, 1))],
)  # fmt: skip
def test_random_trees_score_as_whole_texts_do(kind, mesh):
    verifier = _verifier(kind, mesh)
    seen = 0
    for seed in range(6):
        trees = RandomTrees(kind, verifier, seed)
        for _ in range(4):
            if trees.open:
                trees.round()
        for branch in list(trees.open):
            trees.close(branch)
        for root in trees.roots:
            verifier.close(root.state)
        assert trees.encoded == trees.unique
        seen += trees.unique
        _assert_free(verifier)
    assert seen > 300


def test_questions_are_spread_over_replicas_and_encoded_once():
    verifier = _verifier("value", (2, 2))
    opened = verifier.open(list(QUESTIONS))
    assert [encoded for _, encoded in opened] == [len(q) + 1 for q in QUESTIONS.values()]
    assert {state.place[0] for state, _ in opened} == {0, 1}
    # A step that says nothing gives another state of the question; its end is not the question's.
    blank = verifier.score([Claim(opened[0][0], (" ",))])[0]
    assert (blank.scores, blank.tokens) == ((0.0,), 0)
    verifier.close(blank.state)
    verifier.close(opened[1][0])
    again = verifier.open(["q1"])[0][0]
    assert again.place[0] == opened[1][0].place[0]


def test_scores_do_not_depend_on_what_else_is_scored():
    verifier = _verifier()
    states = _opened(verifier)
    claims = [Claim(states[q], ("abc" * (i % 4 + 1), f"s{'abcd'[i % 4]}"), final=True)
              for i in range(11) for q in QUESTIONS]  # fmt: skip
    together = verifier.score(claims)
    for claim, judged in zip(claims[:4], together, strict=False):
        claim.state.known.clear()
        alone = verifier.score([claim])[0]
        assert alone.tokens > 0
        np.testing.assert_allclose(alone.scores, judged.scores, atol=1e-5, rtol=0)


def _below_lens(forest) -> list[np.ndarray]:
    """Keys and values of all that rows hold, row by row, as they lie in the pages."""
    tables = forest.tables()
    held = []
    for pool in (*forest.cache.k, *forest.cache.v):
        for r in range(forest.replicas):
            rows = np.asarray(gather(pool[r], tables[r], kv_heads=1))  # all heads as one
            held += [rows[row, :n] for row, n in enumerate(forest.lens[r])]
    return held


@pytest.mark.parametrize(("ahead", "exact"), [(("d",), True), (("d" * 25,) * 2, False)])
def test_a_rollout_leaves_nothing_behind(ahead, exact):
    ends = []
    for rolled in (ahead, ()):
        verifier = _verifier()
        state = _opened(verifier)["q0"]
        scores = []
        for step in ("abc", "cab", "bbca"):
            judged = verifier.score([Claim(state, (step,), rolled)])[0]
            assert len(judged.ahead_scores) == len(rolled)
            scores += judged.scores
            state = judged.state
        # Four at once, which share what was rolled back.
        last = verifier.score([Claim(state, (letter, "b")) for letter in "abcd"])
        scores += [score for judged in last for score in judged.scores]
        forest, size = verifier.forest, verifier.forest.page_size
        tables = [t[: -(-n // size)].tolist()
                  for table, lens in zip(forest.tables(), forest.lens, strict=True)
                  for t, n in zip(table, lens, strict=True)]  # fmt: skip
        free = np.asarray(forest.cache.pages.n_free).tolist()
        ends.append((scores, forest.lens.tolist(), tables, free, _below_lens(forest)))
    (scores, *rest, held), (plain_scores, *plain_rest, plain_held) = ends
    assert rest == plain_rest
    if exact:
        assert scores == plain_scores
        for one, other in zip(held, plain_held, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(scores, plain_scores, atol=1e-5, rtol=0)


def test_a_state_that_was_given_up_is_made_again():
    verifier = _verifier()
    claim = Claim(_opened(verifier)["q0"], ("abc",))
    first, same = verifier.score([claim, claim])
    assert (first.tokens, same.tokens) == (4, 0)
    assert first.state is same.state
    assert verifier.score([claim])[0].tokens == 0
    for _ in range(3):
        verifier.close(first.state)
    final = verifier.score([replace(claim, final=True)])[0]
    assert (final.tokens, final.state) == (0, None), "its scores are still known"
    again = verifier.score([claim])[0]
    assert again.tokens == 4
    assert again.scores == first.scores


def test_steps_that_the_format_leaves_nothing_of():
    verifier = _verifier("pair")
    state = _opened(verifier)["q1"]
    judged = verifier.score([Claim(state, ("??", "ab", " ? ", "c?d"), ("?", "e"))])[0]
    assert judged.scores[0] == 0.0
    assert judged.scores[1] == judged.scores[2] != judged.scores[3] == judged.ahead_scores[0]
    assert (judged.tokens, judged.ahead_tokens) == (8, 3)
    after = verifier.score([Claim(judged.state, ("?",)), Claim(judged.state, ("f",))])
    assert after[0].scores == judged.scores[3:]
    whole = _whole("pair", QUESTIONS["q1"], ("ab", "cd", "f"))
    np.testing.assert_allclose(after[1].scores, whole[2:], atol=1e-5, rtol=0)


def test_an_outcome_verifier_reads_the_end():
    verifier = _verifier("outcome")
    assert verifier.outcome
    state = _opened(verifier)["q0"]
    texts = ("ab\ncd\n", "ab\n\n cde", "")
    claims = [Claim(state, (text,), final=True) for text in texts]
    for text, judged in zip(texts, verifier.score(claims), strict=True):
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        expected = _whole("value", QUESTIONS["q0"], tuple(lines))
        np.testing.assert_allclose(judged.scores, expected[-1:] or (0.0,), atol=1e-5, rtol=0)
        assert judged.tokens == sum(len(line) + 1 for line in lines)
    verifier.close(state)
    verifier.forest.settle()
    assert verifier.forest.pages_of([[]]) == [0]


@pytest.mark.parametrize(
    ("name", "value"), [("last", 0.5), ("min", 0.25), ("prod", 0.0625), ("mean", 5 / 12)]
)
def test_aggregates(name, value):
    verifier = _verifier(open_=False, aggregate=name)
    assert verifier.aggregate([0.5, 0.25, 0.5]) == pytest.approx(value)
    assert verifier.aggregate([]) == 0.0


def test_solutions_too_long_to_read_are_not_read():
    verifier = _verifier(room=replace(ROOM, context=8, tail=8, steps=2))
    longest = 8 + 8 // 4 + 2  # a quarter more than the policy's, and two tags
    states = _opened(verifier)
    fits, too_long, again = verifier.score(
        [
            Claim(states["q0"], ("a" * (longest - 1),)),
            Claim(states["q0"], ("a" * longest,)),
            Claim(states["q0"], ("a" * longest,), final=True),
        ]
    )
    assert not fits.unread
    assert fits.tokens == longest
    for judged in (too_long, again):
        assert (judged.unread, judged.state, judged.scores, judged.tokens) == (True, None, (), 0)
    verifier.close(fits.state)
    for state in states.values():
        verifier.close(state)
    _assert_free(verifier)


def test_scores_that_are_not_finite_are_named():
    verifier = _verifier()
    embed = np.array(verifier.model.embed[...])
    embed[ALPHABET.index("h")] = np.nan
    verifier.forest.model.embed[...] = jax.device_put(embed, make_mesh().devices.flat[0])
    state = verifier.open(["q0"])[0][0]
    state = verifier.score([Claim(state, ("abc",))])[0].state
    with pytest.raises(ValueError, match="question 'q0': the verifier scored step 2 nan"):
        verifier.score([Claim(state, ("cab",)), Claim(state, ("ha", "b"))])


def test_a_context_that_is_too_short():
    verifier = _verifier(open_=False)
    with pytest.raises(ValueError, match="at most 512 .* 'q0' has 8, a solution up to 480, and "
                       "the tags of 30 steps 30: 518 together; lower max_new"):  # fmt: skip
        verifier.prepare(QUESTIONS, replace(ROOM, context=480, steps=30))
    with pytest.raises(RuntimeError, match="nothing is allocated"):
        _ = verifier.forest
    verifier.prepare(QUESTIONS, replace(ROOM, context=474, steps=30))


def test_pages_that_are_too_few():
    room = Room(rows=2, paths=1, context=16, tail=4, steps=2)
    # A question of 2 pages, a solution of 16 + 4 + 2 tokens on 6 pages and a copied one, 3 rows of
    # 4 + 1 + 2 tokens on 2 + 2 pages; and the last page of what is continued.
    need = 2 + min(1 * 7 + 3 * 4, 3 * 7) + 1
    verifier = _verifier(open_=False, pages=2 * need - 1)
    verifier.prepare(QUESTIONS, room)
    message = f"need {need} pages of 4 .* {2 * need} for 2 at once, and has {2 * need - 1};.* to 1"
    with pytest.raises(ValueError, match=message):
        verifier.allocate(2, 3)
    per_token = 4 * 2 * VERIFIER.layers * VERIFIER.kv_heads * VERIFIER.head_dim
    assert verifier.bytes_each == need * 4 * per_token
    verifier.allocate(1, 3)
    assert verifier.forest.pages == 2 * need - 1


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="aggregate 'sum'; there are last, min, prod, mean"):
        _verifier(open_=False, aggregate="sum")
    with pytest.raises(ValueError, match="value head of 1 class, the verifier has one of 2"):
        Verifier(_model(make_mesh(), 2), Steps(Letters()), mesh=make_mesh())
    with pytest.raises(ValueError, match=f"bad token 99 is outside .* vocabulary of {VOCAB}"):
        Verifier(_model(make_mesh()), Tagged(TokenPair(1, 99), 0), mesh=make_mesh())
