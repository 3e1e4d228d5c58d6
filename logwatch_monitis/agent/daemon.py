"""``run``: the loop with a spool, delivery, the embedded monitor and the agent's own account."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from logwatch_monitis.agent.control import Control
from logwatch_monitis.agent.counters import Counters
from logwatch_monitis.agent.event_log import fan_out, logs_to_journal
from logwatch_monitis.agent.loop import Loop, Reread, Say
from logwatch_monitis.agent.metrics import prometheus_text
from logwatch_monitis.agent.monitor_link import MonitorLink
from logwatch_monitis.agent.status import Status
from logwatch_monitis.agent.systemd import Notifier
from logwatch_monitis.config.file import load
from logwatch_monitis.config.model import Config
from logwatch_monitis.config.signals import Signals
from logwatch_monitis.delivery.embedded import monitor_directory
from logwatch_monitis.delivery.worker import open_spool
from logwatch_monitis.errors import StateError
from logwatch_monitis.interfaces import SystemClock, ThreadWaker
from logwatch_monitis.spool import Locks, SpoolDamagedError

__all__ = ["run"]


def run(
    config: Config,
    *,
    reread: Reread | None = None,
    logs: Sequence[str] = (),
    from_start: bool = False,
    say: Say,
) -> int:
    """Watch, match, spool and deliver until SIGTERM or SIGINT; return the exit code.

    On SIGHUP configuration and pattern files are read again.

    Args:
        config: the configuration.
        reread: returns what the configuration is now; None reads its file again.
        logs: watched in place of the configured files.
        from_start: read files that are met for the first time from their first byte.
        say: takes the lines meant for the person who started it.

    Raises:
        LockHeldError: another agent works on this state.
        NotPermittedError: none of the logs may be read.
        SetupError: something must be put right first.
        StateError: the state directory cannot be used.
    """
    clock, waker = SystemClock(), ThreadWaker()
    signals = Signals(waker)
    with ExitStack() as stack:
        stack.enter_context(signals.listening())
        daemon = _Daemon(config, logs, clock=clock, waker=waker, signals=signals, stack=stack)
        daemon.start(from_start=from_start)
        daemon.introduce(say)
        daemon.run(reread or (lambda: load(config.path or None)))
    return 0


RECOVER_S = 7 * 86_400.0
"""How much of the journal is read again after a loss of the state: as much as a log file that is
rotated weekly holds."""


class _Daemon(Loop):
    """The loop of an agent that delivers, and gives an account of itself."""

    def __init__(self, config: Config, logs: Sequence[str], **parts: Any) -> None:
        super().__init__(config, logs, **parts)
        self._notifier = Notifier(self._clock)
        self._tally = Counters(self._clock)
        self.events = fan_out(self._log, self._tally)

    def start(self, *, from_start: bool) -> None:
        """Open and start everything; what is open is closed by the stack, in reverse."""
        self._take_lock()
        self._spool = open_spool(self._config, self._clock, self.events)
        self._stack.callback(self._spool.close)
        self._recovering = self._spool.recovered
        self.begin(self._spool, from_start=from_start or self._recovering)
        self._account = Status(
            self._config,
            self._holder,
            self._spool,
            patterns=self.patterns,
            configuration=self.configuration,
        )
        self._account.agent = self._agent
        self._account.sightings = self._sightings
        self._account.tally = self._tally
        control = self._open_control()
        self._link = MonitorLink(
            self._spool, control, self._clock, events=self.events, tally=self._tally
        )
        self._stack.callback(self._link.close)
        self._account.link = self._link
        self._link.open(self._config)
        self.watch()

    def look(self) -> bool:
        """See `Loop.look`; a spool that is lost begins anew, a monitor that died is started."""
        try:
            more = super().look()
            if self._recovering and not more:
                self._settle()
        except SpoolDamagedError:
            self._recovering = True
            more = self._begin_anew()
        self._link.check()
        return more

    def keep_up(self) -> None:
        """See `Loop.keep_up`; and tell systemd how it is going.

        The watchdog is fed only while the delivery gets on too; that reading does, this call shows.
        """
        super().keep_up()
        if self._link.alive:
            self._notifier.alive()
        if self._notifier.wants_status:
            self._notifier.status(self._account.headline())

    @property
    def rhythm(self) -> float:
        """See `Loop.rhythm`; the watchdog may want it faster."""
        return min(super().rhythm, self._notifier.rhythm or super().rhythm)

    def reload(self, reread: Reread) -> None:
        """See `Loop.reload`; systemd is told when it is done."""
        self._notifier.reloading()
        try:
            super().reload(reread)
        finally:
            self._notifier.status(self._account.headline())
            self._notifier.ready()

    def check(self, new: Config) -> None:
        """See `Loop.check`."""
        super().check(new)
        MonitorLink.check_keys(new)

    def change(self, new: Config) -> tuple[str, ...]:
        """See `Loop.change`."""
        renewed = self._link.change(new)
        self._account.config = new
        return renewed

    def taken(self) -> None:
        """Wake the delivery."""
        self._link.wake()

    def finish(self) -> None:
        """See `Loop.finish`."""
        self._notifier.stopping()
        super().finish()

    def introduce(self, say: Say) -> None:
        """See `Loop.introduce`; and where the logins are to be seen."""
        super().introduce(say)
        page = self._link.page
        if not page:
            say(f"The logins go to {self._config.monitor.url}")
        elif logs_to_journal(sys.stdout):
            directory = monitor_directory(self._config)
            say(f"The page is at {page.partition('?')[0]}, its key in {directory}")
        else:
            say(f"The page is at {page}")
        self._notifier.status(self._account.headline())
        self._notifier.ready()

    def journal_since(self) -> float | None:
        """See `Loop.journal_since`; after a loss much of it is read again."""
        return self._clock.now() - RECOVER_S if self._recovering else None

    def _settle(self) -> None:
        """Note that after the loss of a spool all logs have been read again."""
        if self._agent.flush():
            with suppress(StateError):
                self._spool.settle()
                self._recovering = False

    def _begin_anew(self) -> bool:
        """Read all logs again; if there is no space for a new spool, that is tried again later.

        Raises:
            LockHeldError: the whole state was removed, and another agent has begun anew there.
        """
        old, journal = self._tail, self._journal
        try:
            if not self._lock.stands():
                self._take_lock()
            self.open_logs(self._spool, from_start=True)
        except StateError:
            return False
        old.close()
        if journal:
            journal.close()
        self._account.agent = self._agent
        return True

    def _take_lock(self) -> None:
        self._lock = Locks(self._config.state_directory, self._clock).take("run")
        self._stack.callback(self._lock.release)

    def _open_control(self) -> Control:
        account, tally = self._account, self._tally
        control = Control(
            status=account.status,
            ready=account.ready,
            metrics=lambda: prometheus_text(account.status(), tally),
            recent=self._sightings.recent,
            events=self.events,
        )
        self._stack.callback(control.close)
        control.listen_unix(self._config.state_directory)
        return control
