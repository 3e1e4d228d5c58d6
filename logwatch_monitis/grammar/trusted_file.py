"""Reads a pattern file only if nobody but root and the running user could have written it.

A pattern decides what counts as a login, so whoever can change one can hide one. All checks are
made on the open descriptor; the directories above are checked after links have been followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from logwatch_monitis.config.private_files import has_private_group
from logwatch_monitis.errors import Problem

__all__ = [
    "MAX_FILE",
    "UntrustedFileError",
    "directory_fault",
    "owner_fault",
    "read_safely",
]

MAX_FILE = 256 * 1024
"""Bytes; a larger pattern file is refused."""

_NULL = os.makedev(1, 3)


class UntrustedFileError(Exception):
    """Raised for a file that is not to be trusted or cannot be read."""

    def __init__(self, path: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(path, 0, 0, message, hint=hint)


def read_safely(path: Path, *, trusted: bool = False, limit: int = MAX_FILE) -> bytes:
    """Return the file's bytes; ``b""`` for a link to ``/dev/null``.

    *trusted* skips the checks of owner, mode and directories (the package's own folder, or a file
    that the user named on the command line). A FIFO never blocks.

    Raises:
        RefusedError: it is no regular file, too large, unreadable, or others could change it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise UntrustedFileError(str(path), f"cannot be opened: {error.strerror}") from None
    try:
        return _read(descriptor, path, trusted=trusted, limit=limit)
    finally:
        os.close(descriptor)


def _read(descriptor: int, path: Path, *, trusted: bool, limit: int) -> bytes:
    status = os.fstat(descriptor)
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL:
        return b""
    fault = _file_fault(status, limit) or ("" if trusted else owner_fault(status))
    if fault:
        raise UntrustedFileError(str(path), fault, _hint(fault))
    if not trusted:
        _check_above(path)
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(limit)


def directory_fault(path: Path) -> str:
    """Return why files in *path* cannot be trusted, or nothing.

    The directory itself must not be writable by others; those above it may be, if they are sticky
    and root's, as ``/tmp`` is, because nobody can then take away what belongs to somebody else.
    """
    for place in (path, *path.parents):
        status = place.stat()
        sticky = place != path and status.st_mode & stat.S_ISVTX and status.st_uid == 0
        fault = "" if sticky else owner_fault(status)
        if fault:
            return f"its directory {place} {fault}"
    return ""


def owner_fault(status: os.stat_result) -> str:
    """Return why somebody else could change what has this *status*, or nothing.

    Its group may write to it where that is the owner's private group: with umask 0002, which goes
    with private groups, every new file and directory is group-writable.
    """
    if status.st_uid not in {0, os.geteuid()}:
        return f"belongs to user {status.st_uid}, neither root nor the user running this"
    group_writes = status.st_mode & stat.S_IWGRP and not has_private_group(status)
    if group_writes or status.st_mode & stat.S_IWOTH:
        return f"may be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def _file_fault(status: os.stat_result, limit: int) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size > limit:
        return f"is larger than {limit} bytes"
    return ""


def _check_above(path: Path) -> None:
    for directory in _directories(path):
        try:
            fault = directory_fault(directory)
        except OSError as error:
            fault = f"its directory {directory} cannot be looked at: {error.strerror}"
        if fault:
            raise UntrustedFileError(str(path), fault, _hint(fault))


def _directories(path: Path) -> Iterator[Path]:
    """Yield the directory of the file, and of what it is a link to."""
    yield path.parent.resolve()
    if path.is_symlink():
        yield path.resolve().parent


def _hint(fault: str) -> str:
    if "written by others" in fault:
        return "chmod go-w"
    return "chown root" if "belongs to" in fault else ""
