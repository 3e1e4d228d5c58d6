"""Everything that can happen to a file that is followed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from logwatch_monitis.interfaces import Event

__all__ = [
    "CopySkipped",
    "FileFound",
    "FileGap",
    "FileReplaced",
    "FileRotated",
    "FileTruncated",
    "FileUnreadable",
    "GlobTooWide",
    "LineTooLong",
    "PartialLineDropped",
    "PositionDamaged",
    "SameFile",
    "WatchFailed",
    "WatchRestored",
]


@dataclass(frozen=True, slots=True)
class FileFound(Event):
    """A log's file is there and is read from *offset*."""

    log: str
    offset: int

    def __str__(self) -> str:
        return f"{self.log}: reading from byte {self.offset}"


@dataclass(frozen=True, slots=True)
class FileRotated(Event):
    """A new file took the log's name; *older* files are finished first, oldest first."""

    log: str
    older: tuple[str, ...]

    def __str__(self) -> str:
        if not self.older:
            return f"{self.log}: a new file took this name"
        return f"{self.log}: rotated, {', '.join(self.older)} is finished first"


@dataclass(frozen=True, slots=True)
class FileReplaced(Event):
    """The log's own file is gone without a trace among its rotated copies."""

    log: str

    def __str__(self) -> str:
        return (
            f"{self.log}: the file was removed or replaced, the one now there is read from byte 0"
        )


@dataclass(frozen=True, slots=True)
class FileTruncated(Event):
    """The log's file was cut or rewritten in place.

    Attributes:
        log: which log.
        offset: where reading had come to.
        copy: the rotated copy in which reading goes on; empty if there is none.
        lost: bytes that had been seen but not read, and that no copy holds; what was written
            between the last look and the cut cannot be known.
    """

    level: ClassVar[int] = logging.WARNING

    log: str
    offset: int
    copy: str
    lost: int

    def __str__(self) -> str:
        if self.copy:
            return (
                f"{self.log}: copied to {self.copy} and truncated; the copy is finished first, "
                "what was written between copying and truncating is lost unseen"
            )
        return (
            f"{self.log}: cut or rewritten at byte {self.offset}, read again from byte 0; "
            f"{self.lost} bytes are known to be lost, more may have been written unseen"
        )


@dataclass(frozen=True, slots=True)
class FileGap(Event):
    """Lines may be missing: the file that held the read position is not there any more.

    Attributes:
        log: which log.
        path: the file that was being read.
        lost: bytes known to be unread; None if that is not known.
    """

    level: ClassVar[int] = logging.WARNING

    log: str
    path: str
    lost: int | None

    def __str__(self) -> str:
        amount = "an unknown number of" if self.lost is None else str(self.lost)
        return (
            f"{self.log}: {self.path} was not read to its end and cannot be found, "
            f"{amount} bytes are missed; 'backfill' its rotated copies if you have them"
        )


@dataclass(frozen=True, slots=True)
class FileUnreadable(Event):
    """A file is there but cannot be read; it is tried again at every look."""

    level: ClassVar[int] = logging.WARNING

    log: str
    path: str
    reason: str

    def __str__(self) -> str:
        where = "" if self.path == self.log else f"{self.log}: "
        return f"{where}{self.path} cannot be read: {self.reason}"


@dataclass(frozen=True, slots=True)
class CopySkipped(Event):
    """A rotated copy costs too much to decompress beside following the log; it is left out."""

    level: ClassVar[int] = logging.WARNING

    log: str
    path: str

    def __str__(self) -> str:
        return (
            f"{self.log}: {self.path} is too costly to decompress, skipped; if it holds logins, "
            "'backfill' reads it"
        )


@dataclass(frozen=True, slots=True)
class LineTooLong(Event):
    """A line longer than the limit was left out."""

    level: ClassVar[int] = logging.WARNING

    log: str
    path: str
    offset: int
    size: int

    def __str__(self) -> str:
        return (
            f"{self.log}: a line of {self.size} bytes before byte {self.offset} of {self.path} "
            "was left out"
        )


@dataclass(frozen=True, slots=True)
class PartialLineDropped(Event):
    """The unfinished last line of a file that will not be continued was left out."""

    log: str
    path: str
    size: int

    def __str__(self) -> str:
        return (
            f"{self.log}: {self.path} ends in the middle of a line, "
            f"its last {self.size} bytes were left out"
        )


@dataclass(frozen=True, slots=True)
class PositionDamaged(Event):
    """A saved read position made no sense; the file is read from its first byte."""

    level: ClassVar[int] = logging.WARNING

    log: str

    def __str__(self) -> str:
        return f"{self.log}: the saved position cannot be used, the file is read from byte 0"


@dataclass(frozen=True, slots=True)
class SameFile(Event):
    """A path leads to a file that is read under another name already."""

    log: str
    other: str

    def __str__(self) -> str:
        return f"{self.log}: is the same file as {self.other}, which is read"


@dataclass(frozen=True, slots=True)
class WatchFailed(Event):
    """No wake-ups from the kernel: what is written is found by polling."""

    level: ClassVar[int] = logging.WARNING

    reason: str

    def __str__(self) -> str:
        return f"Directories cannot be watched, changes are found by polling: {self.reason}"


@dataclass(frozen=True, slots=True)
class WatchRestored(Event):
    """Wake-ups from the kernel work again."""

    def __str__(self) -> str:
        return "Directories are watched again"


@dataclass(frozen=True, slots=True)
class GlobTooWide(Event):
    """Finding the files of a glob would take too long; none is read because of it."""

    level: ClassVar[int] = logging.ERROR
    pattern: str
    reason: str

    def __str__(self) -> str:
        return f"Not watched: {self.reason}"
