"""``run --dry-run``: the logins as they happen, printed and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from logwatch_monitis.account import about, refuse_denied
from logwatch_monitis.config import Config
from logwatch_monitis.grammar import RuleSet
from logwatch_monitis.login import Login
from logwatch_monitis.observe import LogEvents
from logwatch_monitis.output import Writer
from logwatch_monitis.provenance import Decided, Provenance
from logwatch_monitis.scanner import Scanner
from logwatch_monitis.seams import Events, SystemClock, ThreadWaker
from logwatch_monitis.signals import Signals
from logwatch_monitis.sources.journal import Journal, JournalChunk, is_wanted
from logwatch_monitis.sources.refusals import Refusals
from logwatch_monitis.sources.tail import Chunk, SourceStatus, Tail
from logwatch_monitis.sources.watch import Watcher
from logwatch_monitis.syslog import Timeline, local_zone

__all__ = ["print_logins"]

LOOK_EVERY_S = 2.0
"""How often everything is looked at without being woken: what events miss is found then."""


def print_logins(
    config: Config,
    rules: RuleSet,
    *,
    logs: Sequence[str] = (),
    from_start: bool = False,
    writer: Writer,
    say: Callable[[str], None],
) -> int:
    """Print the logins as they happen until SIGTERM or SIGINT; send nothing, keep no state.

    Raises:
        NotPermittedError: none of the logs may be read.
    """
    waker = ThreadWaker()
    events = LogEvents(level=config.log.number, form=config.log.format)
    signals = Signals(waker)
    with ExitStack() as stack:
        preview = _Preview(config, rules, logs, waker, events, from_start=from_start)
        stack.callback(preview.close)
        watcher = Watcher(waker.wake, events, preview.tail.concerns)
        stack.callback(watcher.close)
        stack.enter_context(signals.listening())
        refuse_denied(preview.statuses(), config.sources.journal)
        for line in about(preview.statuses()):
            say(line)
        while not signals.stop:
            for logins in preview.look():
                writer.write(logins)
            watcher.watch(preview.tail.directories())
            waker.wait(min(LOOK_EVERY_S, preview.patience))
    writer.close()
    return 0


class _Preview:
    """What is read, and a scanner for each log."""

    def __init__(
        self,
        config: Config,
        rules: RuleSet,
        logs: Sequence[str],
        waker: ThreadWaker,
        events: Events,
        *,
        from_start: bool,
    ) -> None:
        self._config = config
        self._rules = rules
        self._clock = SystemClock()
        self._scanners: dict[str, Scanner] = {}
        files = tuple(logs) or config.sources.files
        self.tail = Tail(files, {}, clock=self._clock, events=events, from_start=from_start)
        self._journal: Journal | None = None
        self._refusals = Refusals(self._clock, events)
        self._provenance = Provenance()
        if is_wanted(config.sources, logs):
            self._journal = Journal(
                None, clock=self._clock, events=events, wake=waker.wake, from_start=from_start
            )
            self._journal.begin()

    def statuses(self) -> list[SourceStatus]:
        """Return what can be said about each log."""
        return [*self.tail.statuses(), *([self._journal.status()] if self._journal else [])]

    def look(self) -> Iterator[Sequence[Login]]:
        """Yield the logins that are there now."""
        waiting, now = self._provenance.waiting, self._clock.monotonic()
        for chunk in self._journal.read() if self._journal else ():
            waiting.begin(0, now)
            yield self._taken(self._provenance.decide(chunk.entries, self._found(chunk)))
        yield self._taken(self._provenance.overdue(now))
        for piece in self.tail.read():
            yield self._found(piece)

    @property
    def patience(self) -> float:
        """After how many seconds a look decides what waits; infinite if nothing waits."""
        return self._provenance.waiting.patience(self._clock.monotonic())

    def close(self) -> None:
        """Close what is read."""
        self.tail.close()
        if self._journal:
            self._journal.close()

    def _taken(self, decided: Decided) -> Sequence[Login]:
        self._refusals.note(decided.refused)
        return decided.logins

    def _found(self, chunk: Chunk | JournalChunk) -> list[Login]:
        scanner = self._scanners.get(chunk.log)
        if scanner is None:
            timeline = Timeline.live(local_zone(self._config.timezone), self._clock)
            scanner = self._scanners[chunk.log] = Scanner(
                self._rules, timeline, machine=self._config.machine, path=chunk.path
            )
        return scanner.feed(chunk.data, chunk.offset)
