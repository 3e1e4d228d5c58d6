"""One log: its live file and the older ones that are not finished yet, in the order of writing."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.interfaces import Clock, Event, Events
from logwatch_monitis.sources.files.allowance import TooCostlyError
from logwatch_monitis.sources.files.checkpoint import FileState, SavedLog, new_numbering
from logwatch_monitis.sources.files.descriptors import is_shortage, reason_of
from logwatch_monitis.sources.files.events import FileUnreadable, SameFile
from logwatch_monitis.sources.files.fingerprint import FilePosition
from logwatch_monitis.sources.files.follower import (
    LATE_SECONDS,
    Follower,
    Portion,
    RewrittenError,
    Steady,
)
from logwatch_monitis.sources.files.open_file import OpenFile, open_any, open_plain
from logwatch_monitis.sources.files.reconcile import LiveMovedError, Reconciler, Start
from logwatch_monitis.sources.files.rotated_copies import (
    CopiesMovedError,
    KnownCopies,
    ShelfBusyError,
)
from logwatch_monitis.sources.files.rotated_names import directory_stamps

__all__ = ["FollowedLog", "LogPart", "Owner"]

_REWRITES = 3
_MOVES = 10

Identity = tuple[int, int]


class LogPart(NamedTuple):
    """Whole lines of a log, and the file they come from."""

    file: Follower
    portion: Portion


Owner = Callable[["FollowedLog", Identity], tuple[str, Follower] | None]
"""Says which other log, and there which file, holds the file with this device and inode."""


class FollowedLog:
    """Follows one log through rotation, truncation and restarts.

    Attributes:
        path: the log's path.
        trouble: why the live file cannot be read; empty if it can, or is not there.
        files: the files known, oldest first.
        live: the path leads to a file, the last of *files*.
        twin: the path leads to this file, which is read for another log.
        pending: the last look was broken off because it took long; the next one goes on there.
    """

    def __init__(
        self,
        path: str,
        state: SavedLog | None,
        start: Start,
        *,
        clock: Clock,
        events: Events,
        owner: Owner,
    ) -> None:
        """Continue at *state*; without one, *start* says where to begin."""
        self.path = path
        self._where = Path(path)
        self.trouble = ""
        self._clock = clock
        self._events = events
        self._owner = owner
        self._start: Start = "known" if state else start
        now = clock.monotonic()
        self.files = [Follower(path, file, None, now) for file in (state.files if state else ())]
        self.live = False
        self.twin: Follower | None = None
        self._numbering = state.numbering if state else new_numbering()
        self._arranged = False
        self._steady = Steady()
        self._copies = KnownCopies(path, events)
        self._settled = False
        self.pending = False
        self._reported: Event | None = None

    @property
    def state(self) -> SavedLog:
        """What to remember."""
        return self.state_after(None)

    def state_after(self, part: LogPart | None) -> SavedLog:
        """Return what to remember once *part* is taken."""
        files = [
            file.state._replace(place=part.portion.place, rewritten=False)
            if part and file is part.file
            else file.state
            for file in self.files
            if not file.orphan
        ]
        if self.twin:
            files.append(self.twin.state._replace(path=self.path))
        return SavedLog(tuple(files), self.live or self.twin is not None, self._numbering)

    @property
    def numberings(self) -> frozenset[int]:
        """All numberings that lines may still come with."""
        return frozenset([self._numbering, *(f.numbering for f in self.files if not f.done)])

    def holds(self, identity: Identity) -> Follower | None:
        """Return the open file with this device and inode."""
        for file in self.files:
            if (file.dev, file.ino) == identity and (file.handle or (file.parked and file.named())):
                return file
        return None

    @property
    def open_files(self) -> int:
        """How many files of this log are open."""
        return sum(file.handle is not None for file in self.files)

    @property
    def held(self) -> set[Identity]:
        """Device and inode of each file that is open, or was until it was parked."""
        return {(f.dev, f.ino) for f in self.files if f.handle or f.parked}

    def park(self) -> None:
        """Close what can be opened again by its name when it changes."""
        for file in self.files:
            file.park()

    def is_quiet(self) -> bool:
        """Tell by a single look whether there is certainly nothing to do."""
        if not self._settled:
            return False
        try:
            found = os.stat(self.path)  # noqa: PTH116 - called for thousands of logs
        except OSError:
            return False
        file = self.files[-1]
        same = found.st_ino == file.ino and found.st_dev == file.dev
        return same and file.is_steady(found, self._clock.monotonic())

    def begin(self) -> None:
        """Find out where to begin: what is written from now on will be read."""
        self._follow()

    def read(self) -> LogPart | None:
        """Return the next lines, those of older files first; None when caught up."""
        self._settled = self.pending = False
        for _ in range(_REWRITES):
            if not self._follow():
                return None
            try:
                part = self._next()
            except RewrittenError:
                if not self._rearrange():
                    return None
            else:
                self._settled = part is None and self._is_settled()
                return part
        return None

    def _is_settled(self) -> bool:
        """Tell whether nothing but a change of the live file can bring lines."""
        if not self.live or self.trouble or self.pending or not self.files[-1].place.offset:
            return False
        return all(file.done for file in self.files[:-1])

    def take(self, part: LogPart) -> None:
        """Count *part* as read."""
        part.file.take(part.portion, self._clock.monotonic())
        if not self.trouble:
            self._reported = None

    def close(self) -> None:
        """Close all files."""
        for file in self.files:
            file.close()
        self._copies.close()

    @property
    def skipped(self) -> tuple[str, ...]:
        """The rotated copies that cost too much to decompress."""
        return self._copies.skipped

    def _follow(self) -> bool:
        """See to it that the files are the right ones; False if that must be tried again."""
        for _ in range(_MOVES):
            with contextlib.suppress(LiveMovedError):
                return self._look()
        return False

    def _look(self) -> bool:
        """See `_follow`.

        Raises:
            LiveMovedError: the log was rotated meanwhile.
        """
        try:
            found = self._where.stat()
            identity = found.st_dev, found.st_ino
            if self.live and identity == (self.files[-1].dev, self.files[-1].ino):
                self.trouble = ""
                return self.files[-1].place.offset > 0 or self._beside()
            if self._shared(identity):
                return True
            handle = open_plain(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return self._missing()
        except OSError as error:
            return self._unreadable(error)
        self.trouble = ""
        arranged = False
        try:
            arranged = self._arrange(handle)
        finally:
            if not arranged:
                handle.close()
        return arranged

    def _rearrange(self) -> bool:
        """Look anew which file is which; False if that must be tried again."""
        try:
            return self._arrange(self._live_handle())
        except LiveMovedError:
            return self._follow()
        except OSError as error:
            return self._unreadable(error)

    def _live_handle(self) -> OpenFile | None:
        """Return the open live file, opened again if it was closed; None if there is none.

        Raises:
            LiveMovedError: its name leads to another file by now.
            OSError: it cannot be opened.
        """
        if self.live and not self.files[-1].handle:
            self.files[-1].open_again()
        if self.live and not self.files[-1].handle:
            self.live = False
            raise LiveMovedError
        return self.files[-1].handle if self.live else None

    def _missing(self) -> bool:
        self.trouble = ""
        self._part_from_twin(None)
        self._unlive()
        return self._beside()

    def _beside(self) -> bool:
        """Look for new rotated copies where the live file cannot tell of them.

        That is, where it is missing or empty: it may have been written, rotated or copied, and
        truncated between two looks.
        """
        now = self._clock.monotonic()
        stamp = directory_stamps(self.path)
        if self._arranged and self._steady.trusted(stamp, now):
            return True
        arranged = self._arrange(self._live_handle())
        if arranged:
            self._steady.note(stamp, now)
        return arranged

    def _unlive(self) -> None:
        if self.live:
            self.live = False
            self.files[-1].quiet_since = self._clock.monotonic()

    def _unreadable(self, error: OSError) -> bool:
        self.trouble = reason_of(error)
        self._report(FileUnreadable(self.path, self.path, self.trouble))
        if not self._arranged:
            self._remember_unseen()
        return self._arranged

    def _report(self, event: Event) -> None:
        """Tell of something that stays so, but only once."""
        if event != self._reported:
            self._reported = event
            self._events(event)

    def _remember_unseen(self) -> None:
        """Note the size of a file that is there but cannot be read, to start from its end."""
        if self._start != "end":
            return
        try:
            found = self._where.stat()
        except OSError:
            return
        place = FilePosition(offset=found.st_size)
        state = FileState(self.path, found.st_dev, found.st_ino, found.st_size, place)
        state = state._replace(numbering=self._numbering)
        self.files = [Follower(self.path, state, None, self._clock.monotonic())]
        self._start = "known"

    def _shared(self, identity: Identity) -> bool:
        """Tell whether another log reads the file with this device and inode."""
        owner = self._owner(self, identity)
        if owner is None or owner[1] is not self.twin:
            self._part_from_twin(identity)
        if owner and not self.twin:
            other, self.twin = owner
            self._forget_own()
            self._events(SameFile(self.path, other))
        return owner is not None and (self._arranged or self._arrange(None))

    def _forget_own(self) -> None:
        """Leave the live file to the log that reads it; what is older stays here."""
        self._unlive()
        if self.files and not self.files[-1].handle:
            self.files.pop()
        self._start = "known"

    def _part_from_twin(self, identity: Identity | None) -> None:
        """Go on alone where the other log has come to, or leave the file to it for good."""
        if self.twin:
            ours = identity == (self.twin.dev, self.twin.ino)
            state = self.twin.state._replace(path=self.path, done=not ours)
            self.files.append(Follower(self.path, state, None, self._clock.monotonic()))
            self.twin = None

    def _arrange(self, live: OpenFile | None) -> bool:
        arranger = Reconciler(
            self.path,
            self.files,
            live,
            start=self._start,
            numbering=self._numbering,
            now=self._clock.monotonic(),
            events=self._events,
            known=self._copies,
        )
        try:
            files = arranger.run()
        except CopiesMovedError:
            return False
        except ShelfBusyError:
            self.pending = True
            return False
        except OSError as error:
            if not is_shortage(error):
                raise
            self._report(FileUnreadable(self.path, self.path, reason_of(error)))
            return False
        self._unlive()
        self.files, self._numbering = files, arranger.numbering
        self.live = live is not None
        self._start = "known"
        self._arranged = True
        return True

    def _next(self) -> LogPart | None:
        for file in sorted(self.files, key=attrgetter("slow")):
            if self.pending and file.handle and file.handle.packed:
                continue
            portion = self._read(file)
            if portion:
                return LogPart(file, portion)
        if not self.pending:
            self._retire()
        return None

    def _read(self, file: Follower) -> Portion | None:
        if file.done:
            return None
        try:
            if not self._ready(file):
                return None
            return file.read(self._clock.monotonic(), self._events)
        except OSError as error:
            self._broken(file, error)
        except TooCostlyError:
            self._skip(file)
        return None

    def _ready(self, file: Follower) -> bool:
        """See to it that *file* is open; False if it cannot be, or need not be.

        Raises:
            RewrittenError: it was closed, and is not where it was.
            OSError: it cannot be opened.
        """
        if file.handle:
            return True
        if not file.parked:
            return self._replaced(file) and self._reopen(file)
        found = file.named()
        if found is None:
            file.parked = False
            self.live = self.live and file is not self.files[-1]
            raise RewrittenError
        if file.is_steady(found, self._clock.monotonic()):
            return False
        return file.open_again()

    def _skip(self, file: Follower) -> None:
        """Read no more in a copy that costs too much to decompress."""
        self._copies.skip(file.path, file.content)
        file.close()
        file.done = True
        self.pending = True

    def _broken(self, file: Follower, error: OSError) -> None:
        """Let go of a file that cannot be read any more, to open it anew at the next look."""
        if error.errno != errno.ESTALE:
            self._report(FileUnreadable(self.path, file.path, reason_of(error)))
        file.close()
        if file is self.files[-1]:
            self.live = False

    def _reopen(self, file: Follower) -> bool:
        """Open an older file that could not be opened, or broke, before."""
        try:
            handle = open_any(file.path)
        except PermissionError:
            if self._clock.monotonic() - file.quiet_since > LATE_SECONDS:
                file.lose(self._events)
            return False
        except (OSError, LogwatchError) as error:
            if not (isinstance(error, OSError) and is_shortage(error)):
                file.lose(self._events)
            return False
        found = handle.stat()
        if (found.st_dev, found.st_ino) == (file.dev, file.ino):
            file.attach(file.path, handle)
            return True
        handle.close()
        file.lose(self._events)
        return False

    def _retire(self) -> None:
        """Let go of the older files that need not be watched any more."""
        now = self._clock.monotonic()
        for file in self.files[: -1 if self.live else None]:
            held = file.handle or file.parked
            if held and self._replaced(file) and file.finished(now):
                file.finish(self._events)

    def _replaced(self, file: Follower) -> bool:
        """Tell whether *file* has a successor, or will not be continued in any case."""
        if self.live or self.twin or file is not self.files[-1]:
            return True
        handle = file.handle
        return handle is not None and (handle.packed or not handle.stat().st_nlink)
