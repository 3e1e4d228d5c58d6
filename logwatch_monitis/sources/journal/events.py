"""Everything that can happen to the journal as a source."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from logwatch_monitis.interfaces import Event
from logwatch_monitis.login import iso_time

__all__ = [
    "JournalEnded",
    "JournalFound",
    "JournalGap",
    "JournalPositionDamaged",
    "JournalSuppressed",
    "JournalUnreadable",
]


@dataclass(frozen=True, slots=True)
class JournalFound(Event):
    """The journal is read from a place on: behind *after* (µs UTC), None for its first entry."""

    after: int | None

    def __str__(self) -> str:
        if self.after is None:
            return "The journal is read from its first entry"
        return f"The journal is read from what follows {iso_time(self.after)}"


@dataclass(frozen=True, slots=True)
class JournalGap(Event):
    """Entries may be missing: the one read last is not in the journal any more.

    Attributes:
        last: time of the entry read last, µs UTC.
        first: time of the oldest entry that is still there and newer, µs UTC.
        missing: how many entries are gone; None if that cannot be known.
    """

    level: ClassVar[int] = logging.WARNING

    last: int
    first: int
    missing: int | None

    def __str__(self) -> str:
        amount = "an unknown number of" if self.missing is None else str(self.missing)
        return (
            f"The journal does not reach back to where it was read last ({iso_time(self.last)}): "
            f"{amount} entries before {iso_time(self.first)} are missed; "
            "keep it longer with SystemMaxUse= in journald.conf"
        )


@dataclass(frozen=True, slots=True)
class JournalPositionDamaged(Event):
    """A saved place in the journal made no sense; the time of the last entry stands in for it."""

    level: ClassVar[int] = logging.WARNING

    last: int | None

    def __str__(self) -> str:
        where = "its first entry" if self.last is None else iso_time(self.last)
        return f"The saved place in the journal cannot be used, it is read from {where}"


@dataclass(frozen=True, slots=True)
class JournalSuppressed(Event):
    """journald's rate limit dropped entries before anybody could read them.

    Attributes:
        said: by journald, with number and service.
    """

    level: ClassVar[int] = logging.WARNING

    said: str

    def __str__(self) -> str:
        return (
            f"The journal lacks entries, journald says: {self.said}; "
            "see RateLimitBurst= in journald.conf"
        )


@dataclass(frozen=True, slots=True)
class JournalUnreadable(Event):
    """The journal cannot be read at present; it is tried again."""

    level: ClassVar[int] = logging.WARNING

    reason: str

    def __str__(self) -> str:
        return f"The journal cannot be read: {self.reason}"


@dataclass(frozen=True, slots=True)
class JournalEnded(Event):
    """journalctl ended though it should go on; it is started again after a *delay* in seconds."""

    level: ClassVar[int] = logging.WARNING

    reason: str
    delay: float

    def __str__(self) -> str:
        return f"journalctl ended ({self.reason}), it is started again in {self.delay:.0f} s"
