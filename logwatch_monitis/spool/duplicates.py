"""Duplicates: a login that stands in a log file and in the journal, with other times and ids.

The same machine, program, process id and message within two seconds, once from a file and once
from the journal, are the same login. Each account finds at most one twin, so two equal lines of
one second stay two logins. What is remembered is a hash of the message, never its text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from logwatch_monitis.login import Login, blake2b
from logwatch_monitis.spool.rows import verify
from logwatch_monitis.syslog import split

__all__ = ["WITHIN_US", "Twin", "forget", "key_of", "note", "twin_of", "without_twins"]

WITHIN_US = 2_000_000
"""How far the two times of one login may lie apart, in microseconds."""

_FIND = """
    SELECT id FROM twin WHERE key = :key AND journal = :other AND paired = 0
    AND abs(time_us - :time_us) <= :within
    AND (pid IS NULL OR :pid IS NULL OR pid = :pid)
    AND EXISTS (SELECT 1 FROM seen WHERE seen.id = twin.id)
    ORDER BY abs(time_us - :time_us), time_us LIMIT 1
"""
_NOTE = "INSERT OR REPLACE INTO twin VALUES (?, ?, ?, ?, ?, ?, ?)"


class Twin(NamedTuple):
    """What tells that two accounts are of one login.

    Attributes:
        key: a hash of machine, program and message.
        journal: it is the journal's account, else a file's.
        id: of the login, as bytes.
        time_us: microseconds since the epoch, UTC.
        pid: process id; not every program writes it into a file.
        verified: it proves who wrote it.
    """

    key: int
    journal: bool
    id: bytes
    time_us: int
    pid: int | None
    verified: bool

    @property
    def row(self) -> tuple[int, bool, bytes, int, int | None]:
        """What is remembered of it."""
        return self[:5]


def key_of(login: Login) -> int | None:
    """Return the hash that both accounts of a login share; None if its line cannot be taken apart.

    syslog daemons write the host name with its domain or without, so the domain does not count.
    """
    head = split(login.line.decode("utf-8", "backslashreplace"))
    if head is None:
        return None
    machine = login.machine.partition(".")[0].lower()
    text = f"{machine}\0{login.program}\0{head.message}"
    hashed = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(hashed, "little", signed=True)


def twin_of(login: Login) -> Twin | None:
    """Return what finds the other account of a login."""
    key = key_of(login)
    if key is None:
        return None
    journal = login.journal or login.verified
    return Twin(key, journal, bytes.fromhex(login.id), login.time, login.pid, login.verified)


def note(cursor: sqlite3.Cursor, twins: Iterable[Twin], day: int) -> None:
    """Remember accounts that have no twin as yet."""
    cursor.executemany(_NOTE, [(*twin.row, False, day) for twin in twins])


def without_twins(cursor: sqlite3.Cursor, twins: Iterable[Twin], day: int) -> set[bytes]:
    """Return the ids of the accounts whose twin was taken before, and remember all of them.

    Of two accounts that come together the journal's counts as the earlier one; where a file's
    account waits for delivery, a journal's that is verified makes it so.
    """
    ordered = sorted(twins, key=lambda twin: not twin.journal)
    return {twin.id for twin in ordered if _has_twin(cursor, twin, day)}


def forget(cursor: sqlite3.Cursor, taken: Sequence[Twin], day: int, most: int) -> None:
    """Forget accounts taken before *day* among the neighbours of the first one just taken."""
    if taken:
        cursor.execute(
            "DELETE FROM twin WHERE day < ? AND key IN"
            " (SELECT key FROM twin WHERE key >= ? ORDER BY key LIMIT ?)",
            (day, taken[0].key, most),
        )


def _has_twin(cursor: sqlite3.Cursor, twin: Twin, day: int) -> bool:
    wanted = {**twin._asdict(), "other": not twin.journal, "within": WITHIN_US}
    found = cursor.execute(_FIND, wanted).fetchone()
    cursor.execute(_NOTE, (*twin.row, found is not None, day))
    if found is None:
        return False
    cursor.execute("UPDATE twin SET paired = 1 WHERE key = ? AND id = ?", (twin.key, found[0]))
    if twin.verified:
        verify(cursor, found[0])
    return True
