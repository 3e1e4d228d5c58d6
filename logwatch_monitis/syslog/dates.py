"""From a written date to microseconds UTC; where no year is written, which one it can be."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from logwatch_monitis.syslog.timestamps import Timestamp

__all__ = ["DAY", "LEAP_GAP", "Instant", "instant", "is_leap", "latest", "steady_midnight"]

DAY = 86_400
LEAP_GAP = 8
"""Years from 1896 to 1904, the longest time without a 29 February."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FIRST_YEAR, _LAST_YEAR = 1900, 9998
_LAST_SECOND = DAY - 1
_SECOND = timedelta(seconds=1)
_ZERO = timedelta()


class Instant(NamedTuple):
    """A moment, and whether its local time came twice."""

    time_us: int
    ambiguous: bool


def instant(reading: Timestamp, year: int, zone: tzinfo) -> Instant | None:
    """Return the moment of *reading* in *year*, or None if the calendar has no such day.

    Second 60 is the first instant of the next minute. A time without a zone is in *zone*: in the
    hour that autumn repeats the first pass is meant (PEP 495, ``fold=0``), and ``ambiguous`` says
    so; a time that spring skips is moved forward by the gap.
    """
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        local = _local(year, reading, min(reading.second, _LAST_SECOND), zone)
    except ValueError:
        return None
    seconds = (local.toordinal() - _EPOCH_DAY) * DAY + reading.second
    if reading.zone is not None:
        return Instant((seconds - reading.zone) * 1_000_000 + reading.micro, False)
    first = local.utcoffset() or _ZERO
    second = local.replace(fold=1).utcoffset() or _ZERO
    return Instant((seconds - first // _SECOND) * 1_000_000 + reading.micro, first > second)


def latest(reading: Timestamp, bound: float, zone: tzinfo) -> tuple[int, Instant] | None:
    """Return the latest year, and the moment, not more than a day after *bound* (seconds UTC).

    A line is written no later than the moment we know it by; the day is for clocks and zones that
    disagree. 29 February goes to the latest leap year that fits. None if there is no such day.
    """
    limit = (bound + DAY) * 1_000_000
    year = _year_at(bound + 2 * DAY)
    for candidate in range(year, year - LEAP_GAP - 2, -1):
        moment = instant(reading, candidate, zone)
        if moment is not None and moment.time_us <= limit:
            return candidate, moment
    return None


def is_leap(year: int) -> bool:
    """Return whether *year* has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def steady_midnight(reading: Timestamp, year: int, zone: tzinfo) -> int | None:
    """Return the microseconds UTC at which the day of *reading* began by its clocks.

    The day exists; None if the clocks change on it.
    """
    seconds = (date(year, reading.month, reading.day).toordinal() - _EPOCH_DAY) * DAY
    if reading.zone is not None:
        return (seconds - reading.zone) * 1_000_000
    early = _local(year, reading, 0, zone).utcoffset() or _ZERO
    late = _local(year, reading, _LAST_SECOND, zone).replace(fold=1).utcoffset() or _ZERO
    return (seconds - early // _SECOND) * 1_000_000 if early == late else None


def _local(year: int, reading: Timestamp, second: int, zone: tzinfo) -> datetime:
    hour, rest = divmod(second, 3600)
    return datetime(year, reading.month, reading.day, hour, rest // 60, rest % 60, tzinfo=zone)


def _year_at(seconds: float) -> int:
    day = min(max(int(seconds // DAY) + _EPOCH_DAY, 1), date.max.toordinal())
    return date.fromordinal(day).year
