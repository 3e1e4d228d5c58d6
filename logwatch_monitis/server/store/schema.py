"""The tables of the monitor's store, and how a connection to them is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from logwatch_monitis.config.private_files import open_database
from logwatch_monitis.errors import NewerStateError, StateError
from logwatch_monitis.server.store import executed, rollup

__all__ = ["VERSION", "connect_reader", "connect_writer"]

VERSION = 5
_MIB = 1024 * 1024

# `once` is what makes a result the same one: the id of its event. Before the fifth step results of
# a signed request without ids had a blank there, and the request's timestamp and signature. The
# columns from user_login on are taken out of values and additional facts, because the page asks for
# them; what is left over is JSON.
_FIRST = """
CREATE TABLE monitors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    type TEXT NOT NULL,
    params TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX monitors_name ON monitors (account, name) WHERE NOT deleted;

CREATE TABLE results (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: addresses and totals hold it
    monitor INTEGER NOT NULL REFERENCES monitors (id),
    checktime INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    once TEXT,
    user_login TEXT,
    host TEXT,
    srv TEXT,
    machine TEXT,
    kind TEXT,
    verified INTEGER,
    method TEXT,
    agent TEXT,
    other_values TEXT,
    other_facts TEXT
) STRICT;
CREATE UNIQUE INDEX results_once ON results (monitor, once) WHERE once IS NOT NULL;
CREATE INDEX results_day ON results (monitor, checktime);
CREATE INDEX logins_time ON results (checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_user ON results (user_login, checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_host ON results (host, checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_service ON results (srv, checktime) WHERE user_login IS NOT NULL;
CREATE INDEX logins_machine ON results (machine, checktime) WHERE user_login IS NOT NULL;
"""

# An account has a directory of its own. `additional` is a JSON array, where the columns cannot tell
# all of what additionalResults held. `additions` are those of addAdditionalResults. `removed` grows
# with each removal of single results: numbers remembered from before are no longer right.
_SECOND = """
DROP INDEX monitors_name;
ALTER TABLE monitors DROP COLUMN account;
ALTER TABLE monitors ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE monitors ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX monitors_name ON monitors (name) WHERE NOT deleted;

ALTER TABLE results RENAME COLUMN other_facts TO additional;
UPDATE results SET additional = '[' || additional || ']' WHERE additional IS NOT NULL;

CREATE TABLE additions (
    seq INTEGER PRIMARY KEY,
    monitor INTEGER NOT NULL REFERENCES monitors (id),
    checktime INTEGER NOT NULL,
    once TEXT,
    objects TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX additions_once ON additions (monitor, once) WHERE once IS NOT NULL;
CREATE INDEX additions_time ON additions (monitor, checktime);

CREATE TABLE removals (removed INTEGER NOT NULL) STRICT;
INSERT INTO removals VALUES (0);
"""

# Cookies of the page that were left before their end, in seconds.
_COOKIES = """
CREATE TABLE ended_cookies (
    name TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
_STEPS = (_FIRST, _SECOND, rollup.TABLES, _COOKIES, executed.TABLES)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes; make the tables in a new file, mode 0600.

    A commit is on the disk when it returns (write-ahead log, ``synchronous=FULL``). What is deleted
    is overwritten.

    Raises:
        NewerStateError: made by a newer version; it stays as it is.
        StateError: no such database, or damaged.
    """
    try:
        open_database(path)
        with _connected(f"file:{_quoted(path)}") as connection:
            found = _known_version(connection, path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute(f"PRAGMA cache_size={-32 * 1024}")
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            connection.execute(f"PRAGMA journal_size_limit={64 * _MIB}")
            for version, step in enumerate(_STEPS[found:], found + 1):
                connection.executescript(f"BEGIN;{step};PRAGMA user_version={version};COMMIT;")
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"{path}: {error}", "the monitor keeps its results there") from None
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write: only the writer may ever reset the write-ahead log."""
    with _connected(f"file:{_quoted(path)}?mode=ro") as connection:
        connection.execute("PRAGMA query_only=1")
    return connection


@contextmanager
def _connected(uri: str) -> Iterator[sqlite3.Connection]:
    """Open a connection; an error within the block closes it."""
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=5, check_same_thread=False
    )
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _quoted(path: Path) -> str:
    return path.absolute().as_uri().removeprefix("file://")


def _known_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return how many of the steps a database has taken."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise NewerStateError(
            f"{path}: made by a newer version (schema {found}, this one knows {VERSION})",
            "install that version again, or choose another data directory",
        )
    return found
