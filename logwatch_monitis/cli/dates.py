"""Moments as people type them: dates, times, ``yesterday``, ``2 h ago``, ``@1795383705``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from logwatch_monitis.errors import UsageError

__all__ = ["FORMS", "parse_moment"]

FORMS = "2026-11-22, '2026-11-22 21:41', yesterday, '2 h ago' or @1795383705"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)(?:ec|in|our|ay|eek)?s?(?: +ago)?")
_EPOCH = re.compile(r"@?(\d{1,16})(\.\d+)?")
_MILLISECONDS_FROM = 10**11
"""From here on a number is milliseconds, as the protocol's checktime: in seconds, year 5138."""


def parse_moment(text: str, zone: tzinfo, now: datetime) -> int:
    """Return a moment in microseconds since the epoch, UTC.

    A date alone is its first instant; what names no zone is of *zone*.

    Args:
        text: one of `FORMS`.
        zone: for dates and times without one.
        now: an aware datetime, for the relative forms.

    Raises:
        UsageError: none of the forms.
    """
    words = text.strip().lower()
    try:
        moment = _number(words) or _relative(words, zone, now) or _iso(text, zone)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise UsageError(f"'{text}' is no moment", f"such as {FORMS}")
    return round(moment.timestamp() * 1_000_000)


def _number(text: str) -> datetime | None:
    match = _EPOCH.fullmatch(text)
    # Four digits alone would be a year as well as a second of 1970.
    if not match or (not text.startswith("@") and len(match[1]) < 9):  # noqa: PLR2004
        return None
    seconds = int(match[1]) / (1000 if int(match[1]) >= _MILLISECONDS_FROM else 1)
    return datetime.fromtimestamp(seconds + float(match[2] or 0), UTC)


def _relative(text: str, zone: tzinfo, now: datetime) -> datetime | None:
    if match := _AGO.fullmatch(text):
        return now - timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    names = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    return names.get(text)


def _iso(text: str, zone: tzinfo) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
