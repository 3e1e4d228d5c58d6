"""Stands before the page: right name, right method, key or cookie; strict headers on every answer.

The API does not need it. It answers nobody without a key in the request itself, and clients reach
it by whatever name their administrator gave it.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Callable, Collection
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from .asgi import App, Headers, Message, Receive, Scope, Send, header, http_date, respond
from .auth import same

__all__ = ["Door", "Guard"]

COOKIE_SECONDS = 30 * 24 * 3600

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Headers = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_HTML = (b"content-type", b"text/html; charset=utf-8")


class Door(NamedTuple):
    """What is open to whom.

    Attributes:
        page_key: opens everything.
        cookie: its name; cookies do not know ports, so it holds the port.
        names: host names by which the monitor may be called, beside addresses and ``localhost``.
        public: beginnings of paths that need no key.
        closed: renders what is shown without a key; told whether to try again once.
    """

    page_key: str
    cookie: str
    names: Collection[str]
    public: tuple[str, ...]
    closed: Callable[[bool], bytes]


class Guard:
    """An ASGI application in front of another."""

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door
        own = {"localhost", socket.gethostname().lower()}
        self._names = own | {name.lower() for name in door.names}
        seal = hmac.digest(door.page_key.encode(), b"cookie", sha256).hex()
        self._pass = seal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _completed(message["headers"])
            await send(message)

        if not await self._answered(scope, guarded):
            await self._app(scope, receive, guarded)

    def knows(self, scope: Scope) -> bool:
        """Say whether a request carries this page's key or cookie."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in pairs if name == "key"), None)
        if given is not None:
            return same(given, self._door.page_key)
        return same(_cookie(scope, self._door.cookie), self._pass)

    async def _answered(self, scope: Scope, send: Send) -> bool:
        if not self._called_rightly(header(scope, b"host")):
            text = b"This monitor does not go by that name: open it by the address that it printed."
            await respond(send, 421, text, [_TEXT])
        elif scope["method"] not in {"GET", "HEAD"}:
            text = b"Only GET and HEAD are answered here."
            await respond(send, 405, text, [_TEXT, (b"allow", b"GET, HEAD")])
        elif scope["path"].startswith(self._door.public):
            return False
        else:
            return await self._asked_for_key(scope, send)
        return True

    async def _asked_for_key(self, scope: Scope, send: Send) -> bool:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in pairs if name == "key"]
        if given and same(given[0], self._door.page_key):
            rest = urlencode([pair for pair in pairs if pair[0] != "key"])
            where = f"{scope['path']}?{rest}" if rest else scope["path"]
            await respond(send, 303, b"", [*self._cookie(), (b"location", _location(where))])
        elif given or not same(_cookie(scope, self._door.cookie), self._pass):
            # A link from another site makes the browser withhold a strict cookie, also behind our
            # own redirect. Asked again by our own page it sends it.
            again = not given and header(scope, b"sec-fetch-site") == "cross-site"
            await respond(send, 403, self._door.closed(again), [_HTML])
        else:
            return False
        return True

    def _cookie(self) -> Headers:
        text = (
            f"{self._door.cookie}={self._pass}; Path=/; Max-Age={COOKIE_SECONDS};"
            " HttpOnly; SameSite=Strict"
        )
        return [(b"set-cookie", text.encode())]

    def _called_rightly(self, host: str) -> bool:
        """Say whether *host* is an address or one of our names, so no name of a stranger's."""
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name.lower() in self._names or name.lower().endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True


def _location(where: str) -> bytes:
    """Return a path on this server: ``//name`` would be another one."""
    return ("/" + where.lstrip("/\\")).encode("latin-1", "replace")


def _completed(headers: Headers) -> Headers:
    known = {name for name, _ in headers}
    usual = [(b"cache-control", b"no-store"), (b"date", http_date())]
    return [*headers, *_HEADERS, *(field for field in usual if field[0] not in known)]


def _cookie(scope: Scope, name: str) -> str:
    for part in header(scope, b"cookie").split(";"):
        found, _, value = part.strip().partition("=")
        if found == name:
            return value
    return ""
