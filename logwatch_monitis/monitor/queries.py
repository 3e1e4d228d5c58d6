"""What is asked of the store: functions on a reader's connection."""

# ruff: noqa: S608 - queries are put together from names in this module; values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .results import ADDITIONAL, additional_of
from .store import Definition, read_definition

__all__ = [
    "FILTERS",
    "Cursor",
    "LoginRow",
    "Monitor",
    "Selection",
    "conditions",
    "list_monitors",
    "logins",
    "monitor_additions",
    "monitor_results",
]

FILTERS = {"user": "user_login", "host": "host", "service": "srv", "machine": "machine"}
_INDEX = {name: f"logins_{name}" for name in FILTERS}
_SAMPLE = 2_000


class Monitor(NamedTuple):
    """A monitor as it is stored."""

    id: int
    definition: Definition


class LoginRow(NamedTuple):
    """One login for the page; texts are None where the client did not tell."""

    seq: int
    checktime: int
    user: str
    host: str | None
    service: str | None
    machine: str | None
    kind: str | None
    verified: int | None
    method: str | None


class Cursor(NamedTuple):
    """A place in the logins, which are ordered by time, then by arrival."""

    checktime: int
    seq: int


class Selection(NamedTuple):
    """Which logins: *filters* by name of `FILTERS`, those before or after a place, how many."""

    filters: Mapping[str, str]
    before: Cursor | None = None
    after: Cursor | None = None
    limit: int = 100


def list_monitors(connection: sqlite3.Connection, filters: Mapping[str, str]) -> list[Monitor]:
    """Return the monitors, oldest first; *filters* may name tag, type and name."""
    wanted = {name: filters[name] for name in ("tag", "type", "name") if filters.get(name)}
    where = "".join(f" AND {name}=?" for name in wanted)
    rows = connection.execute(
        "SELECT id, name, tag, type, params, details, suspended FROM monitors"
        f" WHERE NOT deleted{where} ORDER BY id",
        (*wanted.values(),),
    )
    return [Monitor(row[0], read_definition(row[1:])) for row in rows]


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


def logins(connection: sqlite3.Connection, selection: Selection) -> list[LoginRow]:
    """Return the selected logins, newest first; with ``after``, those nearest to that place."""
    source, where, values = conditions(connection, selection.filters)
    backwards = "DESC"
    if selection.before:
        where += " AND (checktime, seq) < (?, ?)"
        values += selection.before
    elif selection.after:
        where += " AND (checktime, seq) > (?, ?)"
        values += selection.after
        backwards = "ASC"
    rows = connection.execute(
        "SELECT seq, checktime, user_login, host, srv, machine, kind, verified, method"
        f" FROM results {source} WHERE {where}"
        f" ORDER BY checktime {backwards}, seq {backwards} LIMIT ?",
        (*values, selection.limit),
    )
    found = [LoginRow(*row) for row in rows]
    return found if backwards == "DESC" else found[::-1]


def conditions(
    connection: sqlite3.Connection, filters: Mapping[str, str]
) -> tuple[str, str, list[Any]]:
    """Return the index to use, the condition and its values, for a query on results.

    SQLite knows no more than averages, if those; which of the asked values is rare is seen by
    counting a few of each.
    """
    deleted = [row[0] for row in connection.execute("SELECT id FROM monitors WHERE deleted")]
    where = "".join(["user_login IS NOT NULL", *(f" AND {FILTERS[name]}=?" for name in filters)])
    values: list[Any] = list(filters.values())
    if deleted:
        where += f" AND monitor NOT IN ({', '.join('?' * len(deleted))})"
        values += deleted
    best = min(filters, key=lambda name: _rarity(connection, name, filters[name]), default="")
    return f"INDEXED BY {_INDEX.get(best, 'logins_time')}", where, values


def _rarity(connection: sqlite3.Connection, name: str, value: str) -> int:
    (count,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM results INDEXED BY {_INDEX[name]}"
        f" WHERE user_login IS NOT NULL AND {FILTERS[name]}=? LIMIT {_SAMPLE})",
        (value,),
    ).fetchone()
    return int(count)
