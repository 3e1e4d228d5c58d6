"""The tables, and the way from every older schema to the present one.

What is kept is what delivery needs and nothing else: no raw lines, no fields but the method.
"""

from __future__ import annotations

import sqlite3

__all__ = ["APPLICATION_ID", "STEPS", "TABLES", "VERSION", "migrate", "version"]

APPLICATION_ID = 0x4C574D31
"""Tells our databases from others (the letters LWM1)."""

TABLES = frozenset({"position", "outbox", "dead", "seen", "twin", "fact", "counter"})

_ENTRY = """
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    history INTEGER NOT NULL CHECK (history IN (0, 1)),
    id BLOB NOT NULL CHECK (length(id) = 16),
    time_us INTEGER NOT NULL,
    user TEXT NOT NULL,
    host TEXT NOT NULL,
    srv TEXT NOT NULL,
    kind TEXT NOT NULL,
    machine TEXT NOT NULL,
    verified INTEGER NOT NULL CHECK (verified IN (0, 1)),
    method TEXT NOT NULL,
    crc INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
"""

_STEP_1 = (
    f"CREATE TABLE outbox ({_ENTRY}) STRICT",
    "CREATE INDEX outbox_order ON outbox (history, seq)",
    f"CREATE TABLE dead ({_ENTRY}, reason TEXT NOT NULL, since_us INTEGER NOT NULL) STRICT",
    """CREATE TABLE seen (
        id BLOB PRIMARY KEY CHECK (length(id) = 16), day INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE position (
        log TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, ordinals TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

_STEP_2 = (
    """CREATE TABLE twin (
        key INTEGER NOT NULL,
        journal INTEGER NOT NULL CHECK (journal IN (0, 1)),
        id BLOB NOT NULL CHECK (length(id) = 16),
        time_us INTEGER NOT NULL,
        pid INTEGER,
        paired INTEGER NOT NULL CHECK (paired IN (0, 1)),
        day INTEGER NOT NULL,
        PRIMARY KEY (key, journal, id)
    ) STRICT, WITHOUT ROWID""",
)

STEPS: tuple[tuple[str, ...], ...] = (_STEP_1, _STEP_2)
"""The statements that lead from version n to n + 1; a released step is never edited."""

VERSION = len(STEPS)


def version(connection: sqlite3.Connection) -> int:
    """Return the schema version of a database; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...] = STEPS) -> int:
    """Bring a database to the present schema in one transaction; return what it was before."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        old = version(connection)
        for step in steps[old:]:
            for statement in step:
                connection.execute(statement)
        if old < len(steps):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return old
