"""The one thread that writes: takes whatever is waiting and commits it together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

__all__ = ["Refused", "Writer"]

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
MAX_GROUP = 512
IDLE = 600.0
TIDY_ROWS = 1_000


class Refused(Exception):  # noqa: N818 - an answer to a client, not a failure
    """Raised by an operation, before it wrote anything, to say no; the text is for the client."""


class _Job(NamedTuple):
    operation: Operation[Any]
    future: asyncio.Future[Any]
    alone: bool = False


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    value: Any
    error: Exception | None = None


class Writer:
    """Runs operations one after the other on one connection, many to a commit.

    While a commit waits for the disk the next operations gather, so the disk's pace bounds commits,
    not operations. An operation is told done only after its commit. If a group fails, each of it is
    tried alone: one that cannot be stored takes none of the others with it.
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
        self._thread = threading.Thread(target=self._run, name="monitor-writer", daemon=True)
        self._thread.start()

    async def write(self, operation: Operation[T]) -> T:
        """Run *operation* in the writer's thread; return what it returned once that is durable.

        Raises:
            Refused: the operation said no.
            sqlite3.Error: it could not be stored; nothing of it was.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(operation, future))
        return await future

    async def write_alone(self, operation: Operation[T]) -> T:
        """Run *operation* like `write`, but outside of a transaction.

        Raises:
            sqlite3.Error: it failed.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(operation, future, alone=True))
        return await future

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
            _tell(self._commit(together))
        _tell([self._outside(job) for job in jobs if job.alone])

    def _outside(self, job: _Job) -> _Outcome:
        try:
            return _run(job, self._connection)
        except Exception as error:  # noqa: BLE001 - its client must be told
            return _Outcome(job.future, None, error)

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

    def _commit(self, jobs: Sequence[_Job]) -> list[_Outcome]:
        try:
            return self._transaction(lambda connection: [_run(job, connection) for job in jobs])
        except Exception as error:  # noqa: BLE001 - whatever it is, its client must be told
            self._undone()
            if len(jobs) == 1:
                return [_Outcome(jobs[0].future, None, error)]
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


def _run(job: _Job, connection: sqlite3.Connection) -> _Outcome:
    try:
        return _Outcome(job.future, job.operation(connection))
    except Refused as refusal:
        return _Outcome(job.future, None, refusal)


def _tell(outcomes: Sequence[_Outcome]) -> None:
    """Hand the outcomes to the loops that wait for them: one wake-up for the whole group."""
    for loop in {outcome.future.get_loop() for outcome in outcomes}:
        mine = [outcome for outcome in outcomes if outcome.future.get_loop() is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _settle(outcomes: Iterable[_Outcome]) -> None:
    for future, value, error in outcomes:
        if future.done():
            continue  # its client went away
        if error:
            future.set_exception(error)
        else:
            future.set_result(value)
