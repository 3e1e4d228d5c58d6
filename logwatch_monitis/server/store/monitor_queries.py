"""Queries for monitors and results: functions on a reader's connection."""

# ruff: noqa: S608 - queries are put together from names in this module; values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from logwatch_monitis.server.store.rows import ADDITIONAL, additional_of
from logwatch_monitis.server.store.store import Definition, read_definition

__all__ = [
    "StoredMonitor",
    "list_monitors",
    "monitor_additions",
    "monitor_results",
]


class StoredMonitor(NamedTuple):
    """A monitor as it is stored."""

    id: int
    definition: Definition


def list_monitors(
    connection: sqlite3.Connection, filters: Mapping[str, str]
) -> list[StoredMonitor]:
    """Return the monitors, oldest first; *filters* may name tag, type and name."""
    wanted = {name: filters[name] for name in ("tag", "type", "name") if filters.get(name)}
    where = "".join(f" AND {name}=?" for name in wanted)
    rows = connection.execute(
        "SELECT id, name, tag, type, params, details, suspended FROM monitors"
        f" WHERE NOT deleted{where} ORDER BY id",
        (*wanted.values(),),
    )
    return [StoredMonitor(row[0], read_definition(row[1:])) for row in rows]


def monitor_results(
    connection: sqlite3.Connection, monitor: int, start: int, end: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (checktime, values) of the monitor's results with *start* ≤ checktime < *end* ms."""
    rows = connection.execute(
        "SELECT checktime, user_login, host, srv, other_values FROM results"
        " WHERE monitor=? AND checktime>=? AND checktime<? ORDER BY checktime, seq",
        (monitor, start, end),
    )
    return ((row[0], dict(_values(row))) for row in rows)


def monitor_additions(
    connection: sqlite3.Connection, monitor: int, start: int, end: int
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield (checktime, additional objects) with *start* ≤ checktime < *end* ms, where any are.

    At one moment, what came with a result stands before what was added to it.
    """
    found = "SELECT checktime, {} FROM {} WHERE monitor=?1 AND checktime>=?2 AND checktime<?3"
    nothing = "NULL, NULL, NULL, NULL, NULL, NULL, objects AS additional, 1 AS later, seq"
    rows = connection.execute(
        f"{found.format(f'{ADDITIONAL}, 0 AS later, seq', 'results')}"
        f" UNION ALL {found.format(nothing, 'additions')} ORDER BY checktime, later, seq",
        (monitor, start, end),
    )
    return ((row[0], objects) for row in rows if (objects := additional_of(row[1:8])))


def _values(row: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in zip(("user_login", "host", "srv"), row[1:4], strict=True):
        if value is not None:
            yield name, value
    if row[4]:
        yield from json.loads(row[4]).items()
