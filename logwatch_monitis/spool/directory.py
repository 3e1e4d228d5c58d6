"""The state directory: made, checked, and files in it that nobody else can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from logwatch_monitis.errors import StateError

__all__ = ["DIRECTORY_MODE", "FILE_MODE", "make_file", "prepare_directory", "sync_directory"]

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def prepare_directory(directory: Path) -> None:
    """Make the state directory if it is missing and see that it can be worked in.

    Raises:
        StateError: it cannot be made or written, is another user's, or others may write to it.
    """
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        raise StateError(
            f"cannot make the state directory {directory}: {error.strerror}",
            "make it, or name another one as state_directory",
        ) from error
    user = os.geteuid()
    if user not in (0, status.st_uid):
        raise StateError(
            f"the state directory {directory} belongs to user {status.st_uid}, not to {user}",
            "run it as that user, or name another one as state_directory",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateError(
            f"the state directory {directory} may be written by others", f"chmod 700 {directory}"
        )
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise StateError(
            f"the state directory {directory} cannot be written",
            "remount it writable, correct its mode, or name another one as state_directory",
        )


def make_file(path: Path, flags: int = 0) -> int:
    """Open a file of the state directory, made if missing; return its descriptor.

    It is readable for its owner alone, and one that root makes belongs to the directory's owner,
    so that a command typed with sudo does not lock the service out.

    Raises:
        StateError: it cannot be opened.
    """
    try:
        wanted = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags
        descriptor = os.open(path, wanted, FILE_MODE)
    except OSError as error:
        raise StateError(
            f"cannot open {path}: {error.strerror}", "see who owns it and what its mode is"
        ) from error
    owner = path.parent.stat()
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def sync_directory(directory: Path) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
