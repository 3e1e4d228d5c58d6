"""What the monitor keeps: monitors and their results, in one SQLite file with one writer."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from logwatch_monitis.config.private_files import make_directory, open_file
from logwatch_monitis.errors import LockHeldError, StateError
from logwatch_monitis.protocol.wire import INVALID_MONITOR, NAME_EXISTS, Result
from logwatch_monitis.server.store.column_types import Columns, check_values
from logwatch_monitis.server.store.executed import Once, recall, remember
from logwatch_monitis.server.store.retention import KEEP_ALL, Retention, Tidier, forget
from logwatch_monitis.server.store.rows import event_of, insert_additions, insert_results, rows_of
from logwatch_monitis.server.store.schema import connect_reader, connect_writer
from logwatch_monitis.server.store.writer import Operation, OperationRefused, StoreWriter

__all__ = ["DATABASE", "Definition", "Store", "find_definition", "read_definition"]

T = TypeVar("T")
P = ParamSpec("P")

DATABASE = "monitor.sqlite"
LOCK = "monitor.lock"
READERS = 2

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Definition(NamedTuple):
    """What addMonitor defines.

    Attributes:
        name: unique in the account.
        tag: what clients find it by.
        type: free text, often empty.
        params: lists of rows of cells by the protocol's names: ``resultParams``, ``monitorParams``,
            ``additionalResultParams``.
        details: what else was told, by the protocol's names: ``multiValue``, ``agentId``, …
        suspended: it takes no results at present.
    """

    name: str
    tag: str
    type: str
    params: Mapping[str, list[list[str]]]
    details: Mapping[str, Any] = {}
    suspended: bool = False


class Store:
    """The data directory of one account, held by one process.

    Writing methods return when their work is durable. They and `read` are for coroutines. With
    *once* they do it unless it was done before, and return what they returned then.
    """

    def __init__(
        self,
        directory: Path,
        lock: IO[bytes],
        writer: sqlite3.Connection,
        *,
        retention: Retention,
        now: Callable[[], float],
    ) -> None:
        self._path = directory / DATABASE
        self._lock = lock
        self._columns = Columns()
        self._now = now
        self._writer = StoreWriter(writer, Tidier(retention, now), self._columns.forget)
        self._readers = ThreadPoolExecutor(READERS, "monitor-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        patience: float = 0.0,
        retention: Retention = KEEP_ALL,
        now: Callable[[], float] = time.time,
    ) -> Store:
        """Open the store in *directory*, which is made if it is missing (mode 0700).

        Args:
            directory: holds the database, its lock and the keys.
            patience: seconds to wait for a process that is just ending.
            retention: how much is kept.
            now: returns seconds since the epoch.

        Raises:
            LockHeldError: another process holds the directory.
            StateError: directory or database cannot be used.
        """
        lock = _take_lock(directory, patience)
        try:
            writer = connect_writer(directory / DATABASE)
            return cls(directory, lock, writer, retention=retention, now=now)
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
        self, monitor: int, results: Sequence[Result], once: Once | None = None
    ) -> int:
        """Store all the *results* or none; return how many were new.

        A result is known by the ``id`` among its additional facts. If all of them have one, the
        request itself need not be known.

        Raises:
            Refused: there is no such monitor, it is suspended, or a value is not of its type.
        """
        rows = rows_of(monitor, results, self._now_ms())
        if all(map(event_of, results)):
            once = None

        def insert(connection: sqlite3.Connection) -> int:
            if columns := self._columns.of(connection, monitor):
                for result in results:
                    check_values(columns, result.values)
            return insert_results(connection, rows)

        return await self._execute(insert, once, len(rows), sum(map(_size, rows)))

    async def add_additional(
        self,
        monitor: int,
        checktime: int,
        objects: Sequence[Mapping[str, Any]],
        once: Once | None = None,
    ) -> None:
        """Store additional *objects* of the results of a moment.

        Raises:
            Refused: there is no such monitor, or it is suspended.
        """

        def insert(connection: sqlite3.Connection) -> int:
            self._columns.of(connection, monitor)
            insert_additions(connection, monitor, checktime, objects)
            return len(objects)

        await self._execute(insert, once, size=len(_encode(objects)))

    async def add_monitor(self, definition: Definition, once: Once | None = None) -> int:
        """Make a monitor and return its id, which no other will ever have.

        Raises:
            Refused: there is one of that name.
        """
        row = (*_row(definition), self._now_ms())

        def insert(connection: sqlite3.Connection) -> int:
            _require_free_name(connection, definition.name)
            cursor = connection.execute(
                "INSERT INTO monitors (name, tag, type, params, details, suspended, created_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            return cursor.lastrowid or 0

        return await self._execute(insert, once, size=_size(row))

    async def change_monitors(
        self,
        monitors: Iterable[int],
        change: Callable[[Definition], Definition],
        once: Once | None = None,
    ) -> None:
        """Put what *change* makes of each monitor's definition in its place, of all or of none.

        Raises:
            Refused: there is no such monitor, another one has the new name, or *change* says no.
        """
        wanted = sorted(set(monitors))

        def update(connection: sqlite3.Connection) -> int:
            changed = [(change(find_definition(connection, one)), one) for one in wanted]
            for definition, monitor in changed:
                _require_free_name(connection, definition.name, monitor)
            connection.executemany(
                "UPDATE monitors SET name=?, tag=?, type=?, params=?, details=?, suspended=?"
                " WHERE id=?",
                [(*_row(definition), monitor) for definition, monitor in changed],
            )
            self._columns.forget()
            return len(wanted)

        await self._execute(update, once)

    async def suspend(
        self, monitors: Iterable[int], tag: str, *, suspended: bool, once: Once | None = None
    ) -> None:
        """Let the *monitors*, and those with the *tag* if one is given, take results or not.

        Raises:
            Refused: there is no such monitor; nothing was changed.
        """
        wanted = sorted(set(monitors))

        def update(connection: sqlite3.Connection) -> int:
            _require_monitors(connection, wanted)
            rows = [(suspended, monitor) for monitor in wanted]
            connection.executemany("UPDATE monitors SET suspended=? WHERE id=?", rows)
            if tag:
                connection.execute("UPDATE monitors SET suspended=? WHERE tag=?", (suspended, tag))
            self._columns.forget()
            return len(wanted)

        await self._execute(update, once)

    async def delete_monitors(self, monitors: Iterable[int], once: Once | None = None) -> None:
        """Delete all of the *monitors* or none; their results go bit by bit afterwards.

        Raises:
            Refused: one of them is none.
        """
        wanted = sorted(set(monitors))

        def delete(connection: sqlite3.Connection) -> int:
            _require_monitors(connection, wanted)
            rows = [(monitor,) for monitor in wanted]
            connection.executemany("UPDATE monitors SET deleted=1 WHERE id=?", rows)
            self._columns.forget()
            return len(wanted)

        await self._execute(delete, once)

    async def forget(self, user: str, once: Once | None = None) -> int:
        """Erase every result of a person, on the disk too; return how many there were."""
        if once:
            total = await self.read(recall, once)
            if once.repeated:
                return total
        total = 0
        while found := await self._writer.write(lambda connection: forget(connection, user)):
            total += found
        await self._writer.write_alone(_empty_log)
        if once:
            await self._writer.write(lambda connection: remember(connection, once, total))
        return total

    async def end_cookie(self, name: str, until: int, now: int) -> None:
        """Remember a cookie of the page as ended until it would have; both are seconds."""

        def end(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM ended_cookies WHERE until<=?", (now,))
            connection.execute("INSERT OR IGNORE INTO ended_cookies VALUES (?, ?)", (name, until))

        await self._writer.write(end)

    async def _execute(
        self, operation: Operation[int], once: Once | None, results: int = 1, size: int = 0
    ) -> int:
        """Run *operation* in the writer, unless it was run before, and remember that with it.

        Args:
            operation: what to do; it returns what is told of it.
            once: by what it is known again.
            results: how many it stores.
            size: how many bytes it holds until then.
        """
        if once is None:
            return await self._writer.write(operation, results, size)

        def run(connection: sqlite3.Connection) -> int:
            answer = recall(connection, once)
            if not once.repeated:
                answer = operation(connection)
                remember(connection, once, answer)
            return answer

        return await self._writer.write(run, results, size)

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect_reader(self._path)
            self._connections.append(connection)
        return connection


def find_definition(connection: sqlite3.Connection, monitor: int) -> Definition:
    """Return what a monitor is.

    Raises:
        Refused: there is no such monitor.
    """
    row = connection.execute(
        "SELECT name, tag, type, params, details, suspended FROM monitors"
        " WHERE id=? AND NOT deleted",
        (monitor,),
    ).fetchone()
    if row is None:
        raise OperationRefused(INVALID_MONITOR)
    return read_definition(row)


def read_definition(row: Sequence[Any]) -> Definition:
    """Return the definition from its columns in the order of `Definition`."""
    name, tag, type_, params, details, suspended = row
    return Definition(name, tag, type_, json.loads(params), json.loads(details), bool(suspended))


def _row(definition: Definition) -> tuple[Any, ...]:
    params, details = _encode(definition.params), _encode(definition.details)
    texts = (*definition[:3], params, details)
    return (*(text.encode("utf-8", "replace").decode() for text in texts), definition.suspended)


def _size(row: Sequence[Any]) -> int:
    """Return about how many bytes a row holds until it is stored."""
    return sum(len(cell) for cell in row if isinstance(cell, str))


def _require_free_name(connection: sqlite3.Connection, name: str, own: int = 0) -> None:
    query = "SELECT 1 FROM monitors WHERE name=? AND id!=? AND NOT deleted"
    if connection.execute(query, (name, own)).fetchone():
        raise OperationRefused(NAME_EXISTS)


def _require_monitors(connection: sqlite3.Connection, monitors: Iterable[int]) -> None:
    for monitor in monitors:
        find_definition(connection, monitor)


def _empty_log(connection: sqlite3.Connection) -> None:
    """Bring the write-ahead log into the database and empty it: old pages are gone from both.

    Raises:
        sqlite3.OperationalError: readers kept it from being emptied.
    """
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("the write-ahead log is in use")


def _take_lock(directory: Path, patience: float) -> IO[bytes]:
    deadline = time.monotonic() + patience
    try:
        make_directory(directory, like_parent=True)
        lock = os.fdopen(open_file(directory / LOCK), "r+b")
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
