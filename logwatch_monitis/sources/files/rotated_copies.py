"""The rotated copies of one log, opened when they are looked into, in the order of rotation."""

from __future__ import annotations

import os
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.interfaces import Events
from logwatch_monitis.sources.files.allowance import Allowance, TooCostlyError
from logwatch_monitis.sources.files.checkpoint import FileState
from logwatch_monitis.sources.files.descriptors import is_shortage
from logwatch_monitis.sources.files.events import CopySkipped, FileUnreadable
from logwatch_monitis.sources.files.fingerprint import (
    REACH,
    FilePosition,
    digest,
    holds_before,
    line_start,
)
from logwatch_monitis.sources.files.open_file import OpenFile, open_any
from logwatch_monitis.sources.files.rotated_names import (
    Sibling,
    log_path,
    scan,
    single,
    stat_siblings,
)

__all__ = ["CopiesMovedError", "KnownCopies", "RotatedCopies", "ShelfBusyError", "is_prefix"]

Content = tuple[int, int, int, int]
"""See `Sibling.content`."""

_COMPARE = 1 << 20
_OPEN_AT_ONCE = 4
"""Copies of one log that are kept open to look into; there may be thousands, and an archive can ask
for 128 MiB of memory."""
_PINNED_AT_ONCE = 32
"""Copies that are opened to be read."""
_LOOK_SECONDS = 0.4
"""Processor time of one look through the copies of a log; the next one goes on there."""
_MIB = 1 << 20
_FOR_BEGINNING = (0.1, 4 * _MIB)
"""Processor time and bytes for the first bytes of a copy."""
_FOR_SIZE = (0.1, 16 * _MIB)
_FOR_PLACE = (0.25, 256 * _MIB)
"""The same, in one look, to find a place in a copy that begins as the file did."""
_ALLOWANCES = 100
"""How many looks that may take."""


class CopiesMovedError(Exception):
    """Raised when the directory changed while it was looked at."""


class ShelfBusyError(Exception):
    """Raised when looking through the copies takes long; the next look goes on where this ended."""


class KnownCopies:
    """What is known of the rotated copies of one log from one look to the next.

    A copy is the same while device, inode, size and time of the last write are.

    Attributes:
        skipped: the paths of copies that cost too much to decompress.
    """

    def __init__(self, log: str, events: Events) -> None:
        self._log = log
        self._events = events
        self._beginnings: dict[Content, bytes] = {}
        self._spent: Counter[Content] = Counter()
        self._costly: dict[Content, str] = {}
        self._kept: dict[Content, OpenFile] = {}
        self._left = 0.0
        self._all_needed = False

    @property
    def skipped(self) -> tuple[str, ...]:
        """See the class."""
        return tuple(sorted(self._costly.values()))

    def begin(self, *, all_needed: bool) -> None:
        """Begin a look through the copies, where it matters that none is left out, or does not."""
        self._left = _LOOK_SECONDS
        self._all_needed = all_needed

    def may_search(self) -> bool:
        """Tell whether the beginning of another copy may be read in this look; one always may.

        Raises:
            ShelfBusyError: not in this one, and it matters.
        """
        if self._left <= 0 and self._all_needed:
            raise ShelfBusyError
        return self._left > 0

    def spend(self, seconds: float) -> None:
        """Note what reading the beginning of a copy took, of processor time."""
        self._left -= seconds

    def excludes(self, copy: Sibling, place: FilePosition) -> bool:
        """Tell whether *copy* is known not to hold *place*."""
        known = self._beginnings.get(copy.content)
        if known is None:
            return False
        beginning = known[: place.print_size]
        return len(beginning) < place.print_size or digest(beginning) != place.print_hash

    def beginning(self, copy: Sibling) -> bytes | None:
        """Return the first `REACH` bytes of *copy* if they were read before."""
        return self._beginnings.get(copy.content)

    def learn(self, copy: Sibling, beginning: bytes) -> None:
        """Note the first `REACH` bytes of *copy*."""
        self._beginnings[copy.content] = beginning

    def is_costly(self, copy: Sibling) -> bool:
        """Tell whether *copy* is skipped."""
        return copy.content in self._costly

    def skip(self, path: str, content: Content) -> None:
        """Look no more into the copy at *path*, while it is as it is."""
        if content not in self._costly:
            self._costly[content] = path
            self._events(CopySkipped(self._log, path))

    def put_off(self, copy: Sibling, handle: OpenFile) -> bool:
        """Keep *handle*, whose allowance is used up, for the next look; False if that is enough."""
        self._spent[copy.content] += 1
        if self._spent[copy.content] > _ALLOWANCES:
            self.skip(copy.path, copy.content)
            return False
        self._kept[copy.content] = handle
        return True

    def kept(self, copy: Sibling) -> OpenFile | None:
        """Return the handle that was put off, which from now on belongs to the caller."""
        return self._kept.pop(copy.content, None)

    def keep(self, copies: Iterable[Sibling]) -> None:
        """Forget all but these."""
        found = {copy.content for copy in copies}
        for content in self._kept.keys() - found:
            self._kept.pop(content).close()
        known: tuple[dict[Content, Any], ...] = self._beginnings, self._costly, self._spent
        for facts in known:
            for content in facts.keys() - found:
                del facts[content]

    def close(self) -> None:
        """Close what was put off."""
        self.keep(())


class RotatedCopies:
    """The rotated copies of the log at *path*, oldest first.

    Args:
        path: the log.
        hints: where its files were last seen: a symbolic link may have led elsewhere then.
        below: look into the directories one level below as well.
        live: device and inode of the file that now has the log's name; it and what was rotated
            after it (while we looked) are left out.
        events: told of copies that cannot be read.
        known: what is known of the copies from looks before this one.
        below: look into the directories one level below as well.
    """

    def __init__(
        self,
        path: str,
        hints: Iterable[str],
        live: tuple[int, int] | None,
        events: Events,
        known: KnownCopies,
        *,
        below: bool = False,
    ) -> None:
        self._path = path
        self._events = events
        self._below = below
        self._names = _names(path, hints)
        self._scanned = self._scan()
        self._listing = self._list(live)
        self._handles: OrderedDict[str, OpenFile | None] = OrderedDict()
        self._pinned: set[str] = set()
        self._taken: list[OpenFile] = []
        self._known = known
        try:
            self.copies = self._undoubled()
        except BaseException:
            self.close()
            raise
        self._by_inode = {copy[1:3]: index for index, copy in enumerate(self.copies)}

    def __len__(self) -> int:
        return len(self.copies)

    def verify(self) -> None:
        """Raise ShelfMovedError if the directory does not look any more as it did at first."""
        if self._scan() != self._scanned:
            raise CopiesMovedError

    def handle(self, index: int) -> OpenFile | None:
        """Return the open copy; None if it cannot be read, or only at too high a cost.

        Reading it may raise `TooCostlyError`: then see `put_off`.
        """
        handle = self._open(self.copies[index])
        if handle:
            handle.allowance = Allowance(*_FOR_PLACE)
        return handle

    def is_costly(self, index: int) -> bool:
        """Tell whether the copy is skipped because of its cost."""
        return self._known.is_costly(self.copies[index])

    def settle(self) -> None:
        """Forget what is known of copies that are not there any more."""
        self._known.keep(self._listing)

    def open(self, indexes: list[int]) -> None:
        """Open these copies, as many as may be open at once, and keep them so until `take`."""
        for index in indexes[:_PINNED_AT_ONCE]:
            self._pinned.add(self.copies[index].path)
            self.handle(index)

    def is_open(self, index: int) -> bool:
        """Tell whether the copy is open already."""
        return self.copies[index].path in self._handles

    def take(self, index: int) -> OpenFile | None:
        """Return the open copy, which from now on belongs to the caller."""
        handle = self.handle(index)
        self._handles.pop(self.copies[index].path, None)
        self._pinned.discard(self.copies[index].path)
        if handle:
            handle.allowance = None
            handle.rest()
            self._taken.append(handle)
        return handle

    def take_back(self) -> None:
        """Close what was taken: its taker could not go on."""
        for handle in self._taken:
            handle.close()

    def put_off(self, path: str) -> None:
        """Keep the open copy at *path*, whose allowance is used up, for the next look."""
        copy = next(copy for copy in self._listing if copy.path == path)
        handle = self._handles[path]
        if handle and self._known.put_off(copy, handle):
            del self._handles[path]

    def close(self) -> None:
        """Close what was not taken."""
        for handle in self._handles.values():
            if handle:
                handle.close()
        self._handles.clear()

    def find_inode(self, dev: int, ino: int, low: int) -> int | None:
        """Return which copy from *low* on has this device and inode."""
        index = self._by_inode.get((dev, ino))
        return index if index is not None and index >= low else None

    def find(self, place: FilePosition, low: int) -> int | None:
        """Return the oldest copy from *low* on that holds the bytes *place* was made from."""
        return next(self._holding(place, low), None)

    def find_whole(self, file: FileState, low: int) -> int | None:
        """Return the copy from *low* on that is *file*, which was read to its end."""
        same = self.find_inode(file.dev, file.ino, low)
        if file.place.blank:
            return None
        if same is not None and self._holds(same, file.place) and not self.goes_on(same, file.size):
            return same
        found = list(self._holding(file.place, low))
        whole = (index for index in found if not self.goes_on(index, file.size))
        return next(whole, next(iter(found), None))

    def _holding(self, place: FilePosition, low: int) -> Iterator[int]:
        high = 0 if place.blank else len(self)
        return (index for index in range(low, high) if self._holds(index, place))

    def _holds(self, index: int, place: FilePosition) -> bool:
        copy = self.copies[index]
        if self._known.excludes(copy, place):
            return False
        if self._known.beginning(copy) is None:
            self._known.may_search()
            self._beginning(copy)
        if self._known.excludes(copy, place):
            return False
        handle = self.handle(index)
        return handle is not None and holds_before(place, handle.read_at)

    def goes_on(self, index: int, size: int) -> bool:
        """Tell whether the copy has more than *size* bytes; 0 is a size that is not known."""
        handle = self.handle(index) if size else None
        return handle is not None and bool(handle.read_at(size, 1))

    def mark(self, index: int) -> FileState | None:
        """Return the copy as a file that was read to its end; None if it is empty or unreadable.

        Of an archive that is large only the beginning is taken.
        """
        copy, beginning = self.copies[index], self._beginning(self.copies[index])
        handle = self.handle(index)
        if not handle or not beginning:
            return None
        handle.allowance = Allowance(*_FOR_SIZE)
        try:
            size = _size(handle)
            place = line_start(handle.read_at, size)
        except TooCostlyError:
            size, place = 0, FilePosition(len(beginning), digest(beginning))
        return FileState(copy.path, copy.dev, copy.ino, size, place, done=True)

    def _scan(self) -> dict[str, dict[str, int]]:
        return {name: scan(name, below=own and self._below) for name, own in self._names.items()}

    def _list(self, live: tuple[int, int] | None) -> list[Sibling]:
        found: dict[tuple[int, int], Sibling] = {}
        for name, own in self._names.items():
            for copy in [*stat_siblings(self._scanned[name]), *([] if own else single(name))]:
                found.setdefault((copy.dev, copy.ino), copy)
        identities = list(found)
        if live in found:
            identities = identities[: identities.index(live)]
        return [found[identity] for identity in identities]

    def _undoubled(self) -> list[Sibling]:
        """Return the copies without those that are the compressed copy of one still there."""
        plain: dict[tuple[str, bool, str], Sibling] = {}
        for copy in self._listing:
            if not copy.packed:
                plain.setdefault(copy.slot, copy)
        return [
            copy
            for copy in self._listing
            if not (copy.packed and copy.slot in plain and self._begins(copy, plain[copy.slot]))
        ]

    def _begins(self, copy: Sibling, plain: Sibling) -> bool:
        """Tell whether *plain* begins as *copy* does; assume so where that takes long to tell."""
        if self._known.beginning(copy) is None and not self._known.may_search():
            return True
        return self._beginning(plain).startswith(self._beginning(copy))

    def _beginning(self, copy: Sibling) -> bytes:
        """Return the first `REACH` bytes of a copy; none of one that cannot be read."""
        known = self._known.beginning(copy)
        handle = self._open(copy) if known is None else None
        if handle is None:
            return known or b""
        begun = time.thread_time()
        handle.allowance = Allowance(*_FOR_BEGINNING)
        try:
            beginning = handle.read_at(0, REACH)
        except TooCostlyError:
            self._known.skip(copy.path, copy.content)
            self._handles[copy.path] = None
            handle.close()
            return b""
        finally:
            self._known.spend(time.thread_time() - begun)
        self._known.learn(copy, beginning)
        return beginning

    def _open(self, copy: Sibling) -> OpenFile | None:
        if self._known.is_costly(copy):
            return None
        if copy.path not in self._handles:
            self._make_room()
            self._handles[copy.path] = handle = self._known.kept(copy) or self._try(copy)
            if handle:
                found = handle.stat()
                if (found.st_dev, found.st_ino) != (copy.dev, copy.ino):
                    raise CopiesMovedError
        self._handles.move_to_end(copy.path)
        return self._handles[copy.path]

    def _make_room(self) -> None:
        """Close the copy that was looked into longest ago, if as many are open as may be."""
        if len(self._handles) - len(self._pinned) < _OPEN_AT_ONCE:
            return
        oldest = next(path for path in self._handles if path not in self._pinned)
        handle = self._handles.pop(oldest)
        if handle:
            handle.close()

    def _try(self, copy: Sibling) -> OpenFile | None:
        try:
            return open_any(copy.path)
        except FileNotFoundError as error:
            raise CopiesMovedError from error
        except OSError as error:
            if is_shortage(error):
                raise
            self._events(FileUnreadable(self._path, copy.path, str(error.strerror)))
        except LogwatchError as error:
            self._events(FileUnreadable(self._path, copy.path, error.render()))
        return None


def _size(handle: OpenFile) -> int:
    if not handle.packed:
        return handle.stat().st_size
    size = 0
    while piece := handle.read_at(size, _COMPARE):
        size += len(piece)
    return size


def is_prefix(copy: OpenFile, whole: OpenFile) -> bool:
    """Tell whether *whole* begins with all the bytes of *copy*."""
    offset = 0
    while piece := copy.read_at(offset, _COMPARE):
        if whole.read_at(offset, len(piece)) != piece:
            return False
        offset += len(piece)
    return True


def _names(path: str, hints: Iterable[str]) -> dict[str, bool]:
    """Return the names whose copies are those of *path*, and whether they are its own by now.

    Former targets of a symbolic link come first.
    """
    own = (os.path.realpath(path), path)
    former = {log_path(hint) or hint for hint in hints if hint not in own}.difference(own)
    return dict.fromkeys(sorted(former), False) | dict.fromkeys(own, True)
