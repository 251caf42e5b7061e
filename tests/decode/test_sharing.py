# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Random forests of rows through the three device programs, against a decoder without sharing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decode.dense import Dense
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.decode import cache as caching
from ttc_jax.decode.sample import Sampler, row_keys
from ttc_jax.decode.segment import Groups, Rows, decode_segment, extend, fork, rollback
from ttc_jax.decode.stop import build
from ttc_jax.model.shape import ModelShape, RopeScaling
from ttc_jax.model.transformer import logits

TOLERANCE = 1e-4
VOCAB, B, M, S, P = 300, 6, 10, 4, 60
CONTEXT = M * S
CHUNK, SEGMENT = 6, 8

_TINY = partial(
    ModelShape, vocab=VOCAB, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, ffn=48, context=64
)
SHAPES = {
    "soft caps, windows, post-norms": _TINY(
        "gemma2", windows=(5, 0), activation="gelu_tanh", tied=True, post_norms=True,
        norm_offset=1.0, embed_scale=32**0.5, attn_softcap=2.0, final_softcap=3.0,
    ),
    "qk-norm, local rotation": _TINY(
        "gemma3_text", windows=(7, 0), qk_norm=True, rope_theta=1e6, local_rope_theta=1e4,
    ),
    "biases, scaled rotation, one kv head": _TINY(
        "llama", kv_heads=1, qkv_bias=True, rope_scaling=RopeScaling("llama3", 8.0, 1.0, 4.0, 16),
    ),
}  # fmt: skip
MESHES = {"soft caps, windows, post-norms": (2, 2)}
SAMPLERS = (Sampler(0.0), Sampler(1.0, top_p=0.95))

# Byte-like tokens, of which one in ten ends a segment: rows of a segment stop at different steps.
STOP = build([bytes([i % 251]) for i in range(VOCAB)], range(0, VOCAB, 20), ["\n"])


_head = jax.jit(logits)


def _groups(tables, lens, random) -> Groups:
    """Rows that begin with the same full pages, found in the tables; some rows are left out."""
    replicas = len(tables)
    pages = np.zeros((replicas, B, M), np.int32)
    shared = np.zeros((replicas, B), np.int32)
    members = np.full((replicas, B, B), B, np.int32)
    group = np.full((replicas, B), B, np.int32)
    place = np.zeros((replicas, B), np.int32)
    for r in range(replicas):
        full = [tables[r, b, : lens[r, b] // S].tolist() for b in range(B)]
        firsts = sorted({row[0] for row in full if row})
        # Any group may stay unused, not only the last ones.
        for g, first in zip(random.permutation(B), firsts, strict=False):
            rows = [b for b in range(B) if full[b][:1] == [first] and random.random() < 0.8]
            if not rows:
                continue
            same = [len(set(ids)) == 1 for ids in zip(*(full[b] for b in rows), strict=False)]
            depth = (same + [False]).index(False)
            depth = random.integers(1, depth + 1)
            pages[r, g, :depth] = full[rows[0]][:depth]
            shared[r, g] = depth * S
            members[r, g, : len(rows)] = rows
            group[r, rows] = g
            place[r, rows] = np.arange(len(rows))
    return Groups(pages, shared, members, group, place)


class Pair:
    """The core and the oracle, taken through the same transitions; replicas differ."""

    def __init__(self, shape: ModelShape, mesh, random):
        self.mesh, self.random = mesh, random
        self.replicas = mesh.shape["data"]
        self.model = random_model(shape, mesh)
        self.cache = caching.create(
            shape, mesh, rows=B, n_pages=P, page_size=S, row_pages=M, dtype=jnp.float32
        )
        alone = jax.device_put(jax.device_get(self.model), jax.devices()[0])
        # Room for the token that stands beyond the cached ones.
        self.dense = [Dense(alone, B, CONTEXT + 1) for _ in range(self.replicas)]
        self.serial = 0

    @property
    def lens(self) -> np.ndarray:
        return np.array([[len(row) for row in dense.rows] for dense in self.dense], np.int32)

    def tokens(self, *dims) -> np.ndarray:
        return self.random.integers(0, VOCAB, (self.replicas, B, *dims)).astype(np.int32)

    def step(self, cache) -> None:
        """Take over a new cache; the pools of the old one must have been given up."""
        old = [*self.cache.k, *self.cache.v]
        self.cache = cache
        assert all(leaf.is_deleted() for leaf in old)

    def extend(self, n: np.ndarray) -> None:
        """Append n[r, b] random tokens; the logits after each must be the oracle's."""
        tokens = self.tokens(CHUNK)
        # Rows in any order; one that gets no tokens may as well be absent.
        order = np.stack([self.random.permutation(B) for _ in range(self.replicas)])
        take = partial(np.take_along_axis, indices=order, axis=1)
        rows = np.where((take(n) == 0) & (self.random.random(order.shape) < 0.5), B, order)
        out, cache = extend(
            self.model, self.cache, rows.astype(np.int32), tokens, take(n),
            mesh=self.mesh, context_pages=M,
        )  # fmt: skip
        self.step(cache)
        out = np.asarray(_head(self.model, out))
        for r, dense in enumerate(self.dense):
            held = self.lens[r]
            for x, b in enumerate(order[r]):
                dense.extend(b, tokens[r, x, : n[r, b]].tolist())
            expected = dense.logits(dense.rows)
            for x, b in enumerate(order[r]):
                new = expected[b, held[b] : held[b] + n[r, b]]
                np.testing.assert_allclose(out[r, x, : n[r, b]], new, atol=TOLERANCE, rtol=0)

    def random_extend(self) -> None:
        room = np.minimum(CONTEXT - self.lens, CHUNK)
        chosen = self.random.random(room.shape) < 0.6
        self.extend((self.random.integers(0, room + 1) * chosen).astype(np.int32))

    def segment(self) -> None:
        """Sample in all rows that hold something; tokens, logprobs and states must agree."""
        sampler = self.random.choice(SAMPLERS)
        lens = self.lens
        room = np.minimum(CONTEXT - lens, SEGMENT) * (lens > 0)
        limit = self.random.integers(0, room + 1).astype(np.int32)
        last = self.tokens()
        self.serial += 1
        rows = np.tile(np.arange(B, dtype=np.uint32), (self.replicas, 1))
        keys = jax.vmap(row_keys, (None, 0, 0))(
            np.uint32(self.serial),
            np.arange(self.replicas, dtype=np.uint32)[:, None] + 0 * rows,
            rows,
        )
        zero = np.zeros((self.replicas, B), np.int32)
        sampled, cache = decode_segment(
            self.model, self.cache,
            Rows(rows.astype(np.int32), last, zero, limit, keys, zero[:, 0]),
            _groups(np.asarray(self.cache.pages.table), lens, self.random),
            np.ascontiguousarray(STOP.next_state.T), mesh=self.mesh, sampler=sampler,
            first_stop=STOP.first_stop, n=SEGMENT, own_pages=M,
        )  # fmt: skip
        self.step(cache)
        sampled = jax.device_get(sampled)
        for r, dense in enumerate(self.dense):
            tokens, logprobs, state = dense.decode(last[r], limit[r], STOP, sampler, keys[r])
            assert sampled.count[r].tolist() == [len(row) for row in tokens]
            assert sampled.state[r].tolist() == state
            for b, count in enumerate(sampled.count[r]):
                assert sampled.tokens[r, b, :count].tolist() == tokens[b]
                np.testing.assert_allclose(
                    sampled.logprobs[r, b, :count], logprobs[b], atol=TOLERANCE, rtol=0
                )

    def fork(self) -> None:
        random, shape = self.random, (self.replicas, B)
        own = np.tile(np.arange(B), (self.replicas, 1))
        parent = np.where(random.random(shape) < 0.4, own, random.integers(0, B, shape))
        held = np.take_along_axis(self.lens, parent, axis=1)
        lens = np.where(random.random(shape) < 0.5, held, random.integers(0, held + 1))
        lens = np.where(random.random(shape) < 0.1, 0, lens)  # prune some
        self.step(fork(self.cache, parent.astype(np.int32), lens.astype(np.int32), mesh=self.mesh))
        for r, dense in enumerate(self.dense):
            dense.fork(parent[r], lens[r])

    def look_ahead(self) -> None:
        """Roll a segment on, and go back."""
        table, lens = np.asarray(self.cache.pages.table), np.asarray(self.cache.pages.lens)
        saved = [list(dense.rows) for dense in self.dense]
        self.segment()
        self.step(rollback(self.cache, table.copy(), lens.copy(), mesh=self.mesh))
        for dense, rows in zip(self.dense, saved, strict=True):
            dense.rows = rows

    def probe(self) -> None:
        """Full logits of every live row with room, by one more token that is rolled back."""
        table, lens = np.array(self.cache.pages.table), np.array(self.cache.pages.lens)
        np.testing.assert_array_equal(lens, self.lens)
        saved = [list(dense.rows) for dense in self.dense]
        self.extend(((lens > 0) & (lens < CONTEXT)).astype(np.int32))
        self.step(rollback(self.cache, table, lens, mesh=self.mesh))
        for dense, rows in zip(self.dense, saved, strict=True):
            dense.rows = rows
        assert not np.asarray(self.cache.pages.short).any()


@pytest.mark.parametrize("name", SHAPES)
def test_random_forests_decode_like_rows_of_their_own(name):
    random = np.random.default_rng(len(name))
    pair = Pair(SHAPES[name], make_mesh(*MESHES.get(name, (1, 1))), random)
    pair.random_extend()
    for _ in range(30):
        kind = random.choice(
            ["random_extend", "segment", "fork", "look_ahead"], p=[0.3, 0.25, 0.3, 0.15]
        )
        getattr(pair, kind)()
        pair.probe()
