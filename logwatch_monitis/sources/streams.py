"""The bytes of a file, piece by piece: plain, compressed, or a pipe; archives a little ahead."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from logwatch_monitis.sources.compression import MAGIC_SIZE, ArchiveDamagedError, Unpacker, packing

__all__ = ["STDIN", "More", "Pieces", "PlainFile", "Read", "joining", "open_pieces", "open_range"]

STDIN = "-"

Read = Callable[[], bytes]
"""Returns the next piece, nothing at the end."""
More = Callable[[bytes, int], bytes]
"""Takes bytes that are no whole line yet, and where they stand; returns them with what follows."""

_AHEAD = 4
"""Pieces that are decompressed before they are asked for."""
_PACKED = 4
"""Times as large are pieces of archives: each costs looks at its years, and hand-overs."""
_KEPT = 4 * 1024 * 1024


def _keep_memory() -> None:
    """Let the allocator keep the memory of one piece for the next.

    glibc gives freed blocks back to the kernel, and each page of new ones costs more than reading
    it, until it has once seen a larger block freed (``M_MMAP_THRESHOLD`` in mallopt(3)).
    """
    bytearray(_KEPT)


class Pieces(Protocol):
    """A file that is being read."""

    @property
    def more(self) -> More | None:
        """What reads a plain file from where a line begins; None for what cannot be read again."""

    def __call__(self) -> bytes:
        """Return the next piece; nothing at the end.

        Raises:
            ArchiveDamagedError: it cannot be read further.
            OSError: likewise.
        """

    def close(self) -> None:
        """Close the file."""


def joining(read: Read) -> More:
    """Return what adds the next piece to bytes that are no whole line yet."""

    def more(rest: bytes, _offset: int) -> bytes:
        return rest + read()

    return more


def open_range(path: str, size: int, begin: int, end: int | None) -> PlainFile:
    """Open a part of a plain file, see `open_pieces`; *end* None is the file's end."""
    _keep_memory()
    return PlainFile(Path(path).open("rb", buffering=0), size, begin, end)


def open_pieces(path: str, size: int) -> Pieces:
    """Open a file, plain or compressed, whatever it is called; ``-`` is standard input.

    Args:
        path: of the file.
        size: bytes of a piece, about; of a compressed file four times as many.

    Raises:
        MissingExtraError: the library for its compression is not installed.
        OSError: it cannot be opened or read.
    """
    _keep_memory()
    if path == STDIN:
        return _Stream(sys.stdin.buffer, "standard input", size)
    file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - it is closed with what reads it
    try:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        if regular and packing(os.pread(file.fileno(), MAGIC_SIZE, 0)) is None:
            return PlainFile(file, size)
        stream = _Stream(file, path, size)
    except BaseException:
        file.close()
        raise
    return _Ahead(stream, size) if regular else stream


class PlainFile:
    """Reads a plain file, or a part of one."""

    def __init__(self, file: BinaryIO, size: int, begin: int = 0, end: int | None = None) -> None:
        self._file = file
        self._size = size
        self._place = begin
        self._end = sys.maxsize if end is None else end

    def __call__(self) -> bytes:
        """See `Pieces`."""
        piece = self.more(b"", self._place)
        self._place += len(piece)
        return piece

    def more(self, rest: bytes, offset: int) -> bytes:
        """See `More`. To read *rest* once more is cheaper than to join it with what follows."""
        size = max(self._size, 2 * len(rest))
        return os.pread(self._file.fileno(), min(size, self._end - offset), offset)

    def close(self) -> None:
        """See `Pieces.close`."""
        self._file.close()


class _Stream:
    """Reads what need not be seekable; takes apart what is compressed."""

    more = None

    def __init__(self, file: BinaryIO, path: str, size: int) -> None:
        self._file = file
        head = b""
        while len(head) < MAGIC_SIZE and (piece := file.read(MAGIC_SIZE - len(head))):
            head += piece
        decoder = packing(head)
        if decoder is None:
            self._read = _plain(file, head, size)
        else:
            prefixed = cast(BinaryIO, _Prefixed(head, file))
            self._read = _Gatherer(Unpacker(prefixed, path, decoder), _PACKED * size)

    def __call__(self) -> bytes:
        return self._read()

    def close(self) -> None:
        if self._file is not sys.stdin.buffer:
            self._file.close()


def _plain(file: BinaryIO, head: bytes, size: int) -> Read:
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


class _Ahead:
    """Decompresses the next few pieces in a thread while the last one is looked at.

    Whoever wants only the first piece pays for no thread.
    """

    more = None

    def __init__(self, stream: _Stream, size: int) -> None:
        self._stream = stream
        self._large = 2 * _PACKED * size
        self._held = 0
        self._thread: Any = None
        self._first = True
        self._closed = False

    def __call__(self) -> bytes:
        if self._first:
            self._first = False
            return self._stream()
        if self._thread is None:
            self._start()
        if self._held:
            self._room.release(self._held)
        found, self._held = self._found.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _start(self) -> None:
        from queue import SimpleQueue
        from threading import Semaphore, Thread

        self._found: SimpleQueue[tuple[bytes | BaseException, int]] = SimpleQueue()
        self._room = Semaphore(_AHEAD)
        self._thread = Thread(target=self._work, name="decompression", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        found: bytes | BaseException = b"-"
        while found and not isinstance(found, BaseException):
            self._room.acquire()
            if self._closed:
                return
            try:
                found = self._stream()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                found = error
            taken = 1
            if isinstance(found, bytes) and len(found) > self._large:  # zstd hands out megabytes
                while taken < _AHEAD:
                    self._room.acquire()
                    taken += 1
            self._found.put((found, taken))

    def close(self) -> None:
        """Let the thread end, and close the file."""
        self._closed = True
        if self._thread is not None:
            self._room.release(2 * _AHEAD)
            self._thread.join()
        self._stream.close()
