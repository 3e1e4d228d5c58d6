"""``backfill``: history through the spool to the monitor, once, however often it is run.

Nothing is remembered of how far a backfill came: ids tell what was taken before, and reading
again is faster than a database could be asked. So an interrupted one is simply run again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from logwatch_monitis.agent import Ignore
from logwatch_monitis.config import Config
from logwatch_monitis.errors import MonitorError, StateError, UnreachableError
from logwatch_monitis.history import History, Log
from logwatch_monitis.login import Login
from logwatch_monitis.seams import Clock, Events
from logwatch_monitis.sending import limits_of, open_spool
from logwatch_monitis.spool import Locks, SpoolDamagedError, SpoolFullError, Summary
from logwatch_monitis.standin import StandIn

__all__ = ["Backfill", "Progress", "Silent", "Tally"]

BATCH = 4000
"""Logins for one transaction: enough that waiting for the disk does not count."""
WAITING = 50_000
"""So many logins wait for delivery before reading pauses: a monitor that does not answer is noticed
soon, and the outbox keeps room for what happens now."""
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

    def sent(self, logins: int, total: int) -> None:
        """Note how many were sent until now, of how many that were new until now."""


class Silent:
    """Tells nobody."""

    def read(self, path: str, end: int) -> None:
        """See `Progress.read`."""

    def found(self, logins: int) -> None:
        """See `Progress.found`."""

    def sent(self, logins: int, total: int) -> None:
        """See `Progress.sent`."""


@dataclass(slots=True)
class Tally:
    """What a backfill has done.

    Attributes:
        found: logins found, by service.
        ignored: those of them that the configuration leaves out, by service.
        new: those that had not been taken before.
        refused: how many the monitor would not have; they are dead letters now.
    """

    found: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    new: int = 0
    refused: int = 0

    def keep(self, logins: Sequence[Login], ignore: Ignore) -> list[Login]:
        """Count logins, and return those that are not to be left out."""
        self.found.update([login.srv for login in logins])
        kept = [login for login in logins if not ignore(login)]
        if len(kept) < len(logins):
            self.ignored.update([login.srv for login in logins if ignore(login)])
        return kept


class Backfill:
    """Takes the logins of files into the spool, and sees them delivered.

    Beside a running agent it only fills the spool, and the agent delivers, live logins first. On
    its own it delivers itself (`StandIn`).
    """

    def __init__(
        self,
        config: Config,
        history: History,
        *,
        clock: Clock,
        events: Events,
        progress: Progress | None = None,
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._config = config
        self._history = history
        self._clock = clock
        self._events = events
        self._progress = progress or Silent()
        self._batch: list[Login] = []
        self._ignore = ignore_of(config)
        most = limits_of(config).max_entries
        self._room = min(WAITING, max(1, most // 2))
        self._share = min(BATCH, max(1, most // 4))
        self.tally = Tally()

    def run(self, logs: Sequence[Log], wanted: Callable[[Login], bool] | None = None) -> None:
        """Take and deliver the logins of *logs*, of those *wanted* if that says which.

        Raises:
            LockHeldError: another backfill works on this state.
            UnreachableError: the monitor does not answer; what is spooled is sent later.
            MonitorError: the monitor refuses; likewise.
            StateError: the spool cannot be used.
        """
        config, clock = self._config, self._clock
        with ExitStack() as stack:
            stack.enter_context(Locks(config.state_directory, clock).take("backfill"))
            self._spool = stack.enter_context(open_spool(config, clock, self._events))
            self._sending = StandIn(config, self._spool, clock, self._events)
            stack.callback(self._sending.stop)
            before = self._spool.summary()
            self._old = before.history
            self._sending.start()
            for log in logs:
                self._take(log, wanted)
            self._flush()
            self._wait(lambda spool: spool.history == 0)
            self.tally.refused = self._spool.summary().dead - before.dead

    def _take(self, log: Log, wanted: Callable[[Login], bool] | None) -> None:
        for piece in self._history.read(log):
            logins = piece.logins if wanted is None else list(filter(wanted, piece.logins))
            self._progress.read(piece.path, piece.end)
            self._progress.found(len(logins))
            self._batch += self.tally.keep(logins, self._ignore)
            if len(self._batch) >= self._share:
                self._flush()

    def _flush(self) -> None:
        """Take what has gathered into the spool, in shares and when there is room."""
        batch, self._batch = self._batch, []
        for start in range(0, len(batch), self._share):
            self._wait(lambda spool: spool.depth < self._room)
            self._commit(batch[start : start + self._share])

    def _commit(self, logins: Sequence[Login]) -> None:
        began = self._clock.monotonic()
        while True:
            try:
                self.tally.new += self._spool.commit(logins, {}, history=True)
            except SpoolDamagedError as error:
                raise StateError(error.message, "run the same command again") from error
            except SpoolFullError:
                if self._clock.monotonic() - began > PATIENCE_S:
                    raise
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
        total = self._old + self.tally.new
        self._progress.sent(max(0, total - spool.history), total)
        return spool

    def _lose_patience(self, spool: Summary, seconds: float) -> None:
        hint = f"{spool.history} logins stay in the spool; the next 'run' or 'backfill' sends them"
        status = self._sending.status
        if status and status.state == "refused":
            raise MonitorError(status.error, hint)
        reason = status.error if status else spool.last_error
        if reason and seconds > PATIENCE_S:
            raise UnreachableError(reason, hint)
        if seconds > SILENCE_S:
            raise UnreachableError(f"nothing was delivered for {SILENCE_S:.0f} s", hint)


def ignore_of(config: Config) -> Ignore:
    """Return what says whose logins are left out."""
    return Ignore(config.ignore.users, config.ignore.hosts, config.ignore.services)
