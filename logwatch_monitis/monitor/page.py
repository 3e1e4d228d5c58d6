"""The page: the last logins, newest first, as HTML, JSON and CSV. Needs starlette and jinja2."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request  # noqa: TC002 - of a public signature
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from logwatch_monitis.login import iso_time
from logwatch_monitis.monitis.wire import render_json
from logwatch_monitis.seams import Clock

from .inert import cell, shortened, visible
from .live import MAX_PAGES, Live
from .queries import FILTERS, Cursor, LoginRow, Selection, logins
from .store import Store
from .totals import Totals

__all__ = ["Page", "Surroundings"]

PER_PAGE = 100
MOST = 10_000
LONGEST = 120

_CURSOR = re.compile(r"([0-9]{1,15})-([0-9]{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_COLUMNS = ("time", "user_login", "host", "srv", "kind", "machine", "method", "verified")


class Surroundings(NamedTuple):
    """What the page is told about where it stands.

    Attributes:
        place: whose monitor it is, for the heading.
        api_key: for the instructions of an empty page.
        lonely: no agent runs beside the monitor, so an empty page says how to start one.
    """

    place: str
    api_key: str
    lonely: bool


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
        self._totals = Totals()
        self._assets = dict(_assets())
        self._by_path = {asset.path: asset for asset in self._assets.values()}
        self._templates = Environment(
            loader=PackageLoader("logwatch_monitis.monitor"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            asset=lambda name: self._assets[name].path, shown=shown, names=tuple(FILTERS)
        )
        self._templates.filters.update(
            add=lambda filters, name, value: {**filters, name: value},
            iso=lambda ms: f"{_moment(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z",
            short=lambda text: shortened(visible(text), LONGEST),
            utc=lambda ms: f"{_moment(ms):%Y-%m-%d %H:%M:%S}",
        )

    def routes(self) -> list[Route]:
        """Return the routes, all of them for GET."""
        return [
            Route("/", self._html),
            Route("/logins.json", self._json),
            Route("/logins.csv", self._csv),
            Route("/events", self._events),
            Route("/static/{name}", self._static),
        ]

    def closed(self, again: bool) -> bytes:  # noqa: FBT001 - called through a plain callable
        """Return what those see who have no key; with *again* it loads itself once more."""
        return self._templates.get_template("closed.html").render(again=again).encode()

    async def _html(self, request: Request) -> Response:
        query = dict(request.query_params)
        if "" in query.values():  # an unfilled field of the form
            return RedirectResponse(_address("/", _filled(query)), 303)
        try:
            selection = _selection(query, PER_PAGE)
        except ValueError as error:
            return PlainTextResponse(str(error), 400)
        found = await self._store.read(logins, selection._replace(limit=selection.limit + 1))
        if selection.after and len(found) <= selection.limit:
            return RedirectResponse(_address("/", selection.filters), 303)
        now = int(self._clock.now() * 1000)
        numbers = await self._store.read(self._totals.counts, selection.filters, now)
        context = _context(query, selection, found) | {"counts": numbers}
        page = self._templates.get_template("logins.html").render(
            context, url=str(request.base_url).rstrip("/")
        )
        return Response(page, media_type="text/html")

    async def _json(self, request: Request) -> Response:
        return await self._export(request, _json_rows, "application/json")

    async def _csv(self, request: Request) -> Response:
        return await self._export(request, _csv_rows, "text/csv")

    async def _export(self, request: Request, render: Any, kind: str) -> Response:
        try:
            selection = _selection(_filled(dict(request.query_params)), PER_PAGE)
        except ValueError as error:
            return PlainTextResponse(str(error), 400)
        found = await self._store.read(logins, selection)
        return Response(render(found), media_type=kind)

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


def _assets() -> Iterator[tuple[str, _Asset]]:
    """Yield the files of ``static/``; their path holds a hash, so they may be kept for ever."""
    for file in (files(__package__) / "static").iterdir():
        stem, _, ending = file.name.rpartition(".")
        content = file.read_bytes()
        digest = blake2b(content, digest_size=6).hexdigest()
        yield file.name, _Asset(f"/static/{stem}.{digest}.{ending}", _TYPES[ending], content)


def _context(
    query: Mapping[str, str], selection: Selection, found: list[LoginRow]
) -> dict[str, Any]:
    """Return what the template asks for; *found* may hold one login more than fits."""
    more = len(found) > selection.limit
    rows = found[1:] if more and selection.after else found[: selection.limit]
    live = selection.before is None and selection.after is None
    filters = selection.filters
    older = rows and (more or selection.after) and {"before": _place(rows[-1])}
    newer = rows and not live and {"after": _place(rows[0])}
    return {
        "rows": rows,
        "filters": filters,
        "live": live,
        "older": _address("/", {**filters, **older}) if older else "",
        "newer": _address("/", {**filters, **newer}) if newer else "",
        "seen": {name: _seen(rows, name) for name in FILTERS},
        "address": lambda wanted: _address("/", wanted),
        "same": lambda path: _address(path, query),
    }


def _selection(query: Mapping[str, str], limit: int) -> Selection:
    filters = {name: query[name] for name in FILTERS if name in query}
    before, after = (_cursor(query, name) for name in ("before", "after"))
    if "limit" in query:
        text = query["limit"]
        limit = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0  # noqa: PLR2004
        if not 1 <= limit <= MOST:
            raise ValueError(f"limit must be a number from 1 to {MOST}")
    return Selection(filters, before, after, limit)


def _cursor(query: Mapping[str, str], name: str) -> Cursor | None:
    if name not in query:
        return None
    match = _CURSOR.fullmatch(query[name])
    if not match:
        raise ValueError(f"{name} must be a place in the list, as its links have it")
    return Cursor(int(match[1]), int(match[2]))


def _place(row: LoginRow) -> str:
    return f"{row.checktime}-{row.seq}"


def _filled(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _seen(rows: list[LoginRow], name: str) -> list[str]:
    return sorted({text for row in rows if (text := getattr(row, name)) and len(text) <= LONGEST})


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _values(row: LoginRow) -> dict[str, Any]:
    """Return the login under the names of the interchange format."""
    verified = None if row.verified is None else bool(row.verified)
    time = iso_time(row.checktime * 1000)
    texts = (row.user, row.host, row.service, row.kind, row.machine, row.method)
    return dict(zip(_COLUMNS, (time, *texts, verified), strict=True))


def _json_rows(rows: list[LoginRow]) -> bytes:
    return render_json({"logins": [_values(row) for row in rows]})


def _csv_rows(rows: list[LoginRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for row in rows:
        values = _values(row)
        values["verified"] = {True: "yes", False: "no", None: ""}[values["verified"]]
        writer.writerow([cell(value or "") for value in values.values()])
    return text.getvalue()
