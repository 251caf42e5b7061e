# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What device calls execute and move, from the shapes that they are compiled for.

Integers only: nothing here waits for a device. The counts mirror `extend` and `decode_segment`:
rows that are idle, tokens that pad and keys that are masked are multiplied like all others.
"""

from collections import Counter
from collections.abc import Iterable

import jax.numpy as jnp

from ttc_jax.core.flops import Ledger
from ttc_jax.decode.reader import Reader, reading_flops
from ttc_jax.decode.segment import Groups
from ttc_jax.model.shape import ModelShape

Span = tuple[str, int, int]  # phase, tokens that the row held before, tokens


class Meter:
    """Charges the calls on one model's cache to a ledger.

    FLOPs are those of the matrix products, for all replicas, each of them whole: how a replica is
    sharded over 'model' does not matter. Bytes are those of weights, once in a call of `extend` and
    once in a step of a segment; of the embeddings that are looked up; and of keys and values as
    they are read and written. Activations and the pages that forks copy are left out. With `int8`
    the matrices of the blocks are; products are those of plain weights.
    """

    def __init__(
        self, shape: ModelShape, dtype, *, replicas: int, page_size: int, int8: bool = False
    ):
        self.ledger = Ledger()
        self._shape, self._replicas, self._page_size = shape, replicas, page_size
        self._itemsize = jnp.dtype(dtype).itemsize
        self._token = shape.kv_bytes_per_token(dtype)
        self._blocks = shape.block_bytes(self._itemsize, int8)

    def extend(
        self,
        spans: Iterable[Span],
        *,
        rows: int,
        tokens: int,
        context_pages: int,
        reader: Reader | None,
    ) -> None:
        """A call of `extend` over `rows` rows of `tokens` tokens on each replica."""
        shape = self._shape
        useful: Counter = Counter()
        for (phase, start, n), times in Counter(spans).items():
            useful[phase] += times * reading_flops(shape, start, n, reader)
        read = 0 if reader is None else reader.weights(shape)
        keys, rows = context_pages * self._page_size, rows * self._replicas
        weights = shape.block_weights + read
        flops = rows * tokens * (2 * weights + self._attention(keys + tokens))
        moved = self._weights(read) + self._embeddings(rows * tokens)
        # The context, and the new ones: written to the pages, and read.
        moved += self._token * rows * (keys + 2 * tokens)
        self.ledger.charge(useful, flops, moved)

    def segment(
        self, spans: Iterable[Span], *, rows: int, steps: int, n: int, own_pages: int,
        groups: Groups,
    ) -> None:  # fmt: skip
        """A segment of `steps` steps over `rows` rows on each replica, with a tail of n tokens."""
        shape = self._shape
        useful: Counter = Counter()
        for (phase, start, count), times in Counter(spans).items():
            useful[phase] += times * shape.forward_flops(start, count, logits=count)
        replicas, n_groups, members = groups.members.shape
        own, rows = own_pages * self._page_size, rows * replicas
        shared, n_groups = groups.pages.shape[2] * self._page_size, n_groups * replicas
        head = shape.vocab * shape.width
        products = rows * self._attention(n + own) + n_groups * members * self._attention(shared)
        flops = steps * (2 * rows * (shape.block_weights + head) + products)
        context = rows * own + n_groups * shared
        # Contexts are copied out of the pages, read with the tail in every step, in which one token
        # is written to the tail, and the tail is copied to the pages.
        tokens = 2 * context + steps * (context + rows * n + rows) + 2 * rows * n
        moved = steps * (self._weights(head) + self._embeddings(rows)) + self._token * tokens
        self.ledger.charge(useful, flops, moved)

    def _attention(self, keys: int) -> int:
        """FLOPs of one token's attention to so many keys, in all layers."""
        return 4 * self._shape.layers * self._shape.heads * self._shape.head_dim * keys

    def _weights(self, head: int) -> int:
        """Bytes of the blocks, the last norm and `head` weights, read once on each replica."""
        return self._replicas * (self._blocks + (self._shape.width + head) * self._itemsize)

    def _embeddings(self, tokens: int) -> int:
        """Bytes of the embeddings of so many tokens."""
        return tokens * self._shape.width * self._itemsize
