"""Reader of the agent: what the sources yield goes through a scanner into the spool."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Protocol

from logwatch_monitis.agent.live_log import LiveLog
from logwatch_monitis.config.model import Ignore
from logwatch_monitis.errors import StateError
from logwatch_monitis.grammar import RuleSet
from logwatch_monitis.interfaces import Clock, Event, Events
from logwatch_monitis.login import Login
from logwatch_monitis.scanner.continued import CutLines
from logwatch_monitis.scanner.login_id import Numberings
from logwatch_monitis.scanner.provenance import Decided, Provenance, Refusals
from logwatch_monitis.scanner.scanner import Scanner
from logwatch_monitis.sources.compression import MAGIC_SIZE, packing
from logwatch_monitis.sources.files.tail import Chunk, SourceStatus, Tail
from logwatch_monitis.sources.journal.follower import LOG, Journal, JournalChunk
from logwatch_monitis.spool import Position, SpoolDamagedError
from logwatch_monitis.spool.duplicates import WITHIN_US, key_of
from logwatch_monitis.syslog import Timeline
from logwatch_monitis.syslog.years import file_years

__all__ = ["LogReader", "ReadingPaused", "ReadingResumed", "Sink"]

TOGETHER_S = 0.05
"""Logins found within this time are committed together: a commit waits for the disk three times."""
LOOK_AT_MOST_S = 1.0
"""Logs that are written to all the time must not keep the agent from everything else."""
_TOLD_KEPT = 1000
POSITIONS_EVERY_S = 5.0
POSITIONS_EVERY_BYTES = 8 * 1024 * 1024


class Sink(Protocol):
    """Takes logins, and knows how far each log has been taken; the spool is one."""

    def positions(self) -> dict[str, Position]:
        """Return how far each log has been taken."""

    def commit(
        self, logins: Sequence[Login], positions: Mapping[str, Position], *, ignored: int = 0
    ) -> int:
        """Take logins and the positions behind them; return how many of them were new.

        Raises:
            StateError: it takes nothing now; the same call may be made again.
            SpoolDamagedError: what was taken is lost; all logs are to be read again.
        """


@dataclass(frozen=True, slots=True)
class ReadingPaused(Event):
    """The spool takes nothing at present; nothing is read until it does, so nothing is lost."""

    reason: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        return f"Reading pauses, nothing is lost: {self.reason}"


@dataclass(frozen=True, slots=True)
class ReadingResumed(Event):
    """The spool takes logins again."""

    def __str__(self) -> str:
        return "Reading goes on"


@dataclass(slots=True)
class _Uncommitted:
    """What has been read and is not yet in the spool; *since* when (of the monotonic clock)."""

    logins: list[Login] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)
    ignored: int = 0
    size: int = 0
    since: float = 0.0


class LogReader:
    """Reads all logs, once per `step`, and commits logins and positions together.

    A login is in the spool before the position behind it is: both go into one transaction. When
    the spool cannot take them (disk full) they stay in memory, reading pauses, and the next step
    tries again.

    Args:
        tail: where the bytes come from.
        spool: where logins and positions go, the spool or what stands in for it.
        rules: the pattern files in force; `use` changes them.
        zone: of times that name none.
        machine: the name for lines that name no machine.
        journal: where entries of the journal come from, if it is read.
        ignore: says which logins are counted and not sent.
        sent: called after new logins went into the spool, to wake the delivery.
        seen: told the lines of each block and the logins in them, before any is ignored.
        leave: says that the process is to end; then no more is read than has been.
    """

    def __init__(
        self,
        *,
        tail: Tail,
        spool: Sink,
        rules: RuleSet,
        zone: tzinfo,
        machine: str,
        clock: Clock,
        events: Events,
        journal: Journal | None = None,
        ignore: Ignore | None = None,
        sent: Callable[[], None] = lambda: None,
        seen: Callable[[bytes, Sequence[Login]], None] = lambda _data, _logins: None,
        leave: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tail = tail
        self._journal = journal
        self._spool = spool
        self._rules = rules
        self._zone = zone
        self._machine = machine
        self._clock = clock
        self._events = events
        self._ignore = ignore or Ignore()
        self._sent = sent
        self._seen = seen
        self._leave = leave
        self._ordinals = {log: row.ordinals for log, row in spool.positions().items()}
        self._held = _Uncommitted()
        self._paused = False
        self._positions_at = clock.monotonic()
        self._told: deque[int | None] = deque(maxlen=_TOLD_KEPT)
        self._provenance = Provenance()
        self.refusals = Refusals(clock, events)
        self.logs: dict[str, LiveLog] = {}
        self._waiting: dict[str, LiveLog] = {}  # those in which something waits
        self._marked: dict[str, LiveLog] = {}  # those with positions to be committed
        self.events_by_rule: Counter[str] = Counter()

    @property
    def paused(self) -> bool:
        """Whether the spool refuses to take more at present."""
        return self._paused

    def use(self, rules: RuleSet, ignore: Ignore | None = None) -> None:
        """Go on with other pattern files, and another choice of whom to ignore if one is given.

        Lines already read are not read again.
        """
        self._rules = rules
        self._ignore = ignore or self._ignore
        for state in self.logs.values():
            state.scanner.use(rules)

    def step(self) -> bool:
        """Take what is there now, unless that takes long or it is time to leave.

        Returns:
            Whether more is there already. Each log has had its turn all the same.

        Raises:
            SpoolDamagedError: the spool was replaced; all logs are to be read again.
        """
        if self._paused and not self._flush():
            return False
        more = self._read()
        self._settle()
        if self._held.logins and not self._flush():
            return False
        self.refusals.tell()
        if self._clock.monotonic() - self._positions_at >= POSITIONS_EVERY_S:
            self.flush()
        return more

    def _read(self) -> bool:
        begun = self._clock.monotonic()
        seen: set[str] = set()
        more = self._read_journal()
        if self._paused:
            return False
        for chunk in self._tail.read():
            self._take(chunk)
            self._tail.confirm()
            if self._is_due() and not self._flush():
                return False
            late = self._clock.monotonic() - begun >= LOOK_AT_MOST_S
            if self._leave() or (late and chunk.log in seen):
                return True
            seen.add(chunk.log)
        return more or self._tail.pending

    def _read_journal(self) -> bool:
        """Take what the journal has, or much of it; return whether it has more."""
        if self._journal is None:
            return False
        for chunk in self._journal.read():
            self._take(chunk)
            self._journal.confirm()
            if self._is_due() and not self._flush():
                break
        return self._journal.pending

    @property
    def patience(self) -> float:
        """After how many seconds a `step` decides what waits; infinite if nothing waits."""
        now, both = self._clock.monotonic(), self._told_of_both()
        waiting = self._waiting.values()
        files = [state.accounts.patience(now, both) for state in waiting]
        cut = [state.scanner.cut.waiting.patience(now) for state in waiting]
        return min(self._provenance.waiting.patience(now), *files, *cut, inf)

    def _told_of_both(self) -> set[int | None]:
        """Return the keys of the journal's accounts that wait for their own proof."""
        return {key_of(login) for login in self._provenance.logins}

    def _settle(self) -> None:
        """Give out what has come to be proved, or has waited long enough."""
        now = self._clock.monotonic()
        self._decide(self._provenance.overdue(now))
        reading, both = self._journal is not None and self._journal.reading, self._told_of_both()
        told = set(self._told)
        for log, state in list(self._waiting.items()):
            for key in state.accounts.keys() & told if reading else state.accounts.keys():
                self._keep(state.accounts.drop(key))
            self._keep(state.accounts.overdue(now, both))
            state.scanner.cut.overdue(now)
            if not state.accounts and not state.scanner.cut.waiting:
                del self._waiting[log]

    def _decide(self, decided: Decided) -> None:
        """Take what the journal decides of its logins."""
        logins, refused = decided
        self.refusals.note(refused)
        self._told.extend(map(key_of, logins))
        if logins:
            self.logs[LOG].last_login = logins[-1].time / 1e6
            self._keep(logins)

    def _may_be_proved(self, login: Login) -> bool:
        """Tell whether the journal may give an account of a login that a file has told of."""
        recent = self._clock.now() * 1e6 - WITHIN_US
        return (
            self._journal is not None
            and self._journal.reading
            and login.time > recent
            and login.machine == self._machine
            and key_of(login) not in self._told
        )

    def _is_due(self) -> bool:
        held = self._held
        if held.logins and self._clock.monotonic() - held.since >= TOGETHER_S:
            return True
        return held.size >= POSITIONS_EVERY_BYTES

    def flush(self) -> bool:
        """Commit the positions too that no login has carried along; returns whether it worked."""
        journal = self._journal.checkpoints() if self._journal else {}
        for log, checkpoint in (self._tail.checkpoints() | journal).items():
            self._hold(log, checkpoint)
        return self._flush()

    def _take(self, chunk: Chunk | JournalChunk) -> None:
        state = self.logs.get(chunk.log) or self._open(chunk)
        scanner = state.scanner
        scanner.path = chunk.path
        if chunk.numbering not in state.numberings:
            scanner.cut.waiting = CutLines().waiting
        scanner.ordinals = state.numberings.turn(chunk.numbering, chunk.numberings)
        if chunk.offset == 0 and isinstance(chunk, Chunk):
            scanner.timeline = self._timeline(chunk.path)
        state.blocks += 1
        scanner.cut.waiting.begin(state.blocks, self._clock.monotonic())
        logins: Sequence[Login] = scanner.feed(chunk.data, chunk.offset)
        if isinstance(chunk, JournalChunk):
            logins = self._judged(state, chunk, logins)
        elif logins:
            state.last_login = logins[-1].time / 1e6
            self._keep(self._sure(state, logins))
        if state.accounts or scanner.cut.waiting:
            self._waiting[chunk.log] = state
        self._seen(chunk.data, logins)
        state.last_line = self._clock.now()
        self._hold(chunk.log, chunk.checkpoint)
        self._held.size += len(chunk.data)
        state.size += len(chunk.data)

    def _judged(
        self, state: LiveLog, chunk: JournalChunk, found: Sequence[Login]
    ) -> Sequence[Login]:
        """Take what entries of the journal decide, and return those logins."""
        self._provenance.waiting.begin(state.blocks, self._clock.monotonic())
        decided = self._provenance.decide(chunk.entries, found, state.scanner.cut.waiting)
        self._decide(decided)
        return decided.logins

    def _sure(self, state: LiveLog, found: Sequence[Login]) -> list[Login]:
        """Return a file's logins but for those that wait for the journal's account of them."""
        state.accounts.begin(state.blocks, self._clock.monotonic())
        sure = []
        for login in found:
            if self._may_be_proved(login):
                state.accounts.add(login, login.time, key_of(login))
            else:
                sure.append(login)
        return sure

    def _timeline(self, path: str) -> Timeline:
        """Return the clock of a file met at its first byte: what it holds already may be old."""
        timeline = Timeline.live(self._zone, self._clock)
        with suppress(OSError):
            if not packing(_head(path)):
                timeline.catch_up(file_years(path, self._zone), Path(path).stat().st_size)
        return timeline

    def _keep(self, logins: Sequence[Login]) -> None:
        kept = [login for login in logins if not self._ignore(login)]
        if kept and not self._held.logins:
            self._held.since = self._clock.monotonic()
        self._held.logins += kept
        self._held.ignored += len(logins) - len(kept)
        self.events_by_rule.update(login.rule for login in logins)

    def _open(self, chunk: Chunk | JournalChunk) -> LiveLog:
        scanner = Scanner(
            self._rules,
            Timeline.live(self._zone, self._clock),
            machine=self._machine,
            path=chunk.path,
        )
        numberings = Numberings(self._ordinals.get(chunk.log, ""))
        return self.logs.setdefault(chunk.log, LiveLog(scanner, numberings))

    def _hold(self, log: str, checkpoint: str) -> None:
        state = self.logs.get(log)
        if state is None:
            self._held.positions[log] = Position(checkpoint, self._ordinals.get(log, ""))
        else:
            position = Position(checkpoint, state.numberings.save())
            state.mark(position, self._oldest(log, state))
            self._marked[log] = state

    def _oldest(self, log: str, state: LiveLog) -> int | None:
        """Return the block of a log that holds what waits longest; None if nothing waits."""
        oldest = [state.accounts.oldest, state.scanner.cut.waiting.oldest]
        oldest += [self._provenance.waiting.oldest] if log == LOG else []
        return min((block for block in oldest if block is not None), default=None)

    def _flush(self) -> bool:
        try:
            held = self._held
            for log, state in list(self._marked.items()):
                oldest = self._oldest(log, state)
                if position := state.settled(oldest):
                    held.positions[log] = position
                if oldest is None:
                    del self._marked[log]
            new = self._spool.commit(held.logins, held.positions, ignored=held.ignored)
        except SpoolDamagedError:
            raise
        except StateError as error:
            self._pause(error)
            return False
        self._held = _Uncommitted()
        self._positions_at = self._clock.monotonic()
        if self._paused:
            self._paused = False
            self._events(ReadingResumed())
        if new:
            self._sent()
        return True

    def _pause(self, error: StateError) -> None:
        if not self._paused:
            self._events(ReadingPaused(error.render()))
        self._paused = True

    def sources(self) -> list[dict[str, Any]]:
        """Return what ``status`` shows of each source; times are seconds since the epoch."""
        return [self._source(status) for status in self.statuses()]

    def statuses(self) -> list[SourceStatus]:
        """Return what can be said about each log, the journal included."""
        return [*self._tail.statuses(), *([self._journal.status()] if self._journal else [])]

    def follow(self, journal: Journal | None) -> None:
        """Read this journal from now on, or none."""
        self._journal = journal

    def _source(self, status: SourceStatus) -> dict[str, Any]:
        state = self.logs.get(status.log)
        return {
            "log": status.log,
            "state": status.state,
            "detail": status.detail,
            "position": status.offset,
            "size": status.size,
            "lag": status.lag,
            "older": status.older,
            "last_line": state.last_line if state else None,
            "last_login": state.last_login if state else None,
            "lines": state.scanner.counts.lines if state else 0,
            "bytes": state.size if state else 0,
            "skipped": list(status.skipped),
            "cut_off": state.scanner.cut.cut_off if state else 0,
            "refused": self.refusals.count if status.log == LOG else None,
        }


def _head(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(MAGIC_SIZE)
