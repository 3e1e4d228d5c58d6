"""Results as rows of the store: what becomes a column, what is JSON, by what one is known."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from logwatch_monitis.protocol.wire import Result

__all__ = [
    "ADDITIONAL",
    "additional_of",
    "event_of",
    "insert_additions",
    "insert_results",
    "rows_of",
]

_COLUMNS = ("user_login", "host", "srv")
_TEXTS = ("machine", "kind", "method", "agent")
_FACTS = ("id", "machine", "kind", "verified", "method", "agent")
_INSERT = """
INSERT OR IGNORE INTO results (
    monitor, checktime, stored_ms, once, user_login, host, srv,
    machine, kind, verified, method, agent, other_values, additional
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_ADDITION = "INSERT INTO additions (monitor, checktime, objects) VALUES (?, ?, ?)"
ADDITIONAL = "once, machine, kind, verified, method, agent, additional"
"""The columns that `additional_of` takes, in its order."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def rows_of(monitor: int, results: Sequence[Result], now: int) -> list[tuple[Any, ...]]:
    """Return the rows of *results* that came at *now* (ms).

    A result is known by the text ``id`` of its first additional object.
    """
    return [_row(monitor, result, now, event_of(result)) for result in results]


def insert_results(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Store rows of `rows_of`; return how many were new."""
    if len(rows) == 1:
        return connection.execute(_INSERT, rows[0]).rowcount
    return connection.executemany(_INSERT, rows).rowcount


def insert_additions(
    connection: sqlite3.Connection,
    monitor: int,
    checktime: int,
    objects: Sequence[Mapping[str, Any]],
) -> None:
    """Store what addAdditionalResults brought."""
    connection.execute(_INSERT_ADDITION, (monitor, checktime, _text(_encode(objects))))


def event_of(result: Result) -> str | None:
    """Return the id by which a result is known, None for none."""
    event = result.additional.get("id")
    return _text(event.strip() or None) if isinstance(event, str) else None


def _row(monitor: int, result: Result, now: int, once: str | None) -> tuple[Any, ...]:
    values, facts = dict(result.values), result.additional
    row = [monitor, result.checktime, now, once]
    row += [_text(values.pop(name, None)) for name in _COLUMNS]
    machine, kind, method, agent = [_text(_if_text(facts.get(name))) for name in _TEXTS]
    verified = facts.get("verified")
    row += [machine, kind, int(verified) if isinstance(verified, bool) else None, method, agent]
    row.append(_text(_encode(values)) if values else None)
    objects = [one for one in (facts, *result.others) if one]
    row.append(None if _in_columns(objects) else _text(_encode(objects)))
    return tuple(row)


def _in_columns(objects: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether the columns tell all of the additional objects."""
    if not objects:
        return True
    return len(objects) == 1 and all(
        isinstance(value, bool if name == "verified" else str) and name in _FACTS
        for name, value in objects[0].items()
    )


def _if_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _text(value: str | None) -> str | None:
    """Return *value* as text that SQLite can hold, None for nothing."""
    if value is None or value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()


def additional_of(row: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the additional objects of a result, from its columns `ADDITIONAL`."""
    once, machine, kind, verified, method, agent, additional = row
    if additional:
        found: list[dict[str, Any]] = json.loads(additional)
        return found
    event = once if once and not once.startswith(" ") else None
    truth = None if verified is None else bool(verified)
    facts = dict(_known(zip(_FACTS, (event, machine, kind, truth, method, agent), strict=True)))
    return [facts] if facts else []


def _known(pairs: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in pairs if value is not None)
