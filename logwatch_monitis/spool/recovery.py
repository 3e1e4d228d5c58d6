"""A database that cannot be used: how it is noticed, set aside, and what is saved from it.

Fresh databases are made beside the path and moved into place complete, so an empty file is always
damage, and a crash between the two moves is finished by the next start. All of it happens under one
lock file, however many processes find the damage at once.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.config.private_files import open_database, open_file, sync_directory
from logwatch_monitis.errors import StateError
from logwatch_monitis.interfaces import Clock, Event
from logwatch_monitis.spool import rows, schema
from logwatch_monitis.spool.database import (
    JOURNAL_BYTES,
    DamagedError,
    connect,
    is_damage,
    journal_of,
)
from logwatch_monitis.spool.events import SpoolMigrated, SpoolSetAside
from logwatch_monitis.spool.records import SpoolFullError

__all__ = ["RECOVERED", "Suspect", "open_or_replace", "open_present"]

RECOVERED = "recovered"
"""The fact that says why the spool began anew; there until the logs were read again."""

FULL_CHECK_BYTES = 16 << 20
"""Reading these takes 60 ms. Larger databases are not read in full at every start: their rows prove
themselves when they are sent, and SQLite tells of other damage when it meets it."""


class Suspect(NamedTuple):
    """A database that failed at work: its inode and what was wrong."""

    inode: int
    reason: str


_COUNT_ALL = """
    INSERT INTO counter
    SELECT 'live', count(*) FROM outbox WHERE history = 0
    UNION ALL SELECT 'history', count(*) FROM outbox WHERE history = 1
    UNION ALL SELECT 'dead', count(*) FROM dead
    UNION ALL SELECT 'seen', count(*) FROM seen
"""


def open_or_replace(
    path: Path, clock: Clock, suspect: Suspect | None = None
) -> tuple[sqlite3.Connection, Event | None]:
    """Open the database, making it, migrating it or setting it aside as needed.

    Returns:
        The connection, and the event that tells what was done, if anything.

    Raises:
        StateError: the file belongs to somebody else.
        sqlite3.Error: the disk is full, or the like.
    """
    with _guarded(path.parent):
        if not os.path.lexists(path):
            return _make_first(path, suspect)
        if suspect and suspect.inode == path.lstat().st_ino:
            return _replace(path, suspect.reason, clock)
        try:
            return _opened(path)
        except DamagedError as error:
            return _replace(path, str(error), clock)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return _replace(path, f"is damaged: {error}", clock)


def open_present(path: Path) -> sqlite3.Connection:
    """Open the database for looking only.

    Raises:
        StateError: there is none, or it cannot be used.
    """
    try:
        _look_at_file(path)
        connection = connect(path, read_only=True)
        try:
            _check(path, connection)
        except BaseException:
            connection.close()
            raise
    except FileNotFoundError as error:
        raise StateError(f"there is no spool {path}", "'run' makes it") from error
    except (DamagedError, sqlite3.Error) as error:
        raise StateError(f"the spool {path} {error}", "'run' sets it aside") from error
    return connection


@contextmanager
def _guarded(directory: Path) -> Iterator[None]:
    descriptor = open_file(directory / "spool.lock")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> tuple[sqlite3.Connection, Event | None]:
    _look_at_file(path)
    connection = connect(path)
    try:
        _check(path, connection)
        old = schema.migrate(connection)
    except BaseException:
        connection.close()
        raise
    moved = SpoolMigrated(str(path), old, schema.VERSION) if old < schema.VERSION else None
    return connection, moved


def _look_at_file(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise DamagedError("is no regular file")
    if status.st_size == 0:
        raise DamagedError("is empty")
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise StateError(
            f"the spool {path} cannot be opened by user {os.geteuid()}",
            f"it belongs to user {status.st_uid}; run as that user, or chown it",
        )
    open_database(path)


def _check(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
        raise DamagedError("is no spool of this program")
    version = schema.version(connection)
    if version > schema.VERSION:
        raise DamagedError("was written by a newer version of this program")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if version == schema.VERSION and not names >= schema.TABLES:
        raise DamagedError("lacks tables")
    if path.stat().st_size <= FULL_CHECK_BYTES:
        ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise DamagedError(f"is damaged: {' '.join(str(verdict).split())}")


def _make_first(path: Path, suspect: Suspect | None) -> tuple[sqlite3.Connection, Event | None]:
    new = _beside(path)
    event = None
    if suspect:
        event = SpoolSetAside(str(path), "", suspect.reason, 0)
    if suspect or not _is_complete(new):
        with closing(_make(new)) as fresh:
            if suspect:
                _remember(fresh, suspect.reason)
    _put_in_place(new, path)
    return connect(path), event


def _replace(path: Path, reason: str, clock: Clock) -> tuple[sqlite3.Connection, Event]:
    new = _beside(path)
    with closing(_make(new)) as fresh:
        saved = _salvage(path, fresh)
        _remember(fresh, reason)
    aside = _free_name(path, clock)
    # The journal goes first: one that stayed behind would be rolled into the fresh database.
    if os.path.lexists(journal_of(path)):
        journal_of(path).rename(journal_of(aside))
    path.rename(aside)
    _put_in_place(new, path)
    return connect(path), SpoolSetAside(str(path), str(aside), reason, saved)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _is_complete(new: Path) -> bool:
    try:
        connection, _ = _opened(new)
    except (DamagedError, StateError, OSError, sqlite3.Error):
        return False
    connection.close()
    return True


def _make(new: Path) -> sqlite3.Connection:
    for leftover in (new, journal_of(new)):
        leftover.unlink(missing_ok=True)
    os.close(open_file(new, os.O_EXCL))
    connection = connect(new)
    try:
        schema.migrate(connection)
        # Not before: SQLite deletes the journal of a database without pages.
        _reserve(journal_of(new))
    except BaseException:
        connection.close()
        raise
    return connection


def _reserve(journal: Path) -> None:
    """Give the journal its space now, so that a full disk does not keep delivered logins in."""
    descriptor = open_file(journal)
    try:
        os.posix_fallocate(descriptor, 0, JOURNAL_BYTES)
    except OSError as error:
        raise SpoolFullError(
            f"cannot make {journal}: {error.strerror}", "free some space"
        ) from error
    finally:
        os.close(descriptor)


def _put_in_place(new: Path, path: Path) -> None:
    journal_of(path).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        journal_of(new).rename(journal_of(path))
    new.rename(path)
    sync_directory(path.parent)


def _free_name(path: Path, clock: Clock) -> Path:
    stamp = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
    wanted = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while os.path.lexists(wanted):
        number += 1
        wanted = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    return wanted


def _remember(fresh: sqlite3.Connection, reason: str) -> None:
    fresh.execute("INSERT INTO fact VALUES (?, ?)", (RECOVERED, reason))


def _salvage(path: Path, fresh: sqlite3.Connection) -> int:
    """Copy what still waits and proves itself; its ids count as seen, all others do not."""
    try:
        damaged = connect(path, read_only=True)
    except sqlite3.Error:
        return 0
    with closing(damaged):
        # Otherwise SQLite reads nothing at all of a database that was cut off.
        damaged.execute("PRAGMA writable_schema = ON")
        fresh.execute("BEGIN IMMEDIATE")
        rows.copy_readable(damaged, fresh, "outbox", ("history",))
        rows.copy_readable(damaged, fresh, "dead", ("history", "reason", "since_us"))
        fresh.execute("INSERT OR IGNORE INTO seen SELECT id, 1 FROM outbox")
        fresh.execute("INSERT OR IGNORE INTO seen SELECT id, 1 FROM dead")
        fresh.execute(_COUNT_ALL)
        fresh.execute("COMMIT")
    return int(fresh.execute("SELECT count(*) FROM seen").fetchone()[0])
