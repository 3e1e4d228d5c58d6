"""The rotated copies of one log, opened when they are looked into, in the order of rotation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from logwatch_monitis.errors import LogwatchError
from logwatch_monitis.seams import Events
from logwatch_monitis.sources.events import FileUnreadable
from logwatch_monitis.sources.handle import Handle, open_any
from logwatch_monitis.sources.identity import REACH, Place, line_start, matches
from logwatch_monitis.sources.position import FileState
from logwatch_monitis.sources.siblings import Sibling, list_siblings, log_path, single

__all__ = ["Shelf", "ShelfMovedError", "is_prefix"]

_COMPARE = 1 << 20


class ShelfMovedError(Exception):
    """Raised when the directory changed while it was looked at."""


class Shelf:
    """The rotated copies of the log at *path*, oldest first.

    Args:
        path: the log.
        hints: where its files were last seen: a symbolic link may have led elsewhere then.
        below: look into the directories one level below as well.
        live: device and inode of the file that now has the log's name; it and what was rotated
            after it (while we looked) are left out.
        events: told of copies that cannot be read.
    """

    def __init__(
        self,
        path: str,
        hints: Iterable[str],
        live: tuple[int, int] | None,
        events: Events,
        *,
        below: bool = False,
    ) -> None:
        self._path = path
        self._events = events
        self._listing = _list(path, hints, live, below=below)
        self._hints, self._live, self._below = tuple(hints), live, below
        self._handles: dict[str, Handle | None] = {}
        try:
            self.copies = [copy for copy in self._listing if not self._doubled(copy)]
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.copies)

    def verify(self) -> None:
        """Raise ShelfMovedError if the directory does not look any more as it did at first."""
        now = _list(self._path, self._hints, self._live, below=self._below)
        if [copy[:3] for copy in now] != [copy[:3] for copy in self._listing]:
            raise ShelfMovedError

    def handle(self, index: int) -> Handle | None:
        """Return the open copy; None if it cannot be read."""
        return self._open(self.copies[index])

    def open(self, indexes: list[int]) -> None:
        """Open these copies."""
        for index in indexes:
            self.handle(index)

    def take(self, index: int) -> Handle | None:
        """Return the open copy, which from now on belongs to the caller."""
        handle = self.handle(index)
        del self._handles[self.copies[index].path]
        return handle

    def close(self) -> None:
        """Close what was not taken."""
        for handle in self._handles.values():
            if handle:
                handle.close()
        self._handles.clear()

    def find_inode(self, dev: int, ino: int, low: int) -> int | None:
        """Return which copy from *low* on has this device and inode."""
        for index, copy in enumerate(self.copies[low:], low):
            if (copy.dev, copy.ino) == (dev, ino):
                return index
        return None

    def find(self, place: Place, low: int) -> int | None:
        """Return the oldest copy from *low* on that holds the bytes *place* was made from."""
        return next(self._holding(place, low), None)

    def find_whole(self, file: FileState, low: int) -> int | None:
        """Return the copy from *low* on that is *file*, which was read to its end."""
        found = list(self._holding(file.place, low))
        whole = [index for index in found if not self.goes_on(index, file.size)]
        same = [i for i in whole if self.copies[i][1:3] == (file.dev, file.ino)]
        return next(iter(same + whole + found), None)

    def _holding(self, place: Place, low: int) -> Iterator[int]:
        for index in range(low, 0 if place.blank else len(self)):
            handle = self.handle(index)
            if handle and matches(place, handle.read_at):
                yield index

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

    def _doubled(self, copy: Sibling) -> bool:
        """Tell whether *copy* is the compressed copy of a file that is still there as well."""
        if not copy.packed:
            return False
        for plain in self._listing:
            if plain.slot == copy.slot and not plain.packed:
                short, whole = self._beginning(copy), self._beginning(plain)
                return whole.startswith(short)
        return False

    def _beginning(self, copy: Sibling) -> bytes:
        handle = self._open(copy)
        return handle.read_at(0, REACH) if handle else b""

    def _open(self, copy: Sibling) -> Handle | None:
        if copy.path not in self._handles:
            self._handles[copy.path] = handle = self._try(copy)
            if handle:
                found = handle.stat()
                if (found.st_dev, found.st_ino) != (copy.dev, copy.ino):
                    raise ShelfMovedError
        return self._handles[copy.path]

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


def _list(
    path: str, hints: Iterable[str], live: tuple[int, int] | None, *, below: bool
) -> list[Sibling]:
    """List the copies of *path*, those of former targets of a symbolic link first."""
    target = os.path.realpath(path)
    own = (target, path)
    former = {log_path(hint) or hint for hint in hints if hint not in own}.difference(own)
    found: dict[tuple[int, int], Sibling] = {}
    for name in sorted(former):
        for copy in [*list_siblings(name), *single(name)]:
            found.setdefault((copy.dev, copy.ino), copy)
    for name in dict.fromkeys(own):
        for copy in list_siblings(name, below=below):
            found.setdefault((copy.dev, copy.ino), copy)
    identities = list(found)
    if live in found:
        identities = identities[: identities.index(live)]
    return [found[identity] for identity in identities]
