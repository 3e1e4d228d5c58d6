"""The loop of ``run``: looks at the logs and takes up changed files, whatever takes the logins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress

from logwatch_monitis.agent.choose_sources import check_choice, is_wanted
from logwatch_monitis.agent.event_log import LogEvents
from logwatch_monitis.agent.reader import LogReader, Sink
from logwatch_monitis.agent.recent import RecentLines
from logwatch_monitis.agent.reload import (
    ConfigLoaded,
    ConfigRefused,
    LoadState,
    PatternsLoaded,
    PatternsRefused,
    RestartNeeded,
    changed_keys,
    with_fixed,
)
from logwatch_monitis.agent.status import about, refuse_denied
from logwatch_monitis.config.model import Config, Reload
from logwatch_monitis.config.signals import Signals
from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.grammar.loader import RulesHolder
from logwatch_monitis.interfaces import Clock, Events, ThreadWaker
from logwatch_monitis.sources.files.descriptors import raise_limit
from logwatch_monitis.sources.files.tail import Tail
from logwatch_monitis.sources.files.watcher import Watcher
from logwatch_monitis.sources.journal.follower import LOG, Journal
from logwatch_monitis.spool import SpoolDamagedError
from logwatch_monitis.syslog import local_zone

__all__ = ["Loop", "Reread", "Say"]

LOOK_EVERY_S = 2.0
"""How often everything is looked at without being woken: what events miss is found then."""

Say = Callable[[str], None]
Reread = Callable[[], Config]


class Loop:
    """Reads logs until it is told to stop, and follows pattern files and configuration.

    Subclasses say what takes the logins, and what else there is to look after.

    Attributes:
        patterns: how the last reading of the pattern files went.
        configuration: how the last reading of the configuration went.
        events: takes what happens.
    """

    _agent: LogReader
    _tail: Tail
    _journal: Journal | None

    def __init__(
        self,
        config: Config,
        logs: Sequence[str],
        *,
        clock: Clock,
        waker: ThreadWaker,
        signals: Signals,
        stack: ExitStack,
    ) -> None:
        """Prepare.

        Args:
            config: the configuration.
            logs: watched in place of the configured files.
            clock: the machine's.
            waker: ends the sleep between two looks.
            signals: say when to stop and when to read files again.
            stack: closes what was opened, in reverse.
        """
        self._config = config
        self._logs = logs
        self._clock = clock
        self._waker = waker
        self._signals = signals
        self._stack = stack
        self._holder = RulesHolder(config.patterns)
        self._sightings = RecentLines(self._holder.rules)
        self._log = LogEvents(level=config.log.number, form=config.log.format)
        self.events: Events = self._log
        self.patterns = LoadState(clock.now())
        self.configuration = LoadState(clock.now())

    def run(self, reread: Reread) -> None:
        """Go on until SIGTERM or SIGINT."""
        while not self._signals.stop:
            more = self.look()
            if self._signals.reload:
                self._signals.reload = False
                self.reload(reread)
            self.keep_up()
            if not more:
                self._waker.wait(self.rhythm)
        self.finish()

    def open_logs(self, sink: Sink, *, from_start: bool) -> None:
        """Begin to read, from where *sink* has everything.

        Raises:
            SetupError: the journal is to be read, and there is no journalctl.
        """
        self._sink = sink
        saved = self._saved()
        self._tail = Tail(
            self._logs or self._config.sources.files,
            saved,
            clock=self._clock,
            events=self.events,
            from_start=from_start,
            leave=lambda: self._signals.stop,
        )
        self._journal = self._open_journal(self._config, saved, from_start=from_start)
        self._agent = LogReader(
            tail=self._tail,
            journal=self._journal,
            spool=sink,
            rules=self._holder.rules,
            zone=local_zone(self._config.timezone),
            machine=self._config.machine,
            clock=self._clock,
            events=self.events,
            ignore=self._config.ignore,
            sent=self.taken,
            seen=self._sightings,
            leave=lambda: self._signals.stop,
        )

    def begin(self, sink: Sink, *, from_start: bool) -> None:
        """Open the logs, unless none of them may be read.

        Raises:
            NotPermittedError: none may be.
            SetupError: the journal is to be read, and there is no journalctl.
        """
        raise_limit()
        self.open_logs(sink, from_start=from_start)
        self._stack.callback(self._close_logs)
        refuse_denied(self._agent.statuses(), self._config.sources.journal)

    def watch(self) -> None:
        """Be woken from now on when something happens to a log."""
        self._watcher = Watcher(self._waker.wake, self.events, self._concerns, self._lost)
        self._stack.callback(self._watcher.close)

    def look(self) -> bool:
        """Take what is there; return whether more is there already."""
        more = self._agent.step()
        self._watcher.watch(self._tail.directories())
        self._tail.rely_on_events(working=self._watcher.working)
        return more

    def introduce(self, say: Say) -> None:
        """Say what is watched, and what stands in the way.

        Whatever is written once that is said arrives, even if this process dies at that moment: how
        far the logs were taken is in the spool then.
        """
        self.look()
        with suppress(SpoolDamagedError):
            self._agent.flush()
        for line in about(self._agent.statuses()):
            say(line)

    def keep_up(self) -> None:
        """Take up pattern files that have changed and settled."""
        if self._holder.changed():
            self._read_patterns()

    @property
    def rhythm(self) -> float:
        """For how many seconds the loop may sleep."""
        return min(LOOK_EVERY_S, self._agent.patience)

    def reload(self, reread: Reread) -> None:
        """Read configuration and pattern files again; mistakes keep what is in force."""
        try:
            self._follow(reread())
        except LogwatchError as error:
            self.configuration.failed(error.render())
            self.events(ConfigRefused(error.render()))

    def check(self, new: Config) -> None:
        """See whether another configuration can come into force, as far as that can be known.

        Raises:
            LogwatchError: it cannot.
        """
        check_choice(new.sources.journal)

    def change(self, new: Config) -> tuple[str, ...]:
        """Put into force what another configuration says of all but logs, rules and messages.

        Returns:
            The keys whose files hold something else than before.

        Raises:
            LogwatchError: that is not possible; what was before goes on.
        """
        del new
        return ()

    def taken(self) -> None:
        """Hear that new logins were taken."""

    def finish(self) -> None:
        """Take what is there, if it is little, and note how far that was."""
        self._tail.note_all()
        with suppress(SpoolDamagedError):
            self._agent.step()
            self._agent.flush()

    def _follow(self, found: Config) -> None:
        """Put another configuration into force, or nothing of it.

        Raises:
            LogwatchError: it cannot be; the former one stays in force.
        """
        old, new = self._config, with_fixed(self._config, found)
        self.check(new)
        if not self._read_patterns(new):
            return
        try:
            renewed = self.change(new)
        except LogwatchError:
            self._read_patterns(old)
            raise
        self._log.adjust(new.log.number, new.log.format)
        if new.sources != old.sources and not self._logs:
            self._watch_others(new)
        self._config = new
        waiting = changed_keys(old, found, {Reload.RESTART})
        self.configuration.worked(self._clock.now(), waiting)
        changed = changed_keys(old, new, set(Reload) - {Reload.NO_KEY})
        self.events(ConfigLoaded(tuple(dict.fromkeys((*changed, *renewed)))))
        if waiting:
            self.events(RestartNeeded(waiting))

    def _watch_others(self, new: Config) -> None:
        """Change which files are watched; those that stay go on untouched."""
        self._agent.flush()
        saved = self._saved()
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
        if not self._holder.reload(new.patterns if new else None):
            self.patterns.failed(self._holder.error)
            self.events(PatternsRefused(self._holder.error))
            return False
        self._agent.use(self._holder.rules, (new or self._config).ignore)
        self._sightings.use(self._holder.rules)
        self.patterns.worked(self._clock.now())
        self.events(PatternsLoaded(len(self._holder.rules.programs)))
        return True

    def _open_journal(
        self, config: Config, saved: Mapping[str, str], *, from_start: bool
    ) -> Journal | None:
        """Return the journal, being read, if it is to be.

        Raises:
            SetupError: it is, and there is no journalctl.
        """
        if not is_wanted(config.sources, self._logs, known=LOG in saved):
            return None
        journal = Journal(
            saved.get(LOG),
            clock=self._clock,
            events=self.events,
            wake=self._waker.wake,
            from_start=from_start,
            since=self.journal_since(),
        )
        journal.begin()
        return journal

    def journal_since(self) -> float | None:
        """Return from which time on the journal is read, seconds UTC; None as usual."""
        return None

    def _concerns(self, path: str) -> bool:
        return self._tail.concerns(path)

    def _lost(self) -> None:
        self._tail.note_all()

    def _saved(self) -> dict[str, str]:
        return {log: row.checkpoint for log, row in self._sink.positions().items()}

    def _close_logs(self) -> None:
        self._tail.close()
        if self._journal:
            self._journal.close()
