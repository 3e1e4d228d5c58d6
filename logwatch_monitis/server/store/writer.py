"""The one thread that writes: takes whatever is waiting and commits it together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

__all__ = [
    "MOST_BYTES",
    "MOST_RESULTS",
    "FullError",
    "Operation",
    "OperationRefused",
    "StoreWriter",
]

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
MAX_GROUP = 512
MOST_RESULTS = 20_000
MOST_BYTES = 64 * 1024 * 1024
IDLE = 600.0
TIDY_ROWS = 1_000


class OperationRefused(Exception):  # noqa: N818 - an answer to a client, not a failure
    """Raised by an operation, before it wrote anything, to say no; the text is for the client."""


class FullError(Exception):
    """Raised for an operation that finds too many waiting already; nothing of it is done."""


class _Load(NamedTuple):
    """How much of what waits an operation is."""

    results: int = 1
    size: int = 0


class _Job(NamedTuple):
    operation: Operation[Any]
    future: asyncio.Future[Any]
    load: _Load
    alone: bool = False


class _WriteOutcome(NamedTuple):
    future: asyncio.Future[Any]
    value: Any
    error: Exception | None = None


class StoreWriter:
    """Runs operations one after the other on one connection, many to a commit.

    While a commit waits for the disk the next operations gather, so the disk's pace bounds commits,
    not operations. An operation is told done only after its commit. If a group fails, each of it is
    tried alone: one that cannot be stored takes none of the others with it.

    At most `MOST_RESULTS` results or `MOST_BYTES` bytes wait, so a store that stalls fills no
    memory; a single operation is taken whatever its size if nothing waits.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        tidy: Operation[bool],
        undone: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread.

        Args:
            connection: the only one that writes.
            tidy: runs when no operation waits, again while it returns True; under load after every
                `TIDY_ROWS` rows written; and every `IDLE` seconds.
            undone: called when operations were rolled back that had not said no.
        """
        self._connection = connection
        self._tidy = tidy
        self._undone = undone
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._load = _Load(0)
        self._thread = threading.Thread(target=self._run, name="monitor-writer", daemon=True)
        self._thread.start()

    async def write(self, operation: Operation[T], results: int = 1, size: int = 0) -> T:
        """Run *operation* in the writer's thread; return what it returned once that is durable.

        Args:
            operation: what to do.
            results: how many it stores.
            size: how many bytes it holds until then.

        Raises:
            Refused: the operation said no.
            FullError: too much waits already.
            sqlite3.Error: it could not be stored; nothing of it was.
        """
        return await self._put(operation, _Load(results, size))

    async def write_alone(self, operation: Operation[T]) -> T:
        """Run *operation* like `write`, but outside of a transaction.

        Raises:
            FullError: too much waits already.
            sqlite3.Error: it failed.
        """
        return await self._put(operation, _Load(), alone=True)

    async def _put(self, operation: Operation[T], load: _Load, *, alone: bool = False) -> T:
        with self._lock:
            present = self._load
            self._load = after = _Load(present.results + load.results, present.size + load.size)
            if present.results and (after.results > MOST_RESULTS or after.size > MOST_BYTES):
                self._load = present
                raise FullError
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(operation, future, load, alone))
        return await future

    def _done(self, jobs: Sequence[_Job]) -> None:
        """Make room: these operations wait no longer."""
        results, size = sum(job.load.results for job in jobs), sum(job.load.size for job in jobs)
        with self._lock:
            self._load = _Load(self._load.results - results, self._load.size - size)

    def close(self) -> None:
        """Finish what is waiting, then close the connection."""
        self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        untidy, seen = True, 0
        while True:
            group = self._next_group(wait=not untidy)
            jobs = [job for job in group if job]
            if jobs:
                self._do(jobs)
            if len(jobs) < len(group):
                return
            untidy = bool(jobs)
            if not jobs or self._connection.total_changes - seen > TIDY_ROWS:
                untidy = self._tidied() or untidy
                seen = self._connection.total_changes

    def _do(self, jobs: Sequence[_Job]) -> None:
        together = [job for job in jobs if not job.alone]
        if together:
            outcomes = self._commit(together)
            self._done(together)
            _tell(outcomes)
        for job in jobs:
            if job.alone:
                outcome = self._outside(job)
                self._done([job])
                _tell([outcome])

    def _outside(self, job: _Job) -> _WriteOutcome:
        try:
            return _run(job, self._connection)
        except Exception as error:  # noqa: BLE001 - its client must be told
            return _WriteOutcome(job.future, None, error)

    def _tidied(self) -> bool:
        try:
            return self._transaction(self._tidy)
        except sqlite3.Error:
            return False  # as after a full disk: tried again behind the next operation

    def _next_group(self, *, wait: bool) -> list[_Job | None]:
        group: list[_Job | None] = []
        with suppress(Empty):
            while len(group) < MAX_GROUP:
                group.append(self._jobs.get(wait and not group, IDLE))
        return group

    def _commit(self, jobs: Sequence[_Job]) -> list[_WriteOutcome]:
        try:
            return self._transaction(lambda connection: [_run(job, connection) for job in jobs])
        except Exception as error:  # noqa: BLE001 - whatever it is, its client must be told
            self._undone()
            if len(jobs) == 1:
                return [_WriteOutcome(jobs[0].future, None, error)]
        return [outcome for job in jobs for outcome in self._commit([job])]

    def _transaction(self, operation: Operation[T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = operation(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result


def _run(job: _Job, connection: sqlite3.Connection) -> _WriteOutcome:
    try:
        return _WriteOutcome(job.future, job.operation(connection))
    except OperationRefused as refusal:
        return _WriteOutcome(job.future, None, refusal)


def _tell(outcomes: Sequence[_WriteOutcome]) -> None:
    """Hand the outcomes to the loops that wait for them: one wake-up for the whole group."""
    for loop in {outcome.future.get_loop() for outcome in outcomes}:
        mine = [outcome for outcome in outcomes if outcome.future.get_loop() is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _settle(outcomes: Iterable[_WriteOutcome]) -> None:
    for future, value, error in outcomes:
        if future.done():
            continue  # its client went away
        if error:
            future.set_exception(error)
        else:
            future.set_result(value)
