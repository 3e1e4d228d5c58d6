"""By when was a line written? For files whose headers have no year.

The answer comes from a sample of the file's own times and from one moment that is known to be
later than its last line: modification time, gzip's time stamp, the date in a rotated file's name,
the first line of the next newer file. From line to line the year follows these rules:

* a step back by more than 90 days is a New Year passed (``Dec 31`` … ``Jan  1``, and silences of
  up to nine months); a smaller one is disorder among several machines, in the same year;
* a step forward by more than 276 days is disorder too: a late line of last December;
* a short run of lines (within a day of each other) that leaves a steady log and comes back to
  within three days is a clock that was wrong, and changes nothing for the lines around it; one
  that begins where the epoch began (``Jan  1 00:00:07``) is so however late in that year it ends
  (a stream whose block ends within such a run takes it for a New Year, until the next block);
* a header that has its year settles the years of its neighbours;
* a 29 February is in a leap year: a whole file moves back until it is.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.syslog.dates import DAY, LEAP_GAP, instant, is_leap, latest
from logwatch_monitis.syslog.file_times import reference_time
from logwatch_monitis.syslog.sampling import (
    YEAR,
    TimeSample,
    apart,
    position_of,
    sample_block,
    sample_file,
)
from logwatch_monitis.syslog.timeline import END, WrittenRange
from logwatch_monitis.syslog.timestamps import Timestamp

__all__ = ["StreamYears", "Years", "file_years"]

_DISORDER = 90 * DAY
_UNSEEN = 7 * DAY
_LEAVE = 31 * DAY
_RETURN = 3 * DAY
_MEAN_YEAR = 365.2425 * DAY
_HOUR = 3600
_BOOT = _HOUR  # seconds after the epoch in which a clock that was never set begins a run of lines


class _Dated(NamedTuple):
    """A sample with its year; ``time`` is in seconds UTC."""

    sample: TimeSample
    year: int
    time: float


@dataclass(frozen=True, slots=True)
class Years:
    """By when each line of a file was written; small, constant, and fit for another process.

    Attributes:
        offsets: where a new bound begins to hold; ascending, the first is 0.
        bounds: seconds UTC, one for each offset.
        first: the time of the first line, None if no line has one; a reference for older files.
        last: the time of the last line, None if no line has one.
    """

    offsets: tuple[int, ...]
    bounds: tuple[float, ...]
    first: float | None = None
    last: float | None = None

    @property
    def overrun(self) -> bool:
        """Never: the last line was known before the first was dated."""
        return False

    def at(self, place: float) -> WrittenRange:
        """Return by when the line at this offset was written."""
        return _lookup(self.offsets, self.bounds, place)

    def learn(self, _data: bytes, _offset: int, /) -> bool:
        """Do nothing: the file is known."""
        return False


def file_years(
    path: str | os.PathLike[str],
    zone: tzinfo,
    *,
    reference: float | None = None,
    start_year: int | None = None,
) -> Years:
    """Return the years of a plain file, from a few hundred short reads whatever its size.

    Args:
        path: of the file, uncompressed.
        zone: of times that name none.
        reference: a moment after the last line (seconds UTC); None takes the earliest of what
            name and modification time say (`reference_time`).
        start_year: the year of the file's first line, if somebody knows better.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        samples = sample_file(file.fileno(), status.st_size)
    if reference is None:
        reference = reference_time(os.fspath(path), zone, modified=status.st_mtime)
    return _years(samples, zone, reference, start_year)


def _years(
    samples: Sequence[TimeSample], zone: tzinfo, reference: float, start_year: int | None
) -> Years:
    dated = _date_file(samples, zone, reference, start_year)
    if not dated:
        return Years((0,), (reference,))
    end = reference if start_year is None else max(reference, dated[-1].time)
    offsets, bounds = _bounds(dated, end)
    return Years(
        (*offsets, dated[-1].sample.offset + 1), (*bounds, end), dated[0].time, dated[-1].time
    )


def _date_file(
    samples: Sequence[TimeSample], zone: tzinfo, reference: float, start_year: int | None
) -> list[_Dated]:
    steady, _ = _without_excursions(samples, zone, _position_at(reference, zone))
    if not steady:
        return []
    turns = _turns(steady)
    written = _written(steady)
    if written:
        base = _settled(steady, turns, written)
    elif start_year is not None:
        base = [start_year] * len(steady)
    else:
        last = _latest_year(steady[-1], reference, zone)
        base = [_leap_start(steady, turns, last - turns[-1])] * len(steady)
    return _dated(steady, base, turns, zone)


def _written(steady: Sequence[TimeSample]) -> list[int]:
    return [index for index, sample in enumerate(steady) if sample.reading.year is not None]


def _settled(
    steady: Sequence[TimeSample], turns: Sequence[int], written: Sequence[int]
) -> list[int]:
    """Return each sample's start year from the next written year, else from the last one."""
    base: list[int] = []
    for index in range(len(steady)):
        known = written[min(bisect_right(written, index - 1), len(written) - 1)]
        base.append((steady[known].reading.year or 0) - turns[known])
    return base


def _leap_start(steady: Sequence[TimeSample], turns: Sequence[int], start: int) -> int:
    """Return the latest start year up to *start* that puts every 29 February into a leap year."""
    leaps = {turn for s, turn in zip(steady, turns, strict=True) if _is_leap_day(s.reading)}
    for year in range(start, start - LEAP_GAP - 1, -1):
        if all(is_leap(year + turn) for turn in leaps):
            return year
    return start


def _without_excursions(
    samples: Sequence[TimeSample], zone: tzinfo, home: int | None = None
) -> tuple[list[TimeSample], int]:
    """Return the samples without those of wrong clocks, and how many at the end are settled.

    Args:
        samples: in order of their offsets.
        zone: says where in the year the epoch began.
        home: the position of the moment after the last sample, None if more will follow.
    """
    epoch = _position_at(0, zone)
    kept: list[TimeSample] = []
    settled = index = 0
    while index < len(samples):
        end = index + 1
        if kept and _leaves(kept[-1].position, samples[index].position, epoch):
            end = _end_of_run(samples, index)
            back = samples[end].position if end < len(samples) else home
            if back is None:
                settled = len(kept)
            elif _is_excursion(kept[-2:], samples[index].position, back, epoch):
                index = end
                continue
        kept.extend(samples[index:end])
        index = end
    return kept, settled or len(kept)


def _end_of_run(samples: Sequence[TimeSample], start: int) -> int:
    end = start
    while end < len(samples) and apart(samples[end].position, samples[start].position) <= DAY:
        end += 1
    return end


def _leaves(left: int, run: int, epoch: int) -> bool:
    return apart(left, run) > (DAY if _is_unset(run, epoch) else _LEAVE)


def _is_unset(run: int, epoch: int) -> bool:
    return (run - epoch) % YEAR <= _BOOT


def _is_excursion(before: Sequence[TimeSample], run: int, back: int, epoch: int) -> bool:
    left = before[-1].position
    if apart(run, back) <= DAY:
        return False
    returned = apart(left, back) <= _RETURN
    if len(before) > 1 and apart(left, before[0].position) <= _RETURN:
        return returned or (_is_unset(run, epoch) and back >= left)
    return returned and _is_unset(run, epoch)


def _turns(samples: Sequence[TimeSample]) -> list[int]:
    """Return how many New Years lie between the first sample and each."""
    turn = 0
    turns = [0]
    for early, late in pairwise(samples):
        step = late.position - early.position
        if step < -_DISORDER:
            turn += 1
        elif step > YEAR - _DISORDER:
            turn -= 1
        turns.append(turn)
    return turns


def _bounds(dated: Sequence[_Dated], end: float) -> tuple[list[int], list[float]]:
    """Return for each sample by when the lines up to the next one were written.

    Samples show only part of the disorder among lines: where they show some, the largest step
    back is added, at least a week; where they are more than a day apart, a week.
    """
    times = [item.time for item in dated]
    disorder = max((early - late for early, late in pairwise(times)), default=0.0)
    seen = max(min(disorder, _DISORDER), _UNSEEN) if disorder > _HOUR else 0.0
    bounds = [
        min(max(early, late) + max(seen, _UNSEEN if late - early > DAY else 0), end)
        for early, late in pairwise([*times, times[-1]])
    ]
    offsets = [item.sample.offset for item in dated]
    offsets[0] = 0
    return offsets, bounds


def _lookup(offsets: Sequence[int], bounds: Sequence[float], place: float) -> WrittenRange:
    index = max(bisect_right(offsets, place) - 1, 0)
    limit = offsets[index + 1] if index + 1 < len(offsets) else END + 1
    return WrittenRange(bounds[index], offsets[index], limit)


def _dated(
    samples: Sequence[TimeSample], starts: Sequence[int], turns: Sequence[int], zone: tzinfo
) -> list[_Dated]:
    """Return the samples with their years: that of the first line and the New Years since."""
    dated = []
    for sample, start, turn in zip(samples, starts, turns, strict=True):
        reading = sample.reading
        year = start + turn if reading.year is None else reading.year
        found = instant(reading, year, zone) or instant(reading._replace(day=28), year, zone)
        dated.append(_Dated(sample, year, found.time_us / 1_000_000 if found else 0.0))
    return dated


def _is_leap_day(reading: Timestamp) -> bool:
    return (reading.month, reading.day) == (2, 29)


def _latest_year(sample: TimeSample, reference: float, zone: tzinfo) -> int:
    """Return the latest year that fits; for ``Feb 30`` any will do."""
    found = latest(sample.reading, reference, zone)
    return found[0] if found else datetime.fromtimestamp(reference, UTC).year


def _position_at(seconds: float, zone: tzinfo) -> int:
    local = datetime.fromtimestamp(seconds, zone)
    second = local.hour * 3600 + local.minute * 60 + local.second
    return position_of(Timestamp(None, local.month, local.day, second, 0, None))


class StreamYears:
    """By when each line of a stream was written, learned block by block.

    A compressed or piped file cannot be sampled before it is read, so its last line is unknown:
    the first line is taken to lie in the latest year in which it can, and New Years are counted
    from there. A stream of more than a year runs past its reference that way, and a 29 February
    may fall in a year without; `overrun` says so, and `start_year` where a second reading begins.
    """

    def __init__(self, zone: tzinfo, *, reference: float, start_year: int | None = None) -> None:
        """Begin at the first byte; *reference* and *start_year* as for `file_years`."""
        self._zone = zone
        self._reference = reference
        self._end = reference if start_year is None else float(END)
        self._start = start_year
        self._late = 0
        self._leap_years: set[int] = set()
        self._open: list[_Dated] = []
        self._offsets = [0]
        self._bounds = [reference]
        self.first: float | None = None

    @property
    def overrun(self) -> bool:
        """The years assumed cannot be right for what has been learned so far."""
        return self.start_year != self._start

    @property
    def start_year(self) -> int | None:
        """The latest year of the first line that fits what was learned; None if nothing says."""
        if self._start is None:
            return None
        years = range(self._start - self._late, self._start - self._late - LEAP_GAP - 1, -1)
        moved = (
            year for year in years if all(is_leap(y + year - self._start) for y in self._leap_years)
        )
        return next(moved, self._start - self._late)

    def at(self, place: float) -> WrittenRange:
        """Return by when the line at this offset of the last block learned was written."""
        return _lookup(self._offsets, self._bounds, place)

    def learn(self, data: bytes, offset: int) -> bool:
        """Take the next block of whole lines; blocks come in order and without gaps."""
        before = [dated.sample for dated in self._open]
        steady, settled = _without_excursions([*before, *sample_block(data, offset)], self._zone)
        if not steady:
            return False
        dated = self._date(steady)
        if self.first is None:
            self.first = dated[0].time
        self._offsets, self._bounds = _bounds(dated, self._end)
        self._open = dated[max(settled - 2, 0) :]
        return True

    def _date(self, steady: Sequence[TimeSample]) -> list[_Dated]:
        turns, written = _turns(steady), _written(steady)
        known = self._open[0].year if self._open else self._start
        if written:
            base = _settled(steady, turns, written)
            if known is not None:
                self._late = max(self._late, known - base[0])
            return _dated(steady, base, turns, self._zone)
        if known is None:
            known = self._start = _latest_year(steady[0], self._reference, self._zone)
        dated = _dated(steady, [known] * len(steady), turns, self._zone)
        self._check(dated)
        return dated

    def _check(self, dated: Iterable[_Dated]) -> None:
        """Note what contradicts the start year."""
        for item in dated:
            if _is_leap_day(item.sample.reading):
                self._leap_years.add(item.year)
            while item.time - self._late * _MEAN_YEAR > self._reference + DAY:
                self._late += 1
