"""Counts what happens in a running agent, for metrics: from its events and its requests."""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from logwatch_monitis.delivery import Delivered, DeliveryFailed, DeliveryStillFailing
from logwatch_monitis.delivery.embedded import MonitorDied
from logwatch_monitis.interfaces import Clock, Event, Reply, Transport
from logwatch_monitis.sources.files.events import (
    CopySkipped,
    FileGap,
    FileReplaced,
    FileRotated,
    FileTruncated,
    LineTooLong,
)
from logwatch_monitis.sources.journal.events import JournalGap, JournalSuppressed

__all__ = ["Counters", "CountingTransport", "Histogram"]

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LAG_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 86_400.0)


class Histogram:
    """How often a figure was at most so much, for ascending limits."""

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = limits
        self._counts = [0] * (len(limits) + 1)
        self.sum = 0.0

    def take(self, value: float) -> None:
        """Count one figure."""
        self._counts[bisect_left(self._limits, value)] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield each limit as Prometheus writes it, with how many figures were at most that."""
        names = [*map(str, self._limits), "+Inf"]
        return zip(names, accumulate(self._counts), strict=True)


class Counters:
    """Takes every event and counts those that metrics tell of; may be used from any thread.

    Attributes:
        rotations: new files under a log's name, by log.
        skipped: rotated copies too costly to decompress, by log.
        losses: what may have lost lines, by what happened.
        retries: failed deliveries that are tried again, by reason.
        requests: answers of the monitor by action and HTTP status, ``none`` without a whole one.
        durations: of requests, in seconds, by action.
        lag: seconds between a live login and its delivery.
        monitor_restarts: ends of the embedded monitor that nobody asked for.
        monitor_death: when the last of them was, seconds UTC, and its exit status.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.rotations: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self.durations: defaultdict[str, Histogram] = defaultdict(
            lambda: Histogram(REQUEST_SECONDS)
        )
        self.lag = Histogram(LAG_SECONDS)
        self.monitor_restarts = 0
        self.monitor_death: tuple[float, int] | None = None

    def __call__(self, event: Event, /) -> None:
        """Count *event*."""
        count = _COUNTED.get(type(event))
        if count:
            with self._lock:
                count(self, event)

    def request(self, action: str, code: str, seconds: float) -> None:
        """Count a request to the monitor."""
        with self._lock:
            self.requests[action, code] += 1
            self.durations[action].take(seconds)

    def rotated(self, event: FileRotated | FileReplaced) -> None:
        """Count a new file under a log's name."""
        self.rotations[event.log] += 1

    def skip(self, event: CopySkipped) -> None:
        """Count a rotated copy that is too costly to decompress."""
        self.skipped[event.log] += 1

    def truncated(self, event: FileTruncated) -> None:
        """Count a file that was cut: lines may have been written to it unseen."""
        self.losses["truncated"] += 1
        self.rotations[event.log] += 1

    def gap(self, _event: FileGap | JournalGap | JournalSuppressed) -> None:
        """Count a file, or entries of the journal, that went away before they were read."""
        self.losses["gap"] += 1

    def overlong(self, _event: LineTooLong) -> None:
        """Count a line that is too long to be one."""
        self.losses["overlong_line"] += 1

    def delivered(self, event: Delivered) -> None:
        """Note how old live logins were when the monitor had taken them."""
        now = self._clock.now()
        for time_us in event.live_us:
            self.lag.take(max(0.0, now - time_us / 1e6))

    def failed(self, event: DeliveryFailed) -> None:
        """Count a failed delivery."""
        self.retries[_reason(event.kind)] += 1

    def died(self, event: MonitorDied) -> None:
        """Count an end of the embedded monitor."""
        self.monitor_restarts += 1
        self.monitor_death = self._clock.now(), event.code


def _reason(kind: str) -> str:
    """Return a label for an error's class: ``NoSuchMonitorError`` is ``no_such_monitor``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.removesuffix("Error")).lower()


_COUNTED: Mapping[type[Event], Callable[[Counters, Any], None]] = {
    FileRotated: Counters.rotated,
    FileReplaced: Counters.rotated,
    FileTruncated: Counters.truncated,
    CopySkipped: Counters.skip,
    FileGap: Counters.gap,
    JournalGap: Counters.gap,
    JournalSuppressed: Counters.gap,
    LineTooLong: Counters.overlong,
    Delivered: Counters.delivered,
    DeliveryFailed: Counters.failed,
    DeliveryStillFailing: Counters.failed,
    MonitorDied: Counters.died,
}


class CountingTransport:
    """A transport whose requests are counted."""

    def __init__(self, transport: Transport, tally: Counters, clock: Clock) -> None:
        self._transport = transport
        self._tally = tally
        self._clock = clock

    def send(self, method: str, url: str, params: Mapping[str, str]) -> Reply:
        """See `Transport.send`."""
        begun, code = self._clock.monotonic(), "none"
        try:
            reply = self._transport.send(method, url, params)
            code = str(reply.status)
            return reply
        finally:
            seconds = self._clock.monotonic() - begun
            self._tally.request(params.get("action", ""), code, seconds)

    def close(self) -> None:
        """See `Transport.close`."""
        self._transport.close()
