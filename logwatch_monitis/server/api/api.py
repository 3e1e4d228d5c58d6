"""The custom monitor protocol: one URL, its actions, its answers to the byte.

Old clients cut answers by position, so JSON is compact, on one line, with ``data`` last. What is
wrong with a request is told with HTTP status 200, as the service did: ``{"error":…}`` to a read,
``{"status":…}`` to a write. Other status codes stand for what is no matter of the protocol: method,
size, too many wrong passwords, a store that cannot work.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from logwatch_monitis.errors import place_of
from logwatch_monitis.protocol.request_parsing import REPEATED
from logwatch_monitis.protocol.wire import (
    ANNOUNCE,
    ANNOUNCEMENT,
    API_PATH,
    AUTHENTICATION_FAILURE,
    CUSTOM_PATH,
    INVALID_ACTION,
    INVALID_LOGIN,
    parse_params,
    render_json,
    render_xml,
    wants_xml,
)
from logwatch_monitis.server.api.accounts import Accounts
from logwatch_monitis.server.api.authentication import Denied
from logwatch_monitis.server.api.read_actions import READS, Answer, Params, Read
from logwatch_monitis.server.api.write_actions import CHANGING, WRITES, Write
from logwatch_monitis.server.store.writer import FullError, OperationRefused
from logwatch_monitis.server.web.asgi import (
    PIECE,
    Headers,
    Receive,
    Scope,
    Send,
    TooLargeError,
    from_elsewhere,
    guesser,
    peer_of,
    prove,
    read_body,
    respond,
    retry_soon,
)
from logwatch_monitis.server.web.budget import Answers, BudgetError
from logwatch_monitis.server.web.rate_limit import Attempts, Guesses, LockedError

__all__ = ["MAX_BODY", "PATHS", "Api"]

logger = logging.getLogger(__name__)

PATHS = frozenset({API_PATH, CUSTOM_PATH, f"{API_PATH}/", f"{CUSTOM_PATH}/"})
MAX_BODY = 4 * 1024 * 1024
ANSWER_SECONDS = 300.0
PASSWORDS_AT_ONCE = 5
PASSWORDS_EACH = 30.0

_HEADERS = (
    (ANNOUNCE.encode(), ANNOUNCEMENT.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_JSON = (*_HEADERS, (b"content-type", b"application/json; charset=utf-8"))
_XML = (*_HEADERS, (b"content-type", b"application/xml; charset=utf-8"))
_POST_ONLY = ((b"allow", b"GET, POST"),)
_REPEATED = ((REPEATED.encode(), b"1"),)


class ApiReply(NamedTuple):
    """An answer before it is sent."""

    status: int
    body: bytes
    headers: Headers = ()


class _Style(NamedTuple):
    """How a request wants to be told what is wrong."""

    xml: bool = False
    write: bool = True

    def failure(self, status: int, message: str, headers: Headers = ()) -> ApiReply:
        """Return the answer to a request that was not done."""
        if self.write:
            answer = Answer({"status": message}, "result")
        elif self.xml:
            answer = Answer(message, "error")
        else:
            answer = Answer({"error": message}, "error")
        return ApiReply(status, _rendered(answer, xml=self.xml), headers)


class Api:
    """The ASGI application at `PATHS`."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._answers = Answers()
        self._guesses = Guesses(Attempts(PASSWORDS_AT_ONCE, PASSWORDS_EACH))
        self._gates: Mapping[str, Callable[[Scope, Params], Awaitable[Answer]]] = {
            "authToken": self._token,
            "secretkey": self._secret,
            "apikey": self._keys,
            "userkey": self._keys,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        style = _Style()
        try:
            if problem := _problem(scope):
                reply = problem
            else:
                params = await _read_params(scope, receive)
                style = _Style(wants_xml(params), params.get("action") in WRITES)
                reply = await self._answer(scope, params, style)
        except ConnectionError:
            return
        except TooLargeError:
            reply = style.failure(413, f"the request is longer than {MAX_BODY} bytes")
        except ValueError as error:
            reply = style.failure(400, str(error))
        await self._send(scope, send, style, reply)

    async def _send(self, scope: Scope, send: Send, style: _Style, reply: ApiReply) -> None:
        """Send an answer; a long one has to be taken within `ANSWER_SECONDS`."""
        peer = peer_of(scope)
        timer = (
            asyncio.get_running_loop().call_later(ANSWER_SECONDS, peer.end)
            if peer and len(reply.body) > PIECE
            else None
        )
        kind = _XML if style.xml else _JSON
        try:
            with self._answers.held(len(reply.body)):
                await respond(send, reply.status, reply.body, (*kind, *reply.headers))
        except BudgetError:
            busy = style.failure(503, "Too many long answers at once, try again later")
            await respond(send, busy.status, busy.body, (*kind, retry_soon()))
        finally:
            if timer:
                timer.cancel()

    async def _answer(self, scope: Scope, params: Params, style: _Style) -> ApiReply:
        """Do what is asked, and say in the protocol's words what is wrong with it."""
        action = params.get("action", "")
        if style.write and scope["method"] != "POST":
            return style.failure(405, f"{action} must be sent with POST", _POST_ONLY)
        return await self._attempt(action, scope, params, style)

    async def _attempt(self, action: str, scope: Scope, params: Params, style: _Style) -> ApiReply:
        try:
            return await self._do(action, scope, params, xml=style.xml)
        except LockedError as locked:
            return _too_many(style, locked.wait)
        except FullError:
            text = "Too many results wait to be stored, try again later"
            return style.failure(503, text, [retry_soon()])
        except (OperationRefused, ValueError) as refusal:
            return style.failure(200, str(refusal))
        except sqlite3.Error as error:
            logger.error("%s failed: %s", action, error)  # noqa: TRY400 - one line
            return style.failure(503, "The store does not work at present, try again later")
        except Exception as error:  # noqa: BLE001 - one line, and the service goes on
            logger.error("%s failed: %s", action, place_of(error))  # noqa: TRY400
            return style.failure(500, "Internal error")

    async def _do(self, action: str, scope: Scope, params: Params, *, xml: bool) -> ApiReply:
        if write := WRITES.get(action):
            answer = await self._write(action, write, scope, params)
        elif gate := self._gates.get(action):
            answer = await gate(scope, params)
        elif read := READS.get(action):
            account = self._accounts.named(params)
            account.auth.check_read(params)
            return ApiReply(200, await account.store.read(_answer, read, params, xml=xml))
        else:
            raise OperationRefused(INVALID_ACTION)
        return ApiReply(200, _rendered(answer, xml=xml), _REPEATED if answer.repeated else ())

    async def _write(self, action: str, write: Write, scope: Scope, params: Params) -> Answer:
        account = self._accounts.named(params)
        once = account.auth.check_write(params)
        prove(scope)
        data = await write(account.store, params, once)
        if action in CHANGING:
            account.live.announce()
        repeated = once is not None and once.repeated
        return Answer({"status": "ok", "data": data}, "result", repeated=repeated)

    async def _token(self, scope: Scope, params: Params) -> Answer:
        account = self._accounts.named(params, AUTHENTICATION_FAILURE)
        token = account.auth.make_token(params)
        prove(scope)
        return Answer({"authToken": token}, "result")

    async def _secret(self, _: Scope, params: Params) -> Answer:
        pair = self._accounts.with_open_secret(params).auth.pair
        return Answer({"secretkey": pair["secretkey"]}, "result")

    async def _keys(self, scope: Scope, params: Params) -> Answer:
        account = await self._guesses.attempt(
            guesser(scope), lambda: self._accounts.with_password(params)
        )
        if account is None:
            raise Denied(INVALID_LOGIN)
        return Answer(account.auth.pair, "result")


def _problem(scope: Scope) -> ApiReply | None:
    if scope["method"] not in {"GET", "POST"}:
        return _Style().failure(405, "GET and POST are answered here", _POST_ONLY)
    if from_elsewhere(scope):
        return _Style().failure(403, "pages of other sites are not answered")
    return None


def _too_many(style: _Style, wait: int) -> ApiReply:
    message = f"Too many wrong passwords from this address, try again in {wait} s"
    return style.failure(429, message, ((b"retry-after", str(wait).encode()),))


async def _read_params(scope: Scope, receive: Receive) -> Params:
    body = await read_body(scope, receive, MAX_BODY)
    return parse_params(scope["query_string"].decode("utf-8", "replace"), body)


def _answer(connection: sqlite3.Connection, read: Read, params: Params, *, xml: bool) -> bytes:
    return _rendered(read(connection, params), xml=xml)


def _rendered(answer: Answer, *, xml: bool) -> bytes:
    value, root, item, _ = answer
    return render_xml(root, value, item) if xml else render_json(value)
