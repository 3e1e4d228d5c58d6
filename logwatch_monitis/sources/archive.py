"""Whole files as blocks of whole lines: plain, compressed, a pipe, or exported from the journal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from logwatch_monitis.sources.lines import BLOCK, cut, strip_hole
from logwatch_monitis.sources.packed import (
    MAGIC_SIZE,
    ArchiveDamagedError,
    Unpacker,
    packing,
)

if TYPE_CHECKING:
    from logwatch_monitis.sources.journal_record import Batch

__all__ = ["JOURNAL_HEADS", "STDIN", "ArchiveDamagedError", "Block", "line_starts", "read_blocks"]

STDIN = "-"
JOURNAL_HEADS = (b"__", b'{"')
"""What may begin a file of journal entries; `read_blocks` looks closer."""
_STEP = 65_536

_Read = Callable[[], bytes]


class Block(NamedTuple):
    r"""Lines of a file.

    Attributes:
        offset: where *data* begins, uncompressed.
        data: whole lines; the file's last one may lack its ``\n``.
        complete: every line has its line end.
        overlong: lines left out before this block because of their length.
        entries: what the lines were made of, if the file holds entries of the journal; then
            *offset* counts the lines' bytes, not the file's.
    """

    offset: int
    data: bytes
    complete: bool = True
    overlong: int = 0
    entries: Batch | None = None


def read_blocks(
    path: str, *, size: int = BLOCK, begin: int = 0, end: int | None = None
) -> Generator[Block, None, None]:
    """Yield the lines of a file, decompressed as its first bytes show; ``-`` is standard input.

    Entries of the journal come as lines, too (`Block.entries`).

    What is readable of a damaged archive is yielded before the error. Memory stays flat whatever
    the file holds: a line over `logwatch_monitis.sources.lines.MAX_LINE` is left out and counted.

    Args:
        path: of the file.
        size: bytes read at once.
        begin: where to begin in a plain file; from `line_starts`.
        end: where to stop, likewise; None for the file's end.

    Raises:
        ArchiveDamagedError: it cannot be read further, at the end of what was yielded.
        MissingExtraError: the library for its compression is not installed.
        OSError: it cannot be opened or read.
    """
    whole = not begin and end is None
    with _opened(path, size) if whole else _opened_range(path, size, begin, end) as read:
        entries, again = _entries(read, path) if whole else (None, read)
        yield from _lines(again, begin) if entries is None else entries


def _lines(read: _Read, offset: int) -> Iterator[Block]:
    rest, skipping, overlong = b"", 0, 0
    damage: ArchiveDamagedError | None = None
    while damage is None:
        try:
            more = read()
        except ArchiveDamagedError as error:
            damage, more = error, b""
        if not more:
            break
        rest += more
        while (found := cut(rest, offset, skipping)) is not None:
            rest = rest[found.end - offset :]
            offset, skipping = found.end, found.skipping
            overlong += bool(found.skipped)
            if found.data:
                yield Block(found.start, found.data, overlong=overlong)
                overlong = 0
        if not skipping and rest.startswith(b"\0"):
            body = strip_hole(rest)
            offset, rest = offset + len(rest) - len(body), body
    if rest and not skipping:
        yield Block(offset, rest, complete=False, overlong=overlong)
    elif overlong or skipping:
        yield Block(offset, b"", overlong=overlong + bool(skipping))
    if damage is not None:
        raise damage


def _entries(read: _Read, path: str) -> tuple[Iterator[Block] | None, _Read]:
    """Return the blocks of a file of journal entries; None for others, and what reads them."""
    first = read()
    held = [first]

    def again() -> bytes:
        return held.pop() if held else read()

    if not first.lstrip(b"\n").startswith(JOURNAL_HEADS):
        return None, again
    from logwatch_monitis.sources.journal_export import batches, form_of

    form, again = form_of(again)
    if form is None:
        return None, again
    found = batches(again, form, path)
    return (Block(b.begin, b.data, b.complete, entries=b) for b in found), again


def line_starts(path: str, every: int) -> Generator[int, None, None]:
    """Yield where lines of a plain file begin, one for about *every* so many bytes; not 0.

    Raises:
        OSError: it cannot be opened or read.
    """
    with Path(path).open("rb", buffering=0) as file:
        place = every
        while more := os.pread(file.fileno(), _STEP, place):
            end = more.find(b"\n") + 1
            place += end or len(more)
            if end:
                yield place
                place += every


@contextmanager
def _opened_range(path: str, size: int, begin: int, end: int | None) -> Iterator[_Read]:
    with Path(path).open("rb", buffering=0) as file:
        file.seek(begin)
        left = sys.maxsize if end is None else end - begin

        def read() -> bytes:
            nonlocal left
            piece = file.read(min(size, left))
            left -= len(piece)
            return piece

        yield read


@contextmanager
def _opened(path: str, size: int) -> Iterator[_Read]:
    if path == STDIN:
        yield _reader(sys.stdin.buffer, "standard input", size)
        return
    with Path(path).open("rb", buffering=0) as file:
        yield _reader(file, path, size)


def _reader(file: BinaryIO, path: str, size: int) -> _Read:
    """Return what reads the next piece of *file*, which need not be seekable."""
    head = b""
    while len(head) < MAGIC_SIZE and (more := file.read(MAGIC_SIZE - len(head))):
        head += more
    decoder = packing(head)
    if decoder is None:
        return _plain(file, head, size)
    return _Gatherer(Unpacker(cast(BinaryIO, _Prefixed(head, file)), path, decoder), size)


def _plain(file: BinaryIO, head: bytes, size: int) -> _Read:
    read = getattr(file, "read1", file.read)

    def next_piece() -> bytes:
        nonlocal head
        piece, head = head, b""
        return piece or read(size)

    return next_piece


class _Prefixed:
    """A file whose first bytes were read already."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def read(self, size: int) -> bytes:
        """Return the first bytes first."""
        piece, self._head = self._head, b""
        return piece or self._file.read(size)


class _Gatherer:
    """Decompresses in pieces of about *size* bytes; damage comes after what was good."""

    def __init__(self, unpacker: Unpacker, size: int) -> None:
        self._unpacker = unpacker
        self._size = size
        self._damage: ArchiveDamagedError | None = None

    def __call__(self) -> bytes:
        pieces: list[bytes] = []
        total = 0
        try:
            while self._damage is None and total < self._size:
                piece = self._unpacker.read()
                if not piece:
                    break
                pieces.append(piece)
                total += len(piece)
        except ArchiveDamagedError as error:
            self._damage = error
        if self._damage and not pieces:
            raise self._damage
        return b"".join(pieces)
