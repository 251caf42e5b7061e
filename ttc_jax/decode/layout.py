# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How large the arrays and the device calls of a forest are, before any of them is made."""

from dataclasses import dataclass

from ttc_jax.decode.batch import bucket, coarse
from ttc_jax.model.shape import ModelShape

# Tokens per row in one call of `extend`; rows per call are such that their product, the area, stays
# the same (or a quarter of it when there is little to do): few programs, of similar cost.
LENGTHS = (8, 32, 256)
# The area is between these bounds, on CPUs as large as so many FLOPs, which take about as long as
# it takes to start ten calls.
_AREAS, _CALL_FLOPS = (1024, 8192), 1 << 27
# A smaller shape of a call that costs less than so much saves less than it takes to compile.
_CHEAP_FLOPS = 1 << 30
_CHEAP_COPY, _CHEAP_POOL = 1 << 23, 1 << 29  # bytes, likewise
_ROWS_PER_LANE = 8  # that most searches come to hold at most


@dataclass(frozen=True)
class Sizes:
    """What a forest is asked to hold on each replica: rows, tokens of a row, pages, page_size.

    `lanes` are the rows that decode at once, 0 where no more than what is asked for may be
    allocated.
    """

    rows: int
    context: int
    pages: int
    page_size: int = 16
    lanes: int = 0


@dataclass(frozen=True)
class Layout:
    """The arrays of a forest and the shapes of its device calls, on each replica.

    There are `size` rows, a power of two, of at most `row_pages` pages each, and `pages` in the
    pool. A call of `extend` is over `area` tokens.
    """

    sizes: Sizes
    size: int
    row_pages: int
    pages: int
    area: int
    least_copies: int
    token_flops: int

    def length(self, longest: int) -> int:
        """Tokens per row of a call for pieces of which the longest has `longest` left."""
        # A few short chunks of many pieces leave less empty than a long one of few.
        short, middle, long = LENGTHS
        if longest <= short:
            return short
        return middle if longest <= 4 * middle else long

    def most(self, length: int) -> int:
        """Most rows of a call of so many tokens per row."""
        return min(self.area // length, bucket(self.sizes.rows, 8))

    def width(self, length: int, used: int) -> int:
        """Rows that a call computes when `used` of them are used."""
        width = self.most(length)
        if used <= width // 4 and width * length * self.token_flops > _CHEAP_FLOPS:
            width //= 4
        return width

    def context_pages(self, held: int) -> int:
        """Pages of a row that a call reads when some row holds `held` tokens."""
        return coarse(-(-held // self.sizes.page_size), self.row_pages)

    def copies(self, fresh: int) -> int:
        """Pages that a fork has room to copy when `fresh` rows may need one."""
        return coarse(max(fresh, 1), self.size, least=self.least_copies)

    @property
    def arrays(self) -> dict[str, int]:
        """The sizes that `cache.create` takes."""
        return {
            "rows": self.size,
            "n_pages": self.pages,
            "page_size": self.sizes.page_size,
            "row_pages": self.row_pages,
        }


def layout(shape: ModelShape, dtype, sizes: Sizes, *, on_cpu: bool) -> Layout:
    """The layout of a forest of these sizes.

    Given lanes, there are as many rows as most searches with so many come to hold, and pages for
    them where these are cheap: runs of all strategies thus share compiled programs.

    Raises:
      ValueError: the context exceeds the model's.
    """
    if sizes.context > shape.context:
        raise ValueError(f"context {sizes.context} exceeds the model's {shape.context}; lower it")
    token_flops = 2 * shape.block_weights
    wanted = bucket(_CALL_FLOPS // token_flops) if on_cpu else _AREAS[1]
    page_bytes = sizes.page_size * shape.kv_bytes_per_token(dtype)
    size = bucket(max(sizes.rows, _ROWS_PER_LANE * sizes.lanes))
    row_pages = -(-sizes.context // (4 * sizes.page_size)) * 4  # strategies thus share programs
    room = size * row_pages if sizes.lanes else 0
    while room * page_bytes > _CHEAP_POOL:
        room //= 2
    return Layout(
        sizes,
        size,
        row_pages,
        max(sizes.pages, room),
        min(max(wanted, _AREAS[0]), _AREAS[1]),
        bucket(max(16, _CHEAP_COPY // page_bytes)),
        token_flops,
    )
