"""Private files and directories: the one place that makes them, and sees that they are private.

State, keys and results are for their owner alone. Root also works in directories of others, that of
a service above all, whose user could put anything there. So links are not followed, owner and mode
are looked at and set on what was opened, never by name, and what root makes in such a directory
belongs to the directory's owner: a command typed with sudo does not lock the service out.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from logwatch_monitis.errors import SetupError, StateError

__all__ = [
    "DIRECTORY_MODE",
    "FILE_MODE",
    "PUBLIC_FILE_MODE",
    "UnsafeFileError",
    "check_mode",
    "has_private_group",
    "make_directory",
    "make_directory_for_all",
    "make_private",
    "make_state_directory",
    "open_below",
    "open_database",
    "open_file",
    "read_file",
    "read_in",
    "sync_directory",
    "write_file",
    "write_in",
]

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
PUBLIC_DIRECTORY_MODE = 0o755
PUBLIC_FILE_MODE = 0o644

_SQLITE_SUFFIXES = ("-journal", "-wal", "-shm")
_LONGEST = 64 * 1024
_ROOT = 0
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class UnsafeFileError(SetupError, StateError):
    """Raised for a file or directory that somebody else could have made, changed or read."""


# -- directories ---------------------------------------------------------------------------------


def make_directory(
    directory: Path,
    what: str = "the directory",
    option: str = "",
    *,
    own: bool = False,
    like_parent: bool = False,
) -> None:
    """Make a directory that only its owner can enter, if it is missing, and see that it is usable.

    Args:
        directory: its path.
        what: what it is called in errors.
        option: how another one is named.
        own: root accepts none of another user, as that user could replace all that is in it.
        like_parent: one that root makes belongs to whom the directory above belongs.

    Raises:
        UnsafeFileError: it is another user's, others may write to it, or a link leads to it that
            neither root nor this user made.
        StateError: it cannot be made or written.
    """
    instead = f", or name another one as {option}" if option else ""
    try:
        _refuse_links_of_others(directory)
        if not directory.is_dir():
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            if like_parent:
                _give(directory)
        status = directory.stat()
    except OSError as error:
        raise StateError(
            f"cannot make {what} {directory}: {error.strerror}", f"make it{instead}"
        ) from error
    _check_directory(directory, status, what, instead, own=own)


def make_state_directory(directory: Path) -> None:
    """Make the state directory of an agent, as `make_directory` does.

    Raises:
        StateError: it cannot be used, for whatever reason.
    """
    try:
        make_directory(directory, "the state directory", "state_directory")
    except UnsafeFileError as error:
        raise StateError(error.message, error.hint) from None


def make_directory_for_all(directory: Path) -> None:
    """Make a directory that everybody may read, and those above it, whatever the umask.

    Raises:
        OSError: it cannot be made.
    """
    if not directory.is_dir():
        directory.mkdir(PUBLIC_DIRECTORY_MODE, parents=True)
        directory.chmod(PUBLIC_DIRECTORY_MODE)


def _check_directory(
    directory: Path, status: os.stat_result, what: str, instead: str, *, own: bool
) -> None:
    user = os.geteuid()
    if status.st_uid != user and (user != _ROOT or own):
        raise UnsafeFileError(
            f"{what} {directory} belongs to user {status.st_uid}, not to {user}",
            f"run it as that user{instead}",
        )
    group_writes = status.st_mode & stat.S_IWGRP and not has_private_group(status)
    if group_writes or status.st_mode & stat.S_IWOTH:
        raise UnsafeFileError(
            f"{what} {directory} may be written by others", f"chmod 700 {directory}"
        )
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise StateError(
            f"{what} {directory} cannot be written",
            f"remount it writable, correct its mode{instead}",
        )


def _refuse_links_of_others(path: Path) -> None:
    """Let root follow no link in *path* that a user has made: it may lead anywhere."""
    whole = path.absolute()
    for place in (*reversed(whole.parents), whole) if os.geteuid() == _ROOT else ():
        with suppress(FileNotFoundError):
            status = place.lstat()
            if stat.S_ISLNK(status.st_mode) and status.st_uid != _ROOT:
                raise UnsafeFileError(
                    f"{place} is a link that user {status.st_uid} made, root does not follow it",
                    "name the place it leads to",
                )


def _give(directory: Path) -> None:
    descriptor = os.open(directory, _OPEN_DIRECTORY | os.O_NOFOLLOW)
    try:
        _give_away(descriptor, directory.parent.stat())
    finally:
        os.close(descriptor)


def open_below(root: Path, names: Sequence[str], *, make: bool, roots_links: bool) -> int:
    """Open a directory below *root* and return its descriptor; no link leads out of the tree.

    Args:
        root: the tree; links to it are followed.
        names: those of the directories, from the root on.
        make: whether missing ones are made, readable for everybody.
        roots_links: whether links that root made are followed.

    Raises:
        UnsafeFileError: one of the directories is a link.
        OSError: there is none, or it cannot be made or opened.
    """
    if make:
        root.mkdir(parents=True, exist_ok=True)
    directory = os.open(root, _OPEN_DIRECTORY)
    for name in names:
        try:
            below = _enter(directory, name, make=make, roots_links=roots_links)
        except UnsafeFileError as error:
            raise UnsafeFileError(f"{root.joinpath(*names)}: {error.message}", error.hint) from None
        finally:
            os.close(directory)
        directory = below
    return directory


def _enter(directory: int, name: str, *, make: bool, roots_links: bool) -> int:
    made = False
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, PUBLIC_DIRECTORY_MODE, dir_fd=directory)
            made = True
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    link = stat.S_ISLNK(status.st_mode)
    if link and not (roots_links and status.st_uid == _ROOT):
        raise UnsafeFileError(f"{name} is a link, which is not followed here", "remove it")
    opened = os.open(name, _OPEN_DIRECTORY | (0 if link else os.O_NOFOLLOW), dir_fd=directory)
    if made:
        os.fchmod(opened, PUBLIC_DIRECTORY_MODE)  # whatever the umask
    return opened


def sync_directory(directory: Path) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(directory, _OPEN_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- files that stay open ------------------------------------------------------------------------


def open_file(path: Path, flags: int = 0) -> int:
    """Open a file for reading and writing, made if missing; return its descriptor.

    It is for its owner alone from then on, and belongs to the directory's owner if root opens it.

    Raises:
        UnsafeFileError: it is a link, no regular file, or a stranger's.
        StateError: it cannot be opened.
    """
    wanted = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | flags
    try:
        descriptor = os.open(path, wanted, FILE_MODE)
    except OSError as error:
        raise _cannot_open(path, error) from error
    try:
        directory = path.parent.stat()
        status = _checked(descriptor, path, directory)
        _give_away(descriptor, directory)
        if status.st_mode & 0o077 and os.geteuid() in (_ROOT, status.st_uid):
            os.fchmod(descriptor, FILE_MODE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_database(path: Path) -> None:
    """See that SQLite can open a database, which is made if missing, and what it keeps beside it.

    Raises:
        UnsafeFileError: one of them is a link, no regular file, or a stranger's.
        StateError: it cannot be opened.
    """
    os.close(open_file(path))
    for suffix in _SQLITE_SUFFIXES:
        beside = path.with_name(f"{path.name}{suffix}")
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(beside.lstat().st_mode):
                raise UnsafeFileError(f"{beside} is no regular file", "remove it")


def make_private(path: Path) -> None:
    """Give a file or socket that another library has made to the right owner, for them alone.

    Raises:
        OSError: that is not possible.
    """
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISLNK(os.fstat(descriptor).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        opened = f"/proc/self/fd/{descriptor}"  # neither fchmod nor fchown takes such descriptors
        owner = path.parent.stat()
        if os.geteuid() == _ROOT and os.fstat(descriptor).st_uid != owner.st_uid:
            os.chown(opened, owner.st_uid, owner.st_gid)
        Path(opened).chmod(FILE_MODE)
    finally:
        os.close(descriptor)


# -- files that are read and written as a whole --------------------------------------------------


def read_file(path: Path, what: str = "the file", limit: int = _LONGEST) -> bytes:
    """Return what stands in a private file.

    Raises:
        UnsafeFileError: it is a link, no regular file, too large, or others could have written it.
        OSError: it cannot be read, because there is none, or the like.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        )
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _cannot_open(path, error) from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        status = _checked(descriptor, path, path.parent.stat())
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnsafeFileError(
                f"{what} {path} may be written by others", "remove it, or chmod 600 if it is right"
            )
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UnsafeFileError(f"{what} {path} is larger than {limit} bytes")
    return data


def read_in(directory: int, name: str, limit: int = _LONGEST) -> bytes | None:
    """Return what a regular file holds; None for one that is a link, a device or too large.

    Raises:
        OSError: it cannot be read, because there is none, or the like.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def write_file(path: Path, data: bytes, mode: int = FILE_MODE, *, new: bool = False) -> None:
    """Put a file in its place: all of it or nothing, never open to others for a moment.

    Args:
        path: its place.
        data: what stands in it.
        mode: how it ends up.
        new: one that is there already stays.

    Raises:
        FileExistsError: with *new*, there is one.
        OSError: it cannot be written.
    """
    directory = os.open(path.parent, _OPEN_DIRECTORY)
    try:
        write_in(directory, path.name, data, mode, new=new)
    finally:
        os.close(directory)


def write_in(
    directory: int,
    name: str,
    data: bytes,
    mode: int = FILE_MODE,
    *,
    new: bool = False,
    give: bool = True,
) -> None:
    """Write as `write_file`, in the directory that is open as *directory*.

    Args:
        directory: its descriptor.
        name: of the file.
        data: what stands in it.
        mode: how it ends up.
        new: one that is there already stays.
        give: what root writes belongs to the directory's owner.

    Raises:
        FileExistsError: with *new*, there is one.
        OSError: it cannot be written.
    """
    partial = f".{name}.{os.urandom(4).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(partial, flags, FILE_MODE, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if give:
                _give_away(descriptor, os.fstat(directory))
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        if new:
            os.link(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=directory)
    with suppress(OSError):  # some file systems refuse it for directories
        os.fsync(directory)


# -- what is private -----------------------------------------------------------------------------


def check_mode(path: str, status: os.stat_result, what: str = "the key file") -> None:
    """Refuse a file that others can read or write.

    As with ssh and PostgreSQL: nobody but the owner may, except that a file of root may be readable
    for one group, which is how a service gets it. Pipes such as a shell's ``<(command)`` have no
    others.

    Raises:
        UnsafeFileError: they can.
    """
    allowed = 0o740 if status.st_uid == _ROOT else 0o700
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) & ~allowed:
        raise UnsafeFileError(f"{what} {path} can be read by others", f"chmod 600 {path}")


def has_private_group(status: os.stat_result) -> bool:
    """Tell whether a file's group is its owner's private one.

    It has the owner's name and number, and no other account is a member of it or has it as its
    main group. pam_umask(8) and Debian's sshd take such a group for the owner alone.
    """
    if status.st_uid != status.st_gid:
        return False
    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    main = {user.pw_name for user in pwd.getpwall() if user.pw_gid == status.st_gid}
    return group.gr_name == owner.pw_name and {*group.gr_mem, *main} <= {owner.pw_name}


def _checked(descriptor: int, path: Path, directory: os.stat_result) -> os.stat_result:
    """Return what an open file is, if it is to be trusted in this directory."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFileError(f"{path} is no regular file", "remove it")
    owners = {_ROOT, os.geteuid(), directory.st_uid}
    if status.st_uid not in owners:
        raise UnsafeFileError(f"{path} belongs to user {status.st_uid}", "remove it, or chown it")
    if status.st_nlink > 1 and status.st_uid != directory.st_uid:
        raise UnsafeFileError(f"{path} is another name of somebody else's file", "remove it")
    return status


def _give_away(descriptor: int, directory: os.stat_result) -> None:
    """Let what root has opened belong to whom the directory belongs."""
    if os.geteuid() == _ROOT and os.fstat(descriptor).st_uid != directory.st_uid:
        os.fchown(descriptor, directory.st_uid, directory.st_gid)


def _cannot_open(path: Path, error: OSError) -> StateError:
    if error.errno == errno.ELOOP:
        return UnsafeFileError(f"{path} is a link, which is not followed here", "remove it")
    return StateError(
        f"cannot open {path}: {error.strerror}", "see who owns it and what its mode is"
    )
