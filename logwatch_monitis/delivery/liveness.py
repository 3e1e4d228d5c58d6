"""Liveness of threads: each says by when it will be back, and a watcher looks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from logwatch_monitis.interfaces import Clock, Reply, Transport, Waker

__all__ = ["PATIENCE_S", "Liveness", "LivenessTransport", "LivenessWaker"]

PATIENCE_S = 180.0
"""What takes longer hangs: a request ends after 60 s, looking up a name may come on top of it."""


class Liveness:
    """One thread's promise to be back, renewed with everything it does. Begins at rest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = math.inf

    def beat(self, busy: float = 0.0) -> None:
        """Say that there is progress, and that the next may come after *busy* seconds."""
        self._until = self._clock.monotonic() + busy + PATIENCE_S

    def rest(self) -> None:
        """Say that nothing is to be expected any more, until the next beat."""
        self._until = math.inf

    @property
    def alive(self) -> bool:
        """Whether the promise holds; from any thread."""
        return self._clock.monotonic() < self._until


class LivenessWaker:
    """A waker whose sleeper shows that it sleeps on purpose, and for how long."""

    def __init__(self, waker: Waker, pulse: Liveness) -> None:
        self._waker = waker
        self._pulse = pulse

    def wake(self) -> None:
        """See `Waker.wake`."""
        self._waker.wake()

    def wait(self, timeout: float | None) -> bool:
        """See `Waker.wait`."""
        self._pulse.beat(math.inf if timeout is None else timeout)
        woken = self._waker.wait(timeout)
        self._pulse.beat()
        return woken


class LivenessTransport:
    """A transport each of whose requests is a beat, when it begins and when it ends."""

    def __init__(self, transport: Transport, pulse: Liveness) -> None:
        self._transport = transport
        self._pulse = pulse

    def send(self, method: str, url: str, params: Mapping[str, str]) -> Reply:
        """See `Transport.send`."""
        self._pulse.beat()
        try:
            return self._transport.send(method, url, params)
        finally:
            self._pulse.beat()

    def close(self) -> None:
        """See `Transport.close`."""
        self._transport.close()
