"""Types of a monitor's parameters: what values may be, and how they are answered."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from logwatch_monitis.protocol.wire import INVALID_MONITOR, DataType, parse_value
from logwatch_monitis.server.store.writer import OperationRefused

__all__ = ["SUSPENDED", "Column", "Columns", "check_values", "columns_of", "typed"]

SUSPENDED = "Monitor is suspended"
AGGREGATES = ("avg", "sum", "min", "max", "last")

_SHOWN = 60
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?")
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def _truth(text: str) -> Any:
    return _TRUTHS.get(text.lower())


def _integer(text: str) -> Any:
    return int(text) if _INTEGER.fullmatch(text) else None


def _float(text: str) -> Any:
    return float(text) if _FLOAT.fullmatch(text) else None


class _Kind(NamedTuple):
    """What a data type is called, and its reader, which returns None for what is none."""

    name: str
    read: Callable[[str], Any]


_KINDS = {
    DataType.BOOLEAN: _Kind("true or false", _truth),
    DataType.INTEGER: _Kind("a whole number", _integer),
    DataType.FLOAT: _Kind("a number", _float),
}


class Column(NamedTuple):
    """What is known of one result parameter.

    Attributes:
        type: what its values are.
        many: a value may be a list.
        aggregate: how `getReport` makes one value out of several.
    """

    type: DataType
    many: bool = False
    aggregate: str = ""


def columns_of(params: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Column]:
    """Return the columns that a stored definition has, by name."""
    many = bool(details.get("multiValue"))
    return {
        row[0]: Column(DataType(int(row[3])), many, row[6] if row[6:] else "")
        for row in params.get("resultParams", ())
    }


def check_values(columns: Mapping[str, Column], values: Mapping[str, str]) -> None:
    """See that each value is what its column says; names without a column pass.

    Raises:
        Refused: the text names parameter, type and value.
    """
    for name, (type_, many, _) in columns.items():
        text = values.get(name)
        if text is None or (type_ is DataType.STRING and not many):
            continue
        if many and text.startswith("["):
            _check_list(name, text, type_)
        elif type_ in _KINDS and _KINDS[type_].read(text.strip()) is None:
            raise _wrong(name, text, type_)


def _check_list(name: str, text: str, type_: DataType) -> None:
    members = _members(text)
    if members is None:
        raise OperationRefused(f"Invalid results: {name} must be a list such as [1,2]")
    for member in members if type_ in _KINDS else ():
        if _KINDS[type_].read(_as_text(member)) is None:
            raise _wrong(name, _as_text(member), type_)


def _wrong(name: str, text: str, type_: DataType) -> OperationRefused:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return OperationRefused(f"Invalid results: {name} must be {_KINDS[type_].name}, not '{shown}'")


def _members(text: str) -> list[Any] | None:
    try:
        value = parse_value(text)
    except ValueError:
        return None
    flat = isinstance(value, list) and not any(isinstance(one, list | dict) for one in value)
    return value if flat else None


def _as_text(member: Any) -> str:
    return member.strip() if isinstance(member, str) else json.dumps(member)


def typed(text: str, column: Column | None) -> Any:
    """Return a stored value as its column says; what is none although it should be stays text."""
    if column is None:
        return text
    if column.many and text.startswith("[") and (members := _members(text)) is not None:
        return [typed(_as_text(one), column._replace(many=False)) for one in members]
    if column.type not in _KINDS:
        return text
    value = _KINDS[column.type].read(text.strip())
    return text if value is None else value


class Columns:
    """The columns of each monitor, remembered by the one thread that writes."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, Column]] = {}

    def of(self, connection: sqlite3.Connection, monitor: int) -> Mapping[str, Column]:
        """Return the columns whose values have to be looked at.

        Raises:
            Refused: there is no such monitor, or it takes no results at present.
        """
        known = self._known.get(monitor)
        if known is None:
            known = self._known[monitor] = _load(connection, monitor)
        return known

    def forget(self) -> None:
        """Remember nothing: definitions changed, or a change of them was undone."""
        self._known.clear()


def _load(connection: sqlite3.Connection, monitor: int) -> dict[str, Column]:
    query = "SELECT suspended, params, details FROM monitors WHERE id=? AND NOT deleted"
    row = connection.execute(query, (monitor,)).fetchone()
    if row is None:
        raise OperationRefused(INVALID_MONITOR)
    if row[0]:
        raise OperationRefused(SUSPENDED)
    found = columns_of(json.loads(row[1]), json.loads(row[2]))
    return {name: one for name, one in found.items() if one.many or one.type in _KINDS}
