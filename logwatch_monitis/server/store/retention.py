"""Retention: erases deleted monitors, what is too old or too much, and persons to forget."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import NamedTuple

from logwatch_monitis.server.store.executed import expire
from logwatch_monitis.server.store.rollup import fold

__all__ = ["CHUNK", "KEEP_ALL", "Retention", "Tidier", "forget"]

CHUNK = 2_000
PAUSE = 60.0
DAY_MS = 86_400_000

_MIB = 1024 * 1024
_GONE = "DELETE FROM {0} WHERE seq IN (SELECT seq FROM {0} WHERE monitor=? {1} LIMIT ?)"
_OLD = "AND checktime<? ORDER BY checktime"
_TABLES = ("results", "additions")


class Retention(NamedTuple):
    """How much is kept.

    Attributes:
        days: results of earlier days go, by their own time; 0 keeps all.
        mebibytes: when the data takes more, its oldest results go; 0 sets no limit.
    """

    days: int = 0
    mebibytes: int = 0


KEEP_ALL = Retention()


class Tidier:
    """Removes a little each time it is called, so that writing never waits long."""

    def __init__(
        self,
        retention: Retention,
        now: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look for what is too old at most once in `PAUSE` seconds by *stopwatch*."""
        self._retention = retention
        self._now = now
        self._stopwatch = stopwatch
        self._next = 0.0

    def __call__(self, connection: sqlite3.Connection) -> bool:
        """Remove up to `CHUNK` rows, or fold some in; say whether there may be more to do."""
        if _purge(connection) or fold(connection):
            return True
        if self._stopwatch() < self._next:
            return False
        if expire(connection, int(self._now() * 1000)):
            return True
        if self._expired(connection):
            connection.execute("UPDATE removals SET removed=removed+1")
            return True
        self._next = self._stopwatch() + PAUSE
        return False

    def _expired(self, connection: sqlite3.Connection) -> bool:
        days, limit = self._retention
        if days and _expire(connection, int(self._now() * 1000) - days * DAY_MS):
            return True
        return bool(limit) and size(connection) > limit * _MIB and _remove_oldest(connection)


def size(connection: sqlite3.Connection) -> int:
    """Return how many bytes of the database are in use."""
    names = ("page_count", "freelist_count", "page_size")
    count, free, page = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return int((count - free) * page)


def _purge(connection: sqlite3.Connection) -> bool:
    """Remove some rows of a deleted monitor, and itself at last; say whether there was one."""
    found = connection.execute("SELECT id FROM monitors WHERE deleted LIMIT 1").fetchone()
    if not found:
        return False
    gone = [connection.execute(_GONE.format(table, ""), (*found, CHUNK)) for table in _TABLES]
    if not any(cursor.rowcount for cursor in gone):
        connection.execute("DELETE FROM monitors WHERE id=?", found)
    return True


def _expire(connection: sqlite3.Connection, before: int) -> bool:
    """Remove some rows from before a moment in ms; say whether there were any."""
    monitors = connection.execute("SELECT id FROM monitors").fetchall()
    queries = [_GONE.format(table, _OLD) for table in _TABLES]
    gone = [
        connection.execute(query, (*monitor, before, CHUNK)).rowcount
        for monitor in monitors
        for query in queries
    ]
    return any(gone)


def _remove_oldest(connection: sqlite3.Connection) -> bool:
    """Remove the oldest rows of the monitor that has the oldest one."""
    monitors = connection.execute("SELECT id FROM monitors").fetchall()
    oldest = [
        (moment, monitor, table)
        for (monitor,) in monitors
        for table in _TABLES
        if (moment := _first(connection, table, monitor)) is not None
    ]
    if not oldest:
        return False
    _, monitor, table = min(oldest)
    rule = _GONE.format(table, "ORDER BY checktime")
    return connection.execute(rule, (monitor, CHUNK // 8)).rowcount > 0  # the limit is soon met


def _first(connection: sqlite3.Connection, table: str, monitor: int) -> int | None:
    query = f"SELECT min(checktime) FROM {table} WHERE monitor=?"  # noqa: S608 - one of _TABLES
    moment: int | None = connection.execute(query, (monitor,)).fetchone()[0]
    return moment


def forget(connection: sqlite3.Connection, user: str) -> int:
    """Remove up to `CHUNK` results of a person; return how many that were."""
    chosen = "SELECT seq, monitor, checktime FROM results WHERE user_login=? LIMIT ?"
    rows = connection.execute(chosen, (user, CHUNK)).fetchall()
    connection.executemany("DELETE FROM results WHERE seq=?", [row[:1] for row in rows])
    # What was added to such a moment may be about this person as well.
    connection.executemany(
        "DELETE FROM additions WHERE monitor=? AND checktime=?", [row[1:] for row in rows]
    )
    if rows:
        connection.execute("UPDATE removals SET removed=removed+1")
    return len(rows)
