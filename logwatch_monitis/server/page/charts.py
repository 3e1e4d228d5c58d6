"""Charts: stacked bars, a calendar, a line. Places are percent of a chart's width."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from logwatch_monitis.server.page.time_ranges import Bucket

__all__ = ["Bar", "BarChart", "Calendar", "Day", "Segment", "bars", "calendar", "line"]

MOST_SERIES = 6
OTHER = "all others"
_LEVELS = 4
_COLORS = {"sshd": 0, "sudo": 1, "su": 2, "vsftpd": 3, "login": 4}
_FREE, _REST = 5, 8
_STEPS = (1, 2, 2.5, 5, 10)


class Segment(NamedTuple):
    """A part of a bar: of which service, how many, which colour; *top* and *height* in percent."""

    service: str
    logins: int
    color: int
    top: float
    height: float


class Bar(NamedTuple):
    """A bar with its span, its sum, its parts from the bottom up, and where it stands."""

    bucket: Bucket
    logins: int
    left: float
    width: float
    segments: tuple[Segment, ...]


class BarChart(NamedTuple):
    """A bar chart.

    Attributes:
        bars: from left to right.
        series: each service with its colour and its sum, the greatest first.
        ticks: values on the axis with their height in percent from the top.
        labels: names under the bars with their place in percent from the left.
        logins: the sum.
    """

    bars: tuple[Bar, ...]
    series: tuple[tuple[str, int, int], ...]
    ticks: tuple[tuple[int, float], ...]
    labels: tuple[tuple[str, float], ...]
    logins: int


class Day(NamedTuple):
    """A day of a calendar: column and row, its number of logins, and how dark it is, 0 to 4."""

    day: date
    column: int
    row: int
    logins: int
    level: int


class Calendar(NamedTuple):
    """A year of days, the columns with the months' names, and the sum of each month."""

    days: tuple[Day, ...]
    months: tuple[tuple[int, date], ...]
    sums: tuple[tuple[date, int], ...]
    logins: int
    busiest: Day | None


def bars(
    spans: Sequence[Bucket], stacks: Sequence[Counter[str]], labels: Mapping[int, str]
) -> BarChart:
    """Return the chart of one stack by service for each of the *spans*.

    *labels* are names by number of the bar.
    """
    sums = sum(stacks, Counter[str]())
    series = _series(sums)
    colors = {name: color for name, color, _ in series}
    greatest = max(stack.total() for stack in stacks)
    step = _step(greatest)
    highest = max(step, -(-greatest // step) * step)
    width = 100 / len(spans)
    made = tuple(
        Bar(span, stack.total(), width * at, width, _segments(stack, colors, highest))
        for at, (span, stack) in enumerate(zip(spans, stacks, strict=True))
    )
    ticks = tuple((v, round(100 - 100 * v / highest, 2)) for v in range(0, highest + 1, step))
    places = tuple((text, round(width * (at + 0.5), 2)) for at, text in labels.items())
    return BarChart(made, series, ticks, places, sums.total())


def _series(sums: Counter[str]) -> tuple[tuple[str, int, int], ...]:
    """Give each service its colour: well-known ones always the same."""
    names = [name for name, _ in sorted(sums.items(), key=lambda item: (-item[1], item[0]))]
    shown = names[:MOST_SERIES] if len(names) > MOST_SERIES + 1 else names
    free = iter((*range(_FREE, 8), *range(_FREE)))
    taken = {_COLORS[name] for name in shown if name in _COLORS}
    series = []
    for name in shown:
        color = _COLORS.get(name)
        if color is None:
            color = next(one for one in free if one not in taken)
            taken.add(color)
        series.append((name, color, sums[name]))
    rest = sum(sums[name] for name in names[len(shown) :])
    return (*series, (OTHER, _REST, rest)) if rest else tuple(series)


def _segments(stack: Counter[str], colors: Mapping[str, int], highest: int) -> tuple[Segment, ...]:
    known = [
        (name, color, stack[name])
        for name, color in colors.items()
        if stack[name] and color != _REST
    ]
    rest = stack.total() - sum(count for _, _, count in known)
    if rest:
        known.append((OTHER, _REST, rest))
    found, below = [], 0
    for name, color, count in known:
        below += count
        top, height = 100 - 100 * below / highest, 100 * count / highest
        found.append(Segment(name, count, color, round(top, 3), round(height, 3)))
    return tuple(found)


def _step(greatest: int) -> int:
    """Return the distance of ticks: three or four to a chart."""
    wanted = max(1.0, greatest / 4)
    power = 1
    while power * 10 <= wanted:
        power *= 10
    steps = [int(step * power) for step in _STEPS if step * power == int(step * power)]
    return next(step for step in steps if step >= wanted)


def calendar(days: Sequence[date], sums: Sequence[int], last: date) -> Calendar:
    """Return the calendar of one sum for each of the *days*, whole weeks from a Monday on.

    Days after *last* are left out unless they hold logins.
    """
    ranks = sorted(count for count in sums if count)
    made = tuple(
        Day(day, at // 7, at % 7, count, _level(ranks, count))
        for at, (day, count) in enumerate(zip(days, sums, strict=True))
        if day <= last or count
    )
    firsts = tuple((day.column, day.day) for day in made if day.day.day == 1)
    months: Counter[date] = Counter()
    for day in made:
        months[day.day.replace(day=1)] += day.logins
    busiest = max(made, key=lambda day: day.logins, default=None)
    return Calendar(made, firsts, tuple(sorted(months.items())), sum(sums), busiest)


def _level(ranks: Sequence[int], count: int) -> int:
    """Return 0 for none, else which quarter of the days with logins it belongs to."""
    if not count:
        return 0
    if ranks[0] == ranks[-1]:
        return 2
    return 1 + min(_LEVELS - 1, bisect_left(ranks, count) * _LEVELS // len(ranks))


def line(values: Sequence[float]) -> str:
    """Return the points of a line through *values*, on a field of 100 by 100."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = 100 / max(1, len(values) - 1)
    return " ".join(
        f"{round(at * step, 2)},{round(100 - 100 * (value - low) / span, 2)}"
        for at, value in enumerate(values)
    )
