"""Reads logs with several processes; what comes out is the same, in the same order.

Each process reads one stretch at a time: a file, or a few megabytes of a large one. What it finds
it holds back until all that comes before has been taken, so memory stays flat.

A stretch's ids depend on the stretch before it in one way: byte-identical lines of one second are
numbered. A process begins as if there had been none, and notes the seconds it began with. When its
turn comes, that is compared with what had been counted by then (`Ordinals.follow`). In the rare
case that both know the same line, the stretch is read once more with the true state.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import chain
from multiprocessing import connection, get_context
from typing import Any, NamedTuple, Protocol

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.history import Failure, History, Log, Piece, Stretch
from logwatch_monitis.login import Opening, Ordinals
from logwatch_monitis.scanner import ScanCounts

__all__ = ["Taker", "read_logs"]

RANGE = 4 * 1024 * 1024
"""Bytes of a plain file that are read as one stretch."""
HELD = 30_000
"""Logins that a process holds back at most; then it waits for its turn."""

Connection = Any
"""`multiprocessing.connection.Connection`; how it is typed depends on Python's version."""


class Taker(Protocol):
    """Takes what was found."""

    @property
    def anywhere(self) -> bool:
        """Each piece stands for itself, so it may be taken in the process that found it."""

    def take(self, piece: Piece) -> None:
        """Take the next piece."""

    def report(self) -> Any:
        """Return what was counted since the last report, for `add`."""

    def add(self, report: Any) -> None:
        """Count what was taken in another process."""


class _Order(NamedTuple):
    """Read a stretch. *saved* are the ordinals before it, None if they are not known yet."""

    stretch: Stretch
    saved: str | None


class _Ready(NamedTuple):
    """A stretch has been read, if *finished* to its end; may it be taken?"""

    opening: Opening
    finished: bool


class _Done(NamedTuple):
    """A stretch has been taken; *saved* are the ordinals at its end."""

    counts: ScanCounts
    failures: list[Failure]
    report: Any
    saved: str


def read_logs(history: History, logs: Sequence[Log], jobs: int, taker: Taker) -> None:
    """Hand every piece of *logs* to *taker*, in order, reading with so many processes.

    Raises:
        LogwatchError: a process was killed.
    """
    sys.stdout.flush()  # or each process would write what is left
    workers: list[_Worker] = []
    with ExitStack() as stack:
        for _ in range(jobs):
            workers.append(_Worker(history, taker, workers))
            stack.callback(workers[-1].stop)
        _Lead(history, logs, taker).run(workers)


# -- the leading process --------------------------------------------------------------------------


class _Worker:
    """A process, as seen from the one that started it."""

    def __init__(self, history: History, taker: Taker, before: Sequence[_Worker]) -> None:
        context = get_context("fork")
        self.pipe, theirs = context.Pipe()
        strangers = [self.pipe, *(worker.pipe for worker in before)]
        work = _Work(history, taker, theirs)
        self._process = context.Process(target=work.run, args=(strangers,), daemon=True)
        self._process.start()
        theirs.close()
        self.number = -1
        self.fresh = False
        self.ready: _Ready | None = None

    def receive(self) -> Any:
        """Return the next message.

        Raises:
            LogwatchError: the process is dead.
        """
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            message = f"a process that was reading ended unexpectedly (exit code {code})"
            raise LogwatchError(message, "for want of memory? use fewer --jobs") from None

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.pipe.close()
        self._process.terminate()
        self._process.join()


class _Lead:
    """Gives out stretches, and says when one may be taken."""

    def __init__(self, history: History, logs: Sequence[Log], taker: Taker) -> None:
        self._history = history
        self._taker = taker
        self._plan = enumerate(part for log in logs for part in history.plan(log, RANGE))
        self._turn = 0
        self._before = Ordinals()
        self._settled = False

    def run(self, workers: Sequence[_Worker]) -> None:
        """Go on until everything is taken."""
        busy = [worker for worker in workers if self._give(worker)]
        while busy:
            for pipe in connection.wait([worker.pipe for worker in busy]):
                worker = next(one for one in busy if one.pipe is pipe)
                if self._hear(worker, worker.receive()) and not self._give(worker):
                    busy.remove(worker)
            for worker in busy:
                if worker.number == self._turn and worker.ready:
                    worker.pipe.send(self._verdict(worker, worker.ready))
                    worker.ready = None

    def _give(self, worker: _Worker) -> bool:
        """Give out the next stretch; say whether there was one."""
        number, stretch = next(self._plan, (-1, None))
        if stretch is None:
            return False
        worker.number, worker.fresh = number, stretch.fresh
        saved = None
        if number == self._turn:
            saved = Ordinals().save() if stretch.fresh else self._before.save()
            self._settled = False
        worker.pipe.send(_Order(stretch, saved))
        return True

    def _verdict(self, worker: _Worker, ready: _Ready) -> str | None:
        """Return None if a stretch may be taken, else the ordinals to read it with again."""
        self._settled = False
        if worker.fresh or self._before.empty:
            return None
        saved = self._before.save()
        opening = ready.opening
        if self._before.follow(opening) and (opening.left or ready.finished):
            self._settled = not opening.left
            return None
        return saved

    def _hear(self, worker: _Worker, message: Any) -> bool:
        """Act on a message; say whether the worker has done its stretch."""
        if isinstance(message, _Ready):
            worker.ready = message
        elif isinstance(message, Piece):
            self._taker.take(message)
        elif isinstance(message, _Done):
            self._history.counts.add(message.counts)
            self._history.failures += message.failures
            self._taker.add(message.report)
            if not self._settled:
                self._before = Ordinals(message.saved)
            self._turn += 1
            return True
        else:
            raise message
        return False


# -- the others -----------------------------------------------------------------------------------


class _Work:
    """What a process does: read, wait for its turn, hand over."""

    def __init__(self, history: History, taker: Taker, pipe: Connection) -> None:
        self._history = history
        self._taker = taker
        self._pipe = pipe
        self._leader = os.getpid()

    def run(self, strangers: Sequence[Connection]) -> None:
        """Read stretches until there are no more orders."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leading process ends the others
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for pipe in strangers:  # or nobody would see that the leading process has died
            pipe.close()
        try:
            while True:
                order: _Order = self._pipe.recv()
                saved = order.saved
                while (again := self._read(order.stretch, saved)) is not None:
                    saved = again
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - the leading process tells of it
            with suppress(OSError):
                self._pipe.send(error)

    def _read(self, stretch: Stretch, saved: str | None) -> str | None:
        """Read a stretch and hand it over; return the ordinals if it must be read with others."""
        history = self._history
        history.counts, history.failures = ScanCounts(), []
        ordinals = Ordinals(saved or "", Opening() if saved is None else None)
        found = self._alive(history.pieces(stretch, ordinals))
        if saved is None:
            held, finished = _hold(found)
            assert ordinals.opening is not None
            self._pipe.send(_Ready(ordinals.opening, finished))
            again: str | None = self._pipe.recv()
            if again is not None:
                return again
            found = chain(held, found)
        for piece in found:
            if self._taker.anywhere:
                self._taker.take(piece)
            else:
                self._pipe.send(piece)
        done = _Done(history.counts, history.failures, self._taker.report(), ordinals.save())
        self._pipe.send(done)
        return None

    def _alive(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield *pieces* as long as the leading process lives."""
        for piece in pieces:
            if os.getppid() != self._leader:
                raise EOFError
            yield piece


def _hold(found: Iterator[Piece]) -> tuple[list[Piece], bool]:
    """Return as many pieces as may be held back, and whether these are all."""
    held: list[Piece] = []
    logins = 0
    for piece in found:
        held.append(piece)
        logins += len(piece.logins) + len(piece.rows)
        if logins > HELD:
            return held, False
    return held, True
