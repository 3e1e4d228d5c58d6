"""The account's monitors as the page shows them, whatever their results are."""

# ruff: noqa: S608 - queries are put together from names in this module; values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from logwatch_monitis.login import iso_time
from logwatch_monitis.protocol.wire import DataType
from logwatch_monitis.server.page.charts import line
from logwatch_monitis.server.page.query import Asked, Cursor
from logwatch_monitis.server.store.column_types import columns_of, typed
from logwatch_monitis.server.store.store import Definition, find_definition
from logwatch_monitis.server.store.writer import OperationRefused

__all__ = ["Graph", "Listed", "Row", "Seen", "look", "monitors"]

_OWN = ("user_login", "host", "srv")
_NUMBERS = (DataType.INTEGER, DataType.FLOAT)


class Listed(NamedTuple):
    """A monitor in the list of them; *newest* is the time of its latest result in ms."""

    id: int
    name: str
    tag: str
    suspended: bool
    newest: int | None
    logins: bool


class Row(NamedTuple):
    """A result: its place, its time in ms, its values by column."""

    seq: int
    checktime: int
    values: Mapping[str, Any]


class Graph(NamedTuple):
    """A line through the numbers of a column, oldest first, with its unit and its ends."""

    title: str
    unit: str
    points: str
    low: float
    high: float
    last: float


class Seen(NamedTuple):
    """One monitor with some of its results, newest first.

    Attributes:
        id: its number.
        definition: what it is.
        columns: names and titles.
        rows: the results.
        older: the place where older ones go on; empty at the end.
        newest: the list begins with the newest one.
        graphs: one for each column of numbers.
    """

    id: int
    definition: Definition
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    older: str
    newest: bool
    graphs: Sequence[Graph]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The results for programs."""
        return [{"time": iso_time(row.checktime * 1000), **row.values} for row in self.rows]


def monitors(connection: sqlite3.Connection) -> list[Listed]:
    """Return the monitors, oldest first."""
    rows = connection.execute(
        "SELECT id, name, tag, suspended,"
        " (SELECT max(checktime) FROM results WHERE monitor=monitors.id),"
        " (SELECT user_login IS NOT NULL FROM results WHERE monitor=monitors.id"
        " ORDER BY checktime DESC LIMIT 1)"
        " FROM monitors WHERE NOT deleted ORDER BY id"
    )
    return [Listed(*row) for row in rows]


def look(connection: sqlite3.Connection, number: int, asked: Asked) -> Seen | None:
    """Return what is asked for of a monitor, None if there is no such monitor."""
    try:
        definition = find_definition(connection, number)
    except (OperationRefused, OverflowError):
        return None
    columns = columns_of(definition.params, definition.details)
    found = _results(connection, number, asked)
    rows = [
        Row(seq, at, {name: typed(text, columns.get(name)) for name, text in values.items()})
        for seq, at, values in found[: asked.limit]
    ]
    titles = {row[0]: row[1] or row[0] for row in definition.params.get("resultParams", ())}
    names = dict.fromkeys([*titles, *(name for row in rows for name in row.values)])
    units = {row[0]: row[2] for row in definition.params.get("resultParams", ()) if row[2:]}
    graphs = [
        graph
        for name, column in columns.items()
        if column.type in _NUMBERS and (graph := _graph(rows, name, titles[name], units.get(name)))
    ]
    more = len(found) > asked.limit
    return Seen(
        number,
        definition,
        [(name, titles.get(name, name)) for name in names],
        rows,
        f"{rows[-1].checktime}-{rows[-1].seq}" if more else "",
        asked.before is None,
        graphs,
    )


def _results(
    connection: sqlite3.Connection, number: int, asked: Asked
) -> list[tuple[int, int, dict[str, Any]]]:
    place = asked.before or Cursor(1 << 62, 0)
    start, end = asked.start or 0, asked.end or 1 << 62
    rows = connection.execute(
        f"SELECT seq, checktime, {', '.join(_OWN)}, other_values FROM results"
        " WHERE monitor=? AND checktime>=? AND checktime<? AND (checktime, seq) < (?, ?)"
        " ORDER BY checktime DESC, seq DESC LIMIT ?",
        (number, start, min(end, place.checktime + 1), *place, asked.limit + 1),
    )
    return [(row[0], row[1], _values(row[2:])) for row in rows]


def _values(row: Sequence[Any]) -> dict[str, Any]:
    own = {name: text for name, text in zip(_OWN, row, strict=False) if text is not None}
    return own | (json.loads(row[3]) if row[3] else {})


def _graph(rows: Sequence[Row], name: str, title: str, unit: str | None) -> Graph | None:
    values = [
        float(value)
        for row in reversed(rows)
        if isinstance(value := row.values.get(name), int | float)
    ]
    if len(values) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    return Graph(title, unit or "", line(values), min(values), max(values), values[-1])
