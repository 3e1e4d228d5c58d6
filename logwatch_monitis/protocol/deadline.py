"""Bounds the time of a whole HTTP exchange, whatever the other side does.

The time-outs of sockets count from the last byte: a server that sends one byte a second keeps a
reader for as long as it likes. Here a thread shuts the connection down when the time is over, which
ends whatever the reader waits for: connecting, TLS, sending, header or body.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar

__all__ = ["Call", "Deadlines", "SocketHandle", "current_call"]

_CURRENT: ContextVar[Call | None] = ContextVar("current call", default=None)

_STOPPED = "stopped"


def current_call() -> Call | None:
    """Return the exchange that this thread is in, for the connection to register with."""
    return _CURRENT.get()


class SocketHandle:
    """A second hold on a connection's socket: works while TLS or a response owns the first."""

    def __init__(self, sock: socket.socket) -> None:
        self._descriptor = os.dup(sock.fileno())

    def shut(self) -> None:
        """Shut the connection down in both directions; wakes up who waits for it."""
        sock = socket.socket(fileno=self._descriptor)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.detach()

    def __del__(self) -> None:
        os.close(self._descriptor)


class Call:
    """One exchange, over one connection after the other if the first address does not answer.

    Attributes:
        deadline: when its time is over, by the monotonic clock.
        ended: why it was cut, empty for not.
        connected: the request had a connection, and may have reached the server.
    """

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.ended = ""
        self.connected = False
        self._handle: SocketHandle | None = None
        self._lock = threading.Lock()

    def hold(self, handle: SocketHandle) -> None:
        """Watch *handle* from now on; it is shut at once if the time is over."""
        with self._lock:
            self._handle = handle
            if self.ended:
                handle.shut()

    def end(self, why: str) -> None:
        """Shut the connection down, now or as soon as there is one."""
        with self._lock:
            self.ended = why
            if self._handle:
                self._handle.shut()

    def release(self) -> None:
        """Let go of the connection; it may live on in the pool."""
        with self._lock:
            self._handle = None


class Deadlines:
    """Gives each exchange *seconds*; a thread of its own cuts those that need more."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: set[Call] = set()
        self._changed = threading.Condition()
        self._idle = False
        self._closed = False
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def call(self) -> Iterator[Call]:
        """Bound what the block does; after `close` it finds its connection shut."""
        call = Call(self._seconds)
        self._enter(call)
        token = _CURRENT.set(call)
        try:
            yield call
        finally:
            _CURRENT.reset(token)
            self._calls.discard(call)
            call.release()

    def close(self) -> None:
        """Cut every exchange that is under way, and every later one."""
        with self._changed:
            self._closed = True
            for call in list(self._calls):
                call.end(_STOPPED)
            self._changed.notify()
        if self._thread:
            self._thread.join()

    def _enter(self, call: Call) -> None:
        with self._changed:
            self._calls.add(call)
            if self._closed:
                call.end(_STOPPED)
            elif self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="monitor deadlines", daemon=True
                )
                self._thread.start()
            elif self._idle:
                self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for call in list(self._calls):
                    if call.deadline <= now:
                        call.end(f"no whole answer within {self._seconds:g} s")
                waiting = [call.deadline for call in list(self._calls) if not call.ended]
                self._idle = not waiting
                self._changed.wait(min(waiting) - now if waiting else None)
