"""One log while the agent runs: what reads it, what waits in it, how far it may be called read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from logwatch_monitis.login import Login
from logwatch_monitis.scanner.login_id import Numberings
from logwatch_monitis.scanner.scanner import Scanner
from logwatch_monitis.scanner.waiting import Waiting
from logwatch_monitis.spool import Position

__all__ = ["ACCOUNT_US", "LiveLog"]

ACCOUNT_US = 600_000
"""So long a file's login waits for the journal's account of it, which proves who wrote it, in
microseconds: journald tells of what it was sent within a quarter of a second. Where that account
waits for its own proof (`logwatch_monitis.scanner.provenance`), the file's waits with it."""


@dataclass(slots=True)
class LiveLog:
    """One log.

    Attributes:
        scanner: reads it.
        numberings: its ordinals.
        size: bytes read of it.
        last_line, last_login: when it last said something, and when the last login was; seconds
            since the epoch.
        blocks: how many of it were read.
        accounts: logins that wait for the journal's account of them.
    """

    scanner: Scanner
    numberings: Numberings
    size: int = 0
    last_line: float | None = None
    last_login: float | None = None
    blocks: int = 0
    accounts: Waiting[Login] = field(default_factory=lambda: Waiting(ACCOUNT_US, ACCOUNT_US / 1e6))
    _marks: deque[tuple[int, Position]] = field(default_factory=deque)

    def mark(self, position: Position, oldest: int | None) -> None:
        """Note how far the last block has led; block *oldest* holds what waits longest."""
        if oldest is None:
            self._marks.clear()
        self._marks.append((self.blocks, position))

    def settled(self, oldest: int | None) -> Position | None:
        """Return the last position that lies behind nothing that waits, if there is a new one.

        What waits is read again after a restart; what was taken meanwhile is known by its id.
        """
        position = None
        while self._marks and (oldest is None or self._marks[0][0] < oldest):
            position = self._marks.popleft()[1]
        return position
