"""Puts the monitor's application together. Needs starlette and jinja2."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from starlette.applications import Starlette

from logwatch_monitis.seams import Clock, SystemClock

from . import api, health
from .asgi import App, Receive, Scope, Send
from .auth import Authenticator
from .guard import Door, Guard
from .keys import Keys
from .live import Live
from .page import Page, Surroundings
from .store import Store

__all__ = ["Options", "make_app"]


class Options(NamedTuple):
    """What an application is made of, beside store and keys.

    Attributes:
        port: where it listens; it is part of the cookie's name.
        place: the name in the page's heading.
        lonely: no agent runs beside it.
        names: host names it may be called by, beside addresses and the machine's own name.
        agent_socket: where the agent answers for its health.
    """

    port: int
    place: str
    lonely: bool = False
    names: Collection[str] = ()
    agent_socket: Path | None = None


def make_app(
    store: Store, keys: Keys, live: Live, options: Options, clock: Clock | None = None
) -> App:
    """Return the ASGI application: the protocol at its paths, the guarded page everywhere else."""
    clock = clock or SystemClock()
    protocol = api.Api(store, Authenticator(keys, clock), live.announce)
    surroundings = Surroundings(options.place, keys.api_key, options.lonely)
    page = Page(store, live, clock, surroundings)
    rest = Starlette(routes=[*page.routes(), *health.Health(options.agent_socket).routes()])
    public = ("/static/", *health.PATHS)
    cookie = f"logwatch-monitis-{options.port}"
    door = Door(keys.page_key, cookie, options.names, public, page.closed)
    guarded = Guard(rest, door)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in api.PATHS:
            await protocol(scope, receive, send)
        else:
            await guarded(scope, receive, send)

    return app
