"""Timeouts of one connection of the server: who sends or takes too slowly is cut off."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from logwatch_monitis.server.web.asgi import PEER, TooLargeError, retry_soon
from logwatch_monitis.server.web.budget import MAX_UNNAMED, Budget, BudgetError
from logwatch_monitis.server.web.places import Places

__all__ = ["HEAD_SECONDS", "MAX_HEAD", "REQUEST_SECONDS", "STALL_SECONDS", "TimedProtocol"]

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers together; one old client sends all of its results there."""

READ_SIZE = 64 * 1024
HEAD_SECONDS = 10.0
REQUEST_SECONDS = 60.0
STALL_SECONDS = 60.0
LINGER_SECONDS = 2.0


def _answer(status: str, error: str, *more: str) -> bytes:
    body = f'{{"error":"{error}"}}'
    lines = (f"HTTP/1.1 {status}", "connection: close", "content-type: application/json", *more)
    return "\r\n".join((*lines, f"content-length: {len(body)}", "", body)).encode()


_TOO_SLOW = _answer("408 Request Timeout", "The request did not arrive in time")
_TOO_LONG = _answer(
    "413 Content Too Large",
    f"The request names no known api key in its first {MAX_UNNAMED} bytes",
)


def _busy() -> bytes:
    again = b": ".join(retry_soon()).decode()
    return _answer("503 Service Unavailable", "Too many requests at once, try again later", again)


class TimedProtocol(H11Protocol, asyncio.BufferedProtocol):
    """uvicorn's own protocol, but a request has to arrive, and its answer to be taken, in time.

    The head of a request has `HEAD_SECONDS`, all of it `REQUEST_SECONDS`; an answer that nobody
    takes is dropped after `STALL_SECONDS`. What a request holds in memory counts in a `Budget`, the
    connection in `Places`; without room the request is answered 503, or the connection closed.
    """

    # The one buffer of all connections of the process: bounds what one read brings.
    _buffer: ClassVar[memoryview] = memoryview(bytearray(READ_SIZE))

    def __init__(self, places: Places, budget: Budget, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places
        self._peer = places.outside(self._end)
        self._held = budget.held()
        self.app_state = {**self.app_state, PEER: self._peer}
        self._phase = ""
        self._turned_away = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        if self._places.enter(self._peer, self.client[0] if self.client else ""):
            self._enter("head")
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._enter("")
        self._held.release()
        self._places.leave(self._peer)
        self._taken()
        super().connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """See `asyncio.BufferedProtocol`."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._turned_away:
            return
        try:
            if not self._is_refused_body:
                self._held.add(data, proven=self._peer.proven)
        except BudgetError:
            self._turn_away(_busy())
        except TooLargeError:
            self._turn_away(_TOO_LONG)
        else:
            super().data_received(data)
            self._enter(self._present_phase())

    def on_response_complete(self) -> None:
        """See `H11Protocol`; its own timer for idle connections counts while nothing has come."""
        self._held.release()
        super().on_response_complete()
        phase = self._present_phase()
        self._enter("idle" if phase == "head" and not self.conn.trailing_data[0] else phase)

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

    @property
    def _is_answering(self) -> bool:
        """Whether a request has begun that is not answered yet."""
        return not getattr(self.cycle, "response_complete", True)  # none before the first head

    @property
    def _is_refused_body(self) -> bool:
        """Whether what comes is thrown away: the rest of a request that is answered already."""
        return not self._is_answering and self.conn.their_state is h11.SEND_BODY

    def _present_phase(self) -> str:
        if self._is_answering:
            return "body" if self.cycle.more_body else "answer"
        return "head"

    def _enter(self, phase: str) -> None:
        """Start the time of a phase that begins; one that lasts keeps its end."""
        if phase == self._phase:
            return
        self._phase = phase
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
        if phase == "answer":
            self._places.work(self._peer)
        else:
            self._places.rest(self._peer)
        patience = {"head": HEAD_SECONDS, "body": REQUEST_SECONDS, "linger": LINGER_SECONDS}
        if phase in patience:
            self._deadline = self.loop.call_later(patience[phase], self._late)

    def _late(self) -> None:
        if self._turned_away:
            self.transport.close()
        else:
            self._turn_away(_TOO_SLOW)

    def _turn_away(self, answer: bytes) -> None:
        """Send *answer* in place of the request's own, and take nothing more.

        What still arrives is thrown away for a moment: closing at once would take the answer away
        from a client that is sending.
        """
        if self.transport.is_closing():
            return
        self._turned_away = True
        if self._is_answering:
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._held.release()
        self.flow.resume_reading()
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._enter("linger")

    def _end(self) -> None:
        """Give the place to another; an answer that is not taken yet is lost."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()
