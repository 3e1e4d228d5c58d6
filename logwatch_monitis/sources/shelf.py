"""The rotated copies of one log, opened when they are looked into, in the order of rotation."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.seams import Events
from logwatch_monitis.sources.events import FileUnreadable
from logwatch_monitis.sources.handle import Handle, open_any
from logwatch_monitis.sources.identity import REACH, Place, digest, line_start, matches
from logwatch_monitis.sources.position import FileState
from logwatch_monitis.sources.siblings import Sibling, log_path, scan, single, stat_siblings

__all__ = ["Beginnings", "Shelf", "ShelfMovedError", "is_prefix"]

_COMPARE = 1 << 20
_OPEN_AT_ONCE = 32
"""Copies that one shelf keeps open; there may be thousands."""


class ShelfMovedError(Exception):
    """Raised when the directory changed while it was looked at."""


class Beginnings:
    """The first `REACH` bytes of the rotated copies of one log.

    They are kept so that a copy is opened once and not at every look. It is the same while device,
    inode, size and time of the last write are.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int], bytes] = {}

    def excludes(self, copy: Sibling, place: Place) -> bool:
        """Tell whether *copy* is known not to hold *place*."""
        known = self._known.get(copy.content)
        if known is None:
            return False
        beginning = known[: place.print_size]
        return len(beginning) < place.print_size or digest(beginning) != place.print_hash

    def learn(self, copy: Sibling, handle: Handle) -> None:
        """Read how *copy* begins, unless that is known."""
        if copy.content not in self._known:
            self._known[copy.content] = handle.read_at(0, REACH)

    def keep(self, copies: Iterable[Sibling]) -> None:
        """Forget all but these."""
        found = {copy.content for copy in copies}
        for content in self._known.keys() - found:
            del self._known[content]


class Shelf:
    """The rotated copies of the log at *path*, oldest first.

    Args:
        path: the log.
        hints: where its files were last seen: a symbolic link may have led elsewhere then.
        below: look into the directories one level below as well.
        live: device and inode of the file that now has the log's name; it and what was rotated
            after it (while we looked) are left out.
        events: told of copies that cannot be read.
        below: look into the directories one level below as well.
        beginnings: what is known of the copies from looks before this one.
    """

    def __init__(
        self,
        path: str,
        hints: Iterable[str],
        live: tuple[int, int] | None,
        events: Events,
        *,
        below: bool = False,
        beginnings: Beginnings | None = None,
    ) -> None:
        self._path = path
        self._events = events
        self._below = below
        self._names = _names(path, hints)
        self._scanned = self._scan()
        self._listing = self._list(live)
        self._handles: OrderedDict[str, Handle | None] = OrderedDict()
        self._pinned: set[str] = set()
        self._beginnings = beginnings or Beginnings()
        self._beginnings.keep(self._listing)
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
            raise ShelfMovedError

    def handle(self, index: int) -> Handle | None:
        """Return the open copy; None if it cannot be read."""
        return self._open(self.copies[index])

    def open(self, indexes: list[int]) -> None:
        """Open these copies, as many as may be open at once, and keep them so until `take`."""
        for index in indexes[:_OPEN_AT_ONCE]:
            self._pinned.add(self.copies[index].path)
            self.handle(index)

    def is_open(self, index: int) -> bool:
        """Tell whether the copy is open already."""
        return self.copies[index].path in self._handles

    def take(self, index: int) -> Handle | None:
        """Return the open copy, which from now on belongs to the caller."""
        handle = self.handle(index)
        del self._handles[self.copies[index].path]
        self._pinned.discard(self.copies[index].path)
        return handle

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

    def find(self, place: Place, low: int) -> int | None:
        """Return the oldest copy from *low* on that holds the bytes *place* was made from."""
        return next(self._holding(place, low), None)

    def find_whole(self, file: FileState, low: int) -> int | None:
        """Return the copy from *low* on that is *file*, which was read to its end."""
        same = self.find_inode(file.dev, file.ino, low)
        if same is not None and self._holds(same, file.place) and not self.goes_on(same, file.size):
            return same
        found = list(self._holding(file.place, low))
        whole = (index for index in found if not self.goes_on(index, file.size))
        return next(whole, next(iter(found), None))

    def _holding(self, place: Place, low: int) -> Iterator[int]:
        return (index for index in range(low, len(self)) if self._holds(index, place))

    def _holds(self, index: int, place: Place) -> bool:
        copy = self.copies[index]
        if place.blank or self._beginnings.excludes(copy, place):
            return False
        handle = self.handle(index)
        if handle is None:
            return False
        self._beginnings.learn(copy, handle)
        return not self._beginnings.excludes(copy, place) and matches(place, handle.read_at)

    def goes_on(self, index: int, size: int) -> bool:
        """Tell whether the copy has more than *size* bytes."""
        handle = self.handle(index)
        return handle is not None and bool(handle.read_at(size, 1))

    def mark(self, index: int) -> FileState | None:
        """Return the copy as a file that was read to its end; None if it is empty or unreadable."""
        copy, handle = self.copies[index], self.handle(index)
        size = _size(handle) if handle else 0
        if not handle or not size:
            return None
        place = line_start(handle.read_at, size)
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
        """Tell whether *plain* begins as *copy* does."""
        return self._beginning(plain).startswith(self._beginning(copy))

    def _beginning(self, copy: Sibling) -> bytes:
        handle = self._open(copy)
        return handle.read_at(0, REACH) if handle else b""

    def _open(self, copy: Sibling) -> Handle | None:
        if copy.path not in self._handles:
            self._make_room()
            self._handles[copy.path] = handle = self._try(copy)
            if handle:
                found = handle.stat()
                if (found.st_dev, found.st_ino) != (copy.dev, copy.ino):
                    raise ShelfMovedError
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

    def _try(self, copy: Sibling) -> Handle | None:
        try:
            return open_any(copy.path)
        except FileNotFoundError as error:
            raise ShelfMovedError from error
        except OSError as error:
            self._events(FileUnreadable(self._path, copy.path, str(error.strerror)))
        except LogwatchError as error:
            self._events(FileUnreadable(self._path, copy.path, error.render()))
        return None


def _size(handle: Handle) -> int:
    if not handle.packed:
        return handle.stat().st_size
    size = 0
    while piece := handle.read_at(size, _COMPARE):
        size += len(piece)
    return size


def is_prefix(copy: Handle, whole: Handle) -> bool:
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
