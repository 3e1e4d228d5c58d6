"""The spool: logins and read positions in one database, from the reader to the delivery.

One transaction takes a block's logins and the position behind them, so after any crash the two
agree. Ids once taken are remembered, so that no login is taken twice, wherever it is read again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from logwatch_monitis.config.private_files import make_state_directory
from logwatch_monitis.errors import SetupError, StateError
from logwatch_monitis.interfaces import Clock, Events
from logwatch_monitis.login import Login
from logwatch_monitis.spool import schema
from logwatch_monitis.spool import transactions as outbox
from logwatch_monitis.spool.database import (
    IN_MEMORY,
    DamagedError,
    Database,
    connect_in_memory,
    in_order,
    journal_of,
)
from logwatch_monitis.spool.events import MachineChanged, OutboxDrained, OutboxOverflowed
from logwatch_monitis.spool.machine_id import machine_identity
from logwatch_monitis.spool.records import (
    DeadLetter,
    Gap,
    Limits,
    OutboxEntry,
    Position,
    SpoolDamagedError,
    Summary,
)
from logwatch_monitis.spool.recovery import RECOVERED, Suspect, open_or_replace, open_present
from logwatch_monitis.spool.rows import ENTRY, entries

__all__ = ["Spool"]

T = TypeVar("T")

_COUNTERS = ("live", "history", "dead", "seen", "sent", "dropped", "ignored")
_MACHINE = "machine"
_LAST_DELIVERY = "last_delivery_us"
_LAST_ERROR = "last_error"
_REASON_LENGTH = 500


class Spool:
    """The logins that wait, and how far every log has been taken.

    Safe for several threads, which queue at a lock (waiting inside SQLite means sleeping and asking
    again), and for several processes. A database that turns out damaged, at the start or at work,
    is set aside and replaced; `recovered` and `SpoolDamagedError` say so.

    Every method may raise `SpoolFullError`: nothing was done, and the call may be made again.
    """

    FILE = "spool.sqlite3"

    def __init__(self, directory: Path, clock: Clock, events: Events, limits: Limits) -> None:
        """Use `open` or `look`."""
        self._directory = directory
        self._path = directory / self.FILE
        self._clock = clock
        self._events = events
        self._limits = limits
        self._lock = threading.RLock()
        self._connection: Database | None = None
        self._suspect: Suspect | None = None
        self._known: dict[str, Position] | None = None
        self._looking = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Clock,
        events: Events,
        limits: Limits = Limits(),  # noqa: B008 - immutable
        identity: str | None = None,
    ) -> Self:
        """Open the spool of a state directory, making both if they are missing.

        Args:
            directory: the state directory.
            clock: for retention and names of files set aside.
            events: takes what happens.
            limits: how much is kept.
            identity: tells this machine from others; None asks the machine.

        Raises:
            StateError: the directory or the database cannot be used.
            SpoolFullError: there is no space.
        """
        if sqlite3.sqlite_version_info < (3, 37):
            raise SetupError(
                f"SQLite {sqlite3.sqlite_version} is too old", "3.37 or later is needed"
            )
        spool = cls(directory, clock, events, limits)
        spool.positions()
        spool._look_at_machine(identity or machine_identity())
        return spool

    @classmethod
    def in_memory(cls, *, clock: Clock, events: Events, limits: Limits) -> Self:
        """Make a spool that takes logins as any other, and is gone with the process."""
        spool = cls(IN_MEMORY, clock, events, limits)
        raw = connect_in_memory()
        schema.migrate(raw)
        spool._connection = Database(IN_MEMORY, raw)
        spool.positions()
        return spool

    @classmethod
    def look(cls, directory: Path, *, clock: Clock, events: Events) -> Self:
        """Open an existing spool to read from it, beside whoever works on it.

        Raises:
            StateError: there is none, or it cannot be used.
        """
        spool = cls(directory, clock, events, Limits())
        raw = open_present(spool._path)
        spool._connection = Database(spool._path, raw)
        spool._looking = True
        return spool

    def close(self) -> None:
        """Close the database; closing twice is fine."""
        with self._lock:
            if self._connection:
                self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Reading side

    @property
    def recovered(self) -> bool:
        """The spool began anew: known logs are to be read from their first byte.

        It stays so, over restarts too, until `settle` is called.
        """
        return self.fact(RECOVERED) is not None

    def settle(self) -> None:
        """Note that after a recovery all logs have been read again."""
        self.set_fact(RECOVERED, None)

    def positions(self) -> dict[str, Position]:
        """Return how far each log has been taken."""
        with self._lock:
            found = self._read("SELECT log, checkpoint, ordinals FROM position")
            self._known = {log: Position(*texts) for log, *texts in found}
            return dict(self._known)

    def commit(
        self,
        logins: Sequence[Login],
        positions: Mapping[str, Position],
        *,
        history: bool = False,
        ignored: int = 0,
    ) -> int:
        """Take logins and the positions behind them, in one transaction.

        Without logins and with the positions known already, nothing is touched.

        Args:
            logins: what was found; those whose ids were taken before are left out.
            positions: how far the logs have been taken with them.
            history: they are from a backfill, and wait behind live ones.
            ignored: how many more the configuration said to leave out.

        Returns:
            How many logins were new.

        Raises:
            SpoolDamagedError: the database was replaced; nothing was taken. Ask for `positions`
                and read on from there.
        """
        with self._lock:
            known = {} if self._known is None else self._known
            changed = {log: new for log, new in positions.items() if known.get(log) != new}
            if not (logins or changed or ignored):
                return 0
            taken = self._write(
                lambda c: self._take(c, logins, changed, history=history, ignored=ignored)
            )
            known.update(changed)
        if taken.gap_began:
            limits = self._limits
            self._events(OutboxOverflowed(taken.dropped, limits.max_entries, limits.keep))
        return taken.new

    # Delivering side

    def due(self, limit: int) -> list[OutboxEntry]:
        """Return the next entries to deliver, live before history, each in the order taken."""
        query = f"SELECT {ENTRY} FROM outbox ORDER BY history, seq LIMIT ?"  # noqa: S608 - our names
        return self._attempt(lambda c: entries(c.read(query, (limit,))))

    def delivered(self, sent: Sequence[OutboxEntry]) -> int:
        """Take out entries that the monitor has; return how many of them were still there.

        After a `SpoolFullError` ask again before sending anything, or they are sent twice.
        """
        now = str(self._now_us())

        def work(cursor: sqlite3.Cursor) -> tuple[int, Gap | None]:
            outbox.put_fact(cursor, _LAST_DELIVERY, now)
            outbox.put_fact(cursor, _LAST_ERROR, None)
            return outbox.remove(cursor, sent), outbox.close_gap(cursor, self._limits)

        if not sent:
            return 0
        removed, gap = self._write(work)
        if gap:
            self._events(OutboxDrained(gap.dropped, gap.first_us / 1e6, gap.last_us / 1e6))
        return removed

    def failed(self, tried: Sequence[OutboxEntry], reason: str) -> None:
        """Count a failed attempt to deliver entries, and keep its reason for `summary`."""

        def work(cursor: sqlite3.Cursor) -> None:
            outbox.put_fact(cursor, _LAST_ERROR, reason[:_REASON_LENGTH])
            outbox.count_attempts(cursor, tried)

        self._write(work)

    def refuse(self, entry: OutboxEntry, reason: str) -> bool:
        """Put an entry aside as a dead letter; tell whether it was still waiting."""
        now = self._now_us()
        return self._write(lambda c: outbox.refuse(c, entry, reason[:_REASON_LENGTH], now))

    # Dead letters

    def dead(self, limit: int = -1) -> list[DeadLetter]:
        """Return dead letters, the oldest first; all of them without a limit."""
        query = f"SELECT reason, since_us, {ENTRY} FROM dead ORDER BY seq LIMIT ?"  # noqa: S608
        return self._attempt(lambda c: outbox.dead_letters(c.read(query, (limit,))))

    def last_dead(self) -> DeadLetter | None:
        """Return the dead letter that was put aside last."""
        query = f"SELECT reason, since_us, {ENTRY} FROM dead ORDER BY seq DESC LIMIT 1"  # noqa: S608
        return next(iter(self._attempt(lambda c: outbox.dead_letters(c.read(query)))), None)

    def retry_dead(self, ids: Collection[str] | None = None) -> int:
        """Put dead letters (None: all) back into the outbox; return how many."""
        return self._write(lambda c: outbox.retry_dead(c, ids))

    def drop_dead(self, ids: Collection[str] | None = None) -> int:
        """Forget dead letters (None: all) for good; return how many."""
        return self._write(lambda c: outbox.drop_dead(c, ids))

    # Facts and figures

    def fact(self, name: str) -> str | None:
        """Return a fact, or None."""
        found = self._read("SELECT value FROM fact WHERE name = ?", (name,))
        return str(found[0][0]) if found else None

    def set_fact(self, name: str, value: str | None) -> None:
        """Store a fact; None forgets it. What is known already costs no write."""
        self._write(lambda c: outbox.put_fact(c, name, value))

    def summary(self) -> Summary:
        """Return the spool in figures."""
        counts = dict(self._read("SELECT name, value FROM counter"))
        facts = dict(self._read("SELECT name, value FROM fact"))
        oldest = self._read("SELECT time_us FROM outbox ORDER BY history, seq LIMIT 1")
        delivery, gap = facts.get(_LAST_DELIVERY), facts.get(outbox.GAP)
        return Summary(
            **{name: counts.get(name, 0) for name in _COUNTERS},
            oldest_us=oldest[0][0] if oldest else None,
            last_delivery_us=int(delivery) if delivery else None,
            last_error=facts.get(_LAST_ERROR, ""),
            gap=Gap.parse(gap) if gap else None,
            disk_bytes=_size(self._path) + _size(journal_of(self._path)),
        )

    # Inside

    def _take(
        self,
        cursor: sqlite3.Cursor,
        logins: Sequence[Login],
        positions: Mapping[str, Position],
        *,
        history: bool,
        ignored: int,
    ) -> outbox.Taken:
        if self._known is None:
            raise SpoolDamagedError(
                f"the spool {self._path} was replaced", "the logs are read again"
            )
        day = int(self._clock.now() // 86400)
        taken = outbox.take(cursor, logins, day, self._limits, history=history)
        outbox.put_positions(cursor, positions)
        outbox.count(cursor, "ignored", ignored)
        return taken

    def _look_at_machine(self, identity: str) -> None:
        if self.fact(_MACHINE) not in (None, identity):
            self._events(MachineChanged(str(self._directory)))
        self.set_fact(_MACHINE, identity)

    def _now_us(self) -> int:
        return int(self._clock.now() * 1_000_000)

    def _read(self, query: str, values: tuple[str, ...] = ()) -> list[Any]:
        return self._attempt(lambda c: c.read(query, values))

    def _write(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        return self._attempt(lambda c: c.write(work))

    def _attempt(self, operation: Callable[[Database], T]) -> T:
        """Run an operation; if the database fails it, once more on the one in its place."""
        with self._lock:
            connection = self._connected()
            try:
                return operation(connection)
            except DamagedError as error:
                self._give_up(connection, str(error))
            return operation(self._connected())

    def _give_up(self, connection: Database, reason: str) -> None:
        if self._looking:
            raise StateError(f"the spool {self._path} {reason}", "'run' sets it aside")
        connection.close()
        self._connection = None
        self._known = None
        self._suspect = Suspect(connection.inode, reason)

    def _connected(self) -> Database:
        if self._connection is None:
            make_state_directory(self._directory)
            try:
                raw, event = open_or_replace(self._path, self._clock, self._suspect)
            except sqlite3.Error as error:
                raise in_order(self._path, error) from error
            self._connection = Database(self._path, raw)
            self._suspect = None
            if event:
                self._events(event)
        return self._connection


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
