"""Signed writes that were executed, so that none is executed twice, over restarts too."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = ["TABLES", "Once", "expire", "recall", "remember"]

CHUNK = 2_000

# Results that came without an id were known by a blank, the timestamp, the signature and their
# number in the batch. Those of the last 27 hours are known in the new way too.
TABLES = """
CREATE TABLE executed (
    signature TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL,
    answer INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX executed_until ON executed (until_ms);

INSERT OR IGNORE INTO executed
SELECT replace(substr(rtrim(once, '0123456789'), -29, 28), ' ', '+'),
    (CAST(strftime('%s', 'now') AS INTEGER) + 97200) * 1000, count(*)
FROM results
WHERE once >= ' ' AND once < '!'
    AND stored_ms > (CAST(strftime('%s', 'now') AS INTEGER) - 97200) * 1000
GROUP BY 1;
INSERT OR IGNORE INTO executed
SELECT replace(substr(rtrim(once, '0123456789'), -29, 28), ' ', '+'),
    (CAST(strftime('%s', 'now') AS INTEGER) + 97200) * 1000, 0
FROM additions WHERE once >= ' ' AND once < '!' ORDER BY seq DESC LIMIT 100000;
"""


@dataclass(slots=True)
class Once:
    """By what a signed write is known again.

    Attributes:
        signature: the base64 text of its checksum.
        until_ms: when it would not be taken any more, ms since the epoch.
        repeated: it was executed before, and not again.
    """

    signature: str
    until_ms: int
    repeated: bool = False


def recall(connection: sqlite3.Connection, once: Once) -> int:
    """Return what a write told the first time, 0 for a new one; say in *once* which it is."""
    query = "SELECT answer FROM executed WHERE signature=?"
    row = connection.execute(query, (once.signature,)).fetchone()
    once.repeated = row is not None
    return row[0] if row else 0


def remember(connection: sqlite3.Connection, once: Once, answer: int) -> None:
    """Keep what a write tells, in the transaction that executes it."""
    row = (once.signature, once.until_ms, answer)
    connection.execute("INSERT OR IGNORE INTO executed VALUES (?, ?, ?)", row)


def expire(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Forget some writes that would not be taken any more; say whether there may be more."""
    gone = connection.execute(
        "DELETE FROM executed WHERE signature IN"
        " (SELECT signature FROM executed WHERE until_ms<? LIMIT ?)",
        (now_ms, CHUNK),
    )
    return gone.rowcount == CHUNK
