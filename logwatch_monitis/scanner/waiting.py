"""Values that wait for a later line, by key, in the order in which they were read.

A line that comes soon decides what becomes of them: soon as the log counts, or, where nothing more
is written, so many seconds after they were read. Everything is cheap however many wait, because
whoever can write to a log can make them many.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import takewhile
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Waiting"]

T = TypeVar("T")


class _Waits(NamedTuple, Generic[T]):
    keys: tuple[Hashable, ...]
    item: T
    place: int
    block: int
    since: float


class Waiting(Generic[T]):
    """Things that wait.

    Args:
        span: how far apart in the log what waits and what it waits for may be: microseconds or
            bytes, as their places are counted.
        seconds: how long one waits at most.
    """

    def __init__(self, span: int, seconds: float) -> None:
        self._span = span
        self._seconds = seconds
        self._waits: dict[int, _Waits[T]] = {}  # by their number, so in the order of reading
        self._by_key: dict[Hashable, dict[int, None]] = {}
        self._count = 0
        self._block, self._now = 0, 0.0

    def __len__(self) -> int:
        return len(self._waits)

    def __iter__(self) -> Iterator[T]:
        return (waits.item for waits in self._waits.values())

    def begin(self, block: int, now: float) -> None:
        """Note what is read next: the number of a block, and when (seconds, monotonic)."""
        self._block, self._now = block, now

    def add(self, item: T, place: int, *keys: Hashable) -> None:
        """Let *item*, which stands at that place of the log, wait under these keys."""
        self._count += 1
        self._waits[self._count] = _Waits(keys, item, place, self._block, self._now)
        for key in keys:
            self._by_key.setdefault(key, {})[self._count] = None

    def take(self, key: Hashable, place: int) -> list[T]:
        """Return what waits for a line with this key and place; it waits no more."""
        known = [(number, self._waits[number]) for number in self._by_key.get(key, ())]
        return self._remove([n for n, waits in known if abs(place - waits.place) <= self._span])

    def drop(self, key: Hashable) -> list[T]:
        """Return what waits under this key, wherever it stands; it waits no more."""
        return self._remove(list(self._by_key.get(key, ())))

    def past(self, place: int) -> list[T]:
        """Return what has waited in vain, now that the log has come to *place*."""
        waits = self._waits.items()
        late = takewhile(lambda one: place - one[1].place > self._span, waits)
        return self._remove([number for number, _ in late])

    def overdue(self, now: float, but: AbstractSet[Hashable] = frozenset()) -> list[T]:
        """Return what was read so long before *now* (seconds, monotonic) that it waits no more.

        What waits under the keys *but* may go on waiting.
        """
        late = takewhile(lambda one: self._left(one[1], now) <= 0, self._waits.items())
        return self._remove([number for number, waits in late if but.isdisjoint(waits.keys)])

    def rest(self) -> list[T]:
        """Return all that waits; nothing more is read."""
        return self._remove(list(self._waits))

    def keys(self) -> AbstractSet[Hashable]:
        """Return what something waits under, as of now."""
        return set(self._by_key)

    @property
    def oldest(self) -> int | None:
        """The block of what waits longest; None if nothing waits."""
        return next((waits.block for waits in self._waits.values()), None)

    def patience(self, now: float, but: AbstractSet[Hashable] = frozenset()) -> float:
        """Return after how many seconds something will be `overdue`; infinite if nothing will."""
        ends = (self._left(w, now) for w in self._waits.values() if but.isdisjoint(w.keys))
        return max(0.0, next(ends, float("inf")))

    def _left(self, waits: _Waits[T], now: float) -> float:
        return waits.since + self._seconds - now

    def _remove(self, numbers: Sequence[int]) -> list[T]:
        """Take out what has these numbers."""
        gone = [(number, self._waits.pop(number)) for number in numbers]
        for number, waits in gone:
            for key in waits.keys:
                self._by_key[key].pop(number)
                if not self._by_key[key]:
                    del self._by_key[key]
        return [waits.item for _, waits in gone]
