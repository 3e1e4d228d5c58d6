"""Which file is which after a restart, a rotation or a rewrite, and what must still be read.

While a file is open, its inode proves what it is. After a restart, and for copies, only its bytes
do: the rotated copies are searched, oldest first, for the bytes that the known places were made
from. What lies behind the first file found so, and is not known, was never seen and is read whole;
what is older is history. Where nothing is found, nothing but the live file is read, and an event
says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from typing import Literal

from logwatch_monitis.interfaces import Events
from logwatch_monitis.sources.files.allowance import TooCostlyError
from logwatch_monitis.sources.files.checkpoint import FileState, new_numbering
from logwatch_monitis.sources.files.events import (
    FileFound,
    FileGap,
    FileReplaced,
    FileRotated,
    FileTruncated,
)
from logwatch_monitis.sources.files.fingerprint import FilePosition, line_start, matches
from logwatch_monitis.sources.files.follower import Follower, prune
from logwatch_monitis.sources.files.numbering import Succession
from logwatch_monitis.sources.files.open_file import OpenFile
from logwatch_monitis.sources.files.rotated_copies import (
    CopiesMovedError,
    KnownCopies,
    RotatedCopies,
    ShelfBusyError,
    is_prefix,
)

__all__ = ["LiveMovedError", "Reconciler", "Start"]

_TRIES = 10
_PAUSE_SECONDS = 0.001

Start = Literal["known", "first byte", "end"]
"""``known``: the files given are known, read what follows. Else: the log is configured for the
first time, its rotated copies are history, and the live file is read from there."""


class LiveMovedError(Exception):
    """Raised when the log's name leads to another file than the one given as live."""


class Reconciler:
    """Puts the known files, the rotated copies and the live file of one log in order.

    Args:
        log: the log's path.
        files: the files known, oldest first.
        live: the file that now has the log's name; None if there is none.
        start: see `Start`.
        numbering: of the file that follows the newest one known; changed by `run`.
        now: of the monotonic clock.
        events: told what is found.
        known: what is known of the rotated copies.
    """

    def __init__(
        self,
        log: str,
        files: list[Follower],
        live: OpenFile | None,
        *,
        start: Start,
        numbering: int,
        now: float,
        events: Events,
        known: KnownCopies,
    ) -> None:
        self._log = log
        self._copies = known
        self._live = live
        self._start = start
        self.numbering = numbering
        self._now = now
        self._events = events
        found = live.stat() if live else None
        self._identity = (found.st_dev, found.st_ino) if found else None
        self._cut: dict[Follower, Follower] = {}
        self._files = self._split(files)
        self._own = self._files[-1] if files and not files[-1].done else None
        self._placed: dict[int, int] = {}
        self._low = 0
        self._adopted: int | None = None

    def run(self) -> list[Follower]:
        """Return the files to read, oldest first, the live one last.

        Raises:
            LiveMovedError: the log's name leads to another file by now; nothing was altered.
            ShelfMovedError: the directory changes too fast; nothing was altered.
            ShelfBusyError: there is much to decompress; nothing was altered.
        """
        self._copies.begin(all_needed=self._start == "known")
        for attempt in range(_TRIES):
            try:
                return self._attempt(last=attempt == _TRIES - 1)
            except CopiesMovedError:
                time.sleep(attempt * _PAUSE_SECONDS)
        raise CopiesMovedError

    def _split(self, files: list[Follower]) -> list[Follower]:
        """Take apart what an open file was, now perhaps in a copy, and what it was rewritten to."""
        result = []
        for file in files:
            if file.handle and not file.handle.packed and not file.intact:
                was, file = file.split(self._now)  # noqa: PLW2901
                self._cut[was] = file
                result.append(was)
            result.append(file)
        return result

    def _attempt(self, *, last: bool) -> list[Follower]:
        hints = [file.path for file in self._files if not file.done]
        for below in (False, True):
            known = self._copies
            shelf = RotatedCopies(
                self._log, hints, self._identity, self._events, known, below=below
            )
            try:
                self._recognise(shelf)
                if below or self._settled(shelf):
                    if not (last or self._complete(shelf)):
                        raise CopiesMovedError
                    unseen = self._unseen(shelf)
                    marks = self._marks(shelf, unseen)
                    shelf.open(unseen)
                    shelf.verify()
                    self._verify_live()
                    shelf.settle()
                    return self._build_or_undo(shelf, unseen, marks)
            except TooCostlyError as error:
                shelf.put_off(error.path)
                raise ShelfBusyError from error
            finally:
                shelf.close()
        raise AssertionError("unreachable")

    def _verify_live(self) -> None:
        """Raise LiveMovedError if the log's name leads elsewhere by now.

        The live file may have been rotated, and even compressed, before the copies were listed.
        """
        if self._live is None:
            return
        try:
            found = os.stat(self._log)  # noqa: PTH116
        except OSError as error:
            raise LiveMovedError from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise LiveMovedError

    def _settled(self, shelf: RotatedCopies) -> bool:
        if not self._files:
            return len(shelf) > 0
        return bool(self._placed) or self._continues()

    def _complete(self, shelf: RotatedCopies) -> bool:
        """Tell whether all files were found that should be there.

        A listing can miss what is renamed meanwhile; then it is worth while to look again.
        """
        for number, file in enumerate(self._files):
            if file.handle and file.handle.stat().st_nlink:
                here = shelf.find_inode(file.dev, file.ino, 0) is not None
                if not (here or self._identity == (file.dev, file.ino)):
                    return False
            elif file is self._own and not (self._known(file) or number == self._adopted):
                return file.place.blank
        return True

    def _recognise(self, shelf: RotatedCopies) -> None:
        self._placed, self._low = {}, 0
        held = self._held()
        for number, file in enumerate(self._files):
            index = self._locate(file, shelf, held)
            if index is not None:
                self._placed[number] = index
                self._low = index + 1
        self._adopted = self._find_adopted(shelf)
        self._place_blank(shelf)

    def _locate(self, file: Follower, shelf: RotatedCopies, held: Collection[object]) -> int | None:
        if file.handle:
            index = shelf.find_inode(file.dev, file.ino, self._low)
            if index is not None or file.orphan or self._identity == (file.dev, file.ino):
                return index
            file.renew_print()
        if file.done:
            index = shelf.find_whole(file.state, self._low)
        else:
            index = shelf.find(file.place, self._low)
        return None if index is None or shelf.copies[index][1:3] in held else index

    def _held(self) -> set[tuple[int, int]]:
        return {(file.dev, file.ino) for file in self._files if file.handle}

    def _was_cut(self, file: Follower) -> bool:
        same = not file.handle and self._identity == (file.dev, file.ino)
        return file in self._cut or (file is self._own and same)

    def _place_blank(self, shelf: RotatedCopies) -> None:
        """Place older files that were still empty, which only inode and rank can tell."""
        end = len(shelf) if self._continues() else self._low
        found = sorted(self._placed.items(), reverse=True)  # both numbers grow together
        low = 0
        for number, file in enumerate(self._files):
            if number in self._placed:
                low = self._placed[number] + 1
                found.pop()
            elif file.place.blank and not file.handle and file is not self._own:
                high = found[-1][1] if found else end
                index = shelf.find_inode(file.dev, file.ino, low)
                if low < high:
                    self._placed[number] = index if index is not None and index < high else low
                    low = self._placed[number] + 1

    def _find_adopted(self, shelf: RotatedCopies) -> int | None:
        """Return which known file the live one is."""
        if self._live:
            for number in reversed(range(len(self._files))):
                if self._is_live(number, self._live, shelf):
                    return number
        return None

    def _is_live(self, number: int, live: OpenFile, shelf: RotatedCopies) -> bool:
        file = self._files[number]
        same = self._identity == (file.dev, file.ino)
        if file.handle or file.place.unseen:
            return same
        if file.place.blank or not (same or file is self._own):
            return False
        if not matches(file.place, live.read_at):
            return False
        index = self._placed.get(number)
        if index is None:
            return True
        # Both have the bytes. The live file is meant only if the other is a mere copy of it.
        copy, handle = shelf.copies[index], shelf.handle(index)
        elsewhere = (copy.dev, copy.ino) != (file.dev, file.ino)
        return same and elsewhere and handle is not None and is_prefix(handle, live)

    def _unseen(self, shelf: RotatedCopies) -> list[int]:
        """Return which copies were never seen, but must have been written after known ones."""
        if self._start != "known" or self._continues():
            return []
        taken = set(self._placed.values())
        first = self._files[0] if self._files else None
        low = min(taken, default=0)
        if first and not first.done and self._is_oldest(first):
            low = 0
        elif not taken and any(file.place.offset and not file.done for file in self._files):
            return []
        held = self._held()
        return [
            index
            for index in range(low, len(shelf))
            if index not in taken
            and shelf.copies[index][1:3] not in held
            and not shelf.is_costly(index)
        ]

    def _is_oldest(self, first: Follower) -> bool:
        """Tell whether there were no copies before *first*, which has no landmark before it.

        We saw so ourselves while we ran; after a restart, only a file not begun is proof enough.
        """
        return first.handle is not None or first in self._cut or not first.place.offset

    def _continues(self) -> bool:
        """Tell whether the live file is the one known, so that nothing came between.

        An empty one proves nothing: it may have been filled, copied and truncated unseen.
        """
        if self._adopted is None:
            return False
        file = self._files[self._adopted]
        return not file.rewritten and file.place.offset > 0

    def _marks(self, shelf: RotatedCopies, unseen: list[int]) -> dict[int, Follower]:
        """Return copies that are neither known nor to be read as landmarks.

        All behind the first known copy, and one before it, so that the first can be told apart.
        """
        marks: dict[int, Follower] = {}
        low = min(self._placed.values(), default=len(shelf))
        taken = {*unseen, *self._placed.values()}
        for index in reversed(range(len(shelf))):
            if index in taken:
                continue
            mark = shelf.mark(index)
            if mark:
                marks[index] = Follower(self._log, mark, None, self._now)
                if index < low:
                    break
        return marks

    def _build_or_undo(
        self, shelf: RotatedCopies, unseen: list[int], marks: dict[int, Follower]
    ) -> list[Follower]:
        """Build, and close what was opened for it where a copy moves or costs too much."""
        before = [file.handle for file in self._files]
        try:
            return self._build(shelf, unseen, marks)
        except BaseException:
            for file, handle in zip(self._files, before, strict=True):
                file.handle = handle
            shelf.take_back()
            raise

    def _build(
        self, shelf: RotatedCopies, unseen: list[int], marks: dict[int, Follower]
    ) -> list[Follower]:
        succession = Succession(self.numbering, self._files, self._placed, len(shelf))
        for was, file in self._cut.items():
            file.numbering = succession.of_cut(was, is_last=file is self._own)
        new = marks | {index: self._whole(shelf, index, succession.at(index)) for index in unseen}
        waiting = sorted(new)
        files: list[Follower] = []
        for number, file in enumerate(self._files):
            index = self._placed.get(number)
            while index is not None and waiting and waiting[0] < index:
                files.append(new[waiting.pop(0)])
            if number != self._adopted and self._keep(file, index, shelf):
                files.append(file)
                if index is not None and file.handle:
                    files += self._elsewhere(file, file.handle, index, shelf)
        files = prune(files + [new[index] for index in waiting]) + self._moved_away()
        self._tell(shelf, files)
        if self._live:
            files.append(self._live_follower(self._live, succession.live))
        self.numbering = files[-1].numbering if self._live else succession.after(files)
        return files

    def _moved_away(self) -> list[Follower]:
        """Return the live file of before a restart if it is nowhere: it may come back."""
        own = self._own
        if own is None or own.handle or own.place.blank or self._live or self._known(own):
            return []
        return [own]

    def _misses_place(self) -> bool:
        """Tell whether what is found instead of a known file may hold lines read before."""
        return any(
            not (file.done or file.orphan or n in self._placed or n == self._adopted)
            and (file.rewritten or not file.place.blank)
            for n, file in enumerate(self._files)
        )

    def _known(self, file: Follower) -> bool:
        """Tell whether a copy holds what *file* was read from."""
        return self._files.index(file) in self._placed

    def _keep(self, file: Follower, index: int | None, shelf: RotatedCopies) -> bool:
        """Open a known file that is not the live one; tell whether it is still of use."""
        if index is None:
            return file.handle is not None or (file.done and not len(shelf))
        copy = shelf.copies[index]
        file.path = copy.path
        if not file.handle:
            file.dev, file.ino = copy.dev, copy.ino
            if file.done and shelf.goes_on(index, file.size):
                file.done, file.numbering = False, new_numbering()
            file.handle = None if file.done else shelf.take(index)
        return True

    def _elsewhere(
        self, file: Follower, handle: OpenFile, index: int, shelf: RotatedCopies
    ) -> list[Follower]:
        """Return the copy that an open file without a name goes on in, if it does."""
        copy = shelf.copies[index]
        other = None if copy[1:3] == (file.dev, file.ino) else shelf.handle(index)
        if other is None or is_prefix(other, handle):
            return []
        follower = self._whole(shelf, index, file.numbering)
        self._hand_over(file, handle, follower, other)
        return [follower]

    def _hand_over(
        self, file: Follower, handle: OpenFile, follower: Follower, other: OpenFile
    ) -> None:
        """Let *follower* read on in *other*, and *file* wait for late lines only."""
        follower.place, follower.numbering = file.place, file.numbering
        file.orphan = True
        if is_prefix(handle, other):
            file.place = line_start(handle.read_at, handle.stat().st_size)
        else:  # from where they differ on, both must be read
            follower.rewritten, follower.numbering = True, new_numbering()

    def _whole(self, shelf: RotatedCopies, index: int, numbering: int) -> Follower:
        copy = shelf.copies[index]
        handle = shelf.take(index) if shelf.is_open(index) else None
        if handle:
            follower = Follower.opened(self._log, copy.path, handle, self._now)
        else:
            state = FileState(copy.path, copy.dev, copy.ino, 0, FilePosition())
            follower = Follower(self._log, state, None, self._now)
        follower.rewritten = self._misses_place()  # perhaps a copy that ends before the place
        follower.numbering = numbering
        return follower

    def _live_follower(self, live: OpenFile, numbering: int) -> Follower:
        if self._adopted is not None:
            return self._adopt(self._files[self._adopted], live)
        file = Follower.opened(self._log, self._log, live, self._now)
        file.numbering = numbering
        own = self._own
        if self._start == "end":
            file.place = line_start(live.read_at, live.stat().st_size)
        elif own and not self._known(own) and not own.place.blank:
            if own.handle and matches(own.place, live.read_at):
                self._hand_over(own, own.handle, file, live)
            else:
                file.rewritten = True
        if own is None:
            self._events(FileFound(self._log, file.place.offset))
        return file

    def _adopt(self, file: Follower, live: OpenFile) -> Follower:
        file.path = self._log
        if file.handle:
            if file.handle is not live:
                live.close()
            return file
        file.attach(self._log, live)
        if file.place.unseen:
            size = live.stat().st_size
            file.place = (
                line_start(live.read_at, file.place.offset) if size >= file.size else FilePosition()
            )
        self._events(FileFound(self._log, file.place.offset))
        return file

    def _tell(self, shelf: RotatedCopies, older: list[Follower]) -> None:
        for number, file in enumerate(self._files):
            gone = not self._known(file) and not file.handle
            if file.place.blank or number == self._adopted:
                continue
            if self._was_cut(file):
                copy = file.path if number in self._placed else ""
                self._events(FileTruncated(self._log, file.place.offset, copy, file.unread))
            elif gone and not file.done and file is not self._own and file.unread:
                self._events(FileGap(self._log, file.path, file.unread))
        own = None if self._adopted is not None else self._own
        if own and not (own.place.blank or own.place.unseen or self._was_cut(own)):
            self._tell_own(own, shelf, older)

    def _tell_own(self, own: Follower, shelf: RotatedCopies, older: list[Follower]) -> None:
        found = self._known(own)
        unknown = not self._placed and len(shelf) > 0
        if own.handle is None and not found and (self._live or unknown):
            self._events(FileGap(self._log, own.path, None))
        elif self._live and found:
            names = tuple(file.path for file in older if not file.done)
            self._events(FileRotated(self._log, names))
        elif self._live and unknown:
            self._events(FileGap(self._log, own.path, None))
        elif not found and (self._live or any(file not in self._files for file in older)):
            self._events(FileReplaced(self._log))
