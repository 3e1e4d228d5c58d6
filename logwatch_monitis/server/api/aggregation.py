"""Reports: many results made into one row for each interval of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from logwatch_monitis.protocol.wire import MAX_CHECKTIME, DataType, parse_number
from logwatch_monitis.server.store.column_types import Column, typed
from logwatch_monitis.server.store.writer import OperationRefused

__all__ = ["ReportSpan", "Step", "aggregated", "parse_span"]

MAX_INTERVAL = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"min": 60_000, "hour": 3_600_000, "day": 86_400_000}
_MONTH = "month"
_NUMBERS = (DataType.INTEGER, DataType.FLOAT)


class ReportSpan(NamedTuple):
    """From *start* to before *end*, in ms since the epoch, seen in a zone *offset* ms east."""

    start: int
    end: int
    offset: int


class Step(NamedTuple):
    """An interval: so many of a unit, ``min``, ``hour``, ``day`` or ``month``."""

    number: int
    unit: str

    def start(self, moment: int, offset: int) -> int:
        """Return the beginning of the interval with *moment*, as clocks *offset* ms east go.

        Minutes, hours and days are counted from 1970 on, months from a January on.
        """
        local = moment + offset
        if self.unit != _MONTH:
            length = self.number * _UNITS[self.unit]
            return local - local % length - offset
        date = _EPOCH + timedelta(milliseconds=min(local, MAX_CHECKTIME))
        months = date.year * 12 + date.month - 1
        year, month = divmod(months - months % self.number, 12)
        first = datetime(max(year, 1), month + 1, 1, tzinfo=UTC)
        return (first - _EPOCH) // timedelta(milliseconds=1) - offset


def parse_span(params: Mapping[str, str]) -> Step | None:
    """Return the interval that a request asks for, None for single results.

    Raises:
        Refused: there is no such interval.
    """
    count, unit = params.get("interval", ""), params.get("intervalType", "").lower()
    if not count and not unit:
        return None
    if unit not in (*_UNITS, _MONTH):
        raise OperationRefused("Invalid intervalType: min, hour, day or month is wanted")
    number = parse_number(count or "1", 5)
    if not number or number > MAX_INTERVAL:
        raise OperationRefused(f"Invalid interval: a number from 1 to {MAX_INTERVAL} is wanted")
    return Step(number, unit)


def aggregated(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    columns: Mapping[str, Column],
    step: Step,
    offset: int,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the beginning and the values of each interval that has results, in their order.

    Each column is put together as its definition says: ``avg``, ``sum``, ``min``, ``max`` or
    ``last``; by default numbers by their average, all else by the last.
    """
    for start, group in groupby(rows, key=lambda row: step.start(row[0], offset)):
        columns_seen: dict[str, _Numbers] = {}
        last: dict[str, Any] = {}
        for _, values in group:
            last.update(values)
            for name in columns.keys() & values.keys():
                seen = columns_seen.setdefault(name, _Numbers())
                seen.take(typed(values[name], columns[name]))
        yield start, {name: _value(last[name], columns, columns_seen, name) for name in last}


def _value(
    last: Any, columns: Mapping[str, Column], seen: Mapping[str, _Numbers], name: str
) -> Any:
    column = columns.get(name)
    if column is None:
        return last
    usual = "avg" if column.type in _NUMBERS else "last"
    made = seen[name].made(column.aggregate or usual)
    return typed(last, column) if made is None else made


class _Numbers:
    """What is kept of a column's numbers."""

    __slots__ = ("count", "high", "low", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total: float = 0
        self.low: float = 0
        self.high: float = 0

    def take(self, value: Any) -> None:
        """Count a value, or each of a list; what is no number does not count."""
        members: Sequence[Any] = value if isinstance(value, list) else [value]
        for one in members:
            if isinstance(one, int | float) and not isinstance(one, bool):
                self.low = min(self.low, one) if self.count else one
                self.high = max(self.high, one) if self.count else one
                self.total += one
                self.count += 1

    def made(self, how: str) -> float | None:
        """Return the numbers as one, None for the last value or if there are none."""
        if not self.count:
            return None
        ways = {
            "avg": self.total / self.count,
            "sum": self.total,
            "min": self.low,
            "max": self.high,
        }
        return ways.get(how)
