"""One file that is read as it grows: from a place to the next, and whether it is still itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.interfaces import Events
from logwatch_monitis.sources.files.allowance import Allowance
from logwatch_monitis.sources.files.checkpoint import FileState
from logwatch_monitis.sources.files.events import (
    FileGap,
    FileUnreadable,
    LineTooLong,
    PartialLineDropped,
)
from logwatch_monitis.sources.files.fingerprint import (
    REACH,
    FilePosition,
    advance,
    digest,
    place_at,
)
from logwatch_monitis.sources.files.open_file import OpenFile, has_writer, open_plain
from logwatch_monitis.sources.lines import BLOCK, MAX_LINE, Cut, cut, strip_hole

__all__ = ["LATE_SECONDS", "Follower", "Portion", "RewrittenError", "Steady", "prune"]

LATE_SECONDS = 600.0
"""How long a renamed file is watched after its last line."""

_RACY_SECONDS = 1.0

_LINE_SECONDS = 0.15
_LINE_BYTES = 256 * 1024 * 1024
"""Processor time and decompressed bytes, at most, from one line of an archive to the next."""
_SLOW_SECONDS = 0.5


class RewrittenError(Exception):
    """Raised when the bytes before the read position are not those that were read."""


class Portion(NamedTuple):
    """Whole lines of a file.

    Attributes:
        offset: where *data* begins.
        data: the lines.
        place: the read position behind them.
        modified: when the file was last written, seconds since the epoch.
    """

    offset: int
    data: bytes
    place: FilePosition
    modified: float


class Steady:
    """Tells whether something that has a time stamp needs another look.

    A stamp that has not changed proves nothing within a tick of the file system's clock, so it is
    trusted only when it has stood for a while.
    """

    def __init__(self) -> None:
        self._stamp: object = None
        self._since = 0.0

    def trusted(self, stamp: object, now: float) -> bool:
        """Tell whether *stamp* is the one last noted, and old enough."""
        return stamp == self._stamp and now - self._since > _RACY_SECONDS

    def note(self, stamp: object, now: float) -> None:
        """Take note that a look at *stamp* found nothing to do."""
        if stamp != self._stamp:
            self._stamp, self._since = stamp, now


class Follower:
    """Follows one file of a log.

    Attributes:
        path: where it was last seen.
        dev: its device.
        ino: its inode.
        size: its (uncompressed) size as far as seen.
        place: the read position.
        handle: the open file; None if it is done, or could not be opened yet.
        done: read to its end and not read any more.
        parked: closed to save a descriptor, and opened again when it changes.
        rewritten: it is not what was read before, and none of its lines has been read yet.
        numbering: see `Chunk.numbering`.
        orphan: the file has no name and goes on in another one; only late lines are awaited here.
        quiet_since: when it last gave lines or was renamed; of the monotonic clock.
        slow: it is compressed, and reading it takes long: whatever else there is comes first.
    """

    def __init__(self, log: str, state: FileState, handle: OpenFile | None, now: float) -> None:
        self._log = log
        self._steady = Steady()
        self.path, self.dev, self.ino, self.size, self.place, self.done = state[:6]
        self.rewritten, self.numbering = state[6:]
        self.handle = handle
        self.parked = False
        self.orphan = False
        self.quiet_since = now
        self.slow = False
        self._begun: float | None = None
        self._before = self._body = b""
        self._start = 0

    @classmethod
    def opened(cls, log: str, path: str, handle: OpenFile, now: float) -> Follower:
        """Follow the file behind *handle* from its first byte."""
        found = handle.stat()
        state = FileState(path, found.st_dev, found.st_ino, 0, place_at(handle.read_at, 0))
        return cls(log, state, handle, now)

    @property
    def state(self) -> FileState:
        """What to remember."""
        return FileState(
            self.path,
            self.dev,
            self.ino,
            self.size,
            self.place,
            self.done,
            self.rewritten,
            self.numbering,
        )

    @property
    def intact(self) -> bool:
        """True if the open file still has the bytes before the read position."""
        assert self.handle is not None
        reach = self.place.reach
        return self._same(self.handle.read_at(self.place.offset - reach, REACH))

    def _same(self, block: bytes) -> bool:
        """Tell whether *block*, read from `REACH` bytes before the place on, begins as it did."""
        place = self.place
        if not place.offset:
            beginning = block[: place.print_size]
            return len(beginning) == place.print_size and digest(beginning) == place.print_hash
        before = block[: place.reach]
        return len(before) == place.reach and digest(before) == place.tail_hash

    @property
    def content(self) -> tuple[int, int, int, int]:
        """See `Sibling.content`: the same for the open file."""
        assert self.handle is not None
        found = self.handle.stat()
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    @property
    def unread(self) -> int:
        """Bytes known to lie behind the read position."""
        return max(0, self.size - self.place.offset)

    def attach(self, path: str, handle: OpenFile) -> None:
        """Go on in *handle*, which holds the same bytes."""
        found = handle.stat()
        self.path, self.dev, self.ino, self.handle = path, found.st_dev, found.st_ino, handle
        self.parked = False

    def split(self, now: float) -> tuple[Follower, Follower]:
        """Return what this file was, without its bytes, and what it is since it was rewritten."""
        was = Follower(self._log, self.state, None, now)
        state = FileState(
            *(self.path, self.dev, self.ino, 0, FilePosition()),
            rewritten=True,
            numbering=self.numbering,
        )
        return was, Follower(self._log, state, self.handle, now)

    def close(self) -> None:
        """Let go of the file."""
        self.parked = False
        if self.handle:
            with contextlib.suppress(OSError):
                self.handle.close()
            self.handle = None

    def read(self, now: float, events: Events) -> Portion | None:
        """Return the next whole lines, at most some 1 MiB; None if there are none yet.

        The place moves on by itself only over bytes that are no lines; `take` moves it over lines.

        Raises:
            RewrittenError: the file was cut or rewritten.
            TooCostlyError: it is compressed, and gives no line for much work.
            OSError: it cannot be read.
        """
        assert self.handle is not None
        found = self.handle.stat()
        if self.is_steady(found, now):
            return None
        with self._decompressing(self.handle, now):
            while piece := self._next(found.st_size):
                if piece.data:
                    return self._portion(piece, found.st_mtime)
                self._pass_over(piece, events)
        self._steady.note(_stamp(found), now)
        return None

    def is_steady(self, found: os.stat_result, now: float) -> bool:
        """Tell whether the file, which looks as *found*, holds nothing new."""
        return self._steady.trusted(_stamp(found), now)

    def park(self) -> None:
        """Close the file, to open it again when it changes, if its name leads to it."""
        if not self.handle or self.handle.packed or self.orphan:
            return
        if self.named():
            self.close()
            self.parked = True

    def named(self) -> os.stat_result | None:
        """Return how the file looks, if its name still leads to it."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return None
        return found if (found.st_dev, found.st_ino) == (self.dev, self.ino) else None

    def open_again(self) -> bool:
        """Open a parked file; False if its name leads to another one by now.

        Raises:
            OSError: it cannot be opened.
        """
        handle = open_plain(self.path)
        found = handle.stat()
        if (found.st_dev, found.st_ino) == (self.dev, self.ino):
            self.attach(self.path, handle)
        else:
            handle.close()
        return self.handle is not None

    @contextlib.contextmanager
    def _decompressing(self, handle: OpenFile, now: float) -> Iterator[None]:
        """Limit what a piece may cost, and give its memory back."""
        if handle.packed:
            handle.allowance = Allowance(_LINE_SECONDS, _LINE_BYTES)
            self._begun = self._begun or now
            self.slow = now - self._begun > _SLOW_SECONDS
        try:
            yield
        finally:
            self._body = b""
            handle.allowance = None

    def renew_print(self) -> None:
        """Make the fingerprint cover what the open file begins with now."""
        assert self.handle is not None
        if self.place.offset <= REACH and not self.handle.packed:
            self._print(self.handle.read_at(0, REACH))

    def take(self, portion: Portion, now: float) -> None:
        """Count *portion* as read."""
        self.place = portion.place
        self.rewritten = False
        self.quiet_since = now

    def finished(self, now: float) -> bool:
        """Tell whether a file that is no longer the live one need not be watched any more."""
        late = now - self.quiet_since > LATE_SECONDS
        if self.handle is None:
            return late
        if self.handle.packed:
            return late or self.handle.damage is None or not self.handle.damage.unfinished
        if self.handle.stat().st_nlink:
            return late
        writer = has_writer(self.handle.fileno())
        if writer is None:
            return late
        return not writer and self.handle.stat().st_size <= self.size

    def finish(self, events: Events) -> None:
        """Let go of a file that will not be read any more, and tell what was left out of it."""
        damage = self.handle.damage if self.handle else None
        if damage:
            reason = f"{damage.what} after {damage.offset} uncompressed bytes"
            events(FileUnreadable(self._log, self.path, reason))
        skipping = self.place.skipping
        if skipping:
            size = skipping + self.unread
            events(LineTooLong(self._log, self.path, self.place.offset, size))
        elif self.unread and not self.orphan:
            events(PartialLineDropped(self._log, self.path, self.unread))
        self.close()
        self.done = True

    def lose(self, events: Events) -> None:
        """Give up a file that cannot be found again, and tell of it."""
        events(FileGap(self._log, self.path, self.unread or None))
        self.done = True

    def _next(self, size: int) -> Cut | None:
        assert self.handle is not None
        place = self.place
        block = self.handle.read_at(place.offset - place.reach, place.reach + BLOCK)
        if not self._same(block):
            raise RewrittenError
        self._before = block[: place.reach]
        if place.offset <= REACH:
            self._print(block[:REACH])
        self._start, self._body = place.offset, block[place.reach :]
        self.size = place.offset + len(self._body) if self.handle.packed else size
        piece = cut(self._body, place.offset, place.skipping)
        if piece is None and len(self._body) == BLOCK:
            self._widen()
            piece = cut(self._body, self._start)
        return piece

    def _portion(self, piece: Cut, modified: float) -> Portion:
        assert self.handle is not None
        if not (self.handle.packed or self.intact):
            raise RewrittenError  # while it was read
        return Portion(piece.start, piece.data, self._behind(piece), modified)

    def _print(self, beginning: bytes) -> None:
        self.place = self.place._replace(print_size=len(beginning), print_hash=digest(beginning))

    def _widen(self) -> None:
        """Read on where one block holds no line end: over NULs, then as much as a line may have."""
        assert self.handle is not None
        while self._body and not strip_hole(self._body):
            data = self.handle.data_after(self._start + len(self._body))
            if data is None:
                return
            self._start, self._body = data, self.handle.read_at(data, BLOCK)
        self._start += len(self._body) - len(strip_hole(self._body))
        self._body = self.handle.read_at(self._start, MAX_LINE + 1)

    def _behind(self, piece: Cut) -> FilePosition:
        hole = b"\0" * min(self._start - self.place.offset, REACH)
        count = piece.end - self._start
        before = self._before + hole + self._body[max(0, count - REACH) : count]
        return advance(self.place, piece.end, before, piece.skipping)

    def _pass_over(self, piece: Cut, events: Events) -> None:
        self.place = self._behind(piece)
        if piece.skipped:
            events(LineTooLong(self._log, self.path, piece.end, piece.skipped))


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def prune(files: list[Follower]) -> list[Follower]:
    """Drop the landmarks that tell nothing: those before others, and before all open files."""
    files = [file for file in files if not (file.done and file.orphan)]
    first = next((n for n, file in enumerate(files) if not file.done), len(files))
    telling = [file for file in files[:first] if not file.place.blank]
    return telling[-1:] + files[first:]
