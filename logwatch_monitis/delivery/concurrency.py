"""Concurrent requests, where several in flight are faster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, TypeVar

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.interfaces import Clock

__all__ = ["LANES", "ConcurrentSender"]

LANES = 8
SLOW_SECONDS = 0.005
_WEIGHT = 0.2

T = TypeVar("T")


class _SendOutcome(NamedTuple):
    started: bool
    seconds: float = 0.0
    error: LogwatchError | None = None


class ConcurrentSender:
    """Does the same work for several items, in several threads if one item takes long.

    With answers that come at once, as over loopback, threads only hinder each other; from
    `SLOW_SECONDS` on they win. That is decided anew after each item. Items start in their order in
    either way.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pace = 0.0
        self._halted = False
        self._threads: ThreadPoolExecutor | None = None

    def each(
        self, work: Callable[[T], None], items: Sequence[T], at_once: int = LANES
    ) -> Iterator[tuple[T, LogwatchError | None]]:
        """Yield every item with its error or None when it is done, up to `LANES` *at_once*.

        After the first error, or after `halt`, no further item is started; those are not yielded.
        """
        self._halted = False
        left, flying = deque(items), dict[Future[_SendOutcome], T]()
        while (left and not self._halted) or flying:
            if flying or (self._is_slow and min(at_once, len(left)) > 1):
                done = self._in_threads(work, left, flying, at_once)
            else:
                item = left.popleft()
                done = [(item, self._do(work, item))]
            for item, outcome in done:
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

    @property
    def _is_slow(self) -> bool:
        return self._pace >= SLOW_SECONDS

    def _in_threads(
        self,
        work: Callable[[T], None],
        left: deque[T],
        flying: dict[Future[_SendOutcome], T],
        at_once: int,
    ) -> list[tuple[T, _SendOutcome]]:
        """Start as many as may be under way, as long as that pays; return what is done first."""
        self._threads = self._threads or ThreadPoolExecutor(LANES, "delivery")
        while left and self._is_slow and not self._halted and len(flying) < at_once:
            item = left.popleft()
            flying[self._threads.submit(self._do, work, item)] = item
        done, _ = wait(flying, return_when=FIRST_COMPLETED)
        return [(flying.pop(future), future.result()) for future in done]

    def _do(self, work: Callable[[T], None], item: T) -> _SendOutcome:
        if self._halted:
            return _SendOutcome(started=False)
        began = self._clock.monotonic()
        error = None
        try:
            work(item)
        except LogwatchError as fault:
            error = fault
            self._halted = True
        return _SendOutcome(True, self._clock.monotonic() - began, error)
