"""Logins that the monitor does not take while it takes others: held back, tried again, judged.

Whether a login or the server is to blame shows only in another login. As long as the server takes
none at all, nobody is judged. Once it has taken another one, the refused login is held: the others
go past it, and it is tried every `RETRY_SECONDS`. It is judged when it was refused `REFUSALS` times
over `SECONDS` and another login was taken since; or, where nothing else waits, after
`REFUSALS_ALONE` over `SECONDS_ALONE`, if the server answers a read.

A held login that is taken after all shows that the server refuses by chance. Then the counts of all
others begin anew, and for `CHANCE_SECONDS` three times as many refusals are wanted on top as that
one had. Nothing of this is kept over a restart: it is learnt again within
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from logwatch_monitis.delivery.status import HeldLogin
from logwatch_monitis.errors import LogwatchError, MonitorError
from logwatch_monitis.interfaces import Clock
from logwatch_monitis.protocol.errors import BusyError
from logwatch_monitis.spool import OutboxEntry

__all__ = ["HeldLogins", "NotTakenError", "RefusalCounts"]

RETRY_SECONDS = 2.0
LONGEST_SECONDS = 60.0
REFUSALS = 5
SECONDS = 6.0
REFUSALS_ALONE = 8
SECONDS_ALONE = 20.0
CHANCE_SECONDS = 600.0
OTHERS_ASKED = 16
MOST = 256


@dataclass(slots=True)
class RefusalCounts:
    """How often one login was refused.

    Attributes:
        entry: the login.
        born: when it was first refused, seconds of the stopwatch, as all times here.
        reason: what the server said last.
        held: another login was taken after a refusal of this one; what follows counts from then.
        count: refusals, of a held one those that count.
        total: refusals since it is held.
        first: when the count began.
        last: when it was last refused.
        next_try: when a held one is tried again.
        others_since: another login was taken since the last refusal.
    """

    entry: OutboxEntry
    born: float
    reason: str = ""
    held: bool = False
    count: int = 0
    total: int = 0
    first: float = 0.0
    last: float = 0.0
    next_try: float = 0.0
    others_since: bool = False

    def begin(self, now: float) -> None:
        """Count from now on."""
        self.count = 0
        self.first = self.next_try = now

    def is_judged(self, more: int) -> bool:
        """Tell whether it is this login that is to blame; *more* refusals are wanted than usual."""
        count, seconds = self.count - more, self.last - self.first
        if self.others_since:
            return count >= REFUSALS and seconds >= SECONDS
        return count >= REFUSALS_ALONE and seconds >= SECONDS_ALONE


class HeldLogins:
    """The logins that were refused, by their place in the spool; used by one thread.

    Attributes:
        alone: nothing but refused logins waits.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[int, RefusalCounts] = {}
        self.alone = False
        self._by_chance = 0
        self._by_chance_until = 0.0

    def __len__(self) -> int:
        return len(self._known)

    def refused(self, entry: OutboxEntry, error: Exception, seconds: float) -> RefusalCounts:
        """Note that the server did not take a login, for which it needed so many *seconds*."""
        now = self._clock.monotonic()
        found = self._known.setdefault(entry.seq, RefusalCounts(entry, now, first=now))
        found.reason = reason_of(error)
        found.count += 1
        found.total += found.held
        found.last = now
        pause = max(RETRY_SECONDS, 2 * seconds, (now - found.born) / 10)
        found.next_try = now + min(pause, max(LONGEST_SECONDS, 2 * seconds))
        found.others_since = False
        return found

    def taken(self, entries: Iterable[OutboxEntry]) -> None:
        """Note that the server took logins."""
        if not self._known:
            return
        now = self._clock.monotonic()
        popped = [self._known.pop(entry.seq, None) for entry in entries]
        cleared = [found.total for found in popped if found]
        if cleared:
            self._note_chance(max(cleared), now)
            # Those that are not held were refused in an outage, which is over.
            self._known = {seq: found for seq, found in self._known.items() if found.held}
        for found in self._known.values():
            found.others_since = True
            if cleared or not found.held:
                found.held = True
                found.begin(now)

    def _note_chance(self, refusals: int, now: float) -> None:
        if refusals:
            known = self._by_chance if now < self._by_chance_until else 0
            self._by_chance = max(refusals, known)
            self._by_chance_until = now + CHANCE_SECONDS

    def forget(self, entry: OutboxEntry) -> None:
        """Know no more of a login: it has left the spool."""
        self._known.pop(entry.seq, None)

    def keep(self, waiting: Sequence[OutboxEntry]) -> None:
        """Forget whatever is not among all the logins that wait."""
        there = {entry.seq for entry in waiting}
        self._known = {seq: found for seq, found in self._known.items() if seq in there}

    def others(self, waiting: Iterable[OutboxEntry]) -> list[OutboxEntry]:
        """Return those that were never refused, as many as may be asked now.

        Each time twice as many, up to `OTHERS_ASKED` in all, so that a server that is down is not
        flooded; then one at a time.
        """
        number = len(self._known)
        most = number if number < OTHERS_ASKED else 1 if number < MOST else 0
        fresh = [entry for entry in waiting if entry.seq not in self._known]
        self.alone = not fresh
        return fresh[:most]

    def is_held(self, entry: OutboxEntry) -> bool:
        """Tell whether the others go past a login."""
        found = self._known.get(entry.seq)
        return found is not None and found.held

    def next(self, waiting: Iterable[OutboxEntry]) -> OutboxEntry | None:
        """Return the held login to try now.

        While others wait and none of them was taken since, the server may just be down.
        """
        now = self._clock.monotonic()
        for entry in waiting:
            found = self._known.get(entry.seq)
            due = found and found.held and found.next_try <= now
            if found and due and (found.others_since or self.alone):
                return entry
        return None

    def wait(self, longest: float) -> float:
        """Return for how many seconds no held login is to be tried, at most *longest*."""
        now = self._clock.monotonic()
        times = [found.next_try - now for found in self._known.values() if found.held]
        return max(0.0, min([longest, *times]))

    def judged(self) -> list[RefusalCounts]:
        """Return the logins that are to blame themselves."""
        chance = self._by_chance if self._clock.monotonic() < self._by_chance_until else 0
        return [
            found for found in self._known.values() if found.held and found.is_judged(3 * chance)
        ]

    def status(self) -> tuple[HeldLogin, ...]:
        """Return what there is to tell: held logins, and one that is alone."""
        return tuple(
            HeldLogin(found.entry.id, found.reason, found.count, judged=found.held)
            for found in self._known.values()
            if found.count and (found.held or self.alone)
        )


class NotTakenError(LogwatchError):
    """Raised when one login was not taken, for a reason that may lie in it.

    Attributes:
        cause: the reason.
        seconds: how long the server needed.
    """

    def __init__(self, cause: MonitorError, seconds: float) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.seconds = seconds


def reason_of(error: Exception) -> str:
    """Return what the server said, its own words included."""
    words = error.words if isinstance(error, BusyError) else ""
    return f"{error}: {words}" if words else str(error)
