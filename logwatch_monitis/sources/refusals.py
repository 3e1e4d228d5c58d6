"""Logins that the journal does not prove: counted all, told of now and then."""

from __future__ import annotations

from collections.abc import Sequence

from logwatch_monitis.interfaces import Clock, Events
from logwatch_monitis.sources.journal.entry import Refused
from logwatch_monitis.sources.journal.events import LoginRefused

__all__ = ["TELL_EVERY_S", "Refusals"]

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
        self._untold: list[Refused] = []
        self._more = 0
        self._next = float("-inf")
        self.count = 0

    def note(self, refused: Sequence[Refused]) -> None:
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
