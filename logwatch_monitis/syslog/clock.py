"""The clock: from the time as written to microseconds UTC, and the year where none is written.

One rule gives the year, in live work and in history: **the latest year that does not put the line
more than a day after the moment by which it was written.** Live that moment is now. In history it
is known for every offset of a file from a sample of its lines (`years`), so a job that starts in
the middle of a file needs no other state. Both give a line the same year, and with it the same id.
A clock that was wrong for some lines (``Jan  1 00:00:07`` at boot, in the middle of October) moves
those lines and no others.
"""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple, Protocol

from logwatch_monitis.seams import Clock

from .calendars import instant, latest_year, steady_midnight
from .stamps import Reading, read_stamp
from .zones import current_zone

__all__ = ["END", "Bound", "LiveTimeline", "Moment", "Timeline", "YearSource"]

END = 1 << 62
"""The offset behind every line: what is known there holds for the whole file."""

_HOURS = {f"{n:02d}:": n * 3_600_000_000 for n in range(24)}
_MINUTES = {f"{n:02d}:": n * 60_000_000 for n in range(60)}
_SECONDS = {f"{n:02d}": n * 1_000_000 for n in range(60)}
_SYSLOG_WIDTH = len("Mmm dd HH:MM:SS")
_MICRO_WIDTH = 6
_SET_CLOCK = 1_000_000_000  # a clock before September 2001 has not been set since the boot
_NO_CUT = ("", ""), -1
_new = tuple.__new__


class Moment(NamedTuple):
    """When a line was written.

    Attributes:
        time_us: microseconds since the epoch, UTC.
        year: the resolved year if the header has none, else None; part of the login's id.
        ambiguous: the local time came twice in autumn, and the first pass is meant.
    """

    time_us: int
    year: int | None
    ambiguous: bool


class Bound(NamedTuple):
    """What lies at places ``first <= place < limit`` was written by ``written`` (seconds UTC)."""

    written: float
    first: float
    limit: float


class YearSource(Protocol):
    """Knows by when a line was written."""

    @property
    def overrun(self) -> bool:
        """See `Timeline.overrun`."""

    def at(self, place: float) -> Bound:
        """Return by when the line at *place*, an offset, was written."""

    def learn(self, data: bytes, offset: int) -> None:
        """See `Timeline.learn`."""


class Timeline:
    """Resolves the stamps of one log; made by `history` or `live`."""

    def __init__(self, zone: tzinfo, years: YearSource) -> None:
        self._zone = zone
        self._years = years
        self._first: float = 0
        self._limit: float = 0
        self._stamp = ""
        self._moment: Moment | None = None
        self._frame = ("", "")
        self._midnight = 0
        self._year: int | None = None

    @staticmethod
    def history(zone: tzinfo, years: YearSource) -> Timeline:
        """Return the timeline of a file, its years from `file_years` or `StreamYears`.

        Args:
            zone: of stamps that name none; a `MachineZone` is taken as it is now.
            years: by when which line was written.
        """
        return Timeline(current_zone(zone), years)

    @staticmethod
    def live(zone: tzinfo, clock: Clock, *, after: float = 0.0) -> LiveTimeline:
        """Return the timeline of a log that is being written.

        Args:
            zone: of stamps that name none; a `MachineZone` is followed when it changes.
            clock: says what is not yet possible.
            after: a moment known to be past (seconds UTC), such as the newest login in the spool;
                it stands in for the clock as long as that has not been set since the boot.
        """
        return LiveTimeline(zone, clock, after)

    @property
    def overrun(self) -> bool:
        """The years assumed contradict what was read; only a stream can find that out."""
        return self._years.overrun

    def learn(self, data: bytes, offset: int) -> None:
        """Take note of a block of whole lines before they are resolved.

        Streams (`StreamYears`) need every block, in order; for others this does nothing.
        """
        self._years.learn(data, offset)
        self._limit = self._first

    def resolve(self, stamp: str, offset: float = END) -> Moment | None:
        """Return when a line was written, or None if *stamp* is no time.

        RFC 5424's nil time counts as the moment by which the line was written.

        Args:
            stamp: `Split.stamp`.
            offset: of the line's first byte, uncompressed; decides where no year is written.
        """
        if self._first <= offset < self._limit:
            if stamp == self._stamp:
                return self._moment
            frame, time_us = _cut(stamp)
            if frame == self._frame and time_us >= 0:
                self._stamp = stamp
                self._moment = _new(Moment, (self._midnight + time_us, self._year, False))
                return self._moment
        return self._read(stamp, offset)

    def _read(self, stamp: str, place: float) -> Moment | None:
        """Resolve from scratch, and remember the stamp and its day as far as they hold."""
        written, self._first, self._limit = self._years.at(place)
        zone = self._zone
        self._stamp, self._frame = "", ("", "")
        reading = read_stamp(stamp)
        if reading is None:
            return Moment(int(written * 1_000_000), None, False) if stamp == "-" else None
        year = reading.year or latest_year(reading, written, zone)
        found = instant(reading, year, zone) if year else None
        if year is None or found is None:
            return None
        self._remember_day(stamp, reading, year, written)
        self._stamp = stamp
        self._moment = Moment(found.time_us, None if reading.year else year, found.ambiguous)
        return self._moment

    def _remember_day(self, stamp: str, reading: Reading, year: int, written: float) -> None:
        """Keep the day's midnight if every time of that day has the same year and offset."""
        frame, time_us = _cut(stamp)
        if time_us < 0:
            return
        evening = reading._replace(second=86_399)
        if reading.year is None and latest_year(evening, written, self._zone) != year:
            return
        midnight = steady_midnight(reading, year, self._zone)
        if midnight is not None:
            self._frame, self._midnight = frame, midnight
            self._year = None if reading.year else year


def _cut(stamp: str) -> tuple[tuple[str, str], int]:
    """Return what stands around the time of day, and that time in µs; -1 where the cut fails.

    It fits the forms of fixed width: ``Mmm dd HH:MM:SS``, ISO 8601 and ctime's.
    """
    try:
        if len(stamp) == _SYSLOG_WIDTH:
            day, tail, time = stamp[:7], "", stamp[7:]
        else:
            day, tail, time = stamp[:11], stamp[19:], stamp[11:19]
        micro = _HOURS[time[:3]] + _MINUTES[time[3:6]] + _SECONDS[time[6:]]
        if tail[:1] == ".":
            digits, tail = tail[1 : _MICRO_WIDTH + 1], tail[_MICRO_WIDTH + 1 :]
            if not _is_micro(digits) or tail[:1].isdigit():
                return _NO_CUT
            micro += int(digits)
    except KeyError:
        return _NO_CUT
    return (day, tail), micro


def _is_micro(digits: str) -> bool:
    return len(digits) == _MICRO_WIDTH and digits.isascii() and digits.isdigit()


class LiveTimeline(Timeline):
    """The timeline of a log that is being written: nothing is known for longer than a second."""

    def __init__(self, zone: tzinfo, clock: Clock, after: float) -> None:
        super().__init__(zone, _Now(after))
        self._machine_zone = zone
        self._clock = clock
        self._backlog: Timeline | None = None
        self._backlog_end: float = 0

    def catch_up(self, years: YearSource, end: int) -> None:
        """Resolve lines at offsets below *end* as history: they were there before we came."""
        self._backlog = Timeline.history(self._machine_zone, years)
        self._backlog_end = end

    def resolve(self, stamp: str, offset: float = END) -> Moment | None:
        """See `Timeline.resolve`."""
        if offset < self._backlog_end and self._backlog is not None:
            return self._backlog.resolve(stamp, offset)
        return super().resolve(stamp, self._clock.now())

    def _read(self, stamp: str, place: float) -> Moment | None:
        self._zone = current_zone(self._machine_zone)
        return super()._read(stamp, place)


class _Now:
    """Knows that what is read now has been written by now."""

    overrun = False

    def __init__(self, after: float) -> None:
        self._after = after

    def at(self, place: float) -> Bound:
        """Return *place*, the clock's seconds; what it says holds for a second."""
        written = place
        if place < _SET_CLOCK:
            written = max(place, self._after, Path(__file__).stat().st_mtime)
        return Bound(written, place, place + 1)

    def learn(self, data: bytes, offset: int) -> None:
        """Do nothing: the clock knows."""
