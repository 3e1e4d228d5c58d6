"""The custom monitor protocol: one URL, its actions, its answers to the byte.

Old clients cut answers by position, so JSON is compact, on one line, with ``data`` last. What is
wrong with a request is told with HTTP status 200, as the service did: ``{"error":…}`` to a read,
``{"status":…}`` to a write. Other status codes stand for what is no matter of the protocol: method,
size, a store that cannot write.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from logwatch_monitis.monitis.wire import (
    ANNOUNCE,
    ANNOUNCEMENT,
    API_PATH,
    CUSTOM_PATH,
    INVALID_ACTION,
    parse_params,
    render_json,
    render_xml,
    wants_xml,
)

from .asgi import Headers, Receive, Scope, Send, TooLargeError, from_elsewhere, read_body, respond
from .auth import Authenticator
from .reads import READS, Answer, Params, Read
from .store import Store
from .writer import Refused
from .writes import ADDING, WRITES, Write

__all__ = ["MAX_BODY", "PATHS", "Api"]

logger = logging.getLogger(__name__)

PATHS = frozenset({API_PATH, CUSTOM_PATH, f"{API_PATH}/", f"{CUSTOM_PATH}/"})
MAX_BODY = 4 * 1024 * 1024

_HEADERS = (
    (ANNOUNCE.encode(), ANNOUNCEMENT.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_JSON = (*_HEADERS, (b"content-type", b"application/json; charset=utf-8"))
_XML = (*_HEADERS, (b"content-type", b"application/xml; charset=utf-8"))


class Reply(NamedTuple):
    """An answer before it is sent."""

    status: int
    body: bytes


class Api:
    """The ASGI application at `PATHS`."""

    def __init__(
        self, store: Store, authenticator: Authenticator, changed: Callable[[], None]
    ) -> None:
        """Call *changed* whenever results were stored."""
        self._store = store
        self._auth = authenticator
        self._changed = changed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        xml = False
        try:
            if problem := _problem(scope):
                reply = problem
            else:
                params = await _read_params(scope, receive)
                xml = wants_xml(params)
                reply = await self._act(scope["method"], params, xml=xml)
        except ConnectionError:
            return
        except TooLargeError:
            reply = _failure(413, f"the request is longer than {MAX_BODY} bytes")
        except ValueError as error:
            reply = _failure(400, str(error))
        headers: Headers = _XML if xml else _JSON
        if reply.status == 405:  # noqa: PLR2004
            headers = (*headers, (b"allow", b"GET, POST"))
        await respond(send, reply.status, reply.body, headers)

    async def _act(self, method: str, params: Params, *, xml: bool) -> Reply:
        action = params.get("action", "")
        if write := WRITES.get(action):
            if method != "POST":
                return _failure(405, f"{action} must be sent with POST", xml=xml)
            return await self._write(action, write, params, xml=xml)
        try:
            return Reply(200, await self._read(action, params, xml=xml))
        except Refused as refusal:
            return Reply(200, _error(str(refusal), xml=xml))

    async def _read(self, action: str, params: Params, *, xml: bool) -> bytes:
        if action == "authToken":
            token = self._auth.make_token(params)
            return _rendered(Answer({"authToken": token}, "result"), xml=xml)
        if action not in READS:
            raise Refused(INVALID_ACTION)
        self._auth.check_key(params)
        return await self._store.read(_answer, READS[action], params, xml=xml)

    async def _write(self, action: str, write: Write, params: Params, *, xml: bool) -> Reply:
        try:
            self._auth.check_write(params)
            data = await write(self._store, params)
        except (Refused, ValueError) as refusal:
            return _failure(200, str(refusal), xml=xml)
        except sqlite3.Error as error:
            logger.error("%s could not be stored: %s", action, error)  # noqa: TRY400 - one line
            return _failure(503, "could not be stored, try again later", xml=xml)
        if action in ADDING:
            self._changed()
        return Reply(200, _rendered(Answer({"status": "ok", "data": data}, "result"), xml=xml))


def _problem(scope: Scope) -> Reply | None:
    if scope["method"] not in {"GET", "POST"}:
        return _failure(405, "GET and POST are answered here")
    if from_elsewhere(scope):
        return _failure(403, "pages of other sites are not answered")
    return None


async def _read_params(scope: Scope, receive: Receive) -> Params:
    body = await read_body(scope, receive, MAX_BODY)
    return parse_params(scope["query_string"].decode("utf-8", "replace"), body)


def _answer(connection: sqlite3.Connection, read: Read, params: Params, *, xml: bool) -> bytes:
    return _rendered(read(connection, params), xml=xml)


def _rendered(answer: Answer, *, xml: bool) -> bytes:
    value, root, item = answer
    return render_xml(root, value, item) if xml else render_json(value)


def _failure(status: int, message: str, *, xml: bool = False) -> Reply:
    return Reply(status, _rendered(Answer({"status": message}, "result"), xml=xml))


def _error(message: str, *, xml: bool) -> bytes:
    return render_xml("error", message) if xml else render_json({"error": message})
