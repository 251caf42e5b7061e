# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What devices send each other: of programs by name, read off compiled ones or foretold."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ttc_jax.plan.hlo import runs

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_OPERATION = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d+)\w*\[([\d,]*)\]")


@dataclass(frozen=True)
class Collective:
    """One kind of exchange among groups of `group` devices, done `times` times.

    `bytes` are those of the whole array on a device: what a gather or a sum comes to, or what a
    scatter begins with.
    """

    kind: str
    bytes: int
    group: int
    times: int = 1

    @property
    def sent(self) -> float:
        """Bytes that each device sends in all, in a ring: the least for arrays of some size."""
        if self.kind == "collective-permute":
            return self.bytes * self.times
        passes = 2 if self.kind == "all-reduce" else 1  # a sum is scattered, then gathered
        return passes * (self.group - 1) / self.group * self.bytes * self.times


def sent(found: Iterable[Collective]) -> float:
    """Bytes that each device sends in all of them."""
    return sum(one.sent for one in found)


def in_text(text: str, *, devices: int, trips: int) -> list[Collective]:
    """The collectives of a compiled program's HLO text, largest first.

    Those in the body of a loop count as often as it is run (see `hlo.runs`).
    """
    found: Counter = Counter()
    seen: set[tuple[str, str]] = set()
    for name, lines, times in runs(text, trips):
        for line in lines:
            operation = _OPERATION.search(line)
            if operation is None:
                continue
            # One that is done in steps beside other work stands there once for each of them.
            channel = re.search(r"channel_id=\d+|$", line)[0] or line
            if (name, channel) not in seen:
                seen.add((name, channel))
                group = _group(line, devices)
                found[operation[2], _bytes(operation, group), group] += times
    ordered = sorted(found.items(), key=lambda item: (-item[0][1], item[0]))
    return [Collective(*key, times) for key, times in ordered]


def _group(line: str, devices: int) -> int:
    """Devices of a group: written out, or as a shape, as in [2,8]<=[16]."""
    if shape := re.search(r"replica_groups=\[(\d+),(\d+)\]", line):
        return int(shape[2])
    if first := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return first[1].count(",") + 1
    return devices


def _bytes(operation: re.Match, group: int) -> int:
    sizes = []
    for dtype, dims in _ARRAY.findall(operation[1]):
        bits = int(re.search(r"\d+", dtype)[0])
        sizes.append(math.prod(map(int, filter(None, dims.split(",")))) * bits // 8)
    kind, started = operation[2], operation[3]
    if started and kind == "collective-permute":
        return max(sizes)
    if started and kind == "all-gather":  # operands first, then results
        return sum(sizes[len(sizes) // 2 :])
    return sum(sizes) * (group if kind == "reduce-scatter" else 1)


# ------------------------------------------------------------------ foretold


def of_layers(
    layers: int, rows: int, width: int, itemsize: int, model: int, each: int = 2
) -> list[Collective]:
    """Sums over 'model' of the hidden states of `rows` tokens: `each` a layer, one to embed."""
    if model == 1:
        return []
    return [Collective("all-reduce", rows * width * itemsize, model, each * layers + 1)]
