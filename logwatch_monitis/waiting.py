"""What waits for a later line: a few things by key, in the order in which they were read.

A line that comes soon decides what becomes of them. Soon is so many seconds of the log's own time;
where nothing more is written, so many seconds after they were read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Waiting"]

T = TypeVar("T")


class _Waits(NamedTuple, Generic[T]):
    key: Hashable
    item: T
    time_us: int
    block: int
    since: float


class Waiting(Generic[T]):
    """Things that wait, each for at most a window.

    Args:
        window_us: how far apart in the log what waits and what it waits for may be, microseconds.
    """

    def __init__(self, window_us: int) -> None:
        self._window_us = window_us
        self._waits: list[_Waits[T]] = []
        self._block, self._now = 0, 0.0

    def __len__(self) -> int:
        return len(self._waits)

    def __iter__(self) -> Iterator[T]:
        return (waits.item for waits in self._waits)

    def begin(self, block: int, now: float) -> None:
        """Note what is read next: the number of a block, and when (seconds, monotonic)."""
        self._block, self._now = block, now

    def add(self, key: Hashable, item: T, time_us: int) -> None:
        """Let *item* of that time (microseconds since the epoch, UTC) wait."""
        self._waits.append(_Waits(key, item, time_us, self._block, self._now))

    def take(self, key: Hashable, time_us: int) -> list[T]:
        """Return what waits for a line with this key and time; it waits no more."""
        return self._part(lambda w: w.key == key and abs(time_us - w.time_us) <= self._window_us)

    def past(self, time_us: int) -> list[T]:
        """Return what has waited in vain, now that the log has come to *time_us*."""
        return self._part(lambda waits: time_us - waits.time_us > self._window_us)

    def drop(self, key: Hashable) -> list[T]:
        """Return what waits under this key, whatever its time; it waits no more."""
        return self._part(lambda waits: waits.key == key)

    def overdue(self, now: float, but: Collection[Hashable] = ()) -> list[T]:
        """Return what was read a window or more before *now* (seconds, monotonic).

        What waits under the keys *but* may go on waiting.
        """
        return self._part(lambda waits: waits.key not in but and self._left(waits, now) <= 0)

    def rest(self) -> list[T]:
        """Return all that waits; nothing more is read."""
        return self._part(lambda _: True)

    @property
    def oldest(self) -> int | None:
        """The block of what waits longest; None if nothing waits."""
        return min((waits.block for waits in self._waits), default=None)

    def patience(self, now: float, but: Collection[Hashable] = ()) -> float:
        """Return after how many seconds something will be `overdue`; infinite if nothing will."""
        ends = (self._left(waits, now) for waits in self._waits if waits.key not in but)
        return max(0.0, min(ends, default=float("inf")))

    def _left(self, waits: _Waits[T], now: float) -> float:
        return waits.since + self._window_us / 1e6 - now

    def _part(self, is_meant: Callable[[_Waits[T]], bool]) -> list[T]:
        """Return what is meant; the others go on waiting."""
        if not self._waits:
            return []
        meant = [waits.item for waits in self._waits if is_meant(waits)]
        if meant:
            self._waits = [waits for waits in self._waits if not is_meant(waits)]
        return meant
