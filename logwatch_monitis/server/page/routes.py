"""The page's routes: the logins as HTML, JSON, CSV and XML. Needs starlette and jinja2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from importlib.resources import files
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - of a public signature
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from logwatch_monitis.interfaces import Clock
from logwatch_monitis.protocol.wire import parse_number
from logwatch_monitis.server.page import dashboard, exports
from logwatch_monitis.server.page import monitor_page as others
from logwatch_monitis.server.page.dashboard import Overviews
from logwatch_monitis.server.page.live import MAX_PAGES, Live
from logwatch_monitis.server.page.query import Asked, address, parse, tidied
from logwatch_monitis.server.page.view_model import Surroundings, context, make_templates
from logwatch_monitis.server.store import login_queries as views
from logwatch_monitis.server.store.store import Store
from logwatch_monitis.server.web.access import Closed
from logwatch_monitis.syslog.zones import current_zone, local_zone

__all__ = ["Page", "Surroundings"]

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class _Asset(NamedTuple):
    path: str
    kind: str
    content: bytes


class Page:
    """The page's routes; made once for an application."""

    def __init__(self, store: Store, live: Live, clock: Clock, shown: Surroundings) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._zone = local_zone()
        self._known = Overviews()
        self._assets = dict(_assets())
        self._by_path = {asset.path: asset for asset in self._assets.values()}
        self._templates = make_templates(shown, lambda name: self._assets[name].path)

    def routes(self) -> list[Route]:
        """Return the routes, all of them for GET."""
        logins = [Route(f"/logins.{form}", self._export) for form in exports.FORMATS]
        results = [Route(f"/monitors/{{number}}.{f}", self._results) for f in exports.FORMATS]
        return [
            Route("/", self._html),
            *logins,
            Route("/monitors", self._monitors),
            *results,
            Route("/monitors/{number}", self._monitor),
            Route("/events", self._events),
            Route("/static/{name}", self._static),
        ]

    def closed(self, closed: Closed) -> bytes:
        """Return what those see who are not let in."""
        return self._render("closed.html", closed=closed).encode()

    async def _html(self, request: Request) -> Response:
        query = dict(request.query_params)
        if query != tidied(query):  # as a form without script sends it
            return RedirectResponse(address("/", tidied(query)), 303)
        asked = self._asked(query)
        now, zone = int(self._clock.now() * 1000), current_zone(self._zone)
        seen = await self._store.read(dashboard.look, asked, now, zone, self._known)
        if asked.after and len(seen.rows) <= asked.limit:
            return RedirectResponse(address("/", asked.query), 303)
        url = str(request.base_url).rstrip("/")
        return self._page("logins.html", **context(asked, seen, now, zone), url=url)

    async def _export(self, request: Request) -> Response:
        form = exports.FORMATS[request.url.path.rpartition(".")[2]]
        asked = self._asked(tidied(dict(request.query_params)))
        which = dashboard.wanted(asked)
        limit, before, after = asked.limit, asked.before, asked.after
        rows = await self._store.read(views.logins, which, limit, before, after)
        return Response(form.render(exports.login_records(rows), "login"), media_type=form.kind)

    async def _monitors(self, _: Request) -> Response:
        found = await self._store.read(others.monitors)
        return self._page("monitors.html", **self._moment(), monitors=found)

    async def _monitor(self, request: Request) -> Response:
        seen = await self._results_of(request)
        return self._page("monitor.html", **self._moment(), seen=seen)

    async def _results(self, request: Request) -> Response:
        form = exports.FORMATS[request.url.path.rpartition(".")[2]]
        seen = await self._results_of(request)
        return Response(form.render(seen.records, "result"), media_type=form.kind)

    async def _results_of(self, request: Request) -> others.Seen:
        asked = self._asked(tidied(dict(request.query_params)))
        number = parse_number(request.path_params["number"])
        seen = None if number is None else await self._store.read(others.look, number, asked)
        if seen is None:
            raise HTTPException(404, "There is no such monitor.")
        return seen

    async def _events(self, _: Request) -> Response:
        if self._live.pages >= MAX_PAGES:
            return PlainTextResponse("too many open pages", 503)
        return StreamingResponse(self._live.stream(), media_type="text/event-stream")

    async def _static(self, request: Request) -> Response:
        asset = self._by_path.get(request.url.path)
        if asset is None:
            return PlainTextResponse("Not Found", 404)
        return Response(
            asset.content,
            media_type=asset.kind,
            headers={"cache-control": "public, max-age=31536000, immutable"},
        )

    def _asked(self, query: Mapping[str, str]) -> Asked:
        try:
            return parse(query, self._clock.now(), current_zone(self._zone))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None

    def _moment(self) -> dict[str, Any]:
        return {"now": int(self._clock.now() * 1000), "zone": current_zone(self._zone)}

    def _page(self, template: str, **values: Any) -> Response:
        return Response(self._render(template, **values), media_type="text/html")

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(values)


def _assets() -> Iterator[tuple[str, _Asset]]:
    """Yield the files of ``static/``; their path holds a hash, so they may be kept for ever."""
    for file in (files(__package__) / "static").iterdir():
        stem, _, ending = file.name.rpartition(".")
        content = file.read_bytes()
        digest = blake2b(content, digest_size=6).hexdigest()
        yield file.name, _Asset(f"/static/{stem}.{digest}.{ending}", _TYPES[ending], content)
