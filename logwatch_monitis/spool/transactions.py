"""What one transaction does to the tables; every function works on a cursor inside one."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from logwatch_monitis.login import Login
from logwatch_monitis.spool.duplicates import Twin, forget, note, twin_of, without_twins
from logwatch_monitis.spool.records import (
    DeadLetter,
    Gap,
    Limits,
    OutboxEntry,
    Position,
    SpoolFullError,
)
from logwatch_monitis.spool.rows import CONTENT, INSERT, entries, row_of

__all__ = [
    "GAP",
    "Taken",
    "close_gap",
    "count",
    "count_attempts",
    "dead_letters",
    "drop_dead",
    "put_fact",
    "put_positions",
    "refuse",
    "remove",
    "retry_dead",
    "take",
]

GAP = "gap"
_SWEPT_AT_LEAST = 100
_AT_ONCE = 500
_ACCOUNTS = {False: "file_accounts", True: "journal_accounts"}
"""Counters of what was ever noted from either kind of source; as long as one of them is 0, there
are no twins to look for."""


class Taken(NamedTuple):
    """What `take` did: logins that were new, logins given up, and whether that began a gap."""

    new: int
    dropped: int = 0
    gap_began: bool = False


def take(
    cursor: sqlite3.Cursor,
    offered: Sequence[Login],
    wall_day: int,
    limits: Limits,
    *,
    history: bool,
) -> Taken:
    """Put logins that were never taken into the outbox, and keep it within its limits.

    Raises:
        SpoolFullError: the outbox has no room for history.
    """
    day = _working_day(cursor, wall_day)
    unknown = _unknown(cursor, offered, day)
    if not unknown:
        return Taken(0)
    fresh = _single(cursor, unknown, day)
    over = _depth(cursor) + len(fresh) - limits.max_entries
    if history and over > 0:
        raise SpoolFullError(
            f"the outbox is full with {limits.max_entries} logins",
            "the backfill goes on once the monitor has taken some",
        )
    cursor.executemany(INSERT, [(int(history), *row_of(login)) for login in fresh])
    count(cursor, "history" if history else "live", len(fresh))
    count(cursor, "seen", len(unknown))
    _forget_old(cursor, unknown, day - limits.seen_days)
    if over <= 0:
        return Taken(len(fresh))
    return Taken(len(fresh), over, _give_up(cursor, over, limits.keep))


def put_positions(cursor: sqlite3.Cursor, positions: Mapping[str, Position]) -> None:
    """Store how far logs have been taken."""
    cursor.executemany(
        "INSERT INTO position VALUES (?, ?, ?) ON CONFLICT (log) DO UPDATE"
        " SET checkpoint = excluded.checkpoint, ordinals = excluded.ordinals",
        [(log, *position) for log, position in positions.items()],
    )


def put_fact(cursor: sqlite3.Cursor, name: str, value: str | None) -> None:
    """Store a fact, or forget it; SQLite does not write a value that is there already."""
    if value is None:
        cursor.execute("DELETE FROM fact WHERE name = ?", (name,))
        return
    cursor.execute(
        "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def remove(cursor: sqlite3.Cursor, sent: Iterable[OutboxEntry]) -> int:
    """Take delivered entries out of the outbox; return how many were still there.

    Place and id together name an entry: a fresh database may have given the place away again.
    """
    total = 0
    groups: tuple[list[OutboxEntry], list[OutboxEntry]] = ([], [])
    for entry in sent:
        groups[entry.history].append(entry)
    for name, group in zip(("live", "history"), groups, strict=True):
        keys = [(entry.seq, bytes.fromhex(entry.id)) for entry in group]
        if keys:
            cursor.executemany("DELETE FROM outbox WHERE seq = ? AND id = ?", keys)
            gone = cursor.rowcount
            total += gone
            count(cursor, name, -gone)
    count(cursor, "sent", total)
    return total


def count_attempts(cursor: sqlite3.Cursor, failed: Iterable[OutboxEntry]) -> None:
    """Add one failed attempt to each entry."""
    cursor.executemany(
        "UPDATE outbox SET attempts = attempts + 1 WHERE seq = ? AND id = ?",
        [(entry.seq, bytes.fromhex(entry.id)) for entry in failed],
    )


def refuse(cursor: sqlite3.Cursor, entry: OutboxEntry, reason: str, now_us: int) -> bool:
    """Move an entry to the dead letters; tell whether it was still in the outbox."""
    key = (entry.seq, bytes.fromhex(entry.id))
    columns = f"history, {CONTENT}, attempts"
    cursor.execute(
        f"INSERT INTO dead ({columns}, reason, since_us)"  # noqa: S608 - our own names
        f" SELECT {columns}, ?, ? FROM outbox WHERE seq = ? AND id = ?",
        (reason, now_us, *key),
    )
    if not cursor.rowcount:
        return False
    cursor.execute("DELETE FROM outbox WHERE seq = ? AND id = ?", key)
    count(cursor, "history" if entry.history else "live", -1)
    count(cursor, "dead", 1)
    return True


def dead_letters(found: Iterable[Sequence[Any]]) -> list[DeadLetter]:
    """Return the dead letters of rows with the columns reason, since_us and those of `ENTRY`."""
    return [
        DeadLetter(entries([content])[0], reason, since_us) for reason, since_us, *content in found
    ]


def retry_dead(cursor: sqlite3.Cursor, ids: Collection[str] | None) -> int:
    """Put dead letters back at the end of the outbox, without their past attempts."""
    columns = f"history, {CONTENT}"
    moved = {"live": 0, "history": 0}
    for where, key in _chosen(ids):
        cursor.execute(
            f"INSERT INTO outbox ({columns})"  # noqa: S608 - our own names
            f" SELECT {columns} FROM dead WHERE {where} ORDER BY seq RETURNING history",
            key,
        )
        for (history,) in cursor.fetchall():
            moved["history" if history else "live"] += 1
    for name, number in moved.items():
        count(cursor, name, number)
    drop_dead(cursor, ids)
    return sum(moved.values())


def drop_dead(cursor: sqlite3.Cursor, ids: Collection[str] | None) -> int:
    """Forget dead letters; their ids stay taken, so they do not come back."""
    total = 0
    for where, key in _chosen(ids):
        total += cursor.execute(f"DELETE FROM dead WHERE {where}", key).rowcount  # noqa: S608
    count(cursor, "dead", -total)
    return total


def close_gap(cursor: sqlite3.Cursor, limits: Limits) -> Gap | None:
    """Return the gap that has ended, and forget it: half of the outbox is free again.

    An outbox that is full again the next moment is the same gap; one in which a login waits that
    no monitor takes has drained all the same.
    """
    if 2 * _depth(cursor) > limits.max_entries:
        return None
    gap = _gap(cursor)
    put_fact(cursor, GAP, None)
    return gap


def count(cursor: sqlite3.Cursor, name: str, number: int) -> None:
    """Add to a counter; adding nothing writes nothing."""
    if number:
        cursor.execute(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
            " SET value = value + excluded.value",
            (name, number),
        )


def _chosen(ids: Collection[str] | None) -> list[tuple[str, tuple[bytes, ...]]]:
    if ids is None:
        return [("1", ())]
    return [("id = ?", (bytes.fromhex(key),)) for key in ids]


def _value(cursor: sqlite3.Cursor, name: str) -> int:
    found = cursor.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(found[0]) if found else 0


def _depth(cursor: sqlite3.Cursor) -> int:
    return _value(cursor, "live") + _value(cursor, "history")


def _unknown(
    cursor: sqlite3.Cursor, offered: Sequence[Login], day: int
) -> list[tuple[Login, Twin | None]]:
    """Note the ids; return the logins whose id had not been noted, each once."""
    new: set[str] = set()
    for start in range(0, len(offered), _AT_ONCE):
        keys = [bytes.fromhex(login.id) for login in offered[start : start + _AT_ONCE]]
        marks = ", ".join(["(?)"] * len(keys))
        cursor.execute(
            "INSERT OR IGNORE INTO seen"  # noqa: S608 - question marks
            f" SELECT column1, ? FROM (VALUES {marks}) WHERE true RETURNING id",
            (day, *keys),
        )
        new.update([key.hex() for (key,) in cursor.fetchall()])
    found = []
    for login in offered:
        if login.id in new:
            new.discard(login.id)
            found.append((login, twin_of(login)))
    return found


def _single(
    cursor: sqlite3.Cursor, unknown: Sequence[tuple[Login, Twin | None]], day: int
) -> list[Login]:
    """Return the logins of which no other account was taken, and note all of them."""
    twins = [twin for _, twin in unknown if twin]
    for journal, name in _ACCOUNTS.items():
        count(cursor, name, sum(twin.journal == journal for twin in twins))
    if all(_value(cursor, name) for name in _ACCOUNTS.values()):
        known = without_twins(cursor, twins, day)
        return [login for login, _ in unknown if bytes.fromhex(login.id) not in known]
    note(cursor, twins, day)
    return [login for login, _ in unknown]


def _working_day(cursor: sqlite3.Cursor, wall_day: int) -> int:
    """Return the number of days, this one included, on which logins were offered."""
    if _value(cursor, "wall_day") != wall_day:
        count(cursor, "day", 1)
        cursor.execute("INSERT OR REPLACE INTO counter VALUES ('wall_day', ?)", (wall_day,))
    return _value(cursor, "day")


def _forget_old(
    cursor: sqlite3.Cursor, taken: Sequence[tuple[Login, Twin | None]], day: int
) -> None:
    """Remove ids taken before *day* among the neighbours of the id just taken.

    Ids are spread evenly, so in time every part of the table has its turn, at a cost in proportion
    to the logins taken, without an index on the day.
    """
    if day <= 0:
        return
    most = max(_SWEPT_AT_LEAST, 2 * len(taken))
    cursor.execute(
        "DELETE FROM seen WHERE day < ? AND id IN"
        " (SELECT id FROM seen WHERE id >= ? ORDER BY id LIMIT ?)",
        (day, bytes.fromhex(taken[0][0].id), most),
    )
    count(cursor, "seen", -cursor.rowcount)
    forget(cursor, [twin for _, twin in taken if twin], day, most)


def _give_up(cursor: sqlite3.Cursor, over: int, keep: str) -> bool:
    """Remove so many entries, history first, and let their ids be taken again by a backfill."""
    order = "ASC" if keep == "newest" else "DESC"
    cursor.execute(
        "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox"  # noqa: S608 - one of two words
        f" ORDER BY history DESC, seq {order} LIMIT ?) RETURNING id, time_us, history",
        (over,),
    )
    gone = cursor.fetchall()
    cursor.executemany("DELETE FROM seen WHERE id = ?", [(key,) for key, _, _ in gone])
    count(cursor, "seen", -cursor.rowcount)
    history = sum(old for _, _, old in gone)
    for name, number in (("history", -history), ("live", history - len(gone))):
        count(cursor, name, number)
    count(cursor, "dropped", len(gone))
    return _widen_gap(cursor, [time_us for _, time_us, _ in gone])


def _widen_gap(cursor: sqlite3.Cursor, times: Sequence[int]) -> bool:
    found = _gap(cursor)
    old = found or Gap(0, times[0], times[0])
    gap = Gap(old.dropped + len(times), min(old.first_us, *times), max(old.last_us, *times))
    put_fact(cursor, GAP, gap.text())
    return found is None


def _gap(cursor: sqlite3.Cursor) -> Gap | None:
    found = cursor.execute("SELECT value FROM fact WHERE name = ?", (GAP,)).fetchone()
    return Gap.parse(found[0]) if found else None
