# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of one model's cache, and what the host knows of them.

A policy and a verifier are two forests. Rows are copied, cut and released by noting it; what has
been noted is carried out in one device call before the cache is next read or written.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from ttc_jax.decode import backend
from ttc_jax.decode import cache as caching
from ttc_jax.decode import segment as programs
from ttc_jax.decode.batch import Extension, Place
from ttc_jax.decode.layout import LENGTHS, Sizes, layout
from ttc_jax.decode.meter import Meter
from ttc_jax.decode.reader import Reader
from ttc_jax.model.int8 import is_int8
from ttc_jax.model.transformer import Transformer


class OutOfPages(RuntimeError):
    """The pool ran out during a device program; rows lack pages and the run cannot go on."""


class Forest:
    """`rows` rows per replica of at most `context` tokens, over `pages` pages of page_size tokens.

    The arrays have B >= rows rows, a power of two. Given the `lanes` that decode at once, there are
    as many rows as most searches with so many come to hold, and pages for them where these are
    cheap: runs of all strategies thus share compiled programs.

    lens i32[R, B] are the tokens that each row holds, with everything noted so far carried out.
    Keys and values are kept in the embeddings' dtype. `attention` is one of
    backend.NAMES. Raises ValueError when the context exceeds the model's, and for an attention that
    does not fit the devices or the model.
    """

    def __init__(
        self,
        model: Transformer,
        *,
        mesh: Mesh,
        rows: int,
        context: int,
        pages: int,
        page_size: int = 16,
        lanes: int = 0,
        attention: str = "xla",
    ):
        shape, dtype, platform = model.shape, model.embed.dtype, mesh.devices.flat[0].platform
        backend.check_platform(attention, platform, dtype.name)
        backend.check_model(attention, shape, mesh)
        sizes = Sizes(rows, context, pages, page_size, lanes)
        self.layout = layout(shape, dtype, sizes, on_cpu=platform == "cpu")
        self.model, self.mesh, self._attention = model, mesh, attention
        self.replicas, self.rows, self.pages = mesh.shape["data"], rows, self.layout.pages
        self.context, self.page_size = context, page_size
        self.row_pages = self.layout.row_pages
        self.lens = np.zeros((self.replicas, self.layout.size), np.int32)
        self.cache = caching.create(shape, mesh, dtype=dtype, **self.layout.arrays)
        self._free = [list(range(rows))[::-1] for _ in range(self.replicas)]
        self._noted: dict[Place, tuple[int, int]] = {}  # row, tokens of it, as they are on device
        self._begins: dict[Place, tuple[int, ...]] = {}  # of the row's tokens, what was planted
        # Rows on the device that were released, but are there until that is carried out.
        self._left: dict[Place, tuple[int, ...]] = {}
        self.forks = 0
        self.meter = Meter(
            shape, dtype, replicas=self.replicas, page_size=page_size, int8=is_int8(model)
        )

    # ------------------------------------------------------------------ rows, noted

    def free(self, replica: int) -> int:
        """Rows of a replica that are not in use."""
        return len(self._free[replica])

    def take(self, replica: int) -> Place:
        """A row that holds nothing. Raises RuntimeError when all are in use."""
        if not self._free[replica]:
            raise RuntimeError(f"all {self.rows} rows of replica {replica} are in use")
        return replica, self._free[replica].pop()

    def copy(self, source: Place, n: int) -> Place:
        """A new row that holds the first n tokens of another one, in its pages."""
        row, held = self._as_noted(source)
        if n > held:
            raise ValueError(f"row {source} holds {held} tokens; {n} of them cannot be copied")
        return self._copy((source[0], row), n, self._begins.get(source, ()))

    def _as_noted(self, place: Place) -> tuple[int, int]:
        """The row on the device that a row is to be a copy of, and how many tokens of it."""
        return self._noted.get(place, (place[1], int(self.lens[place])))

    def _copy(self, source: Place, n: int, begins: tuple[int, ...]) -> Place:
        """A new row with the first n tokens of a row as it is on the device."""
        place = self.take(source[0])
        if n:
            self._noted[place] = source[1], n
            self.lens[place] = n
            self._begins[place] = begins[:n]
        return place

    def cut(self, place: Place, n: int) -> None:
        """Keep the first n tokens of a row: what a rollout appended is gone."""
        row, held = self._as_noted(place)
        if n > held:
            raise ValueError(f"row {place} holds {held} tokens; it cannot be cut to {n}")
        if n < self.lens[place]:
            self._noted[place] = row, n
            self.lens[place] = n
            if place in self._begins:  # what is written next may differ
                self._begins[place] = self._begins[place][:n]

    def release(self, place: Place) -> None:
        """Give a row up; it may be taken again at once."""
        begins = self._begins.pop(place, ())
        if self.lens[place]:
            row, _ = self._as_noted(place)
            self._left[place[0], row] = max(self._left.get((place[0], row), ()), begins, key=len)
            self._noted[place] = place[1], 0
            self.lens[place] = 0
        self._free[place[0]].append(place[1])

    # ------------------------------------------------------------------ device calls

    def settle(self) -> None:
        """Carry out what has been noted, in one fork."""
        if not self._noted:
            return
        parent = np.tile(np.arange(self.layout.size, dtype=np.int32), (self.replicas, 1))
        # A last page is copied only where a row is new on it: of rows that share one, one keeps it.
        fresh = [0] * self.replicas
        for place, (row, held) in self._noted.items():
            parent[place] = row
            fresh[place[0]] += held > 0
        copies = self.layout.copies(max(fresh))
        self.cache = programs.fork(
            self.cache, parent, self.lens.copy(), mesh=self.mesh, copies=copies
        )
        self._noted.clear()
        self._left.clear()
        self.forks += 1

    def plant(
        self, prompts: Sequence[tuple[int, Sequence[int]]], phases: Sequence[str] = ()
    ) -> list[tuple[Place, int]]:
        """Rows that hold the given (replica, tokens), and how many tokens were encoded for each.

        What a row of the replica holds already at the beginning of a prompt is shared, a page or
        more at a time; prompts planted together that begin alike encode that beginning once.
        `phases` are what the prompts are charged to (default: all "prefill").
        """
        phases = phases or ["prefill"] * len(prompts)
        planted: list[tuple[Place, int] | None] = [None] * len(prompts)
        left = list(range(len(prompts)))
        while left:
            now, later, first_pages, sources = [], [], set(), self._sources()
            for i in left:
                replica, tokens = prompts[i]
                source, shared = self._nearest(sources, replica, tokens)
                if not shared and len(tokens) >= self.page_size:
                    first_page = replica, tuple(tokens[: self.page_size])
                    if first_page in first_pages:
                        later.append(i)
                        continue
                    first_pages.add(first_page)
                place = self._copy(source, shared, tokens) if shared else self.take(replica)
                planted[i] = place, len(tokens) - shared
                now.append(Extension(place, tokens[shared:], phases[i]))
            self.extend(now)
            for i in left:
                if planted[i] is not None:
                    self._begins[planted[i][0]] = tuple(prompts[i][1])
            left = later
        return planted

    def _sources(self) -> dict[tuple, dict[tuple[int, ...], Place]]:
        """What rows on the device begin with, and one row for each, by replica and first page."""
        rows = [((r, self._as_noted((r, row))[0]), held) for (r, row), held in self._begins.items()]
        sources: dict[tuple, dict[tuple[int, ...], Place]] = {}
        for source, held in [*rows, *self._left.items()]:
            if len(held) >= self.page_size:
                alike = sources.setdefault((source[0], held[: self.page_size]), {})
                alike.setdefault(held, source)
        return sources

    def _nearest(self, sources, replica: int, tokens: Sequence[int]) -> tuple[Place, int]:
        """The longest beginning of tokens on the device: its row there, its length (0: no page)."""
        best = (replica, 0), 0
        alike = sources.get((replica, tuple(tokens[: self.page_size])), {})
        for held, source in alike.items():
            shared = common(held, tokens)
            if shared > best[1]:
                best = source, shared
        return best

    def extend(self, work: Sequence[Extension], reader: Reader | None = None) -> list:
        """Append tokens to rows; returns what is read at each token, f32[len] per extension.

        Without a reader nothing is returned. Pieces of similar length go together; long ones in
        chunks, one after the other. Raises OutOfPages.
        """
        self.settle()
        outs, parts = [], [[] for _ in work]  # parts: call, replica, place in it, tokens
        done = [0] * len(work)
        while True:
            left = [i for i, piece in enumerate(work) if done[i] < len(piece.tokens)]
            if not left:
                break
            left.sort(key=lambda i: done[i] - len(work[i].tokens))
            longest = len(work[left[0]].tokens) - done[left[0]]
            length = self.layout.length(longest)
            chunk = self._chunk(work, left, done, length)
            out = self._extend(work, chunk, done, length, reader)
            for r, members in enumerate(chunk):
                for x, i in enumerate(members):
                    n = min(length, len(work[i].tokens) - done[i])
                    parts[i].append((len(outs), r, x, n))
                    done[i] += n
            if reader is not None:
                outs.append(out)
        if reader is None:
            return []
        self.check_pages()
        outs = jax.device_get(outs)  # only now: the calls before go on while the next is prepared
        read = [[outs[call][r, x, :n] for call, r, x, n in found] for found in parts]
        return [np.concatenate(found) if found else np.zeros(0, np.float32) for found in read]

    def _chunk(self, work, left: list[int], done: list[int], length: int) -> list[list[int]]:
        """The work of one call, per replica, longest first; what a shorter call holds is left."""
        least = LENGTHS[0] if length > LENGTHS[0] else 0
        chunk: list[list[int]] = [[] for _ in range(self.replicas)]
        most = self.layout.most(length)
        for i in left:
            members = chunk[work[i].place[0]]
            if len(members) < most and len(work[i].tokens) - done[i] > least:
                members.append(i)
        return chunk

    def _extend(self, work, chunk, done, length: int, reader):
        width = self.layout.width(length, max(map(len, chunk)))
        rows = np.full((self.replicas, width), self.layout.size, np.int32)
        tokens = np.zeros((self.replicas, width, length), np.int32)
        n = np.zeros((self.replicas, width), np.int32)
        held = 0
        for r, members in enumerate(chunk):
            for x, i in enumerate(members):
                piece = work[i].tokens[done[i] : done[i] + length]
                rows[r, x], n[r, x] = work[i].place[1], len(piece)
                tokens[r, x, : len(piece)] = piece
                held = max(held, int(self.lens[work[i].place]))
        need = self.layout.context_pages(held)
        out, self.cache = programs.extend(
            self.model, self.cache, rows, tokens, n, mesh=self.mesh, context_pages=need,
            reader=reader, attention=self._attention,
        )  # fmt: skip
        spans = []
        for r, members in enumerate(chunk):
            for x, i in enumerate(members):
                end, at = done[i] + int(n[r, x]), work[i].place
                spans += work[i].spans(done[i], end, int(self.lens[at]))
                self.lens[at] += n[r, x]
        self.meter.extend(spans, rows=width, tokens=length, context_pages=need, reader=reader)
        return out

    # ------------------------------------------------------------------ pages

    def check_pages(self) -> int:
        """Pages in use on all replicas; raises OutOfPages when some were missing."""
        short, n_free = jax.device_get((self.cache.pages.short, self.cache.pages.n_free))
        if short.any():
            raise OutOfPages(
                f"the pool of {self.pages} pages per replica was {int(short.max())} pages short; "
                f"raise pages or lower rows"
            )
        return self.pages * self.replicas - int(n_free.sum())

    def pages_of(self, groups: Sequence[Sequence[Place]]) -> list[int]:
        """Pages that each group of rows holds together, shared ones once."""
        tables, held = self.tables(), -(-self.lens // self.page_size)
        return [len({page for p in places for page in tables[p][: held[p]].tolist()})
                for places in groups]  # fmt: skip

    def tables(self) -> np.ndarray:
        """The block tables i32[R, B, M] as they are, after `settle`."""
        self.settle()
        return np.array(self.cache.pages.table)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
