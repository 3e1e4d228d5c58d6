"""Lines that their program has cut: the first part of a login counts if the next one follows.

sudo writes what is longer than a line of syslog as several: ``alice : PWD=…``, then
``alice : (command continued) …``. The first part names who and when, so it is the login, and it is
given out when the next part of the same process comes. If none comes it tells of nothing that
happened, and is counted as cut off.

Every first part that a next one may belong to counts: whoever writes lines into a log can add
logins to it, but none of them takes the place of a true one.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from math import inf
from typing import NamedTuple

from logwatch_monitis.login import Login
from logwatch_monitis.scanner.waiting import Waiting

__all__ = ["CutLines", "NextPart", "NextParts"]

WITHIN_US = 5_000_000
"""How far apart the parts may be in time, microseconds."""
WITHIN_BYTES = 1024 * 1024
"""How far apart they may stand in the log: so what is still open is soon known, whatever the times
of its lines are. A program writes them one right after the other."""
ANYBODY = "any"
"""The user of a next part that names none."""


class NextPart(NamedTuple):
    """The next part of a line: whose it is."""

    machine: str
    program: str
    pid: int | None
    user: str


class CutLines:
    """The first parts of one log that wait for the next ones.

    Attributes:
        waiting: them.
        read: bytes of the log that have been read.
        cut_off: first parts that have waited in vain.
    """

    def __init__(self) -> None:
        self.waiting: Waiting[Login] = Waiting(WITHIN_BYTES, WITHIN_US / 1e6)
        self.read = 0
        self.cut_off = 0

    def add(self, login: Login, place: int) -> None:
        """Let a first part wait that stands at *place* of what is read next."""
        process = login.machine, login.program, login.pid
        keys = (*process, login.user_login), (*process, ANYBODY)
        self.waiting.add(login, self.read + place, *keys)

    def follow(self, part: NextPart, time_us: int, place: int) -> list[Login]:
        """Return the logins that a next part makes count; what waited too long is cut off."""
        self._reach(self.read + place)
        found = self.waiting.take(part, self.read + place)
        counts = [login for login in found if abs(time_us - login.time) <= WITHIN_US]
        self.cut_off += len(found) - len(counts)
        return counts

    def go_on(self, size: int) -> None:
        """Note that so many bytes more have been read."""
        self.read += size
        self._reach(self.read)

    def overdue(self, now: float) -> None:
        """Count what was read so long before *now* (seconds, monotonic) that nothing will come."""
        self.cut_off += len(self.waiting.overdue(now))

    def load(self, other: CutLines) -> None:
        """Go on from where *other* stands instead."""
        self.__dict__.update(deepcopy(other.__dict__))

    def end(self) -> None:
        """Count what still waits at the end of the log."""
        self.cut_off += len(self.waiting.rest())

    def _reach(self, place: int) -> None:
        self.cut_off += len(self.waiting.past(place))


class NextParts:
    """Where the next parts of lines may stand in a block; each of its bytes is looked at once.

    Attributes:
        block: the block.
    """

    def __init__(self, texts: Sequence[bytes], block: bytes) -> None:
        self.block = block
        self._next: dict[bytes, float] = dict.fromkeys(texts, -1)

    def after(self, place: int) -> float:
        """Return the first such place from *place* on; infinite if there is none."""
        for text, known in self._next.items():
            if known < place:
                found = self.block.find(text, place)
                self._next[text] = inf if found < 0 else found
        return min(self._next.values(), default=inf)
