"""Reads logs with several processes; what comes out is the same, in the same order.

Each process reads one stretch at a time: a file, or a few megabytes of a large one. What it finds
it writes on a sheet of memory that it shares with the leading process, and goes on with the next
stretch; the leading process takes the sheets in their order. What does not fit on a sheet waits
until all that comes before has been taken, so memory stays flat.

A stretch's ids depend on the stretch before it in one way: byte-identical lines of one second are
numbered. A process begins as if there had been none, and notes the seconds it began with. When its
turn comes, that is compared with what had been counted by then (`Ordinals.follow`). In the rare
case that both know the same line, the leading process reads the stretch once more; likewise where
the stretch before it ended with a line whose next part is still to come.
"""

from __future__ import annotations

import gc
import io
import mmap
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from multiprocessing import connection, get_context
from typing import Any, NamedTuple, Protocol

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.history.reader import Failure, History, LogCopies, Piece, Stretch
from logwatch_monitis.scanner.continued import CutLines
from logwatch_monitis.scanner.login_id import JobStart, Ordinals
from logwatch_monitis.scanner.scanner import Carried, ScanCounts

__all__ = ["Taker", "few_cycles", "read_logs"]

RANGE = 2 * 1024 * 1024
"""Bytes of a plain file that are read as one stretch at first."""
LONGEST = 16 * 1024 * 1024
"""Bytes of a plain file that are read as one stretch, at most, where logins are few."""
SHEET = 10 * 1024 * 1024
"""Bytes of a sheet, at most: what a stretch full of logins may become as JSON."""
SHEETS = 40 * 1024 * 1024
"""Bytes of all sheets."""

_LEAST = 256 * 1024

Connection = Any
"""`multiprocessing.connection.Connection`; how it is typed depends on Python's version."""


class Taker(Protocol):
    """Takes what was found."""

    @property
    def anywhere(self) -> bool:
        """Each piece stands for itself, so it may be taken in the process that found it."""

    def take(self, piece: Piece) -> None:
        """Take the next piece."""

    def divert(self, write: Callable[[bytes], Any]) -> None:
        """Give *write* from now on the bytes that pieces become."""

    def write(self, data: bytes | memoryview) -> None:
        """Put out what pieces have become in another process."""

    def report(self) -> Any:
        """Return what was counted since the last report, for `add`."""

    def add(self, report: Any) -> None:
        """Count what was taken in another process."""


class _Order(NamedTuple):
    """Read a stretch and write on a sheet."""

    stretch: Stretch
    sheet: int


class _Done(NamedTuple):
    """A stretch has been read to its end; *saved* are the ordinals there, *cut* the cut lines."""

    counts: ScanCounts
    failures: list[Failure]
    report: Any
    saved: str
    cut: CutLines


class _Ready(NamedTuple):
    """A sheet is written so far; without *done* it is full, and the process waits for its turn."""

    opening: JobStart
    size: int
    done: _Done | None


class _Sheets:
    """Memory that all processes share."""

    def __init__(self, jobs: int) -> None:
        self.number = 2 * jobs
        self.size = min(SHEET, SHEETS // self.number)
        self.range = min(RANGE, max(self.size // 5, _LEAST))
        self._memory = memoryview(mmap.mmap(-1, self.number * self.size))

    def __getitem__(self, number: int) -> memoryview:
        return self._memory[number * self.size : (number + 1) * self.size]


def read_logs(history: History, logs: Sequence[LogCopies], jobs: int, taker: Taker) -> None:
    """Hand every piece of *logs* to *taker*, in order, reading with so many processes.

    Raises:
        LogwatchError: a process was killed.
    """
    sys.stdout.flush()  # or each process would write what is left
    sheets = _Sheets(jobs)
    workers: list[_Worker] = []
    with ExitStack() as stack:
        for _ in range(jobs):
            workers.append(_Worker(_Work(history, taker, sheets), workers))
            stack.callback(workers[-1].stop)
        _Lead(history, logs, taker, sheets).run(workers)


# -- the leading process --------------------------------------------------------------------------


class _Worker:
    """A process, as seen from the one that started it."""

    def __init__(self, work: _Work, before: Sequence[_Worker]) -> None:
        context = get_context("fork")
        self.pipe, theirs = context.Pipe()
        strangers = [self.pipe, *(worker.pipe for worker in before)]
        self._process = context.Process(target=work.run, args=(theirs, strangers), daemon=True)
        self._process.start()
        theirs.close()
        self.number = -1

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


class _Assignment(NamedTuple):
    """A stretch that was given out, and what has become of it."""

    worker: _Worker
    stretch: Stretch
    sheet: int
    ready: _Ready | None = None


class _Lead:
    """Gives out stretches, and takes the sheets when it is their turn."""

    def __init__(
        self, history: History, logs: Sequence[LogCopies], taker: Taker, sheets: _Sheets
    ) -> None:
        self._history = history
        self._taker = taker
        self._sheets = sheets
        self._plan = (part for log in logs for part in history.plan(log, self._every))
        self._numbers = count()
        self._free = deque(range(sheets.number))
        self._idle: deque[_Worker] = deque()
        self._parts: dict[int, _Assignment] = {}
        self._turn = 0
        self._range = sheets.range
        self._before = Ordinals()
        self._cut = CutLines()
        self._settled = False

    def _every(self) -> int:
        """Return after how many bytes a file is cut next."""
        return self._range

    def _adapt(self, stretch: Stretch, written: int) -> None:
        """Cut so that a stretch like this one would fill half a sheet."""
        if stretch.end is not None:
            read = stretch.end - stretch.begin
            fitting = read * self._sheets.size // (2 * max(written, 1))
            self._range = max(self._sheets.range, min(fitting, LONGEST))

    def run(self, workers: Sequence[_Worker]) -> None:
        """Go on until everything is taken."""
        by_pipe: dict[Any, _Worker] = {worker.pipe: worker for worker in workers}
        self._idle.extend(workers)
        self._give()
        while self._parts:
            for pipe in connection.wait(list(by_pipe)):
                self._hear(by_pipe[pipe], by_pipe[pipe].receive())
            self._take_turns()
            self._give()
        self._history.end(self._cut)

    def _give(self) -> None:
        """Give out stretches as long as there are a process and a sheet for one."""
        while self._idle and self._free:
            stretch = next(self._plan, None)
            if stretch is None:
                return
            worker, sheet = self._idle.popleft(), self._free.popleft()
            worker.number = next(self._numbers)
            self._parts[worker.number] = _Assignment(worker, stretch, sheet)
            worker.pipe.send(_Order(stretch, sheet))

    def _hear(self, worker: _Worker, message: Any) -> None:
        if isinstance(message, _Ready):
            self._parts[worker.number] = self._parts[worker.number]._replace(ready=message)
            if message.done:
                self._idle.append(worker)
        elif isinstance(message, Piece):
            self._taker.take(message)
        elif isinstance(message, _Done):
            self._idle.append(worker)
            self._account(message)
        else:
            raise message

    def _take_turns(self) -> None:
        while (part := self._parts.get(self._turn)) is not None and part.ready is not None:
            ready = part.ready
            if saved := self._contradiction(part.stretch, ready):
                self._again(part, saved)
                continue
            self._put_out(self._sheets[part.sheet][: ready.size])
            self._adapt(part.stretch, ready.size)
            if ready.done is None:
                self._parts[self._turn] = part._replace(ready=None)
                part.worker.pipe.send(True)
                return
            self._account(ready.done)

    def _put_out(self, written: memoryview) -> None:
        if self._taker.anywhere:
            self._taker.write(written)
            return
        pieces = io.BytesIO(written)
        while pieces.tell() < len(written):
            self._taker.take(pickle.load(pieces))  # noqa: S301 - written by our own process

    def _contradiction(self, stretch: Stretch, ready: _Ready) -> str:
        """Return the ordinals to read a stretch with again; nothing if it may be taken.

        Where a line waits for its next part the stretch is read again, too: it may begin with it.
        """
        self._settled = False
        if stretch.fresh:
            self._history.end(self._cut)
            self._cut = CutLines()
            return ""
        if self._cut.waiting:
            return self._before.save()
        if self._before.empty:
            return ""
        saved, opening = self._before.save(), ready.opening
        if self._before.follow(opening) and (opening.left or ready.done):
            self._settled = not opening.left
            return ""
        return saved

    def _again(self, part: _Assignment, saved: str) -> None:
        """Read the stretch whose turn it is, knowing all that comes before."""
        if part.ready and not part.ready.done:
            part.worker.pipe.send(False)
            self._idle.append(part.worker)
        self._before = Ordinals(saved)
        for piece in self._history.pieces(part.stretch, Carried(self._before, self._cut)):
            self._taker.take(piece)
        self._taker.add(self._taker.report())
        self._next()

    def _account(self, done: _Done) -> None:
        """Count what the stretch whose turn it is has brought."""
        self._history.counts.add(done.counts)
        self._history.failures += done.failures
        self._taker.add(done.report)
        if not self._settled:
            self._before = Ordinals(done.saved)
        done.cut.cut_off += self._cut.cut_off
        self._cut = done.cut
        self._next()

    def _next(self) -> None:
        self._free.append(self._parts.pop(self._turn).sheet)
        self._turn += 1


# -- the others -----------------------------------------------------------------------------------


class _Work:
    """What a process does: read, write on sheets, and wait for its turn where they are full."""

    def __init__(self, history: History, taker: Taker, sheets: _Sheets) -> None:
        self._history = history
        self._taker = taker
        self._sheets = sheets
        self._leader = os.getpid()

    def run(self, pipe: Connection, strangers: Sequence[Connection]) -> None:
        """Read stretches until there are no more orders."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leading process ends the others
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for stranger in strangers:  # or nobody would see that the leading process has died
            stranger.close()
        try:
            while True:
                order: _Order = pipe.recv()
                with suppress(_NotWantedError):
                    self._read(order, pipe)
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - the leading process tells of it
            with suppress(OSError):
                pipe.send(error)

    def _read(self, order: _Order, pipe: Connection) -> None:
        """Read a stretch and hand it over."""
        history = self._history
        history.counts, history.failures = ScanCounts(), []
        ordinals, cut = Ordinals("", JobStart()), CutLines()
        direct = self._taker.write if self._taker.anywhere else pipe.send_bytes
        sheet = _Sheet(self._sheets[order.sheet], ordinals, pipe, direct)
        self._taker.divert(sheet.write)
        for piece in self._alive(history.pieces(order.stretch, Carried(ordinals, cut))):
            if self._taker.anywhere:
                self._taker.take(piece)
            else:
                sheet.write(pickle.dumps(piece))
        report = self._taker.report()
        sheet.finish(_Done(history.counts, history.failures, report, ordinals.save(), cut))

    def _alive(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield *pieces* as long as the leading process lives."""
        for piece in pieces:
            if os.getppid() != self._leader:
                raise EOFError
            yield piece


class _NotWantedError(Exception):
    """The leading process reads this stretch itself."""


class _Sheet:
    """Where a process writes what it finds in a stretch.

    Args:
        memory: that it shares with the leading process.
        ordinals: of the stretch, which know how they began.
        pipe: leads to the leading process.
        direct: takes what comes after the memory is full, once it is this stretch's turn.
    """

    def __init__(
        self,
        memory: memoryview,
        ordinals: Ordinals,
        pipe: Connection,
        direct: Callable[[bytes], None],
    ) -> None:
        self._memory = memory
        self._ordinals = ordinals
        self._pipe = pipe
        self._direct = direct
        self._size = 0
        self._turn = False

    def write(self, data: bytes) -> None:
        """Put *data* behind what was written before; that may take until it is their turn.

        Raises:
            _NotWantedError: nothing of it will be taken.
        """
        end = self._size + len(data)
        if not self._turn and end > len(self._memory):
            self._wait()
        if self._turn:
            self._direct(data)
        else:
            self._memory[self._size : end] = data
            self._size = end

    def _wait(self) -> None:
        self._pipe.send(self._ready(None))
        if not self._pipe.recv():
            raise _NotWantedError
        self._turn = True

    def finish(self, done: _Done) -> None:
        """Hand the sheet over."""
        self._pipe.send(done if self._turn else self._ready(done))

    def _ready(self, done: _Done | None) -> _Ready:
        opening = self._ordinals.opening
        assert opening is not None
        return _Ready(opening, self._size, done)


@contextmanager
def few_cycles() -> Iterator[None]:
    """Look for cycles less often: logins make none, and looking took up to a sixth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
