"""ASGI by hand, the little of it that must be fast or bounded."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from random import randint
from typing import Any

from logwatch_monitis.protocol.wire import parse_number
from logwatch_monitis.server.web.local_user import local_user
from logwatch_monitis.server.web.places import Peer
from logwatch_monitis.server.web.rate_limit import network_of

__all__ = [
    "PEER",
    "App",
    "Headers",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "TooLargeError",
    "client_network",
    "from_elsewhere",
    "guesser",
    "header",
    "http_date",
    "peer_of",
    "prove",
    "read_body",
    "respond",
    "retry_soon",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

PIECE = 64 * 1024

_LOOPBACK = (network_of("127.0.0.1"), network_of("::1"))

PEER = "logwatch-monitis.peer"
"""The name in a scope's ``state`` under which `peer_of` finds the connection."""


class TooLargeError(Exception):
    """Raised when a body exceeds its limit."""


def header(scope: Scope, name: bytes) -> str:
    """Return the first header of that lower-case name, empty for none."""
    for found, value in scope["headers"]:
        if found == name:
            return bytes(value).decode("latin-1")
    return ""


def client_network(scope: Scope) -> str:
    """Return whom the request counts for, see `network_of`; a trusted proxy's word is heard."""
    client = scope.get("client")
    return network_of(client[0]) if client else "unknown"


def guesser(scope: Scope) -> str:
    """Return whom a wrong password counts for: `client_network`; on this machine, its user.

    All users of a machine share its loopback address: one who guesses must not lock the others out.
    """
    network, client, server = client_network(scope), scope.get("client"), scope.get("server")
    if network in _LOOPBACK and client and server and (user := local_user(client[1], server[1])):
        return f"{network} user {user}"
    return network


def peer_of(scope: Scope) -> Peer | None:
    """Return the connection that the request came over, None if no real one carries it."""
    peer: Peer | None = scope.get("state", {}).get(PEER)
    return peer


def prove(scope: Scope) -> None:
    """Note that who sent this knows a secret: the connection is among the last to be closed."""
    if peer := peer_of(scope):
        peer.prove()


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        TooLargeError: it is longer than *limit* bytes, or says that it will be.
        ConnectionError: the client went away.
    """
    if (parse_number(header(scope, b"content-length")) or 0) > limit:
        raise TooLargeError
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLargeError
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def http_date() -> bytes:
    """Return the value of header ``Date``."""
    return _date(int(time.time()))


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer, at the pace of its client; length and date are added to *headers*."""
    length = (b"content-length", str(len(body)).encode())
    complete = [*headers, length, (b"date", http_date())]
    await send({"type": "http.response.start", "status": status, "headers": complete})
    for start in range(0, len(body) - PIECE, PIECE):
        piece = body[start : start + PIECE]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    rest = max(len(body) - 1, 0) // PIECE * PIECE
    await send({"type": "http.response.body", "body": body[rest:]})


def retry_soon() -> tuple[bytes, bytes]:
    """Return a header that asks to come again in 1 to 5 s, not all clients at the same moment."""
    return b"retry-after", str(randint(1, 5)).encode()  # noqa: S311 - keeps no secret


def from_elsewhere(scope: Scope) -> bool:
    """Say whether a browser sent this on behalf of a page of another site."""
    origin = header(scope, b"origin")
    return bool(origin) and origin.partition("://")[2] != header(scope, b"host")
