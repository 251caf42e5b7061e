# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""A model as a scorer, on a forest of its own.

The state of a solution is a row that holds the question and the steps so far, in the verifier's own
tokens. Scoring one more step copies the row of the solution it continues and appends that step
alone; a rollout is appended, read at its end, and cut off again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from jax.sharding import Mesh

from ttc_jax.core.flops import Ledger
from ttc_jax.decode.batch import Extension, Place, pages_for
from ttc_jax.decode.cache import bytes_per_token
from ttc_jax.decode.forest import Forest
from ttc_jax.decode.layout import Sizes
from ttc_jax.decode.reader import reading_flops
from ttc_jax.model.transformer import Transformer
from ttc_jax.verify.formats import Format, Piece
from ttc_jax.verify.scorer import AGGREGATES, UNREAD, Claim, Judgement, Room, Scorer, State


class Verifier(Scorer):
    """A model that scores solutions in a given format.

    `pages` of page_size tokens are what one replica's pool holds; None: what the run can come to
    need. `attention` is a `Forest`'s. Raises ValueError when the model lacks the head that the
    format reads, or for an unknown aggregate.
    """

    def __init__(
        self,
        model: Transformer,
        format: Format,
        *,
        mesh: Mesh,
        aggregate: str = "last",
        pages: int | None = None,
        page_size: int = 16,
        attention: str = "xla",
    ):
        if aggregate not in AGGREGATES:
            raise ValueError(f"unknown aggregate {aggregate!r}; there are {', '.join(AGGREGATES)}")
        format.reader.check(model.shape)
        self.model, self.format, self.mesh = model, format, mesh
        self.aggregate_name = aggregate
        self.outcome, self.history = format.outcome, format.history
        self.pages, self._page_size, self._attention = pages, page_size, attention
        self._forest: Forest | None = None
        self._open: list[int] = []  # questions on each replica
        self._prompts: dict[str, tuple[int, ...]] = {}

    @property
    def forest(self) -> Forest:
        """The rows and pages of the run."""
        if self._forest is None:
            raise RuntimeError("nothing is allocated yet")
        return self._forest

    @property
    def ledger(self) -> Ledger:
        """See `Scorer`."""
        return Ledger() if self._forest is None else self._forest.meter.ledger

    def flops(self, start: int, tokens: int, scored: bool = True) -> int:
        """See `Scorer`."""
        reader = self.format.reader if scored else None
        return reading_flops(self.model.shape, start, tokens, reader)

    def prepare(self, questions: Mapping[str, str], room: Room) -> None:
        """See `Scorer`. Solutions may have a quarter more tokens than for the policy."""
        self._prompts = {id: self.format.begin(text) for id, text in questions.items()}
        name, longest = max(self._prompts.items(), key=lambda item: len(item[1]))
        tags = room.steps * self.format.overhead
        context, limit = len(longest) + room.context + tags, self.model.shape.context
        if context > limit:
            what, way_out = "a solution", "lower max_new"
            if self.history:
                what, way_out = "the attempts of a prompt and a solution", "lower memory or max_new"
            raise ValueError(
                f"the verifier reads at most {limit} tokens, but question {name!r} has "
                f"{len(longest)}, {what} up to {room.context}, and the tags of {room.steps} "
                f"steps {tags}: {context} together; {way_out}, or take a verifier with a "
                f"longer context"
            )
        # Another tokenizer, or text that is not UTF-8, may come to more tokens than the policy's.
        full = min(room.context + room.context // 4 + tags, limit - len(longest))
        tail = min(room.tail + room.tail // 4 + tags, full)
        if self.history and not room.tail:  # rows of prompts are where the other rows begin
            tail = 0
        self._context, self._lanes = len(longest) + full, 0 if self.pages else room.lanes
        self._pages_each = pages_for(
            len(longest), rows=room.rows + 1, paths=room.paths, full=full, tail=tail,
            page_size=self._page_size,
        ) + room.paths  # fmt: skip

    @property
    def replicas(self) -> int:
        """See `Scorer`."""
        return self.mesh.shape["data"]

    @property
    def bytes_each(self) -> int:
        """See `Scorer`."""
        per_token = bytes_per_token(self.model.shape, self.model.embed.dtype, self.mesh)
        return self._pages_each * self._page_size * per_token

    def sizes(self, questions: int, rows: int) -> Sizes:
        """What a forest for so many questions of so many rows holds, after `prepare`.

        Raises ValueError, with the numbers, when the pages that were given do not do.
        """
        each = -(-questions // self.replicas)
        need = self._pages_each * each
        if self.pages is not None and self.pages < need:
            most = self.pages // self._pages_each * self.replicas
            way_out = f"the questions in flight to {most}" if most else "N or max_new"
            raise ValueError(
                f"the verifier can come to need {self._pages_each} pages of {self._page_size} "
                f"tokens for each question, {need} for {each} at once, and has {self.pages}; raise "
                f"its pages, or lower {way_out}"
            )
        # One more row for the question itself, one for a solution that is read and given up.
        rows, pages = (rows + 2) * each, self.pages or need
        return Sizes(rows, self._context, pages, self._page_size, self._lanes)

    def allocate(self, questions: int, rows: int) -> None:
        """See `Scorer`."""
        sizes = self.sizes(questions, rows)
        self._forest = Forest(
            self.model, mesh=self.mesh, attention=self._attention, **asdict(sizes)
        )
        self._open = [0] * self.replicas

    def open(self, questions: Sequence[str]) -> list[tuple[State, int]]:
        """See `Scorer`. A question stays on one replica."""
        prompts = []
        for id in questions:
            replica = self._open.index(min(self._open))
            self._open[replica] += 1
            prompts.append((replica, self._prompts[id]))
        planted = self.forest.plant(prompts, ["verifier_prefill"] * len(prompts))
        return [
            (State(id, place, len(tokens), opened=True, uses=1), encoded)
            for id, (place, encoded), (_, tokens) in zip(questions, planted, prompts, strict=True)
        ]

    def score(self, claims: Sequence[Claim]) -> list[Judgement]:
        """See `Scorer`. Equal steps after the same state are read once and share their state."""
        fresh: dict[tuple, Claim] = {}
        for claim in claims:
            known = claim.state.known.get(claim.key)
            held = known and known.state and known.state.uses
            if known is None or not (claim.final or known.unread or held):
                key = id(claim.state), claim.key
                if key not in fresh or fresh[key].final:  # of equals one that wants a state
                    fresh[key] = claim
        self._judge(list(fresh.values()))
        judgements = []
        for claim in claims:
            judgement = claim.state.known[claim.key]
            if fresh.pop((id(claim.state), claim.key), None) is None:
                judgement = replace(judgement, tokens=0, ahead_tokens=0)
            if claim.final:
                judgement = replace(judgement, state=None)
            elif judgement.state is not None:
                judgement.state.uses += 1
            judgements.append(judgement)
        return judgements

    def close(self, state: State) -> None:
        """See `Scorer`."""
        state.uses -= 1
        if not state.uses:
            self.forest.release(state.place)
            state.known.clear()
            if state.opened:
                self._open[state.place[0]] -= 1

    def pages_of(self, groups: Sequence[Sequence[State]]) -> list[int]:
        """See `Scorer`."""
        return self.forest.pages_of([[state.place for state in states] for states in groups])

    def _judge(self, claims: list[Claim]) -> None:
        """Read claims, as many at once as there are rows for."""
        while claims:
            free = [self.forest.free(r) for r in range(self.forest.replicas)]
            now, later = [], []
            for claim in claims:
                replica = claim.state.place[0]
                (now if free[replica] else later).append(claim)
                free[replica] -= bool(free[replica])
            if not now:
                raise RuntimeError("the verifier has no free row left for any claim")
            self._read(now)
            claims = later

    def _read(self, claims: list[Claim]) -> None:
        """Append the claims' tokens to copies of their states' rows, and note the judgements."""
        work, pieces, read = [], [], []
        for claim in claims:
            own = self._pieces(claim)
            ids = [id for piece in own for id in piece.ids]
            if claim.state.length + len(ids) > self.forest.context:
                claim.state.known[claim.key] = UNREAD
                continue
            place = self.forest.copy(claim.state.place, claim.state.length)
            ahead = sum(len(piece.ids) for piece in own[len(claim.steps) :])
            work.append(Extension(place, ids, claim.phase, ahead))
            pieces.append(own)
            read.append(claim)
        readings = self.forest.extend(work, self.format.reader)
        for claim, own, piece, reading in zip(read, pieces, work, readings, strict=True):
            scores = self._scores(claim, own, reading)
            n = len(claim.steps)
            tokens = len(piece.tokens) - piece.ahead
            state = None
            if claim.final:
                self.forest.release(piece.place)
            else:
                state = self._after(claim, own[:n], scores[:n], piece.place, tokens)
            claim.state.known[claim.key] = Judgement(
                scores[:n], scores[n:], state, tokens, piece.ahead, claim.state.length
            )

    def _after(self, claim: Claim, pieces, scores, place: Place, tokens: int) -> State:
        """The state after a claim's steps; a rollout is cut off its row."""
        before = claim.state
        length = before.length + tokens
        self.forest.cut(place, length)
        steps = before.steps + sum(piece.at is not None for piece in pieces)
        score = scores[-1] if scores else before.score
        return State(before.question, place, length, steps, score)

    def _pieces(self, claim: Claim) -> list[Piece]:
        pieces, index = [], claim.state.steps
        for text in (*claim.steps, *claim.ahead):
            pieces.append(self.format.step(text, index))
            index += pieces[-1].at is not None
        return pieces

    def _scores(self, claim: Claim, pieces: Sequence[Piece], reading) -> tuple[float, ...]:
        """The readings at the pieces' places.

        A step that the format reads nothing of (it was all tags) scores as the one before it, a
        solution of which nothing is left scores 0.
        """
        scores, start, last = [], 0, claim.state.score
        for piece in pieces:
            if piece.at is not None:
                last = float(reading[start + piece.at])
            elif self.outcome:
                last = 0.0
            if not math.isfinite(last):
                raise ValueError(
                    f"question {claim.state.question!r}: the verifier scored step "
                    f"{claim.state.steps + len(scores) + 1} {last}; its weights are damaged, or "
                    f"too large for their dtype"
                )
            scores.append(last)
            start += len(piece.ids)
        return tuple(scores)
