"""The query of an address of the page: filters, a span of time, a place in the list."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple
from urllib.parse import urlencode

from logwatch_monitis.protocol.wire import parse_number

__all__ = ["FILTERS", "MOST", "Asked", "Cursor", "address", "parse", "tidied"]

FILTERS = ("user", "host", "service", "machine", "kind", "verified")
VERIFIED = ("yes", "no", "unknown")
MOST = 10_000

_LAST = 253_000_000_000_000
"""In the year 9987: calendars end soon after."""

_CURSOR = re.compile(r"([0-9]{1,15})-([0-9]{1,18})")
_NUMBERED = re.compile("⟨U\\+([0-9A-F]{4,6})⟩")
_BACK = re.compile(r"([1-9][0-9]{0,3})([hd])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORM_FIELDS = {"from": "since", "to": "until"}


class Cursor(NamedTuple):
    """A place in the logins, which are ordered by time, then by arrival."""

    checktime: int
    seq: int


class Asked(NamedTuple):
    """What is asked for.

    Attributes:
        filters: values by name of `FILTERS`.
        since: as it stood in the address, empty for none.
        until: likewise.
        start: the first instant that is meant, in ms since the epoch.
        end: the first instant that is not meant any more.
        before: only what lies before this place, the nearest first.
        after: only what lies after it.
        limit: how many.
    """

    filters: Mapping[str, str]
    since: str = ""
    until: str = ""
    start: int | None = None
    end: int | None = None
    before: Cursor | None = None
    after: Cursor | None = None
    limit: int = 100

    @property
    def query(self) -> dict[str, str]:
        """The parameters of an address that asks for the same from its newest login on."""
        times = {"since": self.since, "until": self.until}
        return {**self.filters, **{name: text for name, text in times.items() if text}}


def tidied(query: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters without empty ones; what the form calls from and to has its name."""
    given = {name: text for name, text in query.items() if text}
    typed = {new: given.pop(old) for old, new in _FORM_FIELDS.items() if old in given}
    return given | typed


def parse(query: Mapping[str, str], now: float, zone: tzinfo, limit: int = 100) -> Asked:
    """Return what the parameters of an address ask for; unknown names mean nothing.

    Args:
        query: the parameters.
        now: seconds since the epoch, for spans such as ``7d``.
        zone: of dates and times that name none.
        limit: how many logins, if the parameters do not say.

    Raises:
        ValueError: a value is none; the text is for its reader.
    """
    filters = {name: _meant(query[name]) for name in FILTERS if name in query}
    if filters.get("verified", "yes") not in VERIFIED:
        raise ValueError(f"verified must be one of {', '.join(VERIFIED)}")
    since, until = query.get("since", ""), query.get("until", "")
    return Asked(
        filters,
        since,
        until,
        _moment("since", since, now, zone) if since else None,
        _moment("until", until, now, zone) if until else None,
        _cursor(query, "before"),
        _cursor(query, "after"),
        _limit(query["limit"]) if "limit" in query else limit,
    )


def address(path: str, query: Mapping[str, str]) -> str:
    """Return the address of *path* with the parameters *query*."""
    return f"{path}?{urlencode(query)}" if query else path


def _meant(text: str) -> str:
    """Return what a field of the form shows as ``⟨U+202E⟩`` as the character it stands for."""
    return _NUMBERED.sub(lambda match: chr(min(int(match[1], 16), sys.maxunicode)), text)


def _limit(text: str) -> int:
    number = parse_number(text, 5)
    if not number or number > MOST:
        raise ValueError(f"limit must be a number from 1 to {MOST}")
    return number


def _cursor(query: Mapping[str, str], name: str) -> Cursor | None:
    if name not in query:
        return None
    match = _CURSOR.fullmatch(query[name])
    if not match:
        raise ValueError(f"{name} must be a place in the list, as its links have it")
    return Cursor(int(match[1]), int(match[2]))


def _moment(name: str, text: str, now: float, zone: tzinfo) -> int:
    """Return the moment in ms; a date alone means its whole day."""
    try:
        if match := _BACK.fullmatch(text):
            return _back(int(match[1]), match[2], now, zone)
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=name == "until")
            moment = datetime(day.year, day.month, day.day, tzinfo=zone)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        found = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        found = -1
    if not 0 <= found <= _LAST:
        raise ValueError(
            f"{name} must be a date, a time such as 2026-11-22T21:41, or a span such as 24h or 7d"
        )
    return found


def _back(number: int, unit: str, now: float, zone: tzinfo) -> int:
    """Return where the last *number* hours or days begin, the present one among them."""
    if unit == "h":
        return (int(now) // 3600 - number + 1) * 3_600_000
    day = datetime.fromtimestamp(now, zone).date() - timedelta(days=number - 1)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
