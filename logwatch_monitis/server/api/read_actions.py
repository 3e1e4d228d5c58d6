"""The reading actions of the protocol: each from a request's parameters to the answer's value."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from logwatch_monitis.protocol.wire import (
    INVALID_MONITOR,
    MAX_CHECKTIME,
    MISSING_PARAMETER,
    DataType,
    parse_checktime,
    parse_number,
)
from logwatch_monitis.server.api.aggregation import ReportSpan, aggregated, parse_span
from logwatch_monitis.server.store.column_types import columns_of, typed
from logwatch_monitis.server.store.monitor_queries import (
    StoredMonitor,
    list_monitors,
    monitor_additions,
    monitor_results,
)
from logwatch_monitis.server.store.store import Definition, find_definition
from logwatch_monitis.server.store.writer import OperationRefused

__all__ = ["READS", "Answer", "Params", "monitor_id", "monitor_ids", "need"]

T = TypeVar("T")

Params = Mapping[str, str]
MAX_ROWS = 100_000
MAX_AGGREGATED = 1_000_000
MAX_OFFSET = 24 * 60
DAY_MS = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_DETAILS = ("agentId", "agentName", "customUserAgentId", "multiValue", "guiStyle")


class Answer(NamedTuple):
    """What is answered, and how XML names it: the root, and the members of a list.

    Attributes:
        repeated: it is the answer to a write that was done before, and not again.
    """

    value: Any
    root: str
    item: str = "item"
    repeated: bool = False


def need(params: Params, name: str) -> str:
    """Return the parameter *name*.

    Raises:
        Refused: it is missing or empty.
    """
    if value := params.get(name):
        return value
    raise OperationRefused(f"{MISSING_PARAMETER}: {name}")


def monitor_id(text: str) -> int:
    """Return the number of a monitor.

    Raises:
        Refused: it is none.
    """
    number = parse_number(text)
    if number is None:
        raise OperationRefused(INVALID_MONITOR)
    return number


def monitor_ids(text: str) -> list[int]:
    """Return the numbers in a list with commas.

    Raises:
        Refused: one of them is none.
    """
    return [monitor_id(part.strip()) for part in text.split(",")]


def get_monitors(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return id, name, tag and type of each monitor; tag, type, name and agentId narrow it."""
    agent = params.get("agentId")
    found = [
        _head(monitor.id, monitor.definition)
        for monitor in list_monitors(connection, params)
        if not agent or _is_of(monitor, agent)
    ]
    return Answer(found, "monitors", "monitor")


def _is_of(monitor: StoredMonitor, agent: str) -> bool:
    details = monitor.definition.details
    return agent in (details.get("agentId"), details.get("customUserAgentId"))


def get_monitor_info(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return all that defines a monitor; hidden parameters are left out if that is asked."""
    monitor, definition = _find(connection, params)
    lists, details = definition.params, definition.details
    asked = (params.get("excludeHidden", ""), params.get("isExcludeHidden", ""))
    hiding = any(word.lower() in ("true", "1") for word in asked)
    shown = [row for row in lists.get("monitorParams", []) if not (hiding and _hidden(row))]
    value = _head(monitor, definition) | {
        "resultParams": _items(lists.get("resultParams", []), "uom"),
        "additionalResultParams": _items(lists.get("additionalResultParams", []), "uom"),
        "monitorParams": _items(shown, "value"),
    }
    value |= {name: details[name] for name in _SHOWN_DETAILS if name in details}
    return Answer(value | ({"isSuspended": True} if definition.suspended else {}), "monitor")


def _hidden(row: Sequence[str]) -> bool:
    return bool(row[4:]) and row[4].strip().lower() == "true"


def get_monitor_results(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return the results of one day in the time zone that lies *timezone* minutes east of GMT."""
    monitor, definition = _find(connection, params)
    offset = _offset(params)
    start = _day(params) - offset
    found = _rows(connection, monitor, definition, ReportSpan(start, start + DAY_MS, offset))
    return Answer(_at_most(MAX_ROWS, found), "results", "result")


def get_report(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return the results from dateFrom to dateTo, or one row for each interval that has any."""
    monitor, definition = _find(connection, params)
    span = _span(params)
    step = parse_span(params)
    if step is None:
        found = _rows(connection, monitor, definition, span)
    else:
        columns = columns_of(definition.params, definition.details)
        stored = monitor_results(connection, monitor, span.start, span.end)
        rows = aggregated(_at_most(MAX_AGGREGATED, stored), columns, step, span.offset)
        found = (row | _moment(start, span.offset) for start, row in rows)
    return Answer(_at_most(MAX_ROWS, found), "results", "result")


def get_additional_results(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return the additional objects of a checktime, or of all, as they were given."""
    monitor, _ = _find(connection, params)
    start, end = 0, MAX_CHECKTIME + 1
    if text := params.get("checktime"):
        start = parse_checktime(text)
        end = start + 1
    found = (
        one for _, objects in monitor_additions(connection, monitor, start, end) for one in objects
    )
    return Answer(_at_most(MAX_ROWS, found), "additionalResults", "result")


def get_additional_data_report(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return the additional objects from dateFrom to dateTo, each with its moment."""
    monitor, _ = _find(connection, params)
    span = _span(params)
    found = (
        {"additionalResults": objects} | _moment(checktime, span.offset)
        for checktime, objects in monitor_additions(connection, monitor, span.start, span.end)
    )
    return Answer(_at_most(MAX_ROWS, found), "results", "result")


def _find(connection: sqlite3.Connection, params: Params) -> tuple[int, Definition]:
    monitor = monitor_id(need(params, "monitorId"))
    return monitor, find_definition(connection, monitor)


def _rows(
    connection: sqlite3.Connection, monitor: int, definition: Definition, span: ReportSpan
) -> Iterator[dict[str, Any]]:
    columns = columns_of(definition.params, definition.details)
    typing = {
        name: one for name, one in columns.items() if one.many or one.type is not DataType.STRING
    }
    for checktime, values in monitor_results(connection, monitor, span.start, span.end):
        for name in typing.keys() & values.keys():
            values[name] = typed(values[name], typing[name])
        yield values | _moment(checktime, span.offset)


def _moment(checktime: int, offset: int) -> dict[str, Any]:
    """Return the two names of a moment: old clients cut HH:MM off the end of the first."""
    day, rest = divmod((checktime + offset) // 60_000, 24 * 60)
    hour, minute = divmod(rest, 60)
    return {"checkTime": f"{_date(day)} {hour:02}:{minute:02}", "checkTimeInGMT": checktime}


@lru_cache(maxsize=64)
def _date(days: int) -> str:
    try:
        return f"{_EPOCH + timedelta(days=days):%Y-%m-%d}"
    except OverflowError:  # an offset led out of the calendar
        return "9999-12-31" if days > 0 else "0001-01-01"


def _at_most(limit: int, rows: Iterable[T]) -> Iterator[T]:
    for number, row in enumerate(rows):
        if number == limit:
            raise OperationRefused(f"Too many results: more than {limit:,}; ask for a shorter time")
        yield row


def _head(monitor: int, definition: Definition) -> dict[str, Any]:
    name, tag, type_, *_ = definition
    return {"id": str(monitor), "name": name, "tag": tag, "type": type_}


def _items(rows: Sequence[Sequence[str]], third: str) -> list[dict[str, Any]]:
    """Return the definitions as objects; their third cell is a unit, or a value."""
    return [_item(number, row, third) for number, row in enumerate(rows, 1)]


def _item(number: int, row: Sequence[str], third: str) -> dict[str, Any]:
    name, display_name, cell, code = [*row, "", "", ""][:4]
    item = {
        "id": str(number),
        "name": name,
        "displayName": display_name,
        third: cell,
        "dataType": int(code) if code in ("1", "2", "3", "4") else DataType.STRING.value,
    }
    return item | ({"aggregateFunction": row[6]} if third == "uom" and row[6:] else {})


def _day(params: Params) -> int:
    parts = [need(params, name) for name in ("year", "month", "day")]
    year, month, day = [parse_number(part.strip(), 4) or 0 for part in parts]
    try:
        moment = datetime(year, month, day, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise OperationRefused("Invalid year, month or day") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _offset(params: Params) -> int:
    """Return parameter timezone as milliseconds."""
    text = (params.get("timezone") or "0").strip()
    offset = parse_number(text.removeprefix("-").removeprefix("+"), 4)
    if offset is None or offset > MAX_OFFSET:
        raise OperationRefused("Invalid timezone: minutes east of GMT are wanted")
    return offset * (-60_000 if text.startswith("-") else 60_000)


def _span(params: Params) -> ReportSpan:
    start, end = [parse_checktime(need(params, name), name) for name in ("dateFrom", "dateTo")]
    if end < start:
        raise OperationRefused("Invalid dateTo: it lies before dateFrom")
    return ReportSpan(start, end + 1, _offset(params))


Read = Callable[[sqlite3.Connection, Params], Answer]
READS: Mapping[str, Read] = {
    "getMonitors": get_monitors,
    "getMonitorInfo": get_monitor_info,
    "getMonitorResults": get_monitor_results,
    "getAdditionalResults": get_additional_results,
    "getReport": get_report,
    "getAdditionalDataReport": get_additional_data_report,
}
