"""What a written time says: its digits, its month, its zone; no calendar and no clock."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MONTHS", "STAMP", "Timestamp", "read_stamp"]

_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_MONTH = r"[^\W\d_]{3,9}+\.?"

STAMP = rf"""(?:
      [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[Tt]|\ {{1,2}}){_TIME}(?:[.,][0-9]{{1,9}}+)?
        (?:[Zz]|\ ?[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?
    | (?:[0-9]{{4}}\ )?{_MONTH}\ {{1,2}}[0-9]{{1,2}}\ (?:[0-9]{{4}}\ )?{_TIME}(?:[.,][0-9]{{1,9}}+)?
    | {_MONTH}\ {_MONTH}\ {{1,2}}[0-9]{{1,2}}\ {_TIME}\ [0-9]{{4}}
    )"""
"""The shapes of a time, as text of a verbose regular expression; linear."""

_ISO = re.compile(
    rf"""(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})(?:[Tt]|\ {{1,2}})
    (?P<time>{_TIME})(?:[.,](?P<fraction>[0-9]{{1,9}}))?
    (?:(?P<utc>[Zz])|\ ?(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3])(?::?(?P<minutes>[0-5][0-9]))?)?
    """,
    re.VERBOSE,
).fullmatch
_SYSLOG = re.compile(
    rf"""(?:{_MONTH}\ (?={_MONTH}\ .*\ [0-9]{{4}}\Z))?
    (?:(?P<first>[0-9]{{4}})\ )?(?P<month>{_MONTH})\ {{1,2}}(?P<day>[0-9]{{1,2}})[ ]
    (?:(?P<middle>[0-9]{{4}})\ )?
    (?P<time>{_TIME})(?:[.,](?P<fraction>[0-9]{{1,9}}))?(?:\ (?P<last>[0-9]{{4}}))?
    """,
    re.VERBOSE,
).fullmatch
_HOURS, _MINUTES, _LEAP_SECOND = 24, 60, 60
_LAST_MONTH, _LAST_DAY = 12, 31


class Timestamp(NamedTuple):
    """A time as written.

    Attributes:
        year: None where none is written.
        month: 1 to 12.
        day: 1 to 31; whether the month has it is for the calendar to say.
        second: of the day, 0 to 86,400; the last minute's second 60 is included.
        micro: millionths of the second, further digits cut off.
        zone: seconds east of Greenwich, None where none is written.
    """

    year: int | None
    month: int
    day: int
    second: int
    micro: int
    zone: int | None


def _months(*languages: str) -> dict[str, int]:
    return {
        name: number
        for names in languages
        for number, name in enumerate(names.split(), start=1)
        if name != "-"
    }


MONTHS = _months(
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "- - mär - mai - - - - okt - dez",  # German
    "- - mrz - - - - - sept - - -",  # German, older
    "janv févr mars avr mai juin juil août sept oct nov déc",  # French
    "- fevr - - - - - aout - - - -",  # French without accents
    "ene feb mar abr may jun jul ago sep oct nov dic",  # Spanish
    "gen feb mar apr mag giu lug ago set ott nov dic",  # Italian
    "jan fev mar abr mai jun jul ago set out nov dez",  # Portuguese
    "- fév - - - - - - - - - -",  # Canadian French
    "jan feb mrt apr mei jun jul aug sep okt nov dec",  # Dutch
    "- - - - maj - - - - - - -",  # Danish, Swedish, Polish
    "- - - - - - - - - - - des",  # Norwegian
    "- - mars april - juni juli - sept - - -",  # Swedish, in full
)
"""Months by their names in lower case without a full stop; names that differ between languages
(``lis`` is October in Croatia and November in Poland) are left out."""


def read_stamp(stamp: str) -> Timestamp | None:
    """Return what *stamp* says, or None if it is no time (RFC 3164 4.1.2, RFC 3339 5.6)."""
    found = _ISO(stamp) if stamp[4:5] == "-" else _SYSLOG(stamp)
    if found is None:
        return None
    reading = _iso(found) if stamp[4:5] == "-" else _syslog(found)
    hour, minute, second = (int(part) for part in found["time"].split(":"))
    if not _is_clock(hour, minute, second) or not _is_date(reading.month, reading.day):
        return None
    digits = found["fraction"] or ""
    micro = int(digits.ljust(6, "0")[:6]) if second < _LEAP_SECOND else 0
    return reading._replace(second=hour * 3600 + minute * 60 + second, micro=micro)


def _iso(found: re.Match[str]) -> Timestamp:
    zone = 0 if found["utc"] else None
    if found["sign"]:
        east = int(found["hours"]) * 3600 + int(found["minutes"] or "0") * 60
        zone = -east if found["sign"] == "-" else east
    return Timestamp(int(found["year"]), int(found["month"]), int(found["day"]), 0, 0, zone)


def _syslog(found: re.Match[str]) -> Timestamp:
    month = MONTHS.get(found["month"].lower().rstrip("."), 0)
    year = found["first"] or found["middle"] or found["last"]
    return Timestamp(int(year) if year else None, month, int(found["day"]), 0, 0, None)


def _is_clock(hour: int, minute: int, second: int) -> bool:
    return hour < _HOURS and minute < _MINUTES and second <= _LEAP_SECOND


def _is_date(month: int, day: int) -> bool:
    return 0 < month <= _LAST_MONTH and 0 < day <= _LAST_DAY
