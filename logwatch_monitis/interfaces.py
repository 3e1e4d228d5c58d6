"""Interfaces of the rooms to the world (clock, waker, transport, events), replaced in tests."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

__all__ = [
    "Clock",
    "Event",
    "Events",
    "Reply",
    "SystemClock",
    "ThreadWaker",
    "Transport",
    "Waker",
]


class Clock(Protocol):
    """Tells the time, twice: what a calendar says, and what a stopwatch says."""

    def now(self) -> float:
        """Return seconds since the epoch, UTC; may jump when the clock is set."""

    def monotonic(self) -> float:
        """Return seconds since some moment; never goes back. Back-off and time-outs use this."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()


class Waker(Protocol):
    """Lets one loop sleep until there is work; `wake` may be called from any thread."""

    def wake(self) -> None:
        """End the current wait, or the next one if none is going on."""

    def wait(self, timeout: float | None) -> bool:
        """Sleep until woken (True) or until *timeout* seconds have passed (False)."""


class ThreadWaker:
    """A waker between threads of one process; signal handlers may call `wake`, too.

    It is no `threading.Event`: that takes a lock which the interrupted thread may hold already.
    """

    def __init__(self) -> None:
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        """See `Waker.wake`."""
        if self._wakes.empty():
            self._wakes.put(None)

    def wait(self, timeout: float | None) -> bool:
        """See `Waker.wait`."""
        limit = None if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        try:
            self._wakes.get(timeout=limit)
        except queue.Empty:
            return False
        while not self._wakes.empty():
            self._wakes.get_nowait()
        return True


class Reply(NamedTuple):
    """What came back from a monitor: HTTP status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Carries one request of the custom monitor protocol."""

    def send(self, method: str, url: str, params: Mapping[str, str]) -> Reply:
        """Send *params* (query of a GET, form of a POST) and return the whole reply.

        Raises:
            UnreachableError: no complete reply came: connection, TLS, time-out, size.
        """

    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, worth a log line or a count; rooms define subclasses.

    ``str(event)`` is the log line: one sentence, starting with a capital, no full stop.
    """

    level: ClassVar[int] = logging.INFO


class Events(Protocol):
    """Takes every event; logging and metrics are two implementations."""

    def __call__(self, event: Event, /) -> None:
        """Take note of *event*. Must not raise and must not block."""
