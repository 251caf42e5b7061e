# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The device programs without a device: pages are counted, tokens and scores are random.

With them a whole search takes milliseconds, so that hundreds of plans can be tried. What a fork
copies and what it frees is written down from the rules of the block tables, with sets.
"""

from types import SimpleNamespace

import numpy as np

from ttc_jax.decode import cache, segment


class Pages:
    """Tables as lists of page ids, by replica and row; `most` is the most pages ever in use."""

    def __init__(self, replicas: int, rows: int, row_pages: int, pages: int, size: int):
        self.tables = [[[] for _ in range(rows)] for _ in range(replicas)]
        self.lens = np.zeros((replicas, rows), int)
        self.row_pages, self.pages, self.size, self.most = row_pages, pages, size, 0

    def live(self, r: int) -> set[int]:
        return {page for table in self.tables[r] for page in table}

    def take(self, r: int, count: int) -> list[int]:
        free = sorted(set(range(self.pages)) - self.live(r))
        assert len(free) >= count, f"{count - len(free)} pages short of {self.pages}"
        return free[:count]

    def grow(self, r: int, row: int, n: int) -> None:
        assert row < len(self.tables[r])
        self.lens[r, row] += n
        table, need = self.tables[r][row], -(-int(self.lens[r, row]) // self.size)
        assert need <= self.row_pages, "a row outgrew its context"
        table += self.take(r, need - len(table))
        self.most = max(self.most, len(self.live(r)))

    def fork(self, r: int, parent, lens, copies: int) -> None:
        old = self.tables[r]
        assert all(n <= self.lens[r, p] for p, n in zip(parent, lens, strict=True))
        tables = [old[p][: -(-int(n) // self.size)] for p, n in zip(parent, lens, strict=True)]
        self.tables[r], self.lens[r] = tables, lens
        full = {p for t, n in zip(tables, lens, strict=True) for p in t[: int(n) // self.size]}
        copied = []
        for table, n in zip(tables, lens, strict=True):
            if n % self.size and table[-1] in full:
                copied.append(table)
            elif n % self.size:
                full.add(table[-1])  # the first row keeps it, those that follow copy it
        assert len(copied) <= copies, "more pages to copy than the program has room for"
        for table, page in zip(copied, self.take(r, len(copied)), strict=True):
            table[-1] = page
        self.most = max(self.most, len(self.live(r)))

    @property
    def table(self) -> np.ndarray:
        out = np.zeros((len(self.tables), len(self.tables[0]), self.row_pages), np.int32)
        for r, tables in enumerate(self.tables):
            for row, table in enumerate(tables):
                out[r, row, : len(table)] = table
        return out

    @property
    def n_free(self) -> np.ndarray:
        return np.array([self.pages - len(self.live(r)) for r in range(len(self.tables))])

    @property
    def short(self) -> np.ndarray:
        return np.zeros(len(self.tables), int)


def install(monkeypatch, seed: int = 0, odds=None, surprise: float = 0.0) -> None:
    """Replaces the programs. `odds` are those of each token; None: all are as likely.

    The log-probability of token i is said to be -i `surprise`.
    """
    random = np.random.default_rng(seed)

    def create(shape, mesh, *, rows, n_pages, page_size, row_pages, dtype):
        pages = Pages(mesh.shape["data"], rows, row_pages, n_pages, page_size)
        return SimpleNamespace(pages=pages)

    def fork(cache, parent, lens, *, mesh, copies):
        for r in range(len(parent)):
            cache.pages.fork(r, parent[r], lens[r], copies)
        return cache

    def extend(model, cache, rows, tokens, n, *, mesh, context_pages, reader, attention):
        for r, x in np.argwhere(n):
            cache.pages.grow(r, rows[r, x], int(n[r, x]))
        return random.random(tokens.shape, np.float32), cache

    def decode_segment(
        model, cache, rows, groups, next_state, *, mesh, sampler, first_stop, n, own_pages
    ):
        vocab = model.shape.vocab
        odd = np.ones(vocab) if odds is None else np.asarray(odds, float)
        table, state = np.asarray(next_state), rows.state.copy()
        count = np.zeros_like(state)
        tokens = random.choice(vocab, (*state.shape, n), p=odd / odd.sum()).astype(np.int32)
        for i in range(n):
            running = (count == i) & (i < rows.limit) & (state < first_stop)
            if not (running.sum(1) > rows.floor).any():
                break
            state = np.where(running, table[tokens[..., i], state], state)
            count += running
        for r, x in np.argwhere(count):
            cache.pages.grow(r, rows.row[r, x], int(count[r, x]))
        logprobs = tokens * np.float32(-surprise)
        return segment.Sampled(tokens, logprobs, count, state), cache

    monkeypatch.setattr(cache, "create", create)
    for program in (fork, extend, decode_segment):
        monkeypatch.setattr(segment, program.__name__, program)
