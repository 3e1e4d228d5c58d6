"""Cache of the header of the previous line, for the lines behind it that begin alike.

Line after line of a log begins with the same minute and the same machine. They are read once, by
`logwatch_monitis.syslog`; of a line that begins likewise only the second is new. What is not as
in ``Mmm dd HH:MM:SS host ``, or the same with an ISO 8601 time, goes the long way.

Two steps make a cheap login: `HeaderCache.turn` where a line begins otherwise than the one before,
and `HeaderCache.identify` for each that is a login. Only the second moves ordinals on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from logwatch_monitis.grammar import MAX_MESSAGE
from logwatch_monitis.login import iso_time
from logwatch_monitis.scanner.login_id import (
    SHORT,
    Counts,
    Ordinals,
    hash_line,
    hashers,
    id_tail,
    login_id,
)
from logwatch_monitis.syslog import Minute

__all__ = ["Clock", "HeaderCache", "Minutes", "as_number", "as_text"]

_HEAD = re.compile(
    r"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.([0-9]{1,9}+))?"
    r"(?:Z|[+-][0-9:]*+)?) ([A-Za-z0-9][A-Za-z0-9._-]*+) "
).match
_SECONDS = {f"{n:02d}": n for n in range(60)}
_SECOND = 1_000_000
_NEVER = "\n"
"""No line begins so."""

Clock = Callable[[str, str], Any]
"""Takes the text of a second and six digits, returns the time that a login is made with."""


class Minutes(Protocol):
    """What is asked of `logwatch_monitis.syslog.Timeline`."""

    def minute(self, stamp: str, offset: float, /) -> Minute | None:
        """Return the minute of the time stamp of the line at *offset*."""


def as_number(minute: Minute) -> Clock:
    """Return what tells the times of a minute in microseconds since the epoch, UTC."""
    start = minute.time_us
    return lambda second, digits: start + _SECONDS[second] * _SECOND + int(digits)


def as_text(minute: Minute) -> Clock:
    """Return what tells them as `iso_time` does."""
    if minute.time_us % (60 * _SECOND):  # a zone's offset had seconds, long ago
        number = as_number(minute)
        return lambda second, digits: iso_time(number(second, digits))
    left = iso_time(minute.time_us)[: len("2026-11-22T21:41:")]
    return lambda second, digits: f"{left}{second}.{digits}+00:00"


class HeaderCache:
    """The beginning of the last everyday line.

    Args:
        clock: `as_number` or `as_text`.

    Attributes:
        path: of the file, as all logins have it.
        timeline: of the log.
        prefix: a line that begins so, before *limit*, has this head.
        limit: offset in the file.
        start: where the program stands.
        machine: whose line it is.
        time: of the line.
    """

    __slots__ = (
        "_at", "_behind", "_clock", "_counts", "_hashers", "_left", "_make_clock", "_minute",
        "_ordinals", "_right", "_second", "_tail", "limit", "machine", "path", "prefix", "start",
        "time", "timeline",
    )  # fmt: skip

    def __init__(self, clock: Callable[[Minute], Clock]) -> None:
        self._make_clock = clock
        self.path = ""
        self.timeline: Minutes | None = None
        self._hashers = hashers()
        self.machine, self.start, self.time = "", 0, None
        self._second = ""
        self.forget()

    def forget(self) -> None:
        """Read the next line's head anew."""
        self._left = self._right = self.prefix = _NEVER
        self._at = self._behind = 0
        self._minute = Minute(0, None, 0, 0)
        self._counts: Counts | None = None
        self.limit: float = 0

    def begin(self, timeline: Minutes, ordinals: Ordinals, path: str, offset: int) -> None:
        """Go on with another block of a log; *offset* is that of its first line."""
        self.timeline, self.path = timeline, path
        self._ordinals, self._counts = ordinals, None
        if offset < self._minute.first:
            self.forget()

    def pause(self) -> None:
        """Let others count lines."""
        self._counts = None

    def turn(self, text: str, place: int) -> bool:
        """Take over the head of the line at *place*; say whether it is an everyday one."""
        at, behind = self._at, self._behind
        second = text[at : at + 2]
        if (
            place >= self.limit
            or second not in _SECONDS
            or not text.startswith(self._left)
            or not text.startswith(self._right, behind)
        ):
            return self._read(text, place)
        if behind == at + 2:
            self.prefix = f"{self._left}{second}{self._right}"
            digits = "000000"
        else:
            digits = text[at + 3 : behind]
            if text[at + 2] != "." or not digits.isdecimal():
                return self._read(text, place)
            digits = f"{digits:0<6.6}"
        self.time = self._clock(second, digits)
        if second != self._second:
            self._second, self._counts = second, None
        return True

    def _read(self, text: str, place: int) -> bool:
        self.forget()
        found = _HEAD(text)
        if found is None or self.timeline is None:
            return False
        minute = self.timeline.minute(text[: found.start(2) - 1], place)
        at = len("2026-11-22T21:41:" if text[4] == "-" else "Nov 22 21:41:")
        if minute is None or text[at : at + 2] not in _SECONDS:
            return False
        self._at, self._behind = at, found.end(1) if found[1] else at + 2
        self._left, self._right = text[:at], text[self._behind : found.end()]
        self.machine, self.start = found[2], found.end()
        self._minute, self.limit = minute, minute.limit
        self._tail = id_tail(minute.year, None, 0)
        self._clock = self._make_clock(minute)
        self._second = ""
        return self.turn(text, place)

    def identify(self, line: bytes) -> str:
        """Return the id of a login with this head; empty if its line is too long for any rule."""
        size = len(line)
        if size < SHORT:
            hasher = self._hashers[size]()
            hasher.update(line)
            hasher.update(self._tail)
            first: str = hasher.hexdigest()
        elif size > MAX_MESSAGE:
            return ""
        else:
            first = hash_line(line, self._tail)
        counts = self._counts
        if counts is None:
            second = self._minute.time_us // _SECOND + _SECONDS[self._second]
            counts = self._counts = self._ordinals.at(second)
        if first not in counts:
            counts[first] = 1
            return first
        ordinal = counts[first]
        counts[first] = ordinal + 1
        return login_id(line, self._minute.year, None, ordinal)
