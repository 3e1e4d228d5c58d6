"""What the monitor keeps: monitors and their results, in one SQLite file with one writer."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from logwatch_monitis.errors import LockHeldError, StateError
from logwatch_monitis.monitis.wire import INVALID_MONITOR, NAME_EXISTS, Result

from .keys import make_directory
from .schema import connect_reader, connect_writer
from .writer import Refused, Writer

__all__ = ["ACCOUNT", "DATABASE", "Definition", "Store"]

T = TypeVar("T")
P = ParamSpec("P")

ACCOUNT = 1
DATABASE = "monitor.sqlite"
LOCK = "monitor.lock"
READERS = 2
PURGE_ROWS = 2_000

_COLUMNS = ("user_login", "host", "srv")
_FACTS = ("machine", "kind", "verified", "method", "agent")
_INSERT = """
INSERT OR IGNORE INTO results (
    monitor, checktime, stored_ms, once, user_login, host, srv,
    machine, kind, verified, method, agent, other_values, other_facts
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Definition(NamedTuple):
    """What addMonitor defines.

    Attributes:
        name: unique in the account.
        tag: what clients find it by.
        type: free text, often empty.
        params: lists of rows of cells by the protocol's names: ``resultParams``, ``monitorParams``,
            ``additionalResultParams``.
    """

    name: str
    tag: str
    type: str
    params: dict[str, list[list[str]]]


class Store:
    """The monitor's data directory, held by one process.

    Writing methods return when their work is durable. They and `read` are for coroutines.
    """

    def __init__(self, directory: Path, lock: IO[bytes], writer: sqlite3.Connection) -> None:
        self._path = directory / DATABASE
        self._lock = lock
        self._writer = Writer(writer, _purge)
        self._readers = ThreadPoolExecutor(READERS, "monitor-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @classmethod
    def open(cls, directory: Path, *, patience: float = 0.0) -> Store:
        """Open the store in *directory*, which is made if it is missing (mode 0700).

        Args:
            directory: holds the database, its lock and the keys.
            patience: seconds to wait for a process that is just ending.

        Raises:
            LockHeldError: another process holds the directory.
            StateError: directory or database cannot be used.
        """
        lock = _take_lock(directory, patience)
        try:
            return cls(directory, lock, connect_writer(directory / DATABASE))
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Finish what is waiting to be written, then let go of the directory."""
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._writer.close()
        self._lock.close()

    async def read(
        self,
        query: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return ``query(connection, …)``, run in a reader's thread on one consistent state."""

        def run() -> T:
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                return query(connection, *args, **kwargs)
            finally:
                connection.execute("ROLLBACK")

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def add_results(
        self, monitor: int, results: Sequence[Result], *, account: int = ACCOUNT, repeat: str = ""
    ) -> int:
        """Store all the *results* or none; return how many were new.

        A result is known by the ``id`` among its additional facts; without one, by *repeat* and its
        place, if *repeat* is given.

        Raises:
            Refused: the account has no such monitor.
        """
        now = time.time_ns() // 1_000_000
        rows = [_row(monitor, result, now, f"{repeat} {n}") for n, result in enumerate(results)]

        def insert(connection: sqlite3.Connection) -> int:
            _require_monitor(connection, account, monitor)
            return connection.executemany(_INSERT, rows).rowcount

        return await self._writer.write(insert)

    async def add_monitor(self, definition: Definition, *, account: int = ACCOUNT) -> int:
        """Make a monitor and return its id, which no other will ever have.

        Raises:
            Refused: the account has one of that name.
        """
        name, tag, type_, params = definition
        row = (account, name, tag, type_, _encode(params), time.time_ns() // 1_000_000)

        def insert(connection: sqlite3.Connection) -> int:
            found = connection.execute(
                "SELECT 1 FROM monitors WHERE account=? AND name=? AND NOT deleted", row[:2]
            )
            if found.fetchone():
                raise Refused(NAME_EXISTS)
            return (
                connection.execute(
                    "INSERT INTO monitors (account, name, tag, type, params, created_ms)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
                or 0
            )

        return await self._writer.write(insert)

    async def delete_monitors(self, monitors: Iterable[int], *, account: int = ACCOUNT) -> None:
        """Delete all of the *monitors* or none; their results go bit by bit afterwards.

        Raises:
            Refused: the account lacks one of them.
        """
        wanted = sorted(set(monitors))

        def delete(connection: sqlite3.Connection) -> None:
            for monitor in wanted:
                _require_monitor(connection, account, monitor)
            connection.executemany(
                "UPDATE monitors SET deleted=1 WHERE id=?", [(monitor,) for monitor in wanted]
            )

        await self._writer.write(delete)

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect_reader(self._path)
            self._connections.append(connection)
        return connection


def _take_lock(directory: Path, patience: float) -> IO[bytes]:
    deadline = time.monotonic() + patience
    try:
        make_directory(directory)
        lock = (directory / LOCK).open("ab")
        (directory / LOCK).chmod(0o600)
    except OSError as error:
        raise StateError(
            f"{directory}: {error.strerror}", "the monitor keeps its data there"
        ) from None
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                lock.close()
                raise LockHeldError(
                    f"{directory}: another monitor works on this data",
                    "stop it, or give this one a data directory of its own",
                ) from None
            time.sleep(0.05)
        else:
            return lock


def _require_monitor(connection: sqlite3.Connection, account: int, monitor: int) -> None:
    found = connection.execute(
        "SELECT 1 FROM monitors WHERE id=? AND account=? AND NOT deleted", (monitor, account)
    )
    if not found.fetchone():
        raise Refused(INVALID_MONITOR)


def _row(monitor: int, result: Result, now: int, repeat: str) -> tuple[Any, ...]:
    values, facts = dict(result.values), dict(result.additional)
    event = facts.pop("id", None)
    once = _text(event) or (f" {repeat}" if not repeat.startswith(" ") else None)
    row = [monitor, result.checktime, now, once]
    row += [_text(values.pop(name, None)) for name in _COLUMNS]
    row += [_fact(name, facts.pop(name, None)) for name in _FACTS]
    row += [_text(_encode(rest)) if rest else None for rest in (values, facts)]
    return tuple(row)


def _fact(name: str, value: Any) -> str | int | None:
    if name == "verified":
        return None if value is None else int(value is True or value in (1, "1", "true"))
    return _text(value)


def _text(value: Any) -> str | None:
    """Return *value* as text that SQLite can hold, None for nothing."""
    if value is None:
        return None
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _purge(connection: sqlite3.Connection) -> bool:
    """Remove some results of a deleted monitor; say whether there may be more to remove."""
    found = connection.execute("SELECT id FROM monitors WHERE deleted LIMIT 1").fetchone()
    if not found:
        return False
    gone = connection.execute(
        "DELETE FROM results WHERE seq IN (SELECT seq FROM results WHERE monitor=? LIMIT ?)",
        (found[0], PURGE_ROWS),
    )
    if gone.rowcount == 0:
        connection.execute("DELETE FROM monitors WHERE id=?", found)
    return True
