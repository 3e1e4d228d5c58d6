"""Several requests in flight, where that is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import NamedTuple, TypeVar

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.seams import Clock

__all__ = ["LANES", "Lanes"]

LANES = 8
SLOW_SECONDS = 0.005
_WEIGHT = 0.2

T = TypeVar("T")


class _Outcome(NamedTuple):
    started: bool
    seconds: float = 0.0
    error: LogwatchError | None = None


class Lanes:
    """Does the same work for several items, in several threads if one item takes long.

    With answers that come at once, as over loopback, threads only hinder each other; from
    `SLOW_SECONDS` on they win. Items start in their order in either way.
    """

    def __init__(self, clock: Clock, number: int = LANES) -> None:
        self._clock = clock
        self._number = number
        self._pace = 0.0
        self._halted = False
        self._threads: ThreadPoolExecutor | None = None

    def each(
        self, work: Callable[[T], None], items: Sequence[T]
    ) -> Iterator[tuple[T, LogwatchError | None]]:
        """Yield every item with its error or None when it is done.

        After the first error, or after `halt`, no further item is started; those are not yielded.
        """
        self._halted = False
        several = self._pace >= SLOW_SECONDS and min(self._number, len(items)) > 1
        for item, outcome in (self._in_threads if several else self._in_turn)(work, items):
            if outcome.started:
                self._pace += _WEIGHT * (outcome.seconds - self._pace)
                yield item, outcome.error

    def halt(self) -> None:
        """Start no further item of this round."""
        self._halted = True

    def close(self) -> None:
        """End the threads, once their work is done."""
        if self._threads:
            self._threads.shutdown()

    def _in_turn(
        self, work: Callable[[T], None], items: Sequence[T]
    ) -> Iterator[tuple[T, _Outcome]]:
        for item in items:
            yield item, self._do(work, item)

    def _in_threads(
        self, work: Callable[[T], None], items: Sequence[T]
    ) -> Iterator[tuple[T, _Outcome]]:
        self._threads = self._threads or ThreadPoolExecutor(self._number, "delivery")
        futures: dict[Future[_Outcome], T] = {
            self._threads.submit(self._do, work, item): item for item in items
        }
        for future in as_completed(futures):
            yield futures[future], future.result()

    def _do(self, work: Callable[[T], None], item: T) -> _Outcome:
        if self._halted:
            return _Outcome(started=False)
        began = self._clock.monotonic()
        error = None
        try:
            work(item)
        except LogwatchError as fault:
            error = fault
            self._halted = True
        return _Outcome(True, self._clock.monotonic() - began, error)
