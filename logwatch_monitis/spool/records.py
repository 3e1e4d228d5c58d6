"""What the spool hands out, and the two ways in which it says no."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, NamedTuple

from logwatch_monitis.errors import StateError

__all__ = [
    "DeadLetter",
    "Gap",
    "Limits",
    "OutboxEntry",
    "Position",
    "SpoolDamagedError",
    "SpoolFullError",
    "Summary",
]


class SpoolFullError(StateError):
    """Raised when the spool can take nothing now: disk full, read-only, I/O error, outbox full.

    Nothing was written and nothing advanced; the same call may be made again later.
    """


class SpoolDamagedError(StateError):
    """Raised by `Spool.commit` when the database was replaced under the caller's hands.

    Nothing was taken. The caller asks for `Spool.positions` again and reads on from there.
    """


class Position(NamedTuple):
    """How far one log has been taken.

    Attributes:
        checkpoint: the reader's own text.
        ordinals: what `Ordinals.save` returned after the last line taken.
    """

    checkpoint: str
    ordinals: str = ""


class OutboxEntry(NamedTuple):
    """One login that waits for delivery.

    Attributes:
        seq: its place in the spool; delivery starts in this order.
        id: 128 bits in hexadecimal.
        time_us: microseconds since the epoch, UTC.
        user: who got in.
        host: where from.
        srv: the service.
        kind: ``login``, ``command`` or ``session``.
        machine: whose log it was in.
        verified: the source proved who wrote the line.
        method: how the user was authenticated; may be empty.
        attempts: how often its delivery has failed.
        history: it came from a backfill; live entries go first.
    """

    seq: int
    id: str
    time_us: int
    user: str
    host: str
    srv: str
    kind: str
    machine: str
    verified: bool
    method: str
    attempts: int
    history: bool


class DeadLetter(NamedTuple):
    """An entry that the monitor refused.

    Attributes:
        entry: what was refused.
        reason: what the monitor said.
        since_us: when it was put aside, microseconds since the epoch.
    """

    entry: OutboxEntry
    reason: str
    since_us: int


class Gap(NamedTuple):
    """Logins given up because the outbox was full, until half of it was free again.

    Attributes:
        dropped: how many.
        first_us: the time of the earliest of them.
        last_us: the time of the latest of them.
    """

    dropped: int
    first_us: int
    last_us: int

    @classmethod
    def parse(cls, text: str) -> Gap:
        """Return what `text` wrote."""
        return cls(*json.loads(text))

    def text(self) -> str:
        """Return it as text for a fact."""
        return json.dumps(self)


class Summary(NamedTuple):
    """The spool in figures.

    Attributes:
        live: entries waiting that were read as they happened.
        history: entries waiting that a backfill brought.
        dead: dead letters.
        seen: ids remembered.
        sent: entries delivered since the state was made.
        dropped: entries given up because the outbox was full.
        ignored: logins that the configuration said to leave out.
        oldest_us: the time of the next entry's login; None when nothing waits.
        last_delivery_us: when something was last delivered; None for never.
        last_error: what the last failed delivery said; empty after a success.
        gap: logins given up while the outbox was full, until half of it is free again.
        disk_bytes: size of the database and its journal.
    """

    live: int
    history: int
    dead: int
    seen: int
    sent: int
    dropped: int
    ignored: int
    oldest_us: int | None
    last_delivery_us: int | None
    last_error: str
    gap: Gap | None
    disk_bytes: int

    @property
    def depth(self) -> int:
        """How many entries wait, live and history together."""
        return self.live + self.history


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the spool keeps.

    Attributes:
        max_entries: so many may wait; a million take about 130 MB.
        keep: which live logins stay when the outbox is full: the ``newest`` or the ``oldest``.
        seen_days: for so many days an id is remembered. Only days on which logins were taken
            count, so a clock that jumps by years forgets nothing.
    """

    max_entries: int = 1_000_000
    keep: Literal["newest", "oldest"] = "newest"
    seen_days: int = 400
