"""An open file that can be read at any offset, as plain or as decompressed bytes."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from pathlib import Path
from typing import BinaryIO, Protocol

from logwatch_monitis.sources.compression import MAGIC_SIZE, ArchiveDamagedError, Unpacker, packing
from logwatch_monitis.sources.files.allowance import Allowance, TooCostlyError
from logwatch_monitis.sources.files.rotated_names import named_packed

__all__ = ["OpenFile", "PackedHandle", "PlainHandle", "has_writer", "open_any", "open_plain"]


class OpenFile(Protocol):
    """An open file. While it is open, its device and inode are proof of what it is.

    Attributes:
        allowance: what decompression may cost from now on; None for no limit.
    """

    allowance: Allowance | None

    @property
    def packed(self) -> bool:
        """True if the bytes on disk are compressed."""

    @property
    def damage(self) -> ArchiveDamagedError | None:
        """What ended reading before the end of a compressed file, if something did."""

    def stat(self) -> os.stat_result:
        """Return what the file system knows about it."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return *size* (uncompressed) bytes at *offset*; fewer only at the end."""

    def data_after(self, offset: int) -> int | None:
        """Return the next offset that lies in no hole; None if there is none."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def rest(self) -> None:
        """Give memory back until the next read."""

    def close(self) -> None:
        """Close it."""


class PlainHandle:
    """A file whose bytes are read as they are."""

    packed = False
    damage = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.allowance: Allowance | None = None

    def stat(self) -> os.stat_result:
        """See `OpenFile.stat`."""
        return os.fstat(self._descriptor)

    def read_at(self, offset: int, size: int) -> bytes:
        """See `OpenFile.read_at`."""
        return os.pread(self._descriptor, size, offset)

    def data_after(self, offset: int) -> int | None:
        """See `OpenFile.data_after`."""
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            return offset

    def fileno(self) -> int:
        """See `OpenFile.fileno`."""
        return self._descriptor

    def rest(self) -> None:
        """See `OpenFile.rest`."""

    def close(self) -> None:
        """See `OpenFile.close`."""
        os.close(self._descriptor)


class PackedHandle:
    """A compressed file, read as what was compressed; reading backwards begins anew."""

    packed = True

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._damage: ArchiveDamagedError | None = None
        self.allowance: Allowance | None = None
        self._restart()

    def _restart(self) -> None:
        found = self.stat()
        self._stamp = found.st_size, found.st_mtime_ns
        self._damage = None
        self._window = bytearray()
        self._start = 0
        self._ended = False
        self._file.seek(0)
        decoder = packing(self._file.read(MAGIC_SIZE))
        self._file.seek(0)
        self._unpacker = Unpacker(self._file, self._path, decoder, self._spend) if decoder else None
        if not decoder:
            self._damage = ArchiveDamagedError(self._path, "no beginning", 0, unfinished=True)

    @property
    def damage(self) -> ArchiveDamagedError | None:
        """See `OpenFile.damage`."""
        return self._damage

    def stat(self) -> os.stat_result:
        """See `OpenFile.stat`."""
        return os.fstat(self._file.fileno())

    def read_at(self, offset: int, size: int) -> bytes:
        """See `OpenFile.read_at`. Damage counts as the end; `damage` then tells.

        Raises:
            TooCostlyError: the allowance is used up; the same read goes on with another one.
        """
        if offset < self._start or self._grown():
            self._restart()
        while not self._ended and self._start + len(self._window) < offset + size:
            self._forget(offset)
            self._window += self._next_piece()
        self._forget(offset)
        return bytes(self._window[offset - self._start :][:size])

    def _spend(self, count: int) -> None:
        if self.allowance and not self.allowance.covers(count):
            raise TooCostlyError(self._path)

    def _forget(self, offset: int) -> None:
        count = min(offset - self._start, len(self._window))
        del self._window[:count]
        self._start += count

    def _next_piece(self) -> bytes:
        piece = b""
        try:
            piece = self._unpacker.read() if self._unpacker else b""
        except ArchiveDamagedError as damage:
            self._damage = damage
        self._ended = not piece
        return piece

    def _grown(self) -> bool:
        if not self._ended:
            return False
        found = self.stat()
        return (found.st_size, found.st_mtime_ns) != self._stamp

    def data_after(self, offset: int) -> int | None:
        """See `OpenFile.data_after`."""
        return offset

    def fileno(self) -> int:
        """See `OpenFile.fileno`."""
        return self._file.fileno()

    def rest(self) -> None:
        """See `OpenFile.rest`."""
        self._restart()

    def close(self) -> None:
        """See `OpenFile.close`."""
        self._file.close()


def open_plain(path: str) -> PlainHandle:
    """Open the file at *path*, through symbolic links.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    return PlainHandle(_open(path))


def open_any(path: str) -> OpenFile:
    """Open the file at *path*; its first bytes tell whether it is compressed.

    Where there are none yet, its name does.

    Raises:
        OSError: it cannot be opened, or is no regular file.
        MissingExtraError: the library for its format is not installed.
    """
    descriptor = _open(path)
    beginning = os.pread(descriptor, MAGIC_SIZE, 0)
    begun = len(beginning) == MAGIC_SIZE or not named_packed(path)
    if begun and packing(beginning) is None:
        return PlainHandle(descriptor)
    file = os.fdopen(descriptor, "rb", buffering=0)
    try:
        return PackedHandle(file, path)
    except BaseException:
        file.close()
        raise


def _open(path: str) -> int:
    mode = Path(path).stat().st_mode  # before opening: that can block, or do something
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", path)


def has_writer(descriptor: int) -> bool | None:
    """Tell whether any process has the file behind *descriptor* open for writing.

    A read lease is granted only if nobody has (fcntl(2)); asking needs the file's owner or
    CAP_LEASE. None: it cannot be known.
    """
    try:
        # Somebody who opens the file while we hold the lease makes the kernel send a signal;
        # SIGIO, the usual one, would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
