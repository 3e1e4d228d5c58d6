"""A few stamps out of many lines: where in the year a file is, at which offset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from logwatch_monitis.syslog.dates import DAY
from logwatch_monitis.syslog.headers import stamp_at_start
from logwatch_monitis.syslog.timestamps import Timestamp, read_stamp

__all__ = ["YEAR", "TimeSample", "apart", "position_of", "sample_block", "sample_file"]

YEAR = 366 * DAY
"""Seconds of a leap year, in which every written date has its place."""

_BEFORE_MONTH = (0, *accumulate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30)))
_HEADER = 128  # bytes of a line that hold its time in every form
_EVERY_LINE = 32_768  # up to this size each line is looked at
_FEW = 8  # samples of anything larger: enough where they lie within a day of each other
_GRID = 128  # samples otherwise, before gaps are closed
_NEAR = 7 * DAY  # gaps in time longer than this are looked into
_WINDOWS = (1024, 65_536)  # bytes in which the next readable line is sought
_MOST = 4096  # looks into gaps, for files that mix times far apart throughout


class TimeSample(NamedTuple):
    """The time at the beginning of one line.

    Attributes:
        offset: of the line.
        position: seconds since the beginning of a leap year, by the line's own clocks.
        reading: the time as written.
    """

    offset: int
    position: int
    reading: Timestamp


_Fetch = Callable[[int, int], bytes]


def position_of(reading: Timestamp) -> int:
    """Return the seconds from the beginning of a leap year to *reading*."""
    return (_BEFORE_MONTH[reading.month - 1] + reading.day - 1) * DAY + reading.second


def apart(one: int, other: int) -> int:
    """Return the seconds between two positions, the short way round the year."""
    distance = abs(one - other)
    return min(distance, YEAR - distance)


def sample_file(descriptor: int, size: int) -> list[TimeSample]:
    """Return samples of an open file, in order of their offsets.

    Costs a few hundred short reads whatever the size: a grid, and between neighbours that are
    more than a week apart the places where the time jumps.
    """
    return _sample(lambda offset, count: os.pread(descriptor, count, offset), size)


def sample_block(data: bytes, offset: int) -> list[TimeSample]:
    """Return samples of a block of whole lines that begins at *offset*."""
    found = _sample(lambda start, count: data[start : start + count], len(data))
    return [sample._replace(offset=sample.offset + offset) for sample in found]


def _sample(fetch: _Fetch, size: int) -> list[TimeSample]:
    if size <= _EVERY_LINE:
        return list(_stamps(fetch(0, size), 0))
    samples = _grid(fetch, size, _FEW)
    if all(_is_even(early, late) for early, late in pairwise(samples)):
        return samples
    samples = _grid(fetch, size, _GRID)
    looks = iter(range(_MOST))
    closed = [s for a, b in pairwise(samples) for s in _between(fetch, a, b, looks)]
    return closed + samples[-1:]


def _is_even(early: TimeSample, late: TimeSample) -> bool:
    """Return whether nothing between two neighbours can be in doubt."""
    written = early.reading.year is not None and late.reading.year is not None
    return written or apart(early.position, late.position) <= DAY


def _grid(fetch: _Fetch, size: int, count: int) -> list[TimeSample]:
    """Return up to *count* samples evenly over the file, and its last line's."""
    places = range(0, size, size // count)
    found = [_sample_at(fetch, place, size) for place in places]
    found.append(_last_sample(fetch, size))
    return sorted({sample for sample in found if sample is not None})


def _between(
    fetch: _Fetch, early: TimeSample, late: TimeSample, looks: Iterator[int]
) -> Iterator[TimeSample]:
    """Yield *early* and what lies between it and *late*, as far as the time jumps there."""
    stack = [late]
    while stack:
        late = stack[-1]
        middle = None
        if apart(early.position, late.position) > _NEAR and next(looks, None) is not None:
            middle = _middle(fetch, early.offset, late.offset)
        if middle is not None:
            stack.append(middle)
            continue
        yield early
        early = stack.pop()


def _middle(fetch: _Fetch, low: int, high: int) -> TimeSample | None:
    """Return a sample strictly between two lines, near the middle; None if there is none."""
    for place in (low + (high - low) // 2, low + 1):
        sample = _sample_at(fetch, place, high)
        if sample is not None and low < sample.offset < high:
            return sample
    return None


def _sample_at(fetch: _Fetch, place: int, limit: int) -> TimeSample | None:
    """Return the first line with a time that begins at *place* or behind it, before *limit*."""
    back = 1 if place else 0
    for window in _WINDOWS:
        data = fetch(place - back, min(window, limit - place + back))
        begin = data.find(b"\n") + 1 if back else 0
        if begin or not back:
            sample = next(_stamps(data[begin:], place - back + begin), None)
            if sample is not None:
                return sample
    return None


def _last_sample(fetch: _Fetch, size: int) -> TimeSample | None:
    start = max(size - _WINDOWS[-1], 0)
    data = fetch(start, size - start)
    end = len(data)
    while (begin := data.rfind(b"\n", 0, max(end - 1, 0)) + 1) > 0:
        sample = next(_stamps(data[begin:end], start + begin), None)
        if sample is not None:
            return sample
        end = begin
    return None


def _stamps(data: bytes, offset: int) -> Iterator[TimeSample]:
    """Yield the samples of all lines of *data*, which begins with a line at *offset*."""
    begin = 0
    while 0 <= begin < len(data):
        header = data[begin : begin + _HEADER].lstrip(b"\0")
        reading = _reading(header.partition(b"\n")[0])
        if reading is not None:
            yield TimeSample(offset + begin, position_of(reading), reading)
        begin = data.find(b"\n", begin) + 1 or -1


@lru_cache(maxsize=64)
def _of_day(text: bytes) -> Timestamp | None:
    """Return ``Mmm dd`` as a time; many lines share it."""
    return read_stamp(f"{text.decode('latin-1')} 00:00:00")


def _reading(header: bytes) -> Timestamp | None:
    if header[6:7] == b" " and header[9:10] == b":" and header[12:13] == b":":
        day = _of_day(header[:6])
        if day is not None and header[15:16] == b" ":
            return _at_time(day, header[7:15])
    stamp = stamp_at_start(header.decode("utf-8", "backslashreplace"))
    return None if stamp is None else read_stamp(stamp)


def _at_time(day: Timestamp, time: bytes) -> Timestamp | None:
    hour, minute, second = time[:2], time[3:5], time[6:]
    if not (hour + minute + second).isdigit():
        return None
    return day._replace(second=int(hour) * 3600 + int(minute) * 60 + int(second))
