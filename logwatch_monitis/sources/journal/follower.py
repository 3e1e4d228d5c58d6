"""The systemd journal as one endless source of lines, read through a supervised journalctl.

Where reading stands is the cursor of the last entry taken. journalctl is started *at* that entry
(``--cursor``, not ``--after-cursor``): the first entry it prints must be that one, and if it is
another, what lay between was removed, which is told as a gap. journalctl itself then begins at the
oldest entry that is newer; with ``--after-cursor`` systemd 252 leaves that one out, unsaid.

Without ``--merge`` a journalctl that follows shows the present boot only, and what was written
before a reboot would be missed. With it other machines' journals are shown as well
(``/var/log/journal/remote``), so this machine's entries are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.interfaces import Clock, Events
from logwatch_monitis.sources.files.checkpoint import new_numbering
from logwatch_monitis.sources.files.tail import SourceStatus
from logwatch_monitis.sources.journal.entry import (
    Batch,
    JournalEntry,
    gap_between,
    same_entry,
    seqnum,
)
from logwatch_monitis.sources.journal.events import (
    JournalEnded,
    JournalFound,
    JournalGap,
    JournalPositionDamaged,
    JournalSuppressed,
    JournalUnreadable,
)
from logwatch_monitis.sources.journal.formats import JsonEntries
from logwatch_monitis.sources.journal.journalctl import (
    Child,
    command,
    denied,
    output,
    own_entries,
    permission_error,
)

__all__ = ["LOG", "Journal", "JournalChunk", "JournalCursor"]

LOG = "journal"
"""The journal's name among the logs: of its position, its status, and of its logins' source."""
VERSION = 1
FIRST_DELAY_S = 1.0
LAST_DELAY_S = 60.0
_CHUNK = 1024 * 1024
_CHUNKS_A_LOOK = 4
_LAST_ENTRY_S = 30.0
_SUPPRESSED = b": Suppressed "


class JournalCursor(NamedTuple):
    """Where reading stands.

    Attributes:
        cursor: of the last entry taken; empty before the first one.
        time_us: its time, microseconds since the epoch, UTC.
        numbering: see `logwatch_monitis.sources.files.tail.Chunk`; where entries may come that
            were given before, after a lost place, a new one begins.
    """

    cursor: str = ""
    time_us: int = 0
    numbering: int = 0

    def dump(self) -> str:
        """Return it as JSON text."""
        return json.dumps({"v": VERSION, **self._asdict()}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> JournalCursor:
        """Return what `dump` wrote.

        Raises:
            ValueError: it did not write that.
        """
        try:
            document = json.loads(text)
            version, cursor, time_us = (document[name] for name in ("v", "cursor", "time_us"))
            numbering = document.get("numbering", 0)
        except (KeyError, TypeError) as error:
            raise ValueError("not a place in the journal") from error
        numbers = type(time_us) is type(numbering) is int
        if version != VERSION or type(cursor) is not str or not numbers:
            raise ValueError("not a place in the journal")
        return cls(cursor, time_us, numbering)


class JournalChunk(NamedTuple):
    """Some entries of the journal.

    Attributes:
        log, path: the journal's name.
        offset: where *data* begins among all lines made of the journal in this process.
        data: the entries as lines.
        entries: what they were made of.
        checkpoint: the read state once this chunk is taken; JSON text.
        numbering, numberings: see `logwatch_monitis.sources.files.tail.Chunk`.
    """

    log: str
    path: str
    offset: int
    data: bytes
    entries: Batch
    checkpoint: str
    numbering: int
    numberings: frozenset[int]


class Journal:
    """Reads what is appended to the journal, across rotation, restarts and lost places.

    An entry is given once, but for what cannot be told: after a lost place some may be given
    again; their ids are known then.
    """

    def __init__(
        self,
        saved: str | None,
        *,
        clock: Clock,
        events: Events,
        wake: Callable[[], None],
        from_start: bool = False,
        since: float | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Prepare; `begin` or the first `read` starts journalctl.

        Args:
            saved: the last committed checkpoint; None when it is first configured, and then it is
                read from its end.
            clock: for the delays between starts.
            events: told whatever happens.
            wake: called from another thread when there is something to read.
            from_start: without a saved place, read from the first entry.
            since: without a saved place, read from that moment on (seconds since the epoch).
            options: more for journalctl, such as another directory.
        """
        self._clock = clock
        self._events = events
        self._wake = wake
        self._options = tuple(options)
        self._place = JournalCursor() if from_start or since is not None else None
        self._since = None if since is None else int(since * 1_000_000)
        self._child: Child | None = None
        self._entries = JsonEntries()
        self._expected = ""
        self._numbering = 0
        self._lines = 0
        self._given: tuple[JournalChunk, JournalCursor] | None = None
        self._trouble = ""
        self._next_start = 0.0
        self._delay = FIRST_DELAY_S
        self._started = 0.0
        self._last_read: float | None = None
        if saved is not None:
            self._place, self._since = self._loaded(saved), None

    def begin(self) -> None:
        """Start journalctl, so that the place is known that is read from.

        Raises:
            SetupError: there is none.
        """
        command()
        self._start()

    def read(self) -> Iterator[JournalChunk]:
        """Yield what is there now, but for what is more than a few chunks (`pending`).

        A chunk counts as taken when the next one is asked for, or at `confirm`.
        """
        if self._given:
            yield self._given[0]
            self.confirm()
        if self._child is None:
            self._start()
        for _ in range(_CHUNKS_A_LOOK):
            if self._child is None or (found := self._batch(self._child)) is None:
                break
            self._given = found
            yield found[0]
            self.confirm()
        if self._child and (reason := self._child.ended()):
            self._end(self._child, reason)

    def confirm(self) -> None:
        """Count the chunk given last as taken."""
        if self._given:
            _, self._place = self._given
            self._given = self._since = None
            self._last_read = self._clock.now()

    def wait(self, timeout: float) -> bool:
        """Wait until there is something to read; say whether there is."""
        return self._child is not None and self._child.wait(timeout)

    def checkpoints(self) -> dict[str, str]:
        """Return the read state, to be committed now and then; nothing before it is known."""
        return {LOG: self._place.dump()} if self._place and not self._given else {}

    def status(self) -> SourceStatus:
        """Return what can be said; the position is the number of the last entry."""
        number = seqnum(self._place.cursor) if self._place else 0
        held = self._child.held if self._child else 0
        state = "unreadable" if self._trouble else "reading"
        return SourceStatus(LOG, state, self._trouble, number, number + held, 0, self._last_read)

    @property
    def pending(self) -> bool:
        """Whether more is there already."""
        return self._child is not None and self._child.held > 0

    @property
    def reading(self) -> bool:
        """Whether journalctl runs."""
        return self._child is not None

    @property
    def pid(self) -> int | None:
        """The process id of journalctl, None while none runs."""
        return self._child.pid if self._child else None

    def close(self) -> None:
        """End journalctl."""
        if self._child:
            self._child.close()
        self._child = None

    def _loaded(self, saved: str) -> JournalCursor:
        try:
            return JournalCursor.load(saved)
        except ValueError:
            self._events(JournalPositionDamaged(None))
            return JournalCursor()

    def _start(self) -> None:
        """Start journalctl where reading stands, unless it has just ended."""
        now = self._clock.monotonic()
        if now < self._next_start:
            return
        self._next_start = now + self._delay
        try:
            if not self._options and denied():
                raise permission_error()
            if self._place is None:
                self._place = self._at_end()
                self._events(JournalFound(self._place.time_us if self._place.cursor else None))
            follow = ("--follow", "--no-tail", *self._from(self._place))
            words = command("--merge", *follow, *(self._options or own_entries()))
            self._child = Child(words, self._wake)
        except (LogwatchError, OSError) as error:
            self._fail(error.render() if isinstance(error, LogwatchError) else str(error))
            return
        self._started = now
        self._trouble = ""
        self._entries = JsonEntries()

    def _from(self, place: JournalCursor) -> list[str]:
        self._expected, self._numbering = "", new_numbering()
        if self._since is not None:
            return [f"--since=@{self._since // 1_000_000}"]
        if not place.cursor:
            return []
        self._expected, self._numbering = place.cursor, place.numbering
        return [f"--cursor={place.cursor}"]

    def _at_end(self) -> JournalCursor:
        """Return the place of the last entry there is."""
        words = command("--merge", "--lines=1", *(self._options or own_entries()))
        printed = output(words, _LAST_ENTRY_S)
        last = [entry for _, entry in JsonEntries().feed(printed) if entry]
        return (
            JournalCursor(last[-1].cursor, last[-1].time_us, new_numbering())
            if last
            else JournalCursor()
        )

    def _batch(self, child: Child) -> tuple[JournalChunk, JournalCursor] | None:
        """Return entries that are there, and the place behind them; None if there are none."""
        batch, place = Batch(self._lines), self._place or JournalCursor()
        while len(batch) == 0 or batch.size < _CHUNK:
            piece = child.take()
            if piece is None:
                break
            for _, entry in self._entries.feed(piece):
                if entry is None or self._is_known(entry):
                    continue
                if _SUPPRESSED in entry.line and entry.field("_TRANSPORT") == b"driver":
                    self._events(
                        JournalSuppressed(entry.line.decode("utf-8", "replace").partition(": ")[2])
                    )
                batch.add(entry, seqnum(entry.cursor))
                place = JournalCursor(entry.cursor, entry.time_us, self._numbering)
        if not len(batch):
            return None
        self._lines += batch.size
        state = place.dump(), place.numbering, frozenset([place.numbering])
        return JournalChunk(LOG, LOG, batch.begin, batch.data, batch, *state), place

    def _is_known(self, entry: JournalEntry) -> bool:
        """Tell whether this is the entry that reading stood at; if another comes first, say so."""
        expected, self._expected = self._expected, ""
        if not expected:
            return False
        if same_entry(entry.cursor, expected):
            return True
        missing = gap_between(expected, entry.cursor)
        if missing != 0:
            self._numbering = new_numbering()
            last = self._place.time_us if self._place else 0
            self._events(JournalGap(last, entry.time_us, missing))
        return False

    def _end(self, child: Child, reason: str) -> None:
        """Note that journalctl has ended."""
        child.close()
        self._child = None
        if "seek to cursor" in reason and self._place:
            self._events(JournalPositionDamaged(self._place.time_us))
            self._since = self._place.time_us
            self._next_start = 0.0
            return
        if "insufficient permissions" in reason:
            self._fail(permission_error().render())
            return
        now = self._clock.monotonic()
        if now - self._started > LAST_DELAY_S:
            self._delay = FIRST_DELAY_S
        self._next_start = now + self._delay
        self._events(JournalEnded(reason, self._delay))
        self._delay = min(2 * self._delay, LAST_DELAY_S)

    def _fail(self, reason: str) -> None:
        """Note why it cannot be read; it is tried again later."""
        if reason != self._trouble:
            self._events(JournalUnreadable(reason))
        self._trouble = reason
        self._next_start = self._clock.monotonic() + self._delay
        self._delay = min(2 * self._delay, LAST_DELAY_S)
