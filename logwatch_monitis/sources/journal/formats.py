r"""The journal as a file or a pipe: export format, or the lines of ``journalctl -o json``.

The export format (systemd's JOURNAL_EXPORT_FORMATS) is a block of fields for each entry and an
empty line after it. A field is ``NAME=value``, or, where the value may be anything, its name alone
on a line, then its size as 64 bits, little endian, the value itself and a line end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from typing import Literal

from logwatch_monitis.sources.compression import ArchiveDamagedError
from logwatch_monitis.sources.journal.entry import (
    FIELDS,
    Batch,
    JournalEntry,
    entry_of,
    from_json,
    seqnum,
)

__all__ = ["Form", "JsonEntries", "batches", "form_of"]

Form = Literal["export", "json"]
Read = Callable[[], bytes]

MAX_FIELD = 1024 * 1024
"""Bytes of the longest field, or line of JSON, that is kept; no login is that long."""
_FIRST_LINE = 1024 * 1024
_SIZE_BYTES = 8
_INSANE = 1 << 40
_EXPORT = re.compile(rb"\n*__[A-Z_]{1,60}=").match
_TEXT_ENTRY = re.compile(rb"(?:[A-Z0-9_]{1,64}=[^\n]*\n)+(?=\n)").match
_KEYS = {name: f"\n{name}=".encode() for name in (*FIELDS, "__CURSOR", "__REALTIME_TIMESTAMP")}
_NAME = re.compile(rb"[A-Z0-9_]{1,64}").fullmatch


def form_of(read: Read) -> tuple[Form | None, Read]:
    """Return what a stream holds, and what reads it from its beginning again.

    Args:
        read: returns the next bytes, none at the end.
    """
    head = read()
    while b"\n" not in head.lstrip(b"\n") and len(head) < _FIRST_LINE and (more := read()):
        head += more
    held = [head]

    def again() -> bytes:
        return held.pop() if held else read()

    if _EXPORT(head):
        return "export", again
    first = head.lstrip(b"\n").partition(b"\n")[0]
    is_json = first.startswith(b'{"') and b'"__REALTIME_TIMESTAMP"' in first
    return ("json" if is_json else None), again


def batches(
    read: Read, form: Form, path: str, *, numbered: bool = False
) -> Generator[Batch, None, None]:
    """Yield the entries of a stream, in batches of about what is read at once.

    Args:
        read: as for `form_of`.
        form: what it found.
        path: for error messages.
        numbered: a login's offset is the number of its entry in the journal, not where the entry
            begins in the stream.

    Raises:
        ArchiveDamagedError: after what is readable.
    """
    parser = _Export(path) if form == "export" else JsonEntries()
    begin = 0
    while True:
        piece = read()
        batch = Batch(begin)
        damage: ArchiveDamagedError | None = None
        try:
            for place, entry in parser.feed(piece) if piece else parser.end():
                if entry is not None:
                    batch.add(entry, seqnum(entry.cursor) if numbered else place)
        except ArchiveDamagedError as error:
            damage = error
        batch.complete = bool(piece)
        batch.taken = parser.offset
        begin += batch.size
        if len(batch):
            yield batch
        if damage:
            raise damage
        if not piece:
            return


class JsonEntries:
    """Takes lines of JSON apart, however they are cut into pieces."""

    def __init__(self) -> None:
        self.offset = 0
        self._rest = b""
        self._skipping = False

    def feed(self, piece: bytes) -> Iterator[tuple[int, JournalEntry | None]]:
        """Yield place and entry of every line that is complete now."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if not self._skipping:
                yield self.offset, from_json(line)
            self._skipping = False
            self.offset += len(line) + 1
        if len(self._rest) > MAX_FIELD:
            self.offset += len(self._rest)
            self._rest, self._skipping = b"", True

    def end(self) -> Iterator[tuple[int, JournalEntry | None]]:
        """Yield the last line, if it lacks its line end only."""
        if self._rest and not self._skipping:
            yield self.offset, from_json(self._rest)


class _Export:
    """Takes export format apart, however it is cut into pieces.

    Attributes:
        offset: of the first byte not taken yet.
    """

    def __init__(self, path: str) -> None:
        self.offset = 0
        self._path = path
        self._rest = b""
        self._begin = 0
        self._fields: dict[bytes, bytes] = {}
        self._skip = 0
        self._to_line_end = False

    def feed(self, piece: bytes) -> Iterator[tuple[int, JournalEntry | None]]:
        """Yield place and entry of every entry that is complete now.

        Raises:
            ArchiveDamagedError: this is no export format any more.
        """
        data, start = self._rest + piece, self.offset
        at = 0
        while (behind := self._skipped(data, at)) is not None:
            at = behind
            if not self._fields and (found := _TEXT_ENTRY(data, at)) is not None:
                yield start + at, _from_text(b"\n" + found[0])
                at = found.end() + 1
                self.offset = start + at
                continue
            if not self._fields:
                self._begin = start + at
            if (end := data.find(b"\n", at)) == at:
                at += 1
                yield from self._finish()
            elif end < 0 or (behind := self._field(data, at, end)) is None:
                break
            else:
                at = behind
            self.offset = start + at
        if self._skip or self._to_line_end:
            at = len(data)
        elif len(data) - at > MAX_FIELD and b"\n" not in data[at : at + MAX_FIELD]:
            self._fields.setdefault(data[at : at + 65].partition(b"=")[0], b"")
            at, self._to_line_end = len(data), True
        self._rest, self.offset = data[at:], start + at

    def end(self) -> Iterator[tuple[int, JournalEntry | None]]:
        """Yield the last entry, if it has all that counts.

        Raises:
            ArchiveDamagedError: it ends in the middle of an entry.
        """
        if b"=" in self._rest:
            name, _, value = self._rest.partition(b"=")
            self._fields.setdefault(name, value)
            self._rest = b""
        cut = bool(self._rest or self._skip)
        for place, entry in () if cut else self._finish():
            yield place, entry
            cut = entry is None
        if cut:
            raise ArchiveDamagedError(
                self._path, "it ends in a journal entry", self.offset, unfinished=True
            )

    def _skipped(self, data: bytes, at: int) -> int | None:
        """Return the place behind what is left out of a field; None if more of it is to come."""
        if self._to_line_end:
            end = data.find(b"\n", at)
            if end < 0:
                return None
            self._to_line_end = False
            return end + 1
        if self._skip:
            step = min(self._skip, len(data) - at)
            self._skip -= step
            return at + step if not self._skip else None
        return at if at < len(data) else None

    def _field(self, data: bytes, at: int, end: int) -> int | None:
        """Take the field whose first line ends at *end*; return the place behind it, if known."""
        name, equals, value = data[at:end].partition(b"=")
        if not _NAME(name):
            raise ArchiveDamagedError(self._path, "no journal entry", self.offset)
        if equals:
            self._fields.setdefault(name, value)
            return end + 1
        body = end + 1 + _SIZE_BYTES
        if len(data) < body:
            return None
        size = int.from_bytes(data[end + 1 : body], "little")
        if size > _INSANE:
            raise ArchiveDamagedError(self._path, "no journal entry", self.offset)
        if size > MAX_FIELD:
            self._fields.setdefault(name, b"")
            self._skip = size + 1
            return body
        if len(data) <= body + size:
            return None
        self._fields.setdefault(name, data[body : body + size])
        return body + size + 1

    def _finish(self) -> Iterator[tuple[int, JournalEntry | None]]:
        fields, self._fields = self._fields, {}
        if fields:
            yield self._begin, entry_of(lambda name: fields.get(name.encode(), b""))


def _from_text(text: bytes) -> JournalEntry | None:
    """Return the entry whose fields are all lines of text, each with a line end on both sides."""

    def field(name: str) -> bytes:
        begin = text.find(_KEYS[name])
        if begin < 0:
            return b""
        begin += len(name) + 2
        return text[begin : text.index(b"\n", begin)]

    return entry_of(field)
