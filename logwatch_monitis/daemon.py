"""``run``: reading, delivery, the embedded monitor and the agent's own account, put together."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import ClassVar

from logwatch_monitis.account import Account, about
from logwatch_monitis.agent import Agent, Ignore
from logwatch_monitis.config import EMBEDDED, Config
from logwatch_monitis.control import Control
from logwatch_monitis.errors import SetupError, StateError
from logwatch_monitis.grammar import RuleSet
from logwatch_monitis.grammar.load import RulesHolder
from logwatch_monitis.monitis.client import MonitisClient
from logwatch_monitis.monitor.child import MonitorProcess
from logwatch_monitis.monitor.listen import parse_listen
from logwatch_monitis.observe import LogEvents, logs_to_journal, prometheus_text
from logwatch_monitis.output import Writer
from logwatch_monitis.scanner import Scanner
from logwatch_monitis.seams import Clock, Event, Events, SystemClock, ThreadWaker
from logwatch_monitis.sending import (
    PORTS_TRIED,
    Embedded,
    Sender,
    embedded_client,
    monitor_directory,
    open_spool,
    remote_client,
)
from logwatch_monitis.sources.tail import Tail
from logwatch_monitis.sources.watch import Watcher
from logwatch_monitis.spool import Locks, Spool, SpoolDamagedError
from logwatch_monitis.syslog import Timeline, local_zone

__all__ = ["PatternsLoaded", "PatternsRefused", "print_logins", "run"]

LOOK_EVERY_S = 2.0
"""How often everything is looked at without being woken: what events miss is found then."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PatternsLoaded(Event):
    """The pattern files were read again and are in force."""

    programs: int

    def __str__(self) -> str:
        return f"The pattern files were read again; they know {self.programs} programs"


@dataclass(frozen=True, slots=True)
class PatternsRefused(Event):
    """Pattern files have mistakes, so those read before stay in force."""

    error: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        first = self.error.partition("\n")[0]
        return (
            f"The pattern files were not read again, the former ones stay in force: {first}"
            " ('logwatch-monitis patterns check' shows all)"
        )


class _Stop:
    """Turns SIGTERM and SIGINT into a flag and a wake-up, SIGHUP into the wish to reload."""

    def __init__(self, waker: ThreadWaker) -> None:
        self._waker = waker
        self.wanted = False
        self.reload = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.reload = True
        else:
            self.wanted = True
        self._waker.wake()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals until the block ends."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, self) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(
    config: Config,
    *,
    logs: Sequence[str] = (),
    from_start: bool = False,
    say: Say,
) -> int:
    """Watch, match, spool and deliver until SIGTERM or SIGINT; return the exit code.

    Args:
        config: the configuration.
        logs: watched in place of the configured files.
        from_start: read files that are met for the first time from their first byte.
        say: takes the lines meant for the person who started it.

    Raises:
        LockHeldError: another agent works on this state.
        SetupError: something must be put right first.
        StateError: the state directory cannot be used.
    """
    _refuse_journal(config)
    clock, waker = SystemClock(), ThreadWaker()
    stop = _Stop(waker)
    with ExitStack() as stack:
        stack.enter_context(stop.listening())
        daemon = _Daemon(config, clock, waker, stack, stop)
        daemon.start(tuple(logs) or config.sources.files, from_start=from_start)
        daemon.introduce(say)
        while not stop.wanted:
            more = daemon.look()
            daemon.renew(asked=stop.reload)
            stop.reload = False
            if not more:
                waker.wait(LOOK_EVERY_S)
        daemon.finish()
    return 0


def _refuse_journal(config: Config) -> None:
    if config.sources.journal == "yes":
        raise SetupError(
            "sources: journal: this version reads files only",
            "let rsyslog write /var/log/auth.log, and set journal to auto or no",
        )


class _Daemon:
    """The parts of a running agent, and the loop's body."""

    def __init__(
        self, config: Config, clock: Clock, waker: ThreadWaker, stack: ExitStack, stop: _Stop
    ) -> None:
        self._config = config
        self._holder = RulesHolder(config.patterns)
        self._clock = clock
        self._waker = waker
        self._stack = stack
        self._stop = stop
        self._events: Events = LogEvents()
        self._monitor: MonitorProcess | None = None
        self._page = ""

    def start(self, files: Sequence[str], *, from_start: bool) -> None:
        """Open and start everything; what is open is closed by the stack, in reverse."""
        self._files = files
        self._take_lock()
        self._spool = self._open_spool()
        self._recovering = self._spool.recovered
        self._open_logs(from_start=from_start or self._recovering)
        self._stack.callback(self._close_logs)
        self._account = Account(self._config, self._holder, self._spool, self._clock.now())
        self._account.agent = self._agent
        control = self._open_control()
        client = self._connect(control)
        self._sender = Sender(self._config, self._spool, client, self._clock, self._events)
        self._stack.callback(self._sender.stop)
        self._account.sender = self._sender
        self._sender.start()
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
        if self._monitor:
            self._monitor.check()
        return more

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
        old = self._tail
        try:
            if not self._lock.stands():
                self._take_lock()
            self._open_logs(from_start=True)
        except StateError:
            return False
        old.close()
        self._account.agent = self._agent
        return True

    def renew(self, *, asked: bool) -> None:
        """Read the pattern files again, if that was asked for or they have changed and settled.

        A mistake in any of them keeps the rules that are in force.
        """
        if not (self._holder.changed() or asked):
            return
        if self._holder.reload():
            self._agent.use(self._holder.rules)
            self._events(PatternsLoaded(len(self._holder.rules.programs)))
        else:
            self._account.failed_reloads += 1
            self._events(PatternsRefused(self._holder.error))

    def finish(self) -> None:
        """Take what is there, if it is little, and note how far that was."""
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
        for line in about(self._tail.statuses()):
            say(line)
        if not self._page:
            say(f"The logins go to {self._config.monitor.url}")
        elif logs_to_journal(sys.stdout):
            directory = monitor_directory(self._config)
            say(f"The page is at {self._page.partition('?')[0]}, its key in {directory}")
        else:
            say(f"The page is at {self._page}")

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
            self._files, saved, clock=self._clock, events=self._events, from_start=from_start
        )
        ignore = self._config.ignore
        self._agent = Agent(
            tail=self._tail,
            spool=self._spool,
            rules=self._holder.rules,
            zone=local_zone(self._config.timezone),
            machine=self._config.machine,
            clock=self._clock,
            events=self._events,
            ignore=Ignore(ignore.users, ignore.hosts, ignore.services),
            sent=self._wake_sender,
            leave=lambda: self._stop.wanted,
        )

    def _wake_sender(self) -> None:
        self._sender.wake()

    def _close_logs(self) -> None:
        self._tail.close()

    def _concerns(self, path: str) -> bool:
        return self._tail.concerns(path)

    def _connect(self, control: Control) -> MonitisClient:
        if self._config.monitor.url != EMBEDDED:
            self._listen(control)
            return remote_client(self._config, self._clock)
        monitor = Embedded.start(self._config, self._config.listen, self._clock, self._events)
        self._stack.callback(monitor.process.stop)
        self._monitor = monitor.process
        self._page = monitor.page
        self._account.page = monitor.url
        return embedded_client(self._config, monitor, self._clock)

    def _open_control(self) -> Control:
        account = self._account
        control = Control(
            status=account.status,
            ready=account.ready,
            metrics=lambda: prometheus_text(account.status()),
        )
        self._stack.callback(control.close)
        control.listen_unix(self._config.state_directory)
        return control

    def _listen(self, control: Control) -> None:
        """Answer for health and metrics on the configured address, or on the next free one."""
        address = parse_listen(self._config.listen)
        tries = 1 if self._config.listen_chosen else PORTS_TRIED
        for port in range(address.port, address.port + tries):
            try:
                control.listen_tcp(address.host, port)
            except OSError as error:
                reason = error.strerror
            else:
                return
        raise SetupError(
            f"cannot listen on {self._config.listen}: {reason}", "choose another 'listen' address"
        )


def print_logins(
    config: Config,
    rules: RuleSet,
    *,
    logs: Sequence[str] = (),
    from_start: bool = False,
    writer: Writer,
    say: Say,
) -> int:
    """Print the logins as they happen until SIGTERM or SIGINT; send nothing, keep no state."""
    _refuse_journal(config)
    clock, waker, events = SystemClock(), ThreadWaker(), LogEvents()
    stop, zone = _Stop(waker), local_zone(config.timezone)
    scanners: dict[str, Scanner] = {}
    files = tuple(logs) or config.sources.files
    tail = Tail(files, {}, clock=clock, events=events, from_start=from_start)
    watcher = Watcher(waker.wake, events, tail.concerns)
    with ExitStack() as stack:
        stack.enter_context(stop.listening())
        stack.callback(tail.close)
        stack.callback(watcher.close)
        introduced = False
        while not stop.wanted:
            for chunk in tail.read():
                if chunk.log not in scanners:
                    timeline = Timeline.live(zone, clock)
                    scanners[chunk.log] = Scanner(
                        rules, timeline, machine=config.machine, path=chunk.path
                    )
                writer.write(scanners[chunk.log].feed(chunk.data, chunk.offset))
            for line in () if introduced else about(tail.statuses()):
                say(line)
            introduced = True
            watcher.watch(tail.directories())
            waker.wait(LOOK_EVERY_S)
    writer.close()
    return 0
