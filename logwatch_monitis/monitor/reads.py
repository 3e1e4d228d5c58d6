"""The reading actions of the protocol: each from a request's parameters to the answer's value."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from logwatch_monitis.monitis.wire import INVALID_MONITOR, MISSING_PARAMETER, DataType

from .queries import Monitor, find_monitor, list_monitors, monitor_results
from .writer import Refused

__all__ = ["READS", "Answer", "Params", "monitor_id", "need"]

Params = Mapping[str, str]
MAX_OFFSET = 24 * 60
DAY_MS = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = {
    DataType.INTEGER: (re.compile(r"-?[0-9]{1,18}"), int),
    DataType.FLOAT: (re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"), float),
}


class Answer(NamedTuple):
    """What is answered, and how XML names it: the root, and the members of a list."""

    value: Any
    root: str
    item: str = "item"


def need(params: Params, name: str) -> str:
    """Return the parameter *name*.

    Raises:
        Refused: it is missing or empty.
    """
    if value := params.get(name):
        return value
    raise Refused(f"{MISSING_PARAMETER}: {name}")


def monitor_id(text: str) -> int:
    """Return the number of a monitor.

    Raises:
        Refused: it is none.
    """
    if text.isascii() and text.isdigit() and len(text) <= 18:  # noqa: PLR2004
        return int(text)
    raise Refused(INVALID_MONITOR)


def get_monitors(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return id, name, tag and type of each monitor; parameters tag, type and name narrow it."""
    wanted = {name: params[name] for name in ("tag", "type", "name") if params.get(name)}
    found = list_monitors(connection, wanted)
    return Answer([_head(monitor) for monitor in found], "monitors", "monitor")


def get_monitor_info(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return all that defines a monitor; hidden parameters are left out if that is asked."""
    monitor = _monitor(connection, params)
    lists = monitor.definition.params
    asked = (params.get("excludeHidden"), params.get("isExcludeHidden"))
    shown = [
        row
        for row in lists.get("monitorParams", [])
        if not ("true" in asked and row[4:] and row[4].strip().lower() == "true")
    ]
    value = _head(monitor) | {
        "resultParams": _items(lists.get("resultParams", []), "uom"),
        "additionalResultParams": _items(lists.get("additionalResultParams", []), "uom"),
        "monitorParams": _items(shown, "value"),
    }
    return Answer(value, "monitor")


def get_monitor_results(connection: sqlite3.Connection, params: Params) -> Answer:
    """Return the results of one day in the time zone that lies *timezone* minutes east of GMT."""
    monitor = _monitor(connection, params)
    offset = _offset(params.get("timezone") or "0")
    start = _day(params) - offset * 60_000
    types = {row[0]: DataType(int(row[3])) for row in monitor.definition.params["resultParams"]}
    day = f"{_EPOCH + timedelta(milliseconds=start, minutes=offset):%Y-%m-%d}"
    rows = []
    for checktime, values in monitor_results(connection, monitor.id, start, start + DAY_MS):
        row = {name: _typed(value, types.get(name)) for name, value in values.items()}
        hour, minute = divmod((checktime - start) // 60_000, 60)
        row["checkTime"] = f"{day} {hour:02}:{minute:02}"
        row["checkTimeInGMT"] = checktime
        rows.append(row)
    return Answer(rows, "results", "result")


def _monitor(connection: sqlite3.Connection, params: Params) -> Monitor:
    monitor = find_monitor(connection, monitor_id(need(params, "monitorId")))
    if monitor is None:
        raise Refused(INVALID_MONITOR)
    return monitor


def _head(monitor: Monitor) -> dict[str, Any]:
    name, tag, type_, _ = monitor.definition
    return {"id": str(monitor.id), "name": name, "tag": tag, "type": type_}


def _items(rows: Sequence[Sequence[str]], third: str) -> list[dict[str, Any]]:
    """Return the definitions as objects; their third cell is a unit, or a value."""
    return [_item(number, row, third) for number, row in enumerate(rows, 1)]


def _item(number: int, row: Sequence[str], third: str) -> dict[str, Any]:
    name, display_name, cell, code = [*row, "", "", ""][:4]
    return {
        "id": str(number),
        "name": name,
        "displayName": display_name,
        third: cell,
        "dataType": int(code) if code.isdigit() else DataType.STRING.value,
    }


def _day(params: Params) -> int:
    parts = [need(params, name) for name in ("year", "month", "day")]
    try:
        year, month, day = map(int, parts)
        moment = datetime(year, month, day, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Refused("Invalid year, month or day") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _offset(text: str) -> int:
    try:
        offset = int(text)
    except ValueError:
        offset = MAX_OFFSET + 1
    if abs(offset) > MAX_OFFSET:
        raise Refused("Invalid timezone: minutes east of GMT are wanted")
    return offset


def _typed(value: str, data_type: DataType | None) -> Any:
    """Return a number as a number; what is none although it should be stays text."""
    if data_type is DataType.STRING or data_type is None:
        return value
    if data_type is DataType.BOOLEAN and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if data_type in _NUMBERS:
        form, make = _NUMBERS[data_type]
        return make(value) if form.fullmatch(value) else value
    return value


Read = Callable[[sqlite3.Connection, Params], Answer]
READS: Mapping[str, Read] = {
    "getMonitors": get_monitors,
    "getMonitorInfo": get_monitor_info,
    "getMonitorResults": get_monitor_results,
}
