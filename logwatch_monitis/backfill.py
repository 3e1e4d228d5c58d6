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

from logwatch_monitis.agent import Ignore
from logwatch_monitis.config import EMBEDDED, Config
from logwatch_monitis.errors import MonitorError, StateError, UnreachableError
from logwatch_monitis.history import History, Log
from logwatch_monitis.login import Login
from logwatch_monitis.seams import Clock, Events
from logwatch_monitis.sending import Embedded, Sender, embedded_client, remote_client
from logwatch_monitis.spool import Locks, Spool, SpoolFullError

__all__ = ["Backfill", "Progress", "Tally"]

BATCH = 2000
"""Logins for one transaction: enough that waiting for the disk does not count."""
LOOK_S = 0.1
PATIENCE_S = 20.0
"""How long nothing may move while the monitor fails before the rest is left to the next run."""

Progress = Callable[[str, int], None]
"""Told how much was done: ``read`` bytes, ``found`` logins, ``sent`` logins."""


@dataclass(slots=True)
class Tally:
    """What a backfill has done.

    Attributes:
        found: logins found, by service.
        ignored: those of them that the configuration leaves out.
        new: those that had not been taken before.
    """

    found: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    new: int = 0


class Backfill:
    """Takes the logins of files into the spool, and sees them delivered.

    Beside a running agent it only fills the spool, and the agent delivers, live logins first. On
    its own it delivers itself, starting the embedded monitor if that is the configured one, and
    hands over as soon as an agent starts.
    """

    def __init__(
        self,
        config: Config,
        history: History,
        *,
        clock: Clock,
        events: Events,
        progress: Progress = lambda _what, _amount: None,
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._config = config
        self._history = history
        self._clock = clock
        self._events = events
        self._progress = progress
        self._locks = Locks(config.state_directory, clock)
        self._batch: list[Login] = []
        self._sender: Sender | None = None
        self._helpers = ExitStack()
        ignore = config.ignore
        self._ignore = Ignore(ignore.users, ignore.hosts, ignore.services)
        self.tally = Tally()

    def run(self, logs: Sequence[Log], wanted: Callable[[Login], bool] | None = None) -> None:
        """Take and deliver the logins of *logs*, of those *wanted* if that says which.

        Raises:
            LockHeldError: another backfill works on this state.
            UnreachableError: the monitor does not answer; what is spooled is sent later.
            MonitorError: the monitor refuses; likewise.
            StateError: the spool cannot be used.
        """
        with ExitStack() as stack:
            stack.enter_context(self._locks.take("backfill"))
            self._spool = Spool.open(
                self._config.state_directory, clock=self._clock, events=self._events
            )
            stack.callback(self._spool.close)
            stack.callback(self._stop_sending)
            self._start_sending()
            for log in logs:
                self._take(log, wanted)
            self._flush()
            self._wait(below=1)

    def _take(self, log: Log, wanted: Callable[[Login], bool] | None) -> None:
        path, end = "", 0
        for piece in self._history.read(log):
            logins = [x for x in piece.logins if wanted is None or wanted(x)]
            self.tally.found.update(login.srv for login in logins)
            kept = [login for login in logins if not self._ignore(login)]
            self.tally.ignored += len(logins) - len(kept)
            self._batch += kept
            if len(self._batch) >= BATCH:
                self._flush()
            begin = end if piece.path == path else 0
            path, end = piece.path, piece.end
            self._progress("read", end - begin)
            self._progress("found", len(logins))

    def _flush(self) -> None:
        while self._batch:
            try:
                self.tally.new += self._spool.commit(self._batch, {}, history=True)
            except SpoolFullError as full:
                # Where the outbox is full of history, what is delivered makes room.
                before = self._spool.summary().history
                self._wait(below=before, otherwise=full)
            else:
                self._batch = []
                if self._sender:
                    self._sender.wake()

    # Delivery

    def _start_sending(self) -> None:
        if self._locks.holder("run") is not None:
            return
        config = self._config
        if config.monitor.url == EMBEDDED:
            monitor = Embedded.start(config, config.listen, self._clock, self._events)
            self._helpers.callback(monitor.process.stop)
            client = embedded_client(config, monitor, self._clock)
        else:
            client = remote_client(config, self._clock)
        self._sender = Sender(config, self._spool, client, self._clock, self._events)
        self._helpers.callback(self._sender.stop)
        self._sender.start()

    def _stop_sending(self) -> None:
        self._sender = None
        self._helpers.close()

    def _wait(self, below: int, otherwise: StateError | None = None) -> None:
        """Wait until fewer than *below* logins of history wait.

        Raises:
            MonitorError: nothing moves because the monitor fails.
            StateError: *otherwise*, where nothing moves for another reason.
        """
        waiting = self._spool.summary().history
        moved = self._clock.monotonic()
        while waiting >= below:
            time.sleep(LOOK_S)
            if self._sender and self._locks.holder("run") is not None:
                self._stop_sending()
            before, waiting = waiting, self._spool.summary().history
            self._progress("sent", max(before - waiting, 0))
            if waiting < before:
                moved = self._clock.monotonic()
            elif self._clock.monotonic() - moved > PATIENCE_S:
                self._give_up(waiting, otherwise)

    def _give_up(self, waiting: int, otherwise: StateError | None) -> None:
        """Raise what keeps the logins from moving, if that is known."""
        reason = self._spool.summary().last_error
        if reason:
            hint = f"{waiting} logins stay in the spool; 'run' or the next 'backfill' sends them"
            refused = self._sender is not None and self._sender.status.state == "refused"
            raise (MonitorError if refused else UnreachableError)(reason, hint)
        if otherwise:
            raise otherwise
