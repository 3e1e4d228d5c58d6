"""Closes kept HTTP connections that nobody uses, so that they hold no place at the server."""

from __future__ import annotations

import threading
import time
from typing import Protocol

__all__ = ["IDLE_SECONDS", "IdleConnections"]

IDLE_SECONDS = 5.0


class Closable(Protocol):
    """A connection, which connects again by itself if it is used after `close`."""

    def close(self) -> None:
        """Close it."""


class IdleConnections:
    """The connections of a pool that wait for their next request; may be used from any thread."""

    def __init__(self, seconds: float = IDLE_SECONDS) -> None:
        """Close what rests for *seconds*."""
        self._seconds = seconds
        self._since: dict[Closable, float] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False

    def rest(self, connection: Closable) -> None:
        """Note that the connection is idle from now on."""
        with self._lock:
            self._since.pop(connection, None)
            self._since[connection] = time.monotonic()
            if self._timer is None and not self._closed:
                self._start(self._seconds)

    def use(self, connection: Closable) -> None:
        """Note that the connection is used from now on; if it is just being closed, wait for it."""
        with self._lock:
            self._since.pop(connection, None)

    def close(self) -> None:
        """Close nothing any more: the pool closes what it holds."""
        with self._lock:
            self._closed = True
            self._since.clear()
            if self._timer:
                self._timer.cancel()

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._close_old)
        self._timer.name = "idle connections"
        self._timer.daemon = True
        self._timer.start()

    def _close_old(self) -> None:
        with self._lock:
            self._timer = None
            now = time.monotonic()
            for connection, since in list(self._since.items()):
                if now < since + self._seconds:
                    self._start(since + self._seconds - now)
                    return
                del self._since[connection]
                connection.close()
