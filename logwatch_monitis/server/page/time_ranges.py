"""Time ranges as people divide them: which bars a chart has, which days a calendar has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Bucket", "buckets", "day_start", "days_until", "labels", "named", "recent"]

HOUR = 3_600_000
DAY = 24 * HOUR
WEEKS = 53

_STEPS = (
    (2 * HOUR, HOUR // 4),
    (50 * HOUR, HOUR),
    (8 * DAY, 6 * HOUR),
    (62 * DAY, DAY),
    (400 * DAY, 7 * DAY),
    (5 * 366 * DAY, 31 * DAY),
)
_YEAR = 366 * DAY
MOST_BARS = 200


class Bucket(NamedTuple):
    """One bar's span: *start* ≤ time < *end* in ms, and what it is called."""

    start: int
    end: int
    name: str


def day_start(day: date, zone: tzinfo) -> int:
    """Return the first instant of a day in ms."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def days_until(last: date) -> list[date]:
    """Return the days of `WEEKS` whole weeks, Monday first, up to the one with *last*."""
    first = last - timedelta(days=last.weekday() + 7 * (WEEKS - 1))
    return [first + timedelta(days=number) for number in range(7 * WEEKS)]


def recent(period: str, now: int, zone: tzinfo) -> int:
    """Return where ``24h``, ``7d``, ``30d`` or ``365d`` begins, as the address means it."""
    from logwatch_monitis.server.page.query import parse

    start = parse({"since": period}, now / 1000, zone).start
    assert start is not None
    return start


def buckets(start: int, end: int, zone: tzinfo) -> list[Bucket]:
    """Divide a span into bars, whole hours, days, weeks, months or years in the *zone*."""
    span = end - start
    step = next((step for longest, step in _STEPS if span <= longest), _YEAR)
    edges = [start, *_edges(start, end, step, zone), end]
    name = _namer(step, zone)
    return [Bucket(a, b, name(a, b)) for a, b in pairwise(edges)]


def _edges(start: int, end: int, step: int, zone: tzinfo) -> Iterator[int]:
    """Yield what lies between two bars."""
    if step <= HOUR:
        yield from range((start // step + 1) * step, end, step)
        return
    moment = datetime.fromtimestamp(start / 1000, zone).replace(minute=0, second=0, microsecond=0)
    moment = moment.replace(hour=moment.hour // 6 * 6 if step < DAY else 0)
    if step == 7 * DAY:
        moment -= timedelta(days=moment.weekday())
    for _ in range(MOST_BARS):
        moment = _after(moment, step)
        at = round(moment.timestamp() * 1000)
        if at >= end:
            return
        if at > start:
            yield at


def _after(moment: datetime, step: int) -> datetime:
    """Return the next edge; arithmetic on local times, so days may have 23 or 25 hours."""
    if step <= 7 * DAY:
        return moment + timedelta(milliseconds=step)
    if step < _YEAR:
        return (moment.replace(day=1) + timedelta(days=32)).replace(day=1)
    return moment.replace(year=moment.year + 1, month=1, day=1)


def _namer(step: int, zone: tzinfo) -> Callable[[int, int], str]:
    forms = {31 * DAY: "{a:%B %Y}", _YEAR: "{a:%Y}", DAY: "{a:%a} {a.day} {a:%b %Y}"}
    if step == 7 * DAY:
        form = "{a.day} {a:%b} to {z.day} {z:%b %Y}"
    else:
        form = forms.get(step, "{a:%a} {a.day} {a:%b}, {a:%H:%M} to {b:%H:%M}")

    def name(start: int, end: int) -> str:
        first, after, last = (
            datetime.fromtimestamp(at / 1000, zone) for at in (start, end, end - 1)
        )
        return form.format(a=first, b=after, z=last)

    return name


def named(start: int | None, end: int | None, zone: tzinfo) -> str:
    """Return what a span is called, such as ``22 Nov 2026`` or ``22 Nov 2026, 12:00 to 13:00``."""
    first = datetime.fromtimestamp(start / 1000, zone) if start is not None else None
    last = datetime.fromtimestamp(end / 1000, zone) if end is not None else None
    if first and last:
        return _between(first, last)
    return f"since {_moment(first)}" if first else f"before {_moment(last)}" if last else "any time"


def _between(first: datetime, last: datetime) -> str:
    until = last - timedelta(milliseconds=1)
    if first.time() == last.time() == datetime.min.time():
        return _day(first) if first.date() == until.date() else f"{_day(first)} to {_day(until)}"
    if first.date() == until.date():
        return f"{_day(first)}, {first:%H:%M} to {last:%H:%M}"
    return f"{_moment(first)} to {_moment(last)}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def _moment(moment: datetime | None) -> str:
    assert moment is not None
    return (
        _day(moment) if moment.time() == datetime.min.time() else f"{_day(moment)}, {moment:%H:%M}"
    )


def labels(bars: list[Bucket], zone: tzinfo) -> dict[int, str]:
    """Return what stands under a few of the bars, by number."""
    width = bars[-1].end - bars[0].start
    length = bars[len(bars) // 2].end - bars[len(bars) // 2].start
    moments = [datetime.fromtimestamp(bar.start / 1000, zone) for bar in bars]
    if length >= _YEAR - 2 * DAY:
        return {at: f"{moment:%Y}" for at, moment in enumerate(moments)}
    if length > DAY:
        return _changes([(f"{moment:%b}", moment.month) for moment in moments])
    if width > 8 * DAY:
        every = -(-len(bars) // 8)
        return {at: _short(moments[at]) for at in range(0, len(bars), every)}
    if length > HOUR:
        return _changes([(f"{moment:%a} {moment.day}", moment.day) for moment in moments])
    every = -(-len(bars) // 8)
    every = next(step for step in (1, 2, 3, 4, 6, 12) if step >= every)
    return {at: f"{moment:%H:%M}" for at, moment in enumerate(moments) if at % every == 0}


def _short(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"


def _changes(names: list[tuple[str, int]]) -> dict[int, str]:
    """Return the names where they differ from the one before; of two close ones the later."""
    apart = -(-len(names) // 14)
    found: dict[int, str] = {}
    last = -len(names)
    for at, (name, key) in enumerate(names):
        if not at or key != names[at - 1][1]:
            if at - last < apart:
                del found[last]
            found[at] = name
            last = at
    return found
