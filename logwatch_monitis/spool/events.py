"""What can happen in the spool."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from logwatch_monitis.interfaces import Event
from logwatch_monitis.text import counted

__all__ = [
    "MachineChanged",
    "OutboxDrained",
    "OutboxOverflowed",
    "SpoolMigrated",
    "SpoolSetAside",
]


@dataclass(frozen=True, slots=True)
class SpoolSetAside(Event):
    """A database that could not be used was moved out of the way.

    Attributes:
        path: where the database was.
        aside: where it is now; empty if it was gone.
        reason: what was wrong with it.
        saved: how many waiting logins and dead letters were moved over.
    """

    path: str
    aside: str
    reason: str
    saved: int
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        kept = f"kept as {self.aside}" if self.aside else "gone"
        return (
            f"The spool {self.path} {self.reason}; it is {kept}, {self.saved} waiting logins were "
            "saved from it, and the logs are read again from their first byte; logins that waited "
            "and stand in rotated files only can be brought back with 'backfill'"
        )


@dataclass(frozen=True, slots=True)
class SpoolMigrated(Event):
    """The database was brought from an older schema to the present one."""

    path: str
    old: int
    new: int

    def __str__(self) -> str:
        return f"The spool {self.path} was brought from schema {self.old} to {self.new}"


@dataclass(frozen=True, slots=True)
class OutboxOverflowed(Event):
    """The outbox is full, and waiting logins are given up; said once for each gap.

    Attributes:
        dropped: how many were given up at this moment.
        max_entries: the limit.
        keep: the policy.
    """

    dropped: int
    max_entries: int
    keep: str
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        return (
            f"The outbox is full with {self.max_entries} logins: {self.dropped} given up, the "
            f"{self.keep} are kept; 'backfill' brings them back once the monitor answers"
        )


@dataclass(frozen=True, slots=True)
class OutboxDrained(Event):
    """Half of an outbox that was full is free again, which ends the gap.

    Attributes:
        dropped: how many logins were given up meanwhile.
        first: the time of the earliest of them, seconds UTC.
        last: the time of the latest of them, seconds UTC.
    """

    dropped: int
    first: float
    last: float
    level: ClassVar[int] = logging.WARNING

    def __str__(self) -> str:
        first, last = (
            datetime.fromtimestamp(moment).astimezone().isoformat(" ", "seconds")
            for moment in (self.first, self.last)
        )
        return (
            f"The outbox has room again; {counted(self.dropped, 'login')} between {first} and"
            f" {last} were given up: 'backfill' brings them back"
        )


@dataclass(frozen=True, slots=True)
class MachineChanged(Event):
    """The state was made on another machine, or this one was cloned or renamed."""

    directory: str
    level: ClassVar[int] = logging.WARNING

    def __str__(self) -> str:
        return (
            f"The state in {self.directory} was made on another machine or under another host "
            "name; if this is a clone, give it a state directory of its own"
        )
