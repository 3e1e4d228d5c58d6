"""Whole files as blocks of whole lines: plain, compressed, a pipe, or exported from the journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from logwatch_monitis.sources.compression import ArchiveDamagedError
from logwatch_monitis.sources.lines import BLOCK, cut, strip_hole
from logwatch_monitis.sources.streams import STDIN, More, Read, joining, open_pieces, open_range

if TYPE_CHECKING:
    from logwatch_monitis.sources.journal.entry import Batch

__all__ = [
    "JOURNAL",
    "JOURNAL_HEADS",
    "STDIN",
    "ArchiveDamagedError",
    "Block",
    "line_starts",
    "read_blocks",
]

JOURNAL = "journal:"
"""Names that begin like this are of journals, see `logwatch_monitis.sources.journal.past`."""
JOURNAL_HEADS = (b"__", b'{"')
"""What may begin a file of journal entries; `read_blocks` looks closer."""
_STEP = 65_536


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
    if begin or end is not None:
        with closing(open_range(path, size, begin, end)) as plain:
            yield from _lines(plain.more, begin)
        return
    with closing(open_pieces(path, size)) as read:
        entries, again = _entries(read, path)
        if entries is not None:
            yield from entries
        else:
            yield from _lines(read.more or joining(again), 0)


def _lines(more: More, offset: int) -> Iterator[Block]:
    rest, skipping, overlong = b"", 0, 0
    damage: ArchiveDamagedError | None = None
    while damage is None:
        known = len(rest)
        try:
            rest = more(rest, offset)
        except ArchiveDamagedError as error:
            damage = error
        if len(rest) <= known:
            break
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
    if damage and damage.torn and rest and not skipping:
        damage, rest = damage.naming_torn(offset), b""
    yield from _last(offset, rest, skipping, overlong)
    if damage is not None:
        raise damage


def _last(offset: int, rest: bytes, skipping: int, overlong: int) -> Iterator[Block]:
    if rest and not skipping:
        yield Block(offset, rest, complete=False, overlong=overlong)
    elif overlong or skipping:
        yield Block(offset, b"", overlong=overlong + bool(skipping))


def _entries(read: Read, path: str) -> tuple[Iterator[Block] | None, Read]:
    """Return the blocks of a file of journal entries; None for others, and what reads them."""
    first = read()
    held = [first]

    def again() -> bytes:
        return held.pop() if held else read()

    if not first.lstrip(b"\n").startswith(JOURNAL_HEADS):
        return None, again
    from logwatch_monitis.sources.journal.formats import batches, form_of

    form, again = form_of(again)
    if form is None:
        return None, again
    found = batches(again, form, path)
    return (Block(b.begin, b.data, b.complete, entries=b) for b in found), again


def line_starts(path: str, every: Callable[[], int]) -> Generator[int, None, None]:
    """Yield where lines of a plain file begin, one for about as many bytes as *every* says; not 0.

    Raises:
        OSError: it cannot be opened or read.
    """
    with Path(path).open("rb", buffering=0) as file:
        place = every()
        while more := os.pread(file.fileno(), _STEP, place):
            end = more.find(b"\n") + 1
            place += end or len(more)
            if end:
                yield place
                place += every()
