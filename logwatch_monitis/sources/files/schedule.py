"""Which logs are looked at next, and which of them stay open, where there are thousands."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from logwatch_monitis.interfaces import Clock
from logwatch_monitis.sources.files.descriptors import for_logs
from logwatch_monitis.sources.files.log import FollowedLog, Identity

__all__ = ["OpenLogs", "Rota"]

POLL_SECONDS = 1.0
"""How often logs are looked at of which no event told."""
POLL_LOGS = 500
"""So many of them at a time, in turn: even a look at a quiet log costs some microseconds."""


class Rota:
    """Says which logs to look at: those of which events told, and some of the others in turn.

    Attributes:
        woken: events tell of changes. Without, all logs are looked at, always.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: set[str] = set()
        self._pending: set[str] = set()
        self._everything = True
        self._next_poll = 0.0
        self._ring: list[str] = []
        self.woken = False

    def note(self, log: str) -> None:
        """Take note that something happened to *log*. From any thread."""
        with self._lock:
            self._noted.add(log)

    def note_all(self) -> None:
        """Take note that something happened that may concern any log. From any thread."""
        self._everything = True

    def looked_at(self, chain: FollowedLog) -> None:
        """Take note of whether a look at *chain* must be gone on with."""
        if chain.pending:
            self._pending.add(chain.path)
        else:
            self._pending.discard(chain.path)

    def forget(self, log: str) -> None:
        """Take note that *log* is not followed any more."""
        self._pending.discard(log)

    @property
    def pending(self) -> bool:
        """True if a look at some log must be gone on with."""
        return bool(self._pending)

    @property
    def polls(self) -> bool:
        """True if the next look is also at logs of which no event told."""
        late = self._clock.monotonic() >= self._next_poll
        return self._everything or not self.woken or late

    def due(self, chains: dict[str, FollowedLog]) -> list[FollowedLog]:
        """Return the logs to look at now."""
        with self._lock:
            noted, self._noted = self._noted | self._pending, set()
        everything, self._everything = self._everything or not self.woken, False
        if everything:
            return list(chains.values())
        found = dict.fromkeys(log for log in noted if log in chains)
        found.update(dict.fromkeys(self._polled(chains)))
        return [chains[log] for log in found]

    def _polled(self, chains: Iterable[str]) -> Iterator[str]:
        now = self._clock.monotonic()
        if now < self._next_poll:
            return
        self._next_poll = now + POLL_SECONDS
        if not self._ring:
            self._ring = list(chains)
        turn, self._ring = self._ring[:POLL_LOGS], self._ring[POLL_LOGS:]
        yield from (log for log in turn if log in chains)


class OpenLogs:
    """Keeps the number of open files within bounds: what was quiet longest is closed first.

    A closed file is opened again, by its name, when it has changed.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[FollowedLog, int] = OrderedDict()
        self._held: dict[FollowedLog, set[Identity]] = {}
        self._holders: dict[Identity, set[FollowedLog]] = {}
        self._total = 0

    def note(self, chain: FollowedLog) -> None:
        """Take note that *chain* was looked into, and close others if too many files are open."""
        self._hold(chain, chain.held)
        self._count(chain)
        self._counts.move_to_end(chain)
        excess = self._total - for_logs()
        while excess > 0 and (other := next(iter(self._counts))) is not chain:
            other.park()
            excess -= self._counts[other] - other.open_files
            self._count(other)
            self._counts.move_to_end(other) if other.open_files else self._drop(other)

    def forget(self, chain: FollowedLog) -> None:
        """Take note that *chain* is closed."""
        self._drop(chain)
        self._hold(chain, set())
        self._held.pop(chain)

    def holders(self, identity: Identity) -> list[FollowedLog]:
        """Return the logs that may hold the file with this device and inode, in their order."""
        return sorted(self._holders.get(identity, ()), key=lambda chain: chain.path)

    def _count(self, chain: FollowedLog) -> None:
        count = chain.open_files
        self._total += count - self._counts.get(chain, 0)
        self._counts[chain] = count

    def _drop(self, chain: FollowedLog) -> None:
        self._total -= self._counts.pop(chain, 0)

    def _hold(self, chain: FollowedLog, held: set[Identity]) -> None:
        before = self._held.get(chain, set())
        for identity in before - held:
            holders = self._holders[identity]
            holders.discard(chain)
            if not holders:
                del self._holders[identity]
        for identity in held - before:
            self._holders.setdefault(identity, set()).add(chain)
        self._held[chain] = held
