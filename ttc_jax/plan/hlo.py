# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What stands in the text of a compiled program: its computations, and what XLA expects of them."""

import re
from collections import Counter
from collections.abc import Iterator

_HEADER = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{$")
_CALLED = re.compile(r"\b(body|condition|calls|to_apply|\w+_computations?)=(\{[^}]*\}|%?[\w.-]+)")
_KNOWN_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_UNKNOWN = 1 << 62  # more cycles than this stand for none: the largest integer is written there


def runs(text: str, trips: int) -> Iterator[tuple[str, list[str], int]]:
    """Each computation that a program comes to: its name, its lines, and how often it is run.

    The body of a loop is run as often as the text says, else `trips` times; the program itself is
    called ENTRY.
    """
    bodies = _computations(text)
    for name, times in _times(bodies, trips).items():
        yield name, bodies[name], times


def cycles(text: str, trips: int) -> int:
    """The cycles that the TPU compiler expects of a program, loops with all their rounds.

    0 where it says nothing. What a chip does beside others, as copies into its fast memory and
    collectives, has no cycles of its own there, and of some operations it does not know them.
    """
    return sum(
        times * expected
        for _, lines, times in runs(text, trips)
        for expected in map(int, _CYCLES.findall("\n".join(lines)))
        if expected < _UNKNOWN
    )


def _computations(text: str) -> dict[str, list[str]]:
    """The lines of each computation by its name; the program itself is called ENTRY."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if header := _HEADER.match(line.strip()):
            name = "ENTRY" if header[1] else header[2]
            found[name] = []
        elif name:
            found[name].append(line)
    return found


def _times(bodies: dict[str, list[str]], trips: int) -> Counter:
    """How often each computation that the program comes to is run."""
    found: Counter = Counter()

    def visit(name: str, times: int) -> None:
        found[name] += times
        for line in bodies[name]:
            known = _KNOWN_TRIPS.search(line)
            rounds = int(known[1]) if known else trips
            for role, callee in _callees(line):
                if callee in bodies:
                    visit(callee, times * (rounds if role in ("body", "condition") else 1))

    visit("ENTRY", 1)
    return found


def _callees(line: str) -> Iterator[tuple[str, str]]:
    for role, names in _CALLED.findall(line):
        for name in re.findall(r"[\w.-]+", names):
            yield role, name
