"""Logins as rows of the outbox and back, each with a checksum.

SQLite does not notice when a disk changes a byte inside a value. A changed login must not reach
the monitor, where its id would shadow the true one; so every row proves itself before it is sent
or saved from a damaged database.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from logwatch_monitis.login import Login
from logwatch_monitis.spool.database import DamagedError
from logwatch_monitis.spool.records import OutboxEntry

__all__ = ["CONTENT", "ENTRY", "INSERT", "Row", "copy_readable", "entries", "row_of", "verify"]

Row = tuple[bytes, int, str, str, str, str, str, int, str, int]
"""The values of `CONTENT`."""

CONTENT = "id, time_us, user, host, srv, kind, machine, verified, method, crc"
ENTRY = f"{CONTENT}, seq, attempts, history"
_MARKS = ", ".join("?" * 11)
_LAST_ROWS = 2_000
_VERIFIED = CONTENT.split(", ").index("verified")
INSERT = f"INSERT INTO outbox (history, {CONTENT}) VALUES ({_MARKS})"  # noqa: S608 - our own names


def row_of(login: Login) -> Row:
    """Return what of a login is kept."""
    key = bytes.fromhex(login.id)
    method = str(login.fields.get("method", ""))
    values = (
        *(key, login.time, login.user_login, login.host, login.srv, login.kind, login.machine),
        *(int(login.verified), method),
    )
    return (*values, _checksum(values))


def verify(cursor: sqlite3.Cursor, key: bytes) -> None:
    """Note that the login of this id was proved by the journal, if it still waits.

    Looks at the last rows only: the two accounts of a login come seconds apart, and a scan of a
    full outbox for each would be too much. A row that is not what was written stays as it is, and
    is noticed when it is sent.
    """
    found = cursor.execute(
        f"SELECT seq, {CONTENT} FROM outbox"  # noqa: S608 - our own names
        " WHERE seq > (SELECT max(seq) FROM outbox) - ? AND id = ?",
        (_LAST_ROWS, key),
    )
    for seq, *values, crc in found.fetchall():
        if crc == _checksum(values):
            values[_VERIFIED] = 1
            cursor.execute(
                "UPDATE outbox SET verified = 1, crc = ? WHERE seq = ?", (_checksum(values), seq)
            )


def entries(found: Iterable[Sequence[Any]]) -> list[OutboxEntry]:
    """Return the entries of rows with the columns of `ENTRY`.

    Raises:
        DamagedError: a row is not what was once written.
    """
    return [_entry(row) for row in found]


def copy_readable(
    damaged: sqlite3.Connection, fresh: sqlite3.Connection, table: str, extra: Sequence[str]
) -> None:
    """Copy the intact rows of a table, with its *extra* columns."""
    columns = f"{CONTENT}, {', '.join(extra)}"
    marks = ", ".join("?" * (10 + len(extra)))
    insert = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
    for row in _readable(damaged, table, columns):
        with suppress(sqlite3.IntegrityError):
            fresh.execute(insert, row)


def _readable(damaged: sqlite3.Connection, table: str, columns: str) -> Iterator[list[Any]]:
    """Read from the front until damage stops it, then from the back."""
    damaged.text_factory = bytes
    first, last = -1, (1 << 63) - 1
    for order in ("ASC", "DESC"):
        query = (
            f"SELECT seq, {columns} FROM {table} NOT INDEXED "  # noqa: S608 - our own names
            f"WHERE seq > ? AND seq <= ? ORDER BY seq {order}"
        )
        try:
            for seq, *values in damaged.execute(query, (first, last)):
                first = seq if order == "ASC" else first
                if (row := _decoded(values)) is not None:
                    yield row
        except sqlite3.Error:
            continue
        return


def _entry(row: Sequence[Any]) -> OutboxEntry:
    key, time_us, user, host, srv, kind, machine, verified, method, crc, *rest = row
    if crc != _checksum(row[:9]):
        raise DamagedError("is damaged: an entry is not what was written")
    seq, attempts, history = rest
    return OutboxEntry(
        *(seq, key.hex(), time_us, user, host, srv, kind, machine, bool(verified), method),
        attempts=attempts,
        history=bool(history),
    )


def _decoded(values: Sequence[Any]) -> list[Any] | None:
    """Return the values with their texts as text; None if they are not what was written."""
    try:
        row = [values[0], *(v.decode() if isinstance(v, bytes) else v for v in values[1:])]
        return row if row[9] == _checksum(row[:9]) else None
    except (TypeError, UnicodeDecodeError):
        return None


def _checksum(values: Sequence[Any]) -> int:
    text = "\0".join(map(str, values[1:]))
    return zlib.crc32(text.encode(), zlib.crc32(values[0]))
