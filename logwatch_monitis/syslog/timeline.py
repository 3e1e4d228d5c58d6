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
from typing import TYPE_CHECKING, NamedTuple, Protocol

from logwatch_monitis.syslog.dates import DAY, instant, latest, steady_midnight
from logwatch_monitis.syslog.timestamps import read_stamp
from logwatch_monitis.syslog.zones import current_zone

if TYPE_CHECKING:
    from logwatch_monitis.interfaces import Clock

__all__ = ["END", "LiveTimeline", "Minute", "Moment", "Timeline", "WrittenRange", "YearSource"]

END = 1 << 62
"""The offset behind every line: what is known there holds for the whole file."""

_MINUTES = {f"{n // 60:02d}:{n % 60:02d}:": n * 60_000_000 for n in range(1440)}
_SECONDS = {f"{n:02d}": n * 1_000_000 for n in range(60)}
_SYSLOG_WIDTH = len("Mmm dd HH:MM:SS")
_MICRO_WIDTH = 6
_SET_CLOCK = 1_000_000_000  # a clock before September 2001 has not been set since the boot
_SURE_PAST = -363 * DAY  # so far from both ends of the year a whole day lies in the same one
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


class Minute(NamedTuple):
    """What the stamps have in common that a log writes alike within a minute.

    Attributes:
        time_us: of its second 0, microseconds since the epoch, UTC; seconds count from there.
        year: as in `Moment`.
        first, limit: it holds for lines at offsets ``first <= offset < limit``.
    """

    time_us: int
    year: int | None
    first: float
    limit: float


class WrittenRange(NamedTuple):
    """What lies at places ``first <= place < limit`` was written by ``written`` (seconds UTC)."""

    written: float
    first: float
    limit: float


class YearSource(Protocol):
    """Knows by when a line was written."""

    @property
    def overrun(self) -> bool:
        """See `Timeline.overrun`."""

    def at(self, place: float) -> WrittenRange:
        """Return by when the line at *place*, an offset, was written."""

    def learn(self, data: bytes, offset: int, /) -> bool:
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
        self._left, self._tail = "\n", ""
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

    def learn(self, data: bytes, offset: int) -> bool:
        """Take note of a block of whole lines before they are resolved.

        Streams (`StreamYears`) need every block, in order; for others this does nothing.

        Returns:
            Whether a `minute` told before may no longer hold.
        """
        changed = self._years.learn(data, offset)
        if changed:
            self._limit = self._first
        return changed

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
            if stamp.startswith(self._left) and (time_us := self._time(stamp)) >= 0:
                self._stamp = stamp
                self._moment = _new(Moment, (self._midnight + time_us, self._year, False))
                return self._moment
        return self._read(stamp, offset)

    def minute(self, stamp: str, offset: float = END) -> Minute | None:
        """Return the minute of a stamp, or None if its seconds cannot simply be counted.

        That is so where clocks change on that day, and where lines may be from another year.

        Args:
            stamp: `Split.stamp`.
            offset: as for `resolve`.
        """
        at = len(self._left) if self.resolve(stamp, offset) and stamp.startswith(self._left) else 0
        minute = _MINUTES.get(stamp[at : at + 6])
        if not at or minute is None:
            return None
        return Minute(self._midnight + minute, self._year, self._first, self._limit)

    def _time(self, stamp: str) -> int:
        """Return the µs since midnight if the rest of *stamp* is as in the day kept, else -1."""
        at = len(self._left)
        rest = stamp[at + 8 :]
        try:
            time_us = _MINUTES[stamp[at : at + 6]] + _SECONDS[stamp[at + 6 : at + 8]]
        except KeyError:
            return -1
        if rest == self._tail:
            return time_us
        digits = rest[1:7]
        if rest[7:] != self._tail or rest[0] != "." or len(digits) != _MICRO_WIDTH:
            return -1
        return time_us + int(digits) if digits.isdecimal() else -1

    def _read(self, stamp: str, place: float) -> Moment | None:
        """Resolve from scratch, and keep the stamp and its day as far as they hold."""
        written, self._first, self._limit = self._years.at(place)
        zone = self._zone
        self._stamp, self._left = "", "\n"
        reading = read_stamp(stamp)
        if reading is None:
            return Moment(int(written * 1_000_000), None, False) if stamp == "-" else None
        if reading.year is not None:
            year, found = None, instant(reading, reading.year, zone)
        else:
            year, found = latest(reading, written, zone) or (None, None)
        if found is None:
            return None
        if year is None or _SURE_PAST < found.time_us / 1_000_000 - written < 0:
            midnight = steady_midnight(reading, year or reading.year or 0, zone)
            self._keep_day(stamp, midnight, year)
        self._stamp = stamp
        self._moment = Moment(found.time_us, year, found.ambiguous)
        return self._moment

    def _keep_day(self, stamp: str, midnight: int | None, year: int | None) -> None:
        """Keep what stands around the time of day; fits RFC 3164, ISO 8601 and ctime.

        *midnight* is None where the clocks change on that day.
        """
        at = 7 if len(stamp) == _SYSLOG_WIDTH else 11
        tail = stamp[at + 8 :]
        if tail[:1] == "." and tail[1:7].isdecimal():
            tail = tail[7:]
        if midnight is not None and stamp[at + 2 : at + 3] == ":" and not tail[:1].isdecimal():
            self._left, self._tail = stamp[:at], tail
            self._midnight, self._year = midnight, year


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

    def minute(self, stamp: str, offset: float = END) -> Minute | None:
        """See `Timeline.minute`; what is written now is asked for again with the next block."""
        if offset < self._backlog_end and self._backlog is not None:
            found = self._backlog.minute(stamp, offset)
            return found and found._replace(limit=min(found.limit, self._backlog_end))
        found = super().minute(stamp, offset)
        return found and found._replace(first=self._backlog_end, limit=END)

    def _read(self, stamp: str, place: float) -> Moment | None:
        self._zone = current_zone(self._machine_zone)
        return super()._read(stamp, place)


class _Now:
    """Knows that what is read now has been written by now."""

    overrun = False

    def __init__(self, after: float) -> None:
        self._after = after

    def at(self, place: float) -> WrittenRange:
        """Return *place*, the clock's seconds; what it says holds for a second."""
        written = place
        if place < _SET_CLOCK:
            written = max(place, self._after, Path(__file__).stat().st_mtime)
        return WrittenRange(written, place, place + 1)

    def learn(self, _data: bytes, _offset: int, /) -> bool:
        """Return that time goes on."""
        return True
