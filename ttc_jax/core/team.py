# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of one run agree on: who leads, who takes which work, where all wait.

They talk through the key-value store of jax.distributed, which lives as long as they do: what was
claimed by a process that died is free again once all of them are started anew.
"""

import hashlib
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# A barrier or an answer may take as long as the longest piece of work of another process; a process
# that dies is missed by its heartbeat much sooner, and ends the wait with an error.
_PATIENCE_MS = 7 * 24 * 3600 * 1000


def stable_hash(name: str) -> int:
    """A u32 of a text, the same in every process and version."""
    return int.from_bytes(hashlib.blake2s(name.encode(), digest_size=4).digest(), "little")


class Team:
    """The processes of this run. A process alone is a team of one, for which nothing is asked.

    Every process has to call `wait` and `agree` in the same order.
    """

    def __init__(self, index: int = 0, count: int = 1, client: Any = None):
        """`client` is that of jax.distributed, or one with its key-value store and barriers."""
        self.index, self.count, self._client = index, count, client
        self._turn = itertools.count()

    @classmethod
    def of_jax(cls) -> "Team":
        """The processes that jax.distributed has joined, or this one alone."""
        import jax
        from jax._src.distributed import global_state  # the store has no public name

        if global_state.client is None:
            return cls()
        return cls(jax.process_index(), jax.process_count(), global_state.client)

    @property
    def leads(self) -> bool:
        """Whether this process writes what there is one of: results, records, reports."""
        return self.index == 0

    def wait(self) -> None:
        """Until every process has come here."""
        if self.count > 1:
            self._client.wait_at_barrier(f"ttc/turn/{next(self._turn)}", _PATIENCE_MS)

    def agree(self, what: str, value: str) -> None:
        """Raises ValueError, naming both values, where the first process has another one."""
        if self.count == 1:
            return
        key = f"ttc/turn/{next(self._turn)}"
        if self.leads:
            self._client.key_value_set(key, value)
            return
        first = self._client.blocking_key_value_get(key, _PATIENCE_MS)
        if value != first:
            raise ValueError(
                f"process {self.index} has {what} {value}, process 0 has {first}; start all "
                f"processes with the same command, config file and version of ttc_jax"
            )

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The first process does what is inside before the others: they find what it leaves."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def claim(self, name: str) -> bool:
        """Whether this process is the first to claim something of that name in this start."""
        if self.count == 1:
            return True
        try:
            self._client.key_value_set(f"ttc/claim/{name}", str(self.index))
        except Exception as error:
            if "ALREADY_EXISTS" in str(error):
                return False
            raise
        return True


class Supply(Generic[T]):
    """Items of which each is taken by one process of a team; all of them have the same `items`.

    A process takes first what is its own by a stable hash of the names, from the front; once that
    is used up it takes half of what others may not have come to yet, from their ends, then half of
    the rest, and so on, resting in between. True as long as there may be more.
    """

    def __init__(
        self,
        items: Sequence[T],
        names: Sequence[str],
        team: Team | None = None,
        *,
        what: str = "",
        chunk: int = 8,
    ):
        """`what` is the prefix of claims: another one for every supply of a team.

        Items are claimed in chunks of at most `chunk`.
        """
        self._team, self._what = team or Team(), what
        shares: list[list[T]] = [[] for _ in range(self._team.count)]
        for item, name in zip(items, names, strict=True):
            shares[stable_hash(name) % self._team.count].append(item)
        chunks = [
            [(f"{owner}/{at}", own[at : at + chunk]) for at in range(0, len(own), chunk)]
            for owner, own in enumerate(shares)
        ]
        own = self._team.index
        self._own = deque(chunks.pop(own))
        # Those of the next process first: not all fall upon the same one.
        others = [others[::-1] for others in (*chunks[own:], *chunks[:own])]
        self._others = deque(itertools.chain.from_iterable(others))
        self._ready: deque[T] = deque()
        self._rested = False

    def __bool__(self) -> bool:
        return bool(self._ready or self._own or self._others)

    def take(self) -> T | None:
        """The next item; None where there is none now, though there may be when asked again."""
        if not self._ready:
            if self._own:
                while self._own and not self._ready:
                    self._claim(self._own)
            elif self._rested:
                self._rested = False
                for _ in range(-(-len(self._others) // 2)):
                    self._claim(self._others)
            else:  # the others may not have begun yet
                self._rested = True
        return self._ready.popleft() if self._ready else None

    def _claim(self, chunks: deque) -> None:
        place, items = chunks.popleft()
        if self._team.claim(f"{self._what}/{place}"):
            self._ready.extend(items)
