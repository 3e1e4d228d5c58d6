"""Rollups: what the page counts, kept beside the results so that no view counts all of them.

The writer folds new results in when it has nothing else to do, thousands at a time; what is
not folded yet is few, and readers count it as it stands. A trigger takes out what is deleted.
"""

from __future__ import annotations

import sqlite3

__all__ = ["SLOT_MS", "TABLES", "fold"]

SLOT_MS = 1_800_000
"""Half an hour: days begin at a multiple of it in all but a few time zones."""

FOLD_FROM = 1_000
FOLD_AT_ONCE = 20_000

# Texts that were not told are '', a verification that was not told is -1: a key holds no NULL.
# The indexes hold what logins are filtered by, so that rows that do not match are not looked at.
TABLES = """
CREATE TABLE folded (seq INTEGER NOT NULL) STRICT;
INSERT INTO folded VALUES (0);

CREATE TABLE slots (
    slot INTEGER NOT NULL,
    monitor INTEGER NOT NULL,
    srv TEXT NOT NULL,
    machine TEXT NOT NULL,
    kind TEXT NOT NULL,
    verified INTEGER NOT NULL,
    logins INTEGER NOT NULL,
    PRIMARY KEY (slot, monitor, srv, machine, kind, verified)
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
    slot INTEGER NOT NULL,
    monitor INTEGER NOT NULL,
    srv TEXT NOT NULL,
    logins INTEGER NOT NULL,
    PRIMARY KEY (slot, monitor, srv)
) STRICT, WITHOUT ROWID;

CREATE TABLE pairs (
    user_login TEXT NOT NULL,
    host TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    logins INTEGER NOT NULL,
    PRIMARY KEY (user_login, host)
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    agent TEXT PRIMARY KEY,
    first_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,
    newest_stored_ms INTEGER NOT NULL,
    last_stored_ms INTEGER NOT NULL,
    results INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER results_gone AFTER DELETE ON results
WHEN OLD.user_login IS NOT NULL AND OLD.seq <= (SELECT seq FROM folded)
BEGIN
    UPDATE slots SET logins = logins - 1 WHERE slot = OLD.checktime / 1800000
        AND monitor = OLD.monitor AND srv = ifnull(OLD.srv, '')
        AND machine = ifnull(OLD.machine, '') AND kind = ifnull(OLD.kind, '')
        AND verified = ifnull(OLD.verified, -1);
    DELETE FROM slots WHERE slot = OLD.checktime / 1800000
        AND monitor = OLD.monitor AND srv = ifnull(OLD.srv, '')
        AND machine = ifnull(OLD.machine, '') AND kind = ifnull(OLD.kind, '')
        AND verified = ifnull(OLD.verified, -1) AND logins <= 0;
    UPDATE services SET logins = logins - 1 WHERE slot = OLD.checktime / 1800000
        AND monitor = OLD.monitor AND srv = ifnull(OLD.srv, '');
    DELETE FROM services WHERE slot = OLD.checktime / 1800000
        AND monitor = OLD.monitor AND srv = ifnull(OLD.srv, '') AND logins <= 0;
    UPDATE pairs SET logins = logins - 1
        WHERE user_login = OLD.user_login AND host = ifnull(OLD.host, '');
    DELETE FROM pairs
        WHERE user_login = OLD.user_login AND host = ifnull(OLD.host, '') AND logins <= 0;
END;

DROP INDEX logins_user;
DROP INDEX logins_host;
CREATE INDEX logins_user ON results (user_login, checktime, srv, kind, verified, machine)
    WHERE user_login IS NOT NULL;
CREATE INDEX logins_host ON results (host, checktime, srv, kind, verified, machine)
    WHERE user_login IS NOT NULL;
"""

_SLOTS = """
INSERT INTO slots
SELECT checktime / 1800000, monitor, ifnull(srv, ''), ifnull(machine, ''), ifnull(kind, ''),
    ifnull(verified, -1), count(*)
FROM results NOT INDEXED WHERE seq > ? AND seq <= ? AND user_login IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT DO UPDATE SET logins = logins + excluded.logins
"""
_SERVICES = """
INSERT INTO services
SELECT checktime / 1800000, monitor, ifnull(srv, ''), count(*)
FROM results NOT INDEXED WHERE seq > ? AND seq <= ? AND user_login IS NOT NULL
GROUP BY 1, 2, 3
ON CONFLICT DO UPDATE SET logins = logins + excluded.logins
"""
_PAIRS = """
INSERT INTO pairs
SELECT user_login, ifnull(host, ''), min(checktime), count(*)
FROM results NOT INDEXED WHERE seq > ? AND seq <= ? AND user_login IS NOT NULL
GROUP BY 1, 2
ON CONFLICT DO UPDATE
SET first_ms = min(first_ms, excluded.first_ms), logins = logins + excluded.logins
"""
_AGENTS = """
INSERT INTO agents
SELECT agent, min(checktime), max(checktime), (
        SELECT stored_ms FROM results AS newest NOT INDEXED
        WHERE newest.seq > ?1 AND newest.seq <= ?2 AND newest.agent = results.agent
        ORDER BY checktime DESC LIMIT 1
    ), max(stored_ms), count(*)
FROM results NOT INDEXED WHERE seq > ?1 AND seq <= ?2 AND agent IS NOT NULL GROUP BY agent
ON CONFLICT DO UPDATE SET
    first_ms = min(first_ms, excluded.first_ms),
    newest_stored_ms = iif(
        excluded.newest_ms >= newest_ms, excluded.newest_stored_ms, newest_stored_ms
    ),
    newest_ms = max(newest_ms, excluded.newest_ms),
    last_stored_ms = max(last_stored_ms, excluded.last_stored_ms),
    results = results + excluded.results
"""


def fold(connection: sqlite3.Connection) -> bool:
    """Fold some results in, in the caller's transaction; say whether there may be more."""
    (last,) = connection.execute("SELECT seq FROM folded").fetchone()
    newest = connection.execute("SELECT max(seq) FROM results").fetchone()[0] or 0
    if newest - last < FOLD_FROM:
        return False
    waiting = newest - last
    end = last + min(waiting, FOLD_AT_ONCE, max(FOLD_FROM, waiting // 2))  # keeps up with batches
    for statement in (_SLOTS, _SERVICES, _PAIRS, _AGENTS):
        connection.execute(statement, (last, end))
    connection.execute("UPDATE folded SET seq=?", (end,))
    return True
