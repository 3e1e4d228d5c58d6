"""One SQLite connection, shared by the threads of a process, with its failures put in order.

The database is written by several processes (``run``, ``backfill``, the commands for dead letters),
and SQLite before 3.51.3 can corrupt a write-ahead log that two of them reset; hence a rollback
journal. PERSIST is the mode: it is as fast as the others, makes and deletes no directory entries,
cannot unlink another database's journal when a damaged file is moved away, and its space is there
already when the disk is full, so that a delivered login can still be taken out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from logwatch_monitis.errors import StateError
from logwatch_monitis.sources.files.descriptors import shortage
from logwatch_monitis.spool.records import SpoolFullError

__all__ = [
    "IN_MEMORY",
    "JOURNAL_BYTES",
    "DamagedError",
    "Database",
    "connect",
    "connect_in_memory",
    "in_order",
    "is_damage",
    "journal_of",
]

IN_MEMORY = Path(":memory:")
"""Stands for the path of a database that has none."""

_BUSY_SECONDS = 10.0
"""How long a write waits for another process; its transactions take milliseconds."""

JOURNAL_BYTES = 1 << 20
"""The journal keeps this size, enough to deliver thousands of logins at a time."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BLOCKED = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    }
)
_MOVED = "was moved or deleted while in use"
T = TypeVar("T")


class DamagedError(StateError):
    """Raised inside this package; the message continues «the spool PATH …»."""


def journal_of(path: Path) -> Path:
    """Return where SQLite keeps the rollback journal of a database."""
    return path.with_name(f"{path.name}-journal")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file is not the database it was."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Python's own complaint about text that is not UTF-8 carries no code.
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _DAMAGED


def in_order(path: Path, error: sqlite3.Error) -> Exception:
    """Return what to raise for an error of SQLite: damage, «not now», or our own mistake."""
    if is_damage(error):
        return DamagedError(f"is damaged: {error}")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BLOCKED:
        if reason := shortage():
            return SpoolFullError(
                f"the spool {path} takes nothing now: {reason}",
                "nothing is lost; once files can be opened again, it goes on where it was",
            )
        return SpoolFullError(
            f"the spool {path} takes nothing now: {error}",
            "nothing is lost; once the disk has space and can be written, it goes on where it was",
        )
    return error


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing database with the settings that the delivery promise needs.

    A read-only connection may still roll back what a killed process left half done.

    Raises:
        sqlite3.Error: as SQLite says.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA journal_mode = PERSIST")
            connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_in_memory() -> sqlite3.Connection:
    """Make an empty database that has no file."""
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


class Database:
    """Runs reads and transactions, one at a time: its user sees to that.

    Any failure leaves the database as it was before the call.
    """

    def __init__(self, path: Path, raw: sqlite3.Connection) -> None:
        self._path = path
        self._raw: sqlite3.Connection | None = raw
        self.inode = path.stat().st_ino if path != IN_MEMORY else 0

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        if self._raw:
            self._raw.close()

    def read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Return all rows of a query.

        Raises:
            SpoolFullError: the database cannot be read now.
            DamagedError: it cannot be trusted.
        """
        try:
            return self._usable().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._in_order(error) from error

    def write(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Run *work* in one transaction and return its value once that is safe on the disk.

        Raises:
            SpoolFullError: nothing was written.
            DamagedError: nothing was written, and the database cannot be trusted.
        """
        try:
            cursor = self._usable().cursor()
            cursor.execute("BEGIN IMMEDIATE")
            value = work(cursor)
            cursor.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._in_order(error) from error
        except BaseException:
            self._roll_back()
            raise
        return value

    def _in_order(self, error: sqlite3.Error) -> Exception:
        reason = in_order(self._path, error)
        if isinstance(reason, SpoolFullError) and self._is_moved():
            return DamagedError(_MOVED)
        return reason

    def _is_moved(self) -> bool:
        try:
            return self._path.stat().st_ino != self.inode
        except OSError:
            return True

    def _roll_back(self) -> None:
        raw = self._raw
        try:
            if raw and raw.in_transaction:
                raw.execute("ROLLBACK")
        except sqlite3.Error:
            # The journal stays on the disk, and whoever opens the database next rolls back from it.
            self.close()
            self._raw = None

    def _usable(self) -> sqlite3.Connection:
        if self._raw is None:
            if self._is_moved():
                raise DamagedError(_MOVED)
            self._raw = connect(self._path)
        return self._raw
