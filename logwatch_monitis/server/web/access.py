"""Access to the page: right name, right method, key or cookie; strict headers on every answer.

The API does not need it. It answers nobody without a key in the request itself, and clients reach
it by whatever name their administrator gave it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from logwatch_monitis.server.api.authentication import same
from logwatch_monitis.server.web.asgi import (
    App,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    TooLargeError,
    header,
    http_date,
    prove,
    respond,
)
from logwatch_monitis.server.web.cookies import COOKIE_SECONDS, Cookies
from logwatch_monitis.server.web.password_form import Gate, is_foreign

__all__ = ["ENTER", "KNOWN", "LEAVE", "Closed", "Door", "Guard"]

ENTER, LEAVE = "/enter", "/leave"

KNOWN = "logwatch-monitis.known"
"""The name in a scope of whether the request carries key or cookie; for what is public."""

# RFC 9110, 7.2: a host and perhaps a port, nothing else.
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Headers = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    # With no-referrer a form would be sent with ``Origin: null``, which tells nothing.
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_CLOSED: Headers = ((b"content-type", b"text/html; charset=utf-8"),)


class Closed(NamedTuple):
    """What is shown to those who are not let in.

    Attributes:
        again: the page loads itself once more, as our own.
        password: there is a password that lets in.
        wrong: what was wrong with the last attempt, empty for none.
    """

    again: bool = False
    password: bool = False
    wrong: str = ""


class Door(NamedTuple):
    """What is open to whom.

    Attributes:
        page_key: opens everything.
        cookie: its name; cookies do not know ports, so it holds the port.
        cookies: makes and checks its values.
        names: host names by which the monitor may be called, beside addresses and ``localhost``.
        public: beginnings of paths that need no key.
        closed: renders what is shown without a key.
        password: opens everything too; empty if there is none.
    """

    page_key: str
    cookie: str
    cookies: Cookies
    names: Collection[str]
    public: tuple[str, ...]
    closed: Callable[[Closed], bytes]
    password: str = ""


class Guard:
    """An ASGI application in front of another."""

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door
        own = {"localhost", socket.gethostname().lower()}
        self._names = own | {name.lower() for name in door.names}
        self._gate = Gate(door.password) if door.password else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _completed(message["headers"])
            await send(message)

        if scope["method"] == "POST" and (
            scope["path"] == LEAVE or (self._gate and scope["path"] == ENTER)
        ):
            await self._pass_gate(scope, receive, guarded)
        elif not await self._answered(scope, guarded):
            scope[KNOWN] = await self.knows(scope)
            if scope[KNOWN]:
                prove(scope)
            await self._app(scope, receive, guarded)

    async def _pass_gate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in who sends the password; let out who asks for it."""
        if not self._called_rightly(header(scope, b"host")):
            await respond(send, 421, b"This monitor does not go by that name.", [_TEXT])
        elif scope["path"] == LEAVE:
            await self._leave(scope, send)
        elif self._gate:
            await self._enter(self._gate, scope, receive, send)

    async def _leave(self, scope: Scope, send: Send) -> None:
        if is_foreign(scope):
            await respond(send, 403, b"Pages of other sites are not answered.", [_TEXT])
            return
        await self._door.cookies.end(self._given(scope))
        away = [*self._cookie(scope, leaving=True), (b"location", b"/")]
        await respond(send, 303, b"", away)

    async def _enter(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, wait = await gate.attempt(scope, receive)
        except ConnectionError:
            return
        except TooLargeError:
            status, wait = 413, 0
        if status == 200:  # noqa: PLR2004
            await respond(send, 303, b"", [*self._cookie(scope), (b"location", b"/")])
            return
        wrong = "Too many wrong passwords came from your address." if wait else "That is not it."
        wrong += f" Try again in {wait} s." if wait else ""
        headers = [*_CLOSED, (b"retry-after", str(wait).encode())] if wait else _CLOSED
        body = self._door.closed(Closed(password=True, wrong=wrong))
        await respond(send, status, body, headers)

    async def knows(self, scope: Scope) -> bool:
        """Say whether a request carries this page's key or cookie.

        The key may stand in the address or, as programs send it, in a header (RFC 6750).
        """
        kind, _, token = header(scope, b"authorization").partition(" ")
        if kind.lower() == "bearer":
            return same(token.strip(), self._door.page_key)
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in pairs if name == "key"), None)
        if given is not None:
            return same(given, self._door.page_key)
        return await self._door.cookies.holds(self._given(scope))

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
            where = _location(scope["path"], rest)
            await respond(send, 303, b"", [*self._cookie(scope), (b"location", where)])
        elif given or not await self._door.cookies.holds(self._given(scope)):
            # A link from another site makes the browser withhold a strict cookie, also behind our
            # own redirect. Asked again by our own page it sends it.
            again = not given and header(scope, b"sec-fetch-site") == "cross-site"
            closed = self._door.closed(Closed(again, bool(self._gate)))
            await respond(send, 403, closed, _CLOSED)
        else:
            return False
        return True

    def _cookie(self, scope: Scope, *, leaving: bool = False) -> Headers:
        value, age = ("", 0) if leaving else (self._door.cookies.make(), COOKIE_SECONDS)
        text = f"{self._name(scope)}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict"
        if scope.get("scheme") == "https":
            text += "; Secure"
        return [(b"set-cookie", text.encode())]

    def _given(self, scope: Scope) -> str:
        return _cookie(scope, self._name(scope))

    def _name(self, scope: Scope) -> str:
        """Return the cookie's name; with that prefix no other server of the host can set it."""
        prefix = "__Host-" if scope.get("scheme") == "https" else ""
        return prefix + self._door.cookie

    def _called_rightly(self, host: str) -> bool:
        """Say whether *host* is an address or one of our names, so no name of a stranger's."""
        match = _HOST.fullmatch(host)
        if not match:
            return False
        name = match[1] or match[2]
        if name.lower() in self._names or name.lower().endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _location(path: str, query: str) -> bytes:
    """Return a path on this server, escaped: ``//name`` would be another one, CR LF a header."""
    where = "/" + quote(path.lstrip("/\\"))
    return f"{where}?{query}".encode() if query else where.encode()


def _completed(headers: Headers) -> Headers:
    known = {name for name, _ in headers}
    usual = [*_HEADERS, (b"cache-control", b"no-store"), (b"date", http_date())]
    return [*headers, *(field for field in usual if field[0] not in known)]


def _cookie(scope: Scope, name: str) -> str:
    for part in header(scope, b"cookie").split(";"):
        found, _, value = part.strip().partition("=")
        if found == name:
            return value
    return ""
