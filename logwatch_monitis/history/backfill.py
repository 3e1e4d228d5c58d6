"""``backfill``: history through the spool to the monitor, once, however often it is run.

Nothing is remembered of how far a backfill came: ids tell what was taken before, and reading
again is faster than a database could be asked. So an interrupted one is simply run again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from logwatch_monitis.config.model import Config, Ignore
from logwatch_monitis.delivery.temporary import TemporaryDelivery
from logwatch_monitis.delivery.worker import limits_of, open_spool
from logwatch_monitis.errors import MonitorError, StateError, UnreachableError
from logwatch_monitis.history.reader import History, LogCopies, Piece
from logwatch_monitis.interfaces import Clock, Events
from logwatch_monitis.login import Login
from logwatch_monitis.spool import Locks, Spool, SpoolDamagedError, SpoolFullError, Summary
from logwatch_monitis.text import counted

__all__ = ["AGAIN", "Backfill", "BackfillResult", "Progress", "Silent", "read", "stays"]

BATCH = 4000
"""Logins for one transaction, or a few more: enough that waiting for the disk does not count."""
WAITING = 50_000
"""So many logins wait for delivery before reading pauses: a monitor that does not answer is noticed
soon, and the outbox keeps room for what happens now."""
AGAIN = "run the same command again"
LOOK_S = 0.1
PATIENCE_S = 10.0
"""How long nothing may move while the monitor fails before the rest is left to the next run."""
SILENCE_S = 150.0
"""The same while nobody says why; longer than any single request may take."""


class Progress(Protocol):
    """Is told how far it has come."""

    def read(self, path: str, end: int) -> None:
        """Note that a file was read up to this uncompressed offset."""

    def found(self, logins: int) -> None:
        """Note so many more logins."""

    def finished(self) -> None:
        """Note that all files are read."""

    def sent(self, logins: int, total: int) -> None:
        """Note how many were sent until now, of how many that were new until now."""


class Silent:
    """Tells nobody."""

    def read(self, path: str, end: int) -> None:
        """See `Progress.read`."""

    def found(self, logins: int) -> None:
        """See `Progress.found`."""

    def finished(self) -> None:
        """See `Progress.finished`."""

    def sent(self, logins: int, total: int) -> None:
        """See `Progress.sent`."""


@dataclass(slots=True)
class BackfillResult:
    """What a backfill has done.

    Attributes:
        files: the files read, with their uncompressed bytes.
        found: logins found, by service.
        ignored: those of them that the configuration leaves out, by service.
        taken: those that the spool was given.
        new: those of them that it had not been given before.
        left: those that an earlier backfill had taken and not sent.
        waiting: how many of the new and the left ones are not sent yet.
        refused: how many the monitor would not have; they are dead letters now.
    """

    files: dict[str, int] = field(default_factory=dict)
    found: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    new: int = 0
    left: int = 0
    waiting: int = 0
    refused: int = 0

    @property
    def sent(self) -> int:
        """How many the monitor has taken."""
        return max(0, self.left + self.new - self.waiting - self.refused)

    @property
    def sent_before(self) -> int:
        """How many of those found had been sent before, if all that were left are among them."""
        return max(0, self.taken - self.new - self.left)

    @property
    def unsent(self) -> int:
        """How many are in the spool, or were not even taken there."""
        return self.waiting + self.found.total() - self.ignored.total() - self.taken

    def add(self, piece: Piece, wanted: Callable[[Login], bool] | None) -> Sequence[Login]:
        """Count what a piece holds, and return its logins that are *wanted*."""
        self.files[piece.path] = piece.end
        logins = piece.logins if wanted is None else [*filter(wanted, piece.logins)]
        self.found.update([login.srv for login in logins])
        return logins

    def keep(self, logins: Sequence[Login], ignore: Ignore) -> Sequence[Login]:
        """Return the logins that are not to be left out, and count those that are."""
        kept = [login for login in logins if not ignore(login)]
        if len(kept) < len(logins):
            self.ignored.update([login.srv for login in logins if ignore(login)])
        return kept


class Backfill:
    """Takes the logins of files into the spool, and sees them delivered.

    Beside a running agent it only fills the spool, and the agent delivers, live logins first. On
    its own it delivers itself (`TemporaryDelivery`).
    """

    _spool: Spool
    _sending: TemporaryDelivery

    def __init__(
        self,
        config: Config,
        history: History,
        *,
        clock: Clock,
        events: Events,
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._config = config
        self._history = history
        self._clock = clock
        self._events = events
        self._progress: Progress = Silent()
        self._wanted: Callable[[Login], bool] | None = None
        self._batch: list[Login] = []
        self._ignore = config.ignore
        self._parts = ExitStack()
        self._opened = False
        most = limits_of(config).max_entries
        self._room = min(WAITING, max(1, most // 2))
        self._share = min(BATCH, max(1, most // 4))
        self._at_once = max(self._share, min(2 * BATCH, most // 8))
        self.tally = BackfillResult()

    def run(
        self,
        logs: Sequence[LogCopies],
        progress: Progress,
        wanted: Callable[[Login], bool] | None = None,
        jobs: int = 1,
    ) -> None:
        """Take and deliver the logins of *logs*; may be called once.

        Args:
            logs: what is read.
            progress: is told how far it has come.
            wanted: says which logins are meant; None for all of them.
            jobs: how many processes read.

        Raises:
            LockHeldError: another backfill works on this state.
            UnreachableError: the monitor does not answer; what is spooled is sent later.
            MonitorError: the monitor refuses; likewise.
            StateError: the spool cannot be used, or takes nothing more.
        """
        self._progress, self._wanted = progress, wanted
        with self._parts:
            if jobs == 1:
                self._open()
            read(self._history, logs, jobs, self._take)
            self._open()
            self._flush()
            progress.finished()
            self._wait(lambda spool: spool.history == 0)

    def _take(self, piece: Piece) -> None:
        """Take the logins of a piece, now or with those of the next ones."""
        self._open()
        logins = self.tally.add(piece, self._wanted)
        self._progress.read(piece.path, piece.end)
        self._progress.found(len(logins))
        self._batch += self.tally.keep(logins, self._ignore)
        if len(self._batch) >= self._share:
            self._flush()

    def _open(self) -> None:
        """Open the spool and begin to deliver, until the run ends; once.

        With several jobs that is done after they were started: they must not inherit locks, threads
        and connections.
        """
        if self._opened:
            return
        self._opened = True
        config, clock, parts = self._config, self._clock, self._parts
        parts.enter_context(Locks(config.state_directory, clock).take("backfill"))
        self._spool = parts.enter_context(open_spool(config, clock, self._events))
        self._sending = TemporaryDelivery(config, self._spool, clock, self._events)
        before = self._spool.summary()
        self.tally.left = before.history
        parts.callback(self._account, before.dead)
        parts.callback(self._sending.stop)
        self._sending.start()

    def _account(self, dead: int) -> None:
        """Note what has become of the logins, now that nothing is sent any more."""
        with suppress(StateError):
            spool = self._spool.summary()
            self.tally.waiting, self.tally.refused = spool.history, spool.dead - dead

    def _flush(self) -> None:
        """Take what has gathered into the spool, as soon as there is room."""
        batch, self._batch = self._batch, []
        for start in range(0, len(batch), self._at_once):
            self._wait(lambda spool: spool.depth < self._room)
            self._commit(batch[start : start + self._at_once])

    def _commit(self, logins: Sequence[Login]) -> None:
        began = self._clock.monotonic()
        while True:
            try:
                self.tally.new += self._spool.commit(logins, {}, history=True)
                self.tally.taken += len(logins)
            except SpoolDamagedError as error:
                raise StateError(error.message, AGAIN) from error
            except SpoolFullError as error:
                if self._clock.monotonic() - began > PATIENCE_S:
                    hint = f"nothing is lost; when that is mended, {AGAIN}"
                    raise StateError(error.message, hint) from error
                time.sleep(LOOK_S)
            else:
                self._sending.wake()
                return

    def _wait(self, enough: Callable[[Summary], bool]) -> None:
        """Wait until *enough* of what waits was delivered.

        Raises:
            UnreachableError: nothing moves, because the monitor does not answer.
            MonitorError: it will not move before somebody does something.
        """
        spool, moved = self._look(), self._clock.monotonic()
        while not enough(spool):
            time.sleep(LOOK_S)
            before, spool = spool, self._look()
            if (spool.sent, spool.dead) != (before.sent, before.dead):
                moved = self._clock.monotonic()
            else:
                self._lose_patience(spool, self._clock.monotonic() - moved)

    def _look(self) -> Summary:
        spool = self._spool.summary()
        total = self.tally.left + self.tally.new
        self._progress.sent(max(0, total - spool.history), total)
        return spool

    def _lose_patience(self, spool: Summary, seconds: float) -> None:
        hint = stays(spool.history)
        status = self._sending.status
        if status and status.state == "refused":
            raise MonitorError(status.error, hint)
        reason = status.error if status else spool.last_error
        if reason and seconds > PATIENCE_S:
            raise UnreachableError(reason, hint)
        if seconds > SILENCE_S:
            raise UnreachableError(f"nothing was delivered for {SILENCE_S:.0f} s", hint)


def read(
    history: History, logs: Sequence[LogCopies], jobs: int, take: Callable[[Piece], None]
) -> None:
    """Hand every piece of *logs* to *take*, in order, reading with so many processes."""
    if jobs > 1:
        from logwatch_monitis.history.workers import read_logs

        read_logs(history, logs, jobs, _Leading(take))
        return
    for log in logs:
        for piece in history.read(log):
            take(piece)


class _Leading:
    """Takes all pieces in the leading process; see `logwatch_monitis.history.workers.Taker`."""

    anywhere = False

    def __init__(self, take: Callable[[Piece], None]) -> None:
        self.take = take

    def divert(self, write: Callable[[bytes], Any]) -> None:
        """Do nothing: pieces stay pieces."""

    def write(self, data: bytes | memoryview) -> None:
        """Do nothing, likewise."""

    def report(self) -> None:
        """Count nothing where nothing is taken."""

    def add(self, report: None) -> None:
        """Do nothing, likewise."""


def stays(logins: int) -> str:
    """Return what becomes of so many logins that could not be sent now."""
    verb = "stays" if logins == 1 else "stay"
    return (
        f"{counted(logins, 'login')} {verb} in the spool; the next 'run' or 'backfill' sends "
        + ("it" if logins == 1 else "them")
    )
