"""Fingerprints: hashes of bytes, never the inode, tell that two looks saw the same file.

A file is known by a *fingerprint* of its beginning and by a hash of the bytes just before the read
position, both over decompressed bytes, so that a compressed copy is still the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from logwatch_monitis.login import blake2b
from logwatch_monitis.sources.lines import MAX_LINE

__all__ = [
    "REACH",
    "FilePosition",
    "ReadAt",
    "advance",
    "digest",
    "holds_before",
    "line_start",
    "matches",
    "place_at",
]

REACH = 1024
"""How many bytes, at most, each of the two hashes covers."""

_SEARCH = 65_536

ReadAt = Callable[[int, int], bytes]
"""Reads *size* bytes at *offset*; fewer only at the end of the file."""


class FilePosition(NamedTuple):
    """A read position that proves which file it belongs to.

    Attributes:
        print_size: how many bytes the fingerprint covers: all there were, up to `REACH`.
        print_hash: the hash of these first bytes.
        offset: the next byte to read, uncompressed; the start of a line unless *skipping*.
        tail_hash: the hash of the up to `REACH` bytes before *offset*.
        skipping: bytes of an over-long line passed over so far; 0 outside of one.
    """

    print_size: int = 0
    print_hash: str = ""
    offset: int = 0
    tail_hash: str = ""
    skipping: int = 0

    @property
    def blank(self) -> bool:
        """True if nothing is known about the file's bytes, so that nothing can be recognised."""
        return not self.print_size and not self.offset

    @property
    def unseen(self) -> bool:
        """True if only the size is known: the file was there but could not be read yet."""
        return self.offset > 0 and not self.tail_hash

    @property
    def reach(self) -> int:
        """How many bytes before the offset its hash covers."""
        return min(self.offset, REACH)


def digest(data: bytes) -> str:
    """Return the hash of *data*; of no bytes, the empty text."""
    return blake2b(data, digest_size=8).hexdigest() if data else ""


def matches(place: FilePosition, read_at: ReadAt) -> bool:
    """Tell whether the file behind *read_at* has the bytes that *place* was made from."""
    return _starts_like(place, read_at) and holds_before(place, read_at)


def holds_before(place: FilePosition, read_at: ReadAt) -> bool:
    """Tell whether the file behind *read_at* has the bytes just before *place*."""
    before = read_at(place.offset - place.reach, place.reach)
    return len(before) == place.reach and digest(before) == place.tail_hash


def _starts_like(place: FilePosition, read_at: ReadAt) -> bool:
    """Tell whether the file behind *read_at* has the fingerprint of *place*."""
    beginning = read_at(0, place.print_size)
    return len(beginning) == place.print_size and digest(beginning) == place.print_hash


def place_at(read_at: ReadAt, offset: int) -> FilePosition:
    """Return the place at *offset* of a file that holds at least as many bytes."""
    beginning = read_at(0, REACH)
    reach = min(offset, REACH)
    before = read_at(offset - reach, reach)
    return FilePosition(len(beginning), digest(beginning), offset, digest(before))


def line_start(read_at: ReadAt, size: int) -> FilePosition:
    """Return the place of the last line start at or before *size*."""
    end = size
    while end > 0 and size - end <= MAX_LINE:
        start = max(0, end - _SEARCH)
        found = read_at(start, end - start).rfind(b"\n")
        if found >= 0:
            return place_at(read_at, start + found + 1)
        end = start
    if end <= 0:
        return place_at(read_at, 0)
    return place_at(read_at, size)._replace(skipping=size - end)


def advance(place: FilePosition, offset: int, before: bytes, skipping: int = 0) -> FilePosition:
    """Return *place* moved on to *offset*, given at least the last `REACH` bytes before it."""
    return place._replace(
        offset=offset, tail_hash=digest(before[-min(offset, REACH) :]), skipping=skipping
    )
