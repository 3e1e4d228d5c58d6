"""Puts the monitor's application together. Needs starlette and jinja2."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from starlette.applications import Starlette

from logwatch_monitis.errors import place_of
from logwatch_monitis.interfaces import Clock, SystemClock
from logwatch_monitis.server.api import api
from logwatch_monitis.server.api.accounts import Account, Accounts
from logwatch_monitis.server.page.routes import Page, Surroundings
from logwatch_monitis.server.web import health
from logwatch_monitis.server.web.access import Door, Guard
from logwatch_monitis.server.web.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    client_network,
    peer_of,
    respond,
    retry_soon,
)
from logwatch_monitis.server.web.cookies import Cookies

__all__ = ["Options", "make_app"]

logger = logging.getLogger(__name__)


class Options(NamedTuple):
    """What an application is made of, beside its accounts.

    Attributes:
        port: where it listens; it is part of the cookie's name.
        place: the name in the page's heading.
        lonely: no agent runs beside it.
        names: host names it may be called by, beside addresses and the machine's own name.
        agent_socket: where the agent answers for its health.
        page_password: opens the pages, as their keys do; empty for none.
    """

    port: int
    place: str
    lonely: bool = False
    names: Collection[str] = ()
    agent_socket: Path | None = None
    page_password: str = ""


def make_app(accounts: Accounts, options: Options, clock: Clock | None = None) -> App:
    """Return the ASGI application: the protocol at its paths, the guarded pages everywhere else."""
    clock = clock or SystemClock()
    protocol = api.Api(accounts)
    pages = [_page(account, options, clock) for account in accounts]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        peer = peer_of(scope)
        if peer and not peer.come_from(client_network(scope)):
            await _no_place(send)
        elif scope["path"] in api.PATHS:
            await protocol(scope, receive, send)
        else:
            # A key or a cookie fits one page; whoever has none is turned away by the first.
            known = [page for page in pages if await page.knows(scope)]
            await (known or pages)[0](scope, receive, send)

    return _quiet(app)


async def _no_place(send: Send) -> None:
    text = b'{"error":"Too many connections from your address, try again later"}'
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), retry_soon()]
    await respond(send, 503, text, headers)


def _quiet(app: App) -> App:
    """Return *app*, each defect of which is one log line; a traceback may hold values."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 - the service goes on
            method = scope["method"]
            logger.error("a %s request failed: %s", method, place_of(error))  # noqa: TRY400
            if not begun:
                text = (b"content-type", b"text/plain; charset=utf-8")
                await respond(send, 500, b"Internal error", [text])

    return quiet


def _page(account: Account, options: Options, clock: Clock) -> Guard:
    place = f"{options.place}: {account.name}" if account.name else options.place
    # A password cannot say whose page it is for: it is that of the first account.
    password = "" if account.name else options.page_password
    surroundings = Surroundings(place, account.keys.api_key, options.lonely)
    page = Page(account.store, account.live, clock, surroundings)
    key = account.keys.page_key
    probes = health.Health(options.agent_socket, key)
    rest = Starlette(routes=[*page.routes(), *probes.routes()])
    public = ("/static/", *health.PATHS)
    cookie = f"logwatch-monitis-{options.port}"
    cookies = Cookies(key, password, account.store, clock.now)
    door = Door(key, cookie, cookies, options.names, public, page.closed, password)
    return Guard(rest, door)
