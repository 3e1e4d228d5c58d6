"""``run``: reading, delivery, the embedded monitor and the agent's own account, put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress

from logwatch_monitis import config as configs
from logwatch_monitis.account import Account, about, refuse_denied
from logwatch_monitis.agent import Agent
from logwatch_monitis.config import Config, Reload
from logwatch_monitis.control import Control
from logwatch_monitis.counters import Tally
from logwatch_monitis.errors import LogwatchError, StateError
from logwatch_monitis.grammar.load import RulesHolder
from logwatch_monitis.link import Link
from logwatch_monitis.metrics import prometheus_text
from logwatch_monitis.notify import Notifier
from logwatch_monitis.observe import LogEvents, fan_out, logs_to_journal
from logwatch_monitis.renewal import (
    ConfigLoaded,
    ConfigRefused,
    PatternsLoaded,
    PatternsRefused,
    RestartNeeded,
    changed_keys,
    with_fixed,
)
from logwatch_monitis.seams import Clock, SystemClock, ThreadWaker
from logwatch_monitis.sending import monitor_directory, open_spool
from logwatch_monitis.sightings import Sightings
from logwatch_monitis.signals import Signals
from logwatch_monitis.sources.journal import LOG, Journal, check_choice, is_wanted
from logwatch_monitis.sources.tail import Tail
from logwatch_monitis.sources.watch import Watcher
from logwatch_monitis.spool import Locks, Spool, SpoolDamagedError
from logwatch_monitis.syslog import local_zone

__all__ = ["run"]

LOOK_EVERY_S = 2.0
"""How often everything is looked at without being woken: what events miss is found then."""

Say = Callable[[str], None]
Reread = Callable[[], Config]


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
        daemon = _Daemon(config, tuple(logs), clock, waker, stack)
        daemon.start(from_start=from_start, leave=lambda: signals.stop)
        daemon.introduce(say)
        while not signals.stop:
            more = daemon.look()
            if signals.reload:
                signals.reload = False
                daemon.reload(reread or (lambda: configs.load(config.path or None)))
            daemon.keep_up()
            if not more:
                waker.wait(daemon.rhythm)
        daemon.finish()
    return 0


RECOVER_S = 7 * 86_400.0
"""How much of the journal is read again after a loss of the state: as much as a log file that is
rotated weekly holds."""


class _Daemon:
    """The parts of a running agent, and the loop's body."""

    _agent: Agent
    _journal: Journal | None

    def __init__(
        self,
        config: Config,
        logs: Sequence[str],
        clock: Clock,
        waker: ThreadWaker,
        stack: ExitStack,
    ) -> None:
        self._config = config
        self._logs = logs
        self._holder = RulesHolder(config.patterns)
        self._clock = clock
        self._waker = waker
        self._stack = stack
        self._notifier = Notifier(clock)
        self._tally = Tally(clock)
        self._log = LogEvents(level=config.log.number, form=config.log.format)
        self._events = fan_out(self._log, self._tally)
        self._sightings = Sightings(self._holder.rules)

    def start(self, *, from_start: bool, leave: Callable[[], bool]) -> None:
        """Open and start everything; what is open is closed by the stack, in reverse."""
        self._leave = leave
        self._take_lock()
        self._spool = self._open_spool()
        self._recovering = self._spool.recovered
        self._open_logs(from_start=from_start or self._recovering)
        self._stack.callback(self._close_logs)
        refuse_denied(self._agent.statuses(), self._config.sources.journal)
        self._account = Account(self._config, self._holder, self._spool, self._clock.now())
        self._account.agent = self._agent
        self._account.sightings = self._sightings
        self._account.tally = self._tally
        control = self._open_control()
        self._link = Link(self._spool, control, self._clock, events=self._events, tally=self._tally)
        self._stack.callback(self._link.close)
        self._account.link = self._link
        self._link.open(self._config)
        self._watcher = Watcher(self._waker.wake, self._events, self._concerns)
        self._stack.callback(self._watcher.close)

    def look(self) -> bool:
        """Take what is there, and see that everything that should be running is.

        Returns:
            Whether more is there already.
        """
        try:
            more = self._agent.step()
            if self._recovering and not more:
                self._settle()
        except SpoolDamagedError:
            self._recovering = True
            more = self._begin_anew()
        self._watcher.watch(self._tail.directories())
        self._link.check()
        return more

    def keep_up(self) -> None:
        """Take up pattern files that have changed and settled, and tell systemd how it is going.

        The watchdog is fed only while the delivery gets on too; that reading does, this call shows.
        """
        if self._holder.changed():
            self._read_patterns()
        if self._link.alive:
            self._notifier.alive()
        if self._notifier.wants_status:
            self._notifier.status(self._account.headline())

    @property
    def rhythm(self) -> float:
        """For how many seconds the loop may sleep."""
        longest = min(LOOK_EVERY_S, self._notifier.rhythm or LOOK_EVERY_S)
        return min(longest, self._agent.patience)

    def reload(self, reread: Reread) -> None:
        """Read configuration and pattern files again; mistakes keep what is in force."""
        self._notifier.reloading()
        try:
            self._follow(reread())
        except LogwatchError as error:
            self._account.configuration.failed(error.render())
            self._events(ConfigRefused(error.render()))
        finally:
            self._notifier.status(self._account.headline())
            self._notifier.ready()

    def _follow(self, found: Config) -> None:
        """Put another configuration into force, or nothing of it.

        Raises:
            LogwatchError: it cannot be; the former one stays in force.
        """
        old, new = self._config, with_fixed(self._config, found)
        check_choice(new.sources.journal)
        Link.check_keys(new)
        if not self._read_patterns(new):
            return
        try:
            renewed = self._link.change(new)
        except LogwatchError:
            self._read_patterns(old)
            raise
        self._log.adjust(new.log.number, new.log.format)
        if new.sources != old.sources and not self._logs:
            self._watch_others(new)
        self._config = self._account.config = new
        waiting = changed_keys(old, found, {Reload.RESTART})
        self._account.configuration.worked(self._clock.now(), waiting)
        changed = changed_keys(old, new, set(Reload) - {Reload.NO_KEY})
        self._events(ConfigLoaded(tuple(dict.fromkeys((*changed, *renewed)))))
        if waiting:
            self._events(RestartNeeded(waiting))

    def _watch_others(self, new: Config) -> None:
        """Change which files are watched; those that stay go on untouched."""
        self._agent.flush()
        saved = {log: row.checkpoint for log, row in self._spool.positions().items()}
        self._tail.change(new.sources.files, saved)
        old, wanted = self._journal, new.sources.journal != "no"
        if old is None or not wanted:
            self._journal = self._open_journal(new, saved, from_start=False)
            self._agent.follow(self._journal)
            if old:
                old.close()
        self._agent.flush()

    def _read_patterns(self, new: Config | None = None) -> bool:
        """Read the pattern files again; a mistake in any of them keeps the rules in force."""
        reading = self._account.patterns
        if not self._holder.reload(new.patterns if new else None):
            reading.failed(self._holder.error)
            self._events(PatternsRefused(self._holder.error))
            return False
        self._agent.use(self._holder.rules, (new or self._config).ignore)
        self._sightings.use(self._holder.rules)
        reading.worked(self._clock.now())
        self._events(PatternsLoaded(len(self._holder.rules.programs)))
        return True

    def finish(self) -> None:
        """Take what is there, if it is little, and note how far that was."""
        self._notifier.stopping()
        with suppress(SpoolDamagedError):
            self._agent.step()
            self._agent.flush()

    def introduce(self, say: Say) -> None:
        """Say what is watched, what stands in the way, and where the logins are to be seen.

        Whatever is written once that is said arrives, even if this process dies at that moment: how
        far the logs were taken is in the spool then.
        """
        self.look()
        with suppress(SpoolDamagedError):
            self._agent.flush()
        for line in about(self._agent.statuses()):
            say(line)
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
            self._open_logs(from_start=True)
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

    def _open_spool(self) -> Spool:
        spool = open_spool(self._config, self._clock, self._events)
        self._stack.callback(spool.close)
        return spool

    def _open_logs(self, *, from_start: bool) -> None:
        saved = {log: row.checkpoint for log, row in self._spool.positions().items()}
        self._tail = Tail(
            self._logs or self._config.sources.files,
            saved,
            clock=self._clock,
            events=self._events,
            from_start=from_start,
        )
        self._journal = self._open_journal(self._config, saved, from_start=from_start)
        self._agent = Agent(
            tail=self._tail,
            journal=self._journal,
            spool=self._spool,
            rules=self._holder.rules,
            zone=local_zone(self._config.timezone),
            machine=self._config.machine,
            clock=self._clock,
            events=self._events,
            ignore=self._config.ignore,
            sent=self._wake_sender,
            seen=self._sightings,
            leave=self._leave,
        )

    def _open_journal(
        self, config: Config, saved: Mapping[str, str], *, from_start: bool
    ) -> Journal | None:
        """Return the journal, being read, if it is to be.

        Raises:
            SetupError: it is, and there is no journalctl.
        """
        if not is_wanted(config.sources, self._logs, known=LOG in saved):
            return None
        since = self._clock.now() - RECOVER_S if self._recovering else None
        journal = Journal(
            saved.get(LOG),
            clock=self._clock,
            events=self._events,
            wake=self._waker.wake,
            from_start=from_start,
            since=since,
        )
        journal.begin()
        return journal

    def _wake_sender(self) -> None:
        self._link.wake()

    def _close_logs(self) -> None:
        self._tail.close()
        if self._journal:
            self._journal.close()

    def _concerns(self, path: str) -> bool:
        return self._tail.concerns(path)

    def _open_control(self) -> Control:
        account, tally = self._account, self._tally
        control = Control(
            status=account.status,
            ready=account.ready,
            metrics=lambda: prometheus_text(account.status(), tally),
            recent=self._sightings.recent,
        )
        self._stack.callback(control.close)
        control.listen_unix(self._config.state_directory)
        return control
