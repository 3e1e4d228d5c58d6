"""What the journal proves of its logins: batch after batch, who wrote each of them.

Most are decided by their own entry (`logwatch_monitis.sources.journal.trust`). A line of sudo waits
up to a second for the session line of the same process, which proves it. It proves the last line
before it alone: what a process wrote before it became sudo is not sudo's.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from logwatch_monitis.interfaces import Clock, Event, Events
from logwatch_monitis.login import Login
from logwatch_monitis.scanner.waiting import Waiting
from logwatch_monitis.sources.journal.entry import Batch, JournalEntry, RefusedLogin
from logwatch_monitis.sources.journal.trust import Judgement, Session, Verdict, judge

if TYPE_CHECKING:
    from logwatch_monitis.scanner.scanner import Scanner

__all__ = ["PROOF_US", "TELL_EVERY_S", "Decided", "Judge", "LoginRefused", "Provenance", "Refusals"]

PROOF_US = 1_000_000
"""So long a login waits for its proof, microseconds."""


class _Judged(NamedTuple):
    """A login with what is thought of it, and who sent it."""

    login: Login
    judgement: Judgement
    entry: JournalEntry

    def outcome(self, session: Session | None = None) -> Login | RefusedLogin:
        """Return the login, or its refusal, after what a *session* line said, if there was one."""
        verdict, target = self.judgement.verdict, self.login.fields.get("target")
        proved = bool(session and session.proves and target in (None, session.target))
        if proved or verdict is not Verdict.REFUSED:
            return self.login._replace(verified=proved or verdict is Verdict.PROVED)
        login, reason = self.login, self.judgement.reason
        return RefusedLogin(login.program, self.entry.origin, reason, login.srv)


class Provenance:
    """Judges the logins of one stream of entries.

    Attributes:
        waiting: the logins that wait for their proof.
    """

    def __init__(self) -> None:
        self.waiting: Waiting[_Judged] = Waiting(PROOF_US, PROOF_US / 1e6)
        self._unfinished: dict[int, tuple[int, JournalEntry]] = {}

    @property
    def logins(self) -> Iterator[Login]:
        """The logins that wait."""
        return (judged.login for judged in self.waiting)

    def decide(
        self, batch: Batch, logins: Sequence[Login], unfinished: Iterable[Login] = ()
    ) -> Decided:
        """Return what a batch decides: of its own logins, and of those that waited.

        Args:
            batch: entries, the next ones of the stream.
            logins: what a scanner found in their lines, or in those of *unfinished* ones.
            unfinished: what may become a login with the lines of a later batch.
        """
        decided = Decided([], [])
        before = self._unfinished
        for offset, login in self._events(batch, logins):
            place, entry = before.get(offset) or batch.entry(offset)
            if login is None:
                self._open(entry, decided)
            else:
                found = login._replace(offset=place, journal=True)
                self._judge(_Judged(found, judge(login.program, entry.origin), entry), decided)
        decided.note(self.waiting.past(batch.last_time_us))
        offsets = [login.offset for login in unfinished]
        self._unfinished = {o: before.get(o) or batch.entry(o) for o in offsets}
        return decided

    def overdue(self, now: float) -> Decided:
        """Return what was read a second or more before *now* and has no proof."""
        return Decided([], []).note(self.waiting.overdue(now))

    def rest(self) -> Decided:
        """Return what still waits, now that no more entries come."""
        return Decided([], []).note(self.waiting.rest())

    def _events(self, batch: Batch, logins: Sequence[Login]) -> Iterator[tuple[int, Login | None]]:
        """Yield the places of logins, and of session lines where one may matter, in order."""
        found = sorted(((login.offset, login) for login in logins), key=itemgetter(0))
        sessions = batch.sessions() if found or self.waiting else []
        yield from merge(found, ((place, None) for place in sessions), key=itemgetter(0))

    def _judge(self, judged: _Judged, decided: Decided) -> None:
        if not judged.judgement.waits:
            decided.add(judged.outcome())
            return
        process = _process(judged.entry)
        decided.note(self.waiting.take(process, judged.login.time))
        self.waiting.add(judged, judged.entry.time_us, process)

    def _open(self, entry: JournalEntry, decided: Decided) -> None:
        """Decide what waits for this session line."""
        session = entry.session
        if session:
            for judged in self.waiting.take(_process(entry), entry.time_us):
                decided.add(judged.outcome(session))


class Decided(NamedTuple):
    """Logins, proved or not, and those that somebody else wrote."""

    logins: list[Login]
    refused: list[RefusedLogin]

    def add(self, outcome: Login | RefusedLogin) -> None:
        """Add one of either."""
        if isinstance(outcome, Login):
            self.logins.append(outcome)
        else:
            self.refused.append(outcome)

    def note(self, unproved: Sequence[_Judged]) -> Decided:
        """Add what has waited in vain."""
        for judged in unproved:
            self.add(judged.outcome())
        return self


class Judge:
    """Finds and judges the logins in a file or stream of entries, and counts what is refused."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._provenance = Provenance()

    def logins(self, entries: Batch) -> list[Login]:
        """Return the logins that these entries decide."""
        found = self._scanner.feed(entries.data, entries.begin)
        unfinished = self._scanner.cut.waiting
        return self._counted(self._provenance.decide(entries, found, unfinished))

    def rest(self) -> list[Login]:
        """Return the logins that still wait, now that no more entries come."""
        return self._counted(self._provenance.rest())

    def _counted(self, decided: Decided) -> list[Login]:
        counts = self._scanner.counts
        counts.refused += len(decided.refused)
        counts.logins -= len(decided.refused)
        counts.services -= Counter(refused.service for refused in decided.refused)
        return decided.logins


def _process(entry: JournalEntry) -> tuple[bytes, str, str]:
    """Return what tells a process and its user from others."""
    origin = entry.origin
    return entry.field("_HOSTNAME"), origin.pid, origin.user


@dataclass(frozen=True, slots=True)
class LoginRefused(Event):
    """Entries that say they are logins were not written by the program they name.

    Attributes:
        program: the name in the last of them.
        reason: who sent it.
        count: how many there were since this was last said.
    """

    level: ClassVar[int] = logging.WARNING

    program: str
    reason: str
    count: int

    def __str__(self) -> str:
        more = f" (and {self.count - 1} more like it)" if self.count > 1 else ""
        return (
            f"A login in the journal in the name of {self.program} is refused: {self.reason}{more}"
        )


TELL_EVERY_S = 60.0


"""Whoever forges logins without end must not fill the log that tells of it."""


class Refusals:
    """Counts refused logins, and tells of them once a minute at most.

    Attributes:
        count: all of them.
    """

    def __init__(self, clock: Clock, events: Events) -> None:
        self._clock = clock
        self._events = events
        self._untold: list[RefusedLogin] = []
        self._more = 0
        self._next = float("-inf")
        self.count = 0

    def note(self, refused: Sequence[RefusedLogin]) -> None:
        """Count some, and tell of them if it is time."""
        if refused:
            self.count += len(refused)
            self._more += len(refused)
            self._untold = [refused[-1]]
        self.tell()

    def tell(self) -> None:
        """Tell of those that were not told of, if it is time."""
        now = self._clock.monotonic()
        if self._untold and now >= self._next:
            last = self._untold.pop()
            self._events(LoginRefused(last.program, last.reason, self._more))
            self._more, self._next = 0, now + TELL_EVERY_S
