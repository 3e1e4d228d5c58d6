"""What the templates get: texts, times, numbers, links. Needs jinja2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from logwatch_monitis.server.page.dashboard import AHEAD_MS, PERIODS, Dashboard
from logwatch_monitis.server.page.query import FILTERS, VERIFIED, Asked, address
from logwatch_monitis.server.page.time_ranges import DAY, HOUR, named
from logwatch_monitis.server.store.login_queries import LoginRow
from logwatch_monitis.text import cut, numbered

__all__ = ["LONGEST", "Surroundings", "context", "make_templates"]

LONGEST = 120
KINDS = ("login", "command", "session")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("user", "host", "service", "machine")
_UNITS = ((DAY, "day"), (HOUR, "hour"), (60_000, "minute"), (1_000, "second"))


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


class _Chip(NamedTuple):
    name: str
    text: str
    without: str


def make_templates(shown: Surroundings, asset: Callable[[str], str]) -> Environment:
    """Return the templates; *asset* gives the address of a file of ``static/``."""
    templates = Environment(
        loader=PackageLoader("logwatch_monitis.server.page"),
        auto_reload=False,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(asset=asset, shown=shown, address=address)
    templates.filters.update(
        also=lambda query, **values: {**query, **values},
        iso=lambda ms: f"{_moment(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z",
        numbered=numbered,
        short=lambda text: cut(numbered(text), LONGEST),
        utc=lambda ms: f"{_moment(ms):%Y-%m-%d %H:%M:%S} UTC",
        at=lambda ms, zone: f"{_local(ms, zone):%Y-%m-%d %H:%M:%S}",
        minute=lambda ms: f"{_moment(ms):%Y-%m-%dT%H:%MZ}",
        number=lambda count: f"{count:,}",
        brief=brief,
        lasting=lasting,
        lastday=lambda month: (month + timedelta(days=31)).replace(day=1) - timedelta(days=1),
    )
    for name in ("logins.html", "charts.html"):
        templates.get_template(name)  # compiled here, so that the first reader does not wait
    return templates


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _local(milliseconds: int, zone: tzinfo) -> datetime:
    moment = _moment(milliseconds)
    try:
        return moment.astimezone(zone)
    except OverflowError:  # the last hours of the year 9999, which a mad clock may tell
        return moment


def brief(count: float) -> str:
    """Return a number for an axis, such as ``2.5k``."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:g}{unit}"
    return f"{count:g}"


def lasting(milliseconds: int) -> str:
    """Return a duration in its greatest unit, such as ``3 days``."""
    for size, unit in _UNITS:
        number = abs(milliseconds) // size
        if number:
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return "under a second"


def context(asked: Asked, seen: Dashboard, now: int, zone: tzinfo) -> dict[str, Any]:
    """Return what the template of the logins asks for."""
    more = len(seen.rows) > asked.limit
    rows = seen.rows[1:] if more and asked.after else seen.rows[: asked.limit]
    newest = asked.before is None and asked.after is None
    older = bool(rows) and (more or asked.after is not None)
    query = asked.query
    return {
        "asked": asked,
        "query": query,
        "now": now,
        "zone": zone,
        "zone_name": _zone_name(now, zone),
        "rows": rows,
        "firsts": seen.firsts,
        "ahead": {row.seq for row in rows if row.checktime > now + AHEAD_MS},
        "overview": seen.overview,
        "agents": seen.agents,
        "newest": newest,
        "live": newest and asked.end is None,
        "older": address("/", {**query, "before": _place(rows[-1])}) if older else "",
        "newer": address("/", {**query, "after": _place(rows[0])}) if rows and not newest else "",
        "exports": _exports(asked),
        "chips": _chips(asked, zone),
        "periods": _periods(asked),
        "fields": _fields(asked, rows, seen),
        "typed": {name: _typed(moment, zone) for name, moment in _moments(asked).items()},
        "ends": _ends(seen),
    }


def _place(row: LoginRow) -> str:
    return f"{row.checktime}-{row.seq}"


def _zone_name(now: int, zone: tzinfo) -> str:
    return _moment(now).astimezone(zone).tzname() or "local time"


def _exports(asked: Asked) -> list[tuple[str, str]]:
    """Return names and addresses of the same list for programs."""
    query = asked.query
    for name, place in (("before", asked.before), ("after", asked.after)):
        if place:
            query[name] = f"{place.checktime}-{place.seq}"
    return [(form.upper(), address(f"/logins.{form}", query)) for form in ("csv", "json", "xml")]


def _chips(asked: Asked, zone: tzinfo) -> list[_Chip]:
    """Return the filters that are set, each with the address that leaves it out."""
    query = asked.query
    found = [
        _Chip(name, text, address("/", {k: v for k, v in query.items() if k != name}))
        for name, text in asked.filters.items()
    ]
    if asked.since or asked.until:
        rest = {k: v for k, v in query.items() if k not in ("since", "until")}
        found.append(_Chip("time", _called(asked, zone), address("/", rest)))
    return found


def _called(asked: Asked, zone: tzinfo) -> str:
    for period, name in PERIODS:
        if asked.since == period and not asked.until:
            return f"past {name.lower()}"
    return named(asked.start, asked.end, zone)


def _periods(asked: Asked) -> list[tuple[str, str, bool]]:
    """Return names and addresses of some spans of time, and whether each is the present one."""
    rest = {k: v for k, v in asked.query.items() if k not in ("since", "until")}
    any_time = ("All", address("/", rest), not (asked.since or asked.until))
    periods = [
        (name, address("/", {**rest, "since": period}), asked.since == period and not asked.until)
        for period, name in PERIODS
    ]
    return [*periods, any_time]


def _fields(asked: Asked, rows: Sequence[LoginRow], seen: Dashboard) -> dict[str, list[str]]:
    """Return what the form offers for each of its fields."""
    tops, series = seen.overview.tops, seen.overview.bars.series
    known = {
        "user": [name for name, _ in tops.users],
        "host": [name for name, _ in tops.hosts],
        "service": [name for name, _, _ in series],
        "machine": [name for name, _ in tops.machines],
    }
    found = {name: sorted({*known[name], *_seen(rows, name)}) for name in _TEXTS}
    for name, words in (("kind", KINDS), ("verified", VERIFIED)):
        chosen = asked.filters.get(name)
        found[name] = [*words, *([chosen] if chosen and chosen not in words else [])]
    assert set(found) == set(FILTERS)
    return {name: [text for text in texts if text] for name, texts in found.items()}


def _seen(rows: Sequence[LoginRow], name: str) -> set[str]:
    return {text for row in rows if (text := getattr(row, name)) and len(text) <= LONGEST}


def _moments(asked: Asked) -> dict[str, int | None]:
    """Return the times that the form's fields show; a span such as 7d is not one."""
    relative = asked.since[-1:] in ("h", "d")
    return {"from": None if relative else asked.start, "to": asked.end}


def _typed(moment: int | None, zone: tzinfo) -> str:
    return "" if moment is None else f"{_moment(moment).astimezone(zone):%Y-%m-%dT%H:%M}"


def _ends(seen: Dashboard) -> tuple[date, date]:
    days = seen.overview.calendar.days
    return days[0].day, days[-1].day
