"""One connection of the server, and an end to the patience with those who are too slow."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEAD_SECONDS", "MAX_HEAD", "REQUEST_SECONDS", "STALL_SECONDS", "Connection"]

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers together; one old client sends all of its results there."""

HEAD_SECONDS = 10.0
REQUEST_SECONDS = 60.0
STALL_SECONDS = 60.0
SPARE_FILES = 100
MOST_CONNECTIONS = 2_000

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 46\r\n\r\n{"error":"The request did not arrive in time"}'
)


def most_connections() -> int:
    """Return how many connections there may be, so that files are left for the store."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft < 0 else max(min(soft - SPARE_FILES, MOST_CONNECTIONS), 16)


class Connection(H11Protocol):
    """uvicorn's own protocol, but a request has to arrive, and its answer to be taken, in time.

    The head of a request has `HEAD_SECONDS`, all of it `REQUEST_SECONDS`; an answer that nobody
    takes is dropped after `STALL_SECONDS`. Above `most_connections` new ones are closed at once.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
        else:
            self._enter("head")

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._enter("")
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        if getattr(self.cycle, "response_complete", True):  # there is none before the first head
            self._enter("head")
        else:
            self._enter("body" if self.cycle.more_body else "")

    def on_response_complete(self) -> None:
        """See `H11Protocol`; from here on its own timer for idle connections counts."""
        self._enter("")
        super().on_response_complete()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def _enter(self, phase: str) -> None:
        """Start the time of a phase that begins; one that lasts keeps its end."""
        if phase == self._phase:
            return
        self._phase = phase
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
        if phase:
            seconds = HEAD_SECONDS if phase == "head" else REQUEST_SECONDS
            self._deadline = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if not getattr(self.cycle, "response_started", False):
            self.transport.write(_TOO_SLOW)
        self.transport.close()
