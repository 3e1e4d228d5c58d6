"""Decompression of gzip, bzip2, xz and zstd that keeps every byte before the damage.

The libraries' own file objects drop what they have decompressed when they meet damage; these
readers hand it out first. Memory is bounded however well the data were compressed.
"""

from __future__ import annotations

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, BinaryIO, Protocol

from logwatch_monitis.errors import LogwatchError, MissingExtraError

__all__ = ["MAGIC_SIZE", "ArchiveDamagedError", "Unpacker", "packing"]

MAGIC_SIZE = 6
"""How many bytes of a file's beginning `packing` looks at."""

_INPUT = 65_536
_FIRST_INPUT = 512
"""What a member is fed first: what it leaves is copied, and there may be millions of members."""
_STEP = 16_384  # what a decoder has in hand when it meets damage is lost
_GZIP_STEP = 65_536  # gzip loses nothing to a wrong checksum or a missing end; larger is faster
_XZ_MEMORY = 128 * 1024 * 1024
_ZSTD_WINDOW = 128 * 1024 * 1024
_ZSTD_INPUT = 512  # one block of four bytes can hold 128 KiB, so input is fed in small pieces
_ZSTD_CHECKSUM = 4
_HEADER = 10  # the fixed part of RFC 1952's header
_TRAILER = 8  # CRC and length of RFC 1952
_GZIP_HEADER_MOST = 65_536
"""Bytes of the longest gzip header taken; names and comments may be endless (RFC 1952, 2.3)."""
_NOT_NUL = re.compile(rb"[^\0]")


class ArchiveDamagedError(LogwatchError):
    """Raised where a compressed file cannot be read on; what came before is good.

    Attributes:
        path: the file.
        what: what is wrong with it.
        offset: how many uncompressed bytes could be read.
        unfinished: the file just ends: it may still be written.
        torn: more belongs behind the last byte that could be read.
    """

    def __init__(
        self, path: str, what: str, offset: int, *, unfinished: bool = False, torn: bool = True
    ) -> None:
        super().__init__(f"{path}: {what} after {offset} uncompressed bytes")
        self.path = path
        self.what = what
        self.offset = offset
        self.unfinished = unfinished
        self.torn = torn

    def naming_torn(self, begin: int) -> ArchiveDamagedError:
        """Return the same error; its message tells of the line at *begin* that was left out."""
        self.message += f"; the torn line at byte {begin} is left out"
        return self


class _Decoder(Protocol):
    """Decompresses one member; the interface of `bz2.BZ2Decompressor`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """One gzip member. Checks length and CRC only after all the data have been handed out."""

    def __init__(self) -> None:
        inflate, self._crc32 = _zlib()
        self._inflate = inflate(-15)
        self._pending = b""
        self._in_header = True
        self._more = False
        self._crc = 0
        self._size = 0
        self.eof = False
        self.unused_data = b""

    @property
    def needs_input(self) -> bool:
        if self._inflate.eof:
            return len(self._pending) < _TRAILER
        return self._in_header or not (self._pending or self._more)

    def decompress(self, data: bytes, max_length: int) -> bytes:  # noqa: ARG002 - see _GZIP_STEP
        self._pending += data
        if self._in_header:
            self._read_header()
        if self._in_header:
            return b""
        if self._inflate.eof:
            self._read_trailer()
            return b""
        out: bytes = self._inflate.decompress(self._pending, _GZIP_STEP)
        self._pending = self._inflate.unused_data or self._inflate.unconsumed_tail
        self._more = len(out) == _GZIP_STEP
        self._crc = self._crc32(out, self._crc)
        self._size += len(out)
        return out

    def _read_header(self) -> None:
        end = _gzip_header(self._pending[:_GZIP_HEADER_MOST])
        if end is not None:
            self._pending = self._pending[end:]
            self._in_header = False
        elif len(self._pending) >= _GZIP_HEADER_MOST:
            raise zlib.error(f"a header of more than {_GZIP_HEADER_MOST} bytes")

    def _read_trailer(self) -> None:
        if len(self._pending) < _TRAILER:
            return
        crc, size = struct.unpack_from("<II", self._pending)
        if crc != self._crc:
            raise zlib.error("checksum is wrong")
        if size != self._size & 0xFFFF_FFFF:
            raise zlib.error("length is wrong")
        self.eof = True
        self.unused_data = self._pending[_TRAILER:]


def _gzip_header(data: bytes) -> int | None:
    """Return where the header of RFC 1952 ends; None if *data* holds only a part of it."""
    if len(data) < _HEADER:
        return None
    flags, end = data[3], _HEADER
    if flags & 4:
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            end = data.find(b"\0", end) + 1 if end < len(data) else 0
            if not end:
                return None
    if flags & 2:
        end += 2
    return end if end <= len(data) else None


def _zlib() -> tuple[Callable[..., Any], Callable[..., int]]:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompressobj, zlib.crc32
    return isal_zlib.decompressobj, isal_zlib.crc32


class _Zstd:
    """One zstd frame."""

    def __init__(self) -> None:
        self._frame = _zstandard().ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self._pending = b""
        self._start = 0

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    @property
    def needs_input(self) -> bool:
        return self._start >= len(self._pending)

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._frame.unused_data
        return unused + self._pending[self._start :]

    def decompress(self, data: bytes, max_length: int) -> bytes:  # noqa: ARG002 - bounded by input
        if data:
            self._pending = self._pending[self._start :] + data
            self._start = 0
        piece = self._pending[self._start : self._start + _ZSTD_INPUT]
        if self._start + len(piece) == len(self._pending) and len(piece) > _ZSTD_CHECKSUM:
            piece = piece[:-_ZSTD_CHECKSUM]  # a wrong checksum must not take the last block along
        self._start += len(piece)
        out: bytes = self._frame.decompress(piece)
        return out


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError("zstandard, which reads .zst files,", "archives") from None
    return zstandard


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


_FORMATS: tuple[tuple[bytes, Callable[[], _Decoder]], ...] = (
    (b"\x1f\x8b\x08", _Gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", _xz),
    (b"\x28\xb5\x2f\xfd", _Zstd),
)


def packing(beginning: bytes) -> Callable[[], _Decoder] | None:
    """Return the format that a file's *beginning* shows, for `Unpacker`; None for plain bytes."""
    for magic, decoder in _FORMATS:
        if beginning.startswith(magic):
            return decoder
    return None


class Unpacker:
    """Reads the members of one compressed file, one behind the other."""

    def __init__(
        self,
        file: BinaryIO,
        path: str,
        decoder: Callable[[], _Decoder],
        meter: Callable[[int], None] | None = None,
    ) -> None:
        """Read from *file*, which stands at its first byte.

        Args:
            file: the compressed file.
            path: for messages.
            decoder: of its format, from `packing`.
            meter: told before each step how many bytes the last one gave; it may raise, and then
                nothing is lost.

        Raises:
            MissingExtraError: the library for this format is not installed.
        """
        self._file = file
        self._path = path
        self._new = decoder
        self._meter = meter
        self._input = b""
        self._at = 0
        self._given = 0
        self._begin()
        self.offset = 0

    def read(self) -> bytes:
        """Return the next piece of at most 16 KiB (zstd: a few MiB); nothing at the end.

        Raises:
            ArchiveDamagedError: the file ends within a member, is corrupt, or has bytes that are
                no member behind its last one.
            OSError: it cannot be read.
        """
        while self._decoder or self._next_member():
            if self._meter:
                self._meter(self._given)
            out = self._piece()
            self._given = len(out)
            if out:
                self.offset += len(out)
                return out
        return b""

    def _begin(self) -> None:
        self._decoder: _Decoder | None = self._new()
        self._step = _FIRST_INPUT

    def _piece(self) -> bytes:
        assert self._decoder is not None
        data = b""
        if self._decoder.needs_input:
            data = self._next_input()
            if not data:
                raise self._damaged("unexpected end", unfinished=True)
        try:
            out = self._decoder.decompress(data, _STEP)
        except Exception as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise self._damaged(str(error) or type(error).__name__) from error
        if self._decoder.eof:
            self._at -= len(self._decoder.unused_data)
            self._decoder = None
        return out

    def _next_input(self) -> bytes:
        if self._at == len(self._input):
            self._input, self._at = self._file.read(_INPUT), 0
        data = self._input[self._at : self._at + self._step]
        self._at += len(data)
        self._step = min(2 * self._step, _INPUT)
        return data

    def _next_member(self) -> bool:
        # Padding of NULs is allowed between and behind members, by gzip(1) and by xz(1).
        more = b"-"
        while more:
            found = _NOT_NUL.search(self._input, self._at)
            self._at = found.start() if found else len(self._input)
            if len(self._input) - self._at >= MAGIC_SIZE:
                break
            more = self._file.read(_INPUT)
            self._input, self._at = self._input[self._at :] + more, 0
        head = self._input[self._at : self._at + MAGIC_SIZE]
        if not head:
            return False
        if packing(head) is not self._new:
            raise self._damaged("trailing garbage", torn=False)
        self._begin()
        return True

    def _damaged(
        self, what: str, *, unfinished: bool = False, torn: bool = True
    ) -> ArchiveDamagedError:
        self._decoder = None
        return ArchiveDamagedError(self._path, what, self.offset, unfinished=unfinished, torn=torn)
